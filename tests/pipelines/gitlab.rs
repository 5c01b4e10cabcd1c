//! The GitLab jobs, run by `gitlab-ci-local` on this machine: as a component with inputs, and as a template with
//! variables.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde_json::Value;

use crate::{
    support::{is_on, json, run},
    tools::{check_schema, named_images, repository, root, tool},
};

const COMPONENT: &str = "gitlab-ci/templates/portcullis.yml";
const TEMPLATE: &str = "gitlab-ci/Portcullis.gitlab-ci.yml";
/// Named in the component's own repository as GitLab names it.
const INCLUDE_COMPONENT: &str = "include:\n  - component: $CI_SERVER_FQDN/$CI_PROJECT_PATH/portcullis@$CI_COMMIT_SHA\n";

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Runs a pipeline, and gives its exit code and its log; the folder keeps what jobs left.
fn pipeline(pipeline: &str) -> Option<(i32, String, tempfile::TempDir)> {
    let program = tool("npm/node_modules/.bin/gitlab-ci-local")?;
    let files = BTreeMap::from([
        (".gitlab-ci.yml", pipeline.to_owned()),
        ("templates/portcullis.yml", text(COMPONENT)),
        ("Portcullis.gitlab-ci.yml", text(TEMPLATE)),
    ]);
    let folder = repository("gitlab.example", &[], &files);
    let bin = folder.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let portcullis =
        std::env::var_os("PORTCULLIS_BIN").map_or_else(|| root().join("target/release/portcullis"), Into::into);
    std::os::unix::fs::symlink(portcullis, bin.join("portcullis")).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(program);
    command.current_dir(folder.path()).args(["--force-shell-executor", "--shell-isolation", "--no-color"]);
    command.args(["--variable", "GITLAB_CI=true", "--ignore-predefined-vars", "GITLAB_CI"]);
    let output = command.env_clear().env("PATH", path).env("HOME", folder.path()).output().unwrap();
    let log = [output.stdout, output.stderr].concat();
    Some((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&log).into_owned(), folder))
}

/// What GitLab's server takes in, as the report job leaves it.
fn reports(folder: &Path) -> Value {
    for name in ["portcullis-reports/portcullis.sarif", "gl-sbom-image.cdx.json", "gl-code-quality-report.json"] {
        json(&fs::read(folder.join(name)).unwrap());
    }
    json(&fs::read(folder.join("gl-container-scanning-report.json")).unwrap())
}

#[test]
fn the_report_job_succeeds_and_the_gate_fails() {
    if !is_on() {
        return;
    }
    let inputs = "    inputs: {image: ./vulnerable.tar, db: starter, publish: none}\n";
    let Some((_, log, folder)) = pipeline(&format!("{INCLUDE_COMPONENT}{inputs}")) else { return };
    // The runner's own exit code takes no notice of which codes `allow_failure` names: its list of jobs does.
    for line in ["PASS  portcullis_container_scanning", "FAIL  portcullis_gate", "FAIL 42"] {
        assert!(log.contains(line), "no `{line}` in\n{log}");
    }
    let report = reports(folder.path());
    assert!(!report["vulnerabilities"].as_array().unwrap().is_empty());
    assert_eq!(report["scan"]["type"], "container_scanning");
}

#[test]
fn a_healthy_image_passes_both_jobs_as_component_and_as_template() {
    if !is_on() {
        return;
    }
    let component = format!("{INCLUDE_COMPONENT}    inputs: {{image: ./healthy.tar, db: starter, publish: none}}\n");
    let template = "include:\n  - local: Portcullis.gitlab-ci.yml\nvariables:\n  PORTCULLIS_SCAN_IMAGE: ./healthy.tar\n  \
                    PORTCULLIS_SCAN_DB: starter\n  PORTCULLIS_SCAN_PUBLISH: none\n";
    for text in [component.as_str(), template] {
        let Some((code, log, folder)) = pipeline(text) else { return };
        assert_eq!(code, 0, "{log}");
        assert!(log.contains("PASS  portcullis_gate"), "{log}");
        assert!(reports(folder.path())["vulnerabilities"].as_array().unwrap().is_empty());
    }
}

#[test]
fn the_gate_may_be_told_not_to_fail_and_an_error_fails_the_report_job() {
    if !is_on() {
        return;
    }
    let with =
        |inputs: &str| pipeline(&format!("{INCLUDE_COMPONENT}    inputs: {{db: starter, publish: none, {inputs}}}\n"));
    let Some((_, log, _)) = with("image: ./vulnerable.tar, gate: false") else { return };
    assert!(log.contains("PASS  portcullis_gate"), "{log}");
    let (code, log, _) = with("image: ./missing.tar").unwrap();
    assert!(code == 1 && log.contains("FAIL  portcullis_container_scanning"), "{log}");
    // Inputs are data.
    let (code, log, folder) = with("image: '$(touch pwned)', fail-on: low").unwrap();
    assert!(code == 1 && !folder.path().join("pwned").exists(), "{log}");
    let (code, log, _) = with("image: ./healthy.tar, fail-on: sometimes").unwrap();
    assert_eq!(code, 1, "an option that there is not: {log}");
}

