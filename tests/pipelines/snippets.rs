//! The snippets of `docs/ci`: each is read by its system's own schema or by a parser that others wrote, and calls only
//! commands, flags and formats that there are.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    support::{is_on, portcullis, run},
    tools::{check_schema, root, tool},
};

/// Schemas that `check-jsonschema` has.
const SCHEMAS: [(&str, &[&str]); 8] = [
    // Azure's has patterns that are only regular without Unicode's rules.
    ("azure-pipelines", &["--regex-variant", "nonunicode", "--data-transform", "azure-pipelines"]),
    ("bitbucket-pipelines", &[]),
    ("buildkite", &[]),
    ("circleci", &[]),
    ("drone", &[]),
    ("gitea", &[]),
    ("travis", &[]),
    ("woodpecker", &[]),
];

/// How a schema is called there, where it is not as the file is.
fn schema(name: &str) -> &str {
    match name {
        "circleci" => "circle-ci",
        "drone" => "drone-ci",
        "woodpecker" => "woodpecker-ci",
        "gitea" => "github-workflows",
        other => other,
    }
}

fn folder() -> PathBuf {
    root().join("docs/ci")
}

fn snippets() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_none_or(|ending| ending != "md"));
    found.sort();
    found
}

#[test]
fn every_snippet_is_listed_and_runs_this_version() {
    let page = fs::read_to_string(folder().join("README.md")).unwrap();
    let image = format!("ghcr.io/portcullis-dev/portcullis:{}", env!("CARGO_PKG_VERSION"));
    for path in snippets().iter().chain([&root().join("gitlab-ci/templates/portcullis.yml")]) {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(path.starts_with(root().join("gitlab-ci")) || page.contains(&format!("]({name})")), "{name}");
        let text = fs::read_to_string(path).unwrap();
        let images = text.matches("portcullis-dev/portcullis:").count();
        assert!(images > 0 && images == text.matches(&image).count(), "{name} names another image");
    }
    assert!(snippets().len() >= 11 && page.contains(&image));
}

#[test]
fn every_snippet_is_what_its_system_reads() {
    if !is_on() {
        return;
    }
    for (name, arguments) in SCHEMAS {
        let vendor = format!("vendor.{}", schema(name));
        let mut all = vec!["--builtin-schema", &vendor];
        all.extend(arguments);
        check_schema(&all, &[folder().join(format!("{name}.yml"))]);
    }
    if let Some(shellcheck) = tool("venv/bin/shellcheck") {
        run(Command::new(shellcheck).arg(folder().join("teamcity.sh")), &[0]);
    }
    let Some(python) = tool("venv/bin/python") else { return };
    let parse =
        |program: &str, path: &Path, code: i32| run(Command::new(&python).args(["-c", program]).arg(path), &[code]);
    let groovy = "import sys, groovy_parser.parser as p; p.parse_groovy_content(open(sys.argv[1]).read())";
    parse(groovy, &folder().join("Jenkinsfile"), 0);
    // That the parser refuses something shows that it reads.
    let broken = tempfile::tempdir().unwrap();
    let path = broken.path().join("Jenkinsfile");
    fs::write(&path, fs::read_to_string(folder().join("Jenkinsfile")).unwrap().replacen("steps {", "steps {{", 1))
        .unwrap();
    parse(groovy, &path, 1);
    // No schema of Tekton's is to be had: its YAML, and the fields that a Task must have.
    let tekton = "import sys, ruamel.yaml as y; t = y.YAML(typ='safe', pure=True).load(open(sys.argv[1])); \
                  assert t['apiVersion'] == 'tekton.dev/v1' and t['kind'] == 'Task'; \
                  assert all({'name', 'image', 'script'} <= s.keys() for s in t['spec']['steps'])";
    parse(tekton, &folder().join("tekton.yaml"), 0);
}

