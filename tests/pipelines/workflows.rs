//! This repository's own workflows and the Action's definition, as linters see them that others wrote.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use crate::{
    support::{is_on, run},
    tools::{check_schema, repository, root, tool},
};

fn workflows() -> Vec<PathBuf> {
    let folder = root().join(".github/workflows");
    let mut found: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    assert!(found.len() >= 2, "{found:?}");
    found
}

#[test]
fn githubs_schemas_take_them() {
    if !is_on() {
        return;
    }
    check_schema(&["--builtin-schema", "vendor.github-workflows"], &workflows());
    check_schema(&["--builtin-schema", "vendor.github-actions"], &[root().join("action/action.yml")]);
    check_schema(&["--builtin-schema", "custom.github-workflows-require-timeout"], &workflows());
}

#[test]
fn zizmor_finds_nothing() {
    let Some(zizmor) = is_on().then(|| tool("venv/bin/zizmor")).flatten() else { return };
    let mut command = Command::new(zizmor);
    command.args(["--offline", "--no-progress", "--persona", "regular"]);
    run(command.arg(root().join("action/action.yml")).args(workflows()), &[0]);
}

#[test]
fn actionlint_finds_nothing() {
    let Some(actionlint) = is_on().then(|| tool("venv/bin/actionlint")).flatten() else { return };
    // ShellCheck, where it is on the path, reads the scripts inside.
    run(Command::new(actionlint).current_dir(root()).args(workflows()), &[0]);
}

#[test]
fn shellcheck_finds_nothing_in_the_actions_scripts() {
    let Some(shellcheck) = is_on().then(|| tool("venv/bin/shellcheck")).flatten() else { return };
    let scripts = fs::read_dir(root().join("action")).unwrap().map(|entry| entry.unwrap().path());
    let scripts: Vec<PathBuf> = scripts.filter(|path| path.extension().is_some_and(|ending| ending == "sh")).collect();
    assert!(scripts.len() >= 7, "{scripts:?}");
    run(Command::new(shellcheck).arg("--external-sources").args(scripts).current_dir(root().join("action")), &[0]);
}

/// What linters only warn of: every action of others is pinned by its commit, with its version beside it.
#[test]
fn actions_of_others_are_pinned_by_commit() {
    for path in workflows().into_iter().chain([root().join("action/action.yml")]) {
        let text = fs::read_to_string(&path).unwrap();
        for line in text.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("uses: ")) {
            let pinned = line.split_once('@').and_then(|(_, rest)| rest.split_once(" # v"));
            let is_commit = |text: &str| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(
                line.starts_with("./") || pinned.is_some_and(|(commit, _)| is_commit(commit)),
                "{}: {line}",
                path.display()
            );
        }
    }
}

/// Inputs reach the Action's scripts through the environment; its version is this version.
#[test]
fn the_action_holds_no_expression_in_a_script_and_fetches_this_version() {
    let text = fs::read_to_string(root().join("action/action.yml")).unwrap();
    assert!(!text.lines().any(|line| line.trim_start().starts_with("run:") && line.contains("${{")));
    let version = text.split("\n  version:\n").nth(1).unwrap().split("default: ").nth(1).unwrap();
    assert_eq!(version.lines().next().unwrap(), env!("CARGO_PKG_VERSION"));
    for entry in fs::read_dir(root().join("action")).unwrap() {
        let path = entry.unwrap().path();
        let script = fs::read_to_string(&path).unwrap();
        assert!(!script.contains("GITHUB_ENV") && !script.contains("GITHUB_PATH"), "{}", path.display());
    }
}

/// The README names every input and output, and none that there is not.
#[test]
fn the_readme_names_every_input_and_output() {
    let (action, readme) = (root().join("action/action.yml"), root().join("action/README.md"));
    let (action, readme) = (fs::read_to_string(action).unwrap(), fs::read_to_string(readme).unwrap());
    let (inputs, rest) = action.split_once("\noutputs:\n").unwrap();
    let outputs = rest.split_once("\nruns:\n").unwrap().0;
    let names = |text: &str| -> Vec<String> {
        let name = |line: &str| {
            let name = line.strip_prefix("  ")?.strip_suffix(':')?;
            name.starts_with(|first: char| first.is_ascii_lowercase()).then(|| name.to_owned())
        };
        text.lines().filter_map(name).collect()
    };
    let (inputs, outputs) = (names(inputs), names(outputs));
    assert!(inputs.len() > 30 && outputs.len() > 8, "{inputs:?} {outputs:?}");
    let documented: Vec<&str> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .filter_map(|row| row.split(" |").next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    for name in inputs.iter().chain(&outputs) {
        assert!(documented.contains(&name.as_str()), "action/README.md does not name {name}");
    }
    for name in documented {
        assert!(inputs.iter().chain(&outputs).any(|known| known == name), "action/README.md names {name}");
    }
}

/// The README's first example is a workflow as it stands.
#[test]
fn the_readmes_example_is_a_workflow_that_linters_take() {
    let readme = fs::read_to_string(root().join("action/README.md")).unwrap();
    let example = readme.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(example.contains("jobs:") && example.contains("image-ref:"), "{example}");
    if !is_on() {
        return;
    }
    let workflow = BTreeMap::from([(".github/workflows/example.yml", example.to_owned())]);
    let repository = repository("github.com", &[], &workflow);
    let path = repository.path().join(".github/workflows/example.yml");
    for (name, arguments) in [("actionlint", [].as_slice()), ("zizmor", ["--offline", "--no-progress"].as_slice())] {
        let Some(linter) = tool(&format!("venv/bin/{name}")) else { return };
        run(Command::new(linter).current_dir(repository.path()).args(arguments).arg(&path), &[0]);
    }
}