/// Against GitLab's own schema, and against each other.
#[test]
fn component_and_template_are_the_same_jobs() {
    let (component, template) = (text(COMPONENT), text(TEMPLATE));
    let (spec, jobs) = component.split_once("\n---\n").unwrap();
    // The component hands its inputs over as variables, which the template has with the same defaults.
    let (before, rest) = jobs.split_once("  variables:\n").unwrap();
    let at = rest.lines().position(|line| !line.starts_with("    PORTCULLIS_")).unwrap();
    let (variables, after): (Vec<&str>, Vec<&str>) = {
        let lines: Vec<&str> = rest.lines().collect();
        (lines[..at].to_vec(), lines[at..].to_vec())
    };
    let jobs = format!("{before}{}\n", after.join("\n")).replace("stage: $[[ inputs.stage ]]", "stage: test");
    assert!(template.ends_with(&jobs), "the jobs differ:\n{jobs}");
    assert!(!jobs.contains("$[["), "an input where only variables may stand");
    for line in variables {
        let (name, input) = line.trim().split_once(": ").unwrap();
        let input = input.trim_matches('\'').strip_prefix("$[[ inputs.").unwrap().strip_suffix(" ]]").unwrap();
        let described = spec.split(&format!("\n    {input}:\n")).nth(1).unwrap();
        let default = described.split("      default: ").nth(1).unwrap().lines().next().unwrap();
        let default = if matches!(default, "true" | "false") { format!("'{default}'") } else { default.to_owned() };
        assert!(template.contains(&format!("\n  {name}: {default}\n")), "{name} is not {default} in the template");
    }
    if !is_on() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("jobs.yml");
    fs::write(&alone, template.as_bytes()).unwrap();
    check_schema(&["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"], &[alone]);
}

/// The lines of the jobs from one that begins so to the last before another.
fn lines(from: &str, to: &str) -> String {
    let text = text(TEMPLATE);
    let at = text.find(&format!("      {from}")).unwrap();
    text[at..].lines().take_while(|line| !line.starts_with(&format!("      {to}"))).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_file_of_the_checkout_never_takes_an_images_place() {
    let lines = lines("image=", "set -- ");
    for (name, target) in named_images() {
        let mut shell = Command::new("sh");
        shell.args(["-euc", &format!("{lines}\nprintf %s \"$image\"")]).env("PORTCULLIS_SCAN_IMAGE", &name);
        assert_eq!(String::from_utf8(run(&mut shell, &[0]).stdout).unwrap(), target);
    }
    // Nothing else stands for it where the program is called.
    assert_eq!(text(TEMPLATE).matches("\"$PORTCULLIS_SCAN_IMAGE\"").count(), 1);
    assert_eq!(text(TEMPLATE).matches("-- \"$image\" ||").count(), 2);
}

/// An old database is used where a new one cannot be had, and that is said.
#[test]
fn an_old_database_is_not_used_in_silence() {
    let lines = lines("update() {", "# The image");
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept.db");
    let updated = |program: &str, database: &str, code: i32| {
        let mut shell = Command::new("sh");
        shell.args(["-euc", &format!("portcullis() {{ {program}; }}\n{lines}\nprintf %s \"$database\"")]);
        shell.env("kept", &kept).env("PORTCULLIS_SCAN_DB", database).env("PORTCULLIS_SCAN_DB_KEY", "db.pub");
        let output = run(&mut shell, &[code]);
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for database in ["", "oci://registry.example/db"] {
        _ = fs::remove_file(&kept);
        assert!(updated("false", database, 1).1.contains("there is no database of an earlier run"));
        fs::write(&kept, "").unwrap();
        let (used, said) = updated("false", database, 0);
        assert!(used == kept.to_str().unwrap() && said.contains("WARNING"), "{said}");
        assert_eq!(updated("true", database, 0), (used, String::new()));
    }
    assert_eq!(updated("false", "team.db", 0).0, "team.db");
}

/// A key that was replaced under its name is another one: what the old one signed is not kept for it.
#[test]
fn a_database_is_kept_for_its_source_and_key() {
    let lines = lines("# A file for each source and key", "mkdir");
    let folder = tempfile::tempdir().unwrap();
    let kept = |database: &str, reference: &str, key: &str| {
        fs::write(folder.path().join("db.pub"), key).unwrap();
        let mut shell = Command::new("sh");
        shell.current_dir(folder.path()).env("PORTCULLIS_CACHE_DIR", "cache").env("KEY", key);
        shell.env("PORTCULLIS_SCAN_DB", database).env("PORTCULLIS_SCAN_DB_KEY", reference);
        let output = run(shell.args(["-euc", &format!("{lines}\nprintf %s \"$kept\"")]), &[0]).stdout;
        String::from_utf8(output).unwrap()
    };
    let first = kept("oci://a.b/db", "db.pub", "one");
    assert!(first.starts_with("cache/portcullis-") && first.ends_with(".db"), "{first}");
    assert_eq!(kept("oci://a.b/db", "db.pub", "one"), first);
    assert_eq!(kept("oci://a.b/db", "env://KEY", "one"), first);
    // In the image of the program, there is what its busybox has.
    assert!(!lines.contains("$(printenv"));
    for other in [
        kept("oci://a.b/db", "db.pub", "two"),
        kept("oci://a.b/db", "env://KEY", "two"),
        kept("oci://a.b/other", "db.pub", "one"),
        kept("oci://a.b/db", "", "one"),
    ] {
        assert_ne!(other, first);
    }
}

/// The shell in the jobs, by ShellCheck, for the plainest of shells.
#[test]
fn the_scripts_are_plain_shell() {
    let Some(shellcheck) = is_on().then(|| tool("venv/bin/shellcheck")).flatten() else { return };
    let folder = tempfile::tempdir().unwrap();
    let text = text(TEMPLATE);
    let scripts = text.split("  script:\n    - |\n").skip(1);
    let mut files = Vec::new();
    for (index, rest) in scripts.enumerate() {
        let script: Vec<&str> = rest.lines().map_while(|line| line.strip_prefix("      ")).collect();
        let path = folder.path().join(format!("{index}.sh"));
        fs::write(&path, script.join("\n")).unwrap();
        files.push(path);
    }
    assert_eq!(files.len(), 2);
    run(Command::new(shellcheck).args(["--shell", "sh", "--severity", "style"]).args(files), &[0]);
}