/// Without a scheme, a file of the checkout that is called as the image is would take its place.
#[test]
fn every_snippet_says_that_the_image_is_in_a_registry() {
    for path in snippets() {
        let text = fs::read_to_string(&path).unwrap();
        let targets: Vec<&str> = text.split("-- \"").skip(1).collect();
        let is_named = |target: &&str| target.starts_with("registry:");
        assert!(!targets.is_empty() && targets.iter().all(is_named), "{}", path.display());
    }
}

#[test]
fn systems_run_the_commands_in_a_shell_of_the_image() {
    let read =
        |name: &str| -> Value { serde_saphyr::from_str(&fs::read_to_string(folder().join(name)).unwrap()).unwrap() };
    // Buildkite's plugin takes its shell away where an entrypoint is named, and hands the command over as one word.
    let step = &read("buildkite.yml")["steps"][0];
    let plugin = step["plugins"][0].as_object().unwrap().values().next().unwrap();
    assert_eq!((&plugin["entrypoint"], &plugin["shell"]), (&json!(""), &json!(["/bin/sh", "-e", "-c"])));
    let command = step["command"].as_str().unwrap();
    assert!(command.contains(" && ") && !command.contains('\n') && step["commands"].is_null(), "{command}");
    // An entrypoint that is named is what CircleCI runs, and a shell that has nothing to read ends at once.
    let image = &read("circleci.yml")["jobs"]["portcullis"]["docker"][0];
    assert!(image["image"].is_string() && image["entrypoint"].is_null() && image["command"].is_null(), "{image}");
}

/// Flags of other programs in the same files.
const OTHERS: [&str; 8] =
    ["--rm", "--user", "--username", "--password-stdin", "--entrypoint", "--external-sources", "--severity", "--shell"];

/// Words of a file that are flags.
fn flags(text: &str) -> BTreeSet<String> {
    let starts = text.match_indices("--").map(|(at, _)| at);
    let flag = |at: usize| {
        let name: String =
            text.get(at + 2..)?.chars().take_while(|letter| letter.is_ascii_lowercase() || *letter == '-').collect();
        let before = text.get(..at)?.chars().next_back();
        let is_word = before.is_none_or(|letter| letter.is_whitespace() || matches!(letter, '"' | '\'' | '('));
        (is_word && name.len() > 1 && !name.starts_with('-')).then(|| format!("--{name}"))
    };
    starts.filter_map(flag).collect()
}

#[test]
fn they_call_only_flags_and_formats_that_there_are() {
    if !is_on() {
        return;
    }
    let help = |command: &[&str]| {
        let text = run(portcullis().args(command).arg("--help"), &[0]).stdout;
        flags(&String::from_utf8(text).unwrap())
    };
    let commands: [&[&str]; 7] =
        [&["scan"], &["attest"], &["db", "update"], &["github"], &["gitlab"], &["ci", "gate"], &["sign-blob"]];
    let known: BTreeSet<String> = commands.into_iter().flat_map(help).collect();
    let formats = portcullis().args(["scan", "x", "-o", "no-such-format"]).output().unwrap().stderr;
    let formats = String::from_utf8(formats).unwrap();
    let formats: BTreeSet<&str> = formats.split("one of ").nth(1).unwrap().trim().split(", ").collect();

    let mut files = snippets();
    files.extend(
        ["gitlab-ci/templates/portcullis.yml", "gitlab-ci/Portcullis.gitlab-ci.yml"].map(|path| root().join(path)),
    );
    files.extend(["database", "scan", "attest", "publish"].map(|name| root().join(format!("action/{name}.sh"))));
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        for flag in flags(&text) {
            assert!(known.contains(&flag) || OTHERS.contains(&flag.as_str()), "{}: {flag}", path.display());
        }
        let named = text.split("-o ").skip(1).map(|rest| {
            let rest = rest.trim_start_matches(['"', '\'']);
            rest.split(|letter: char| !letter.is_ascii_lowercase() && letter != '-').next().unwrap()
        });
        for format in named.filter(|format| !format.is_empty()) {
            assert!(formats.contains(format), "{}: the format {format}", path.display());
        }
    }
}
