//! The binary as users run it, with a scrubbed environment.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests fail by panicking and say what they skip")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use expect_test::{Expect, expect};

mod admit;
mod base;
mod baseline;
mod cache;
mod ci;
mod db;
mod forge;
mod matching;
mod policy;
mod rpm;
mod sbom;
mod scan;
mod signing;
mod sources;

/// The binary that `PORTCULLIS_BIN` names, or the one that cargo builds beside this test.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        if let Some(named) = std::env::var_os("PORTCULLIS_BIN") {
            return PathBuf::from(named);
        }
        // This test is TARGET/PROFILE/deps/cli-….
        let this = std::env::current_exe().unwrap();
        let folder = this.ancestors().nth(2).unwrap();
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--locked", "-p", "portcullis-cli", "--target-dir"]);
        build.arg(folder.parent().unwrap());
        if folder.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success());
        folder.join("portcullis")
    };
    BINARY.get_or_init(build)
}

/// The binary, with nothing in its environment but what makes its output the same everywhere.
fn portcullis() -> Command {
    let mut command = Command::new(binary());
    command.env_clear().env("HOME", "/nonexistent").env("SOURCE_DATE_EPOCH", "1790000000").env("COLUMNS", "100");
    // What one test has read must not make another pass.
    command.env("PORTCULLIS_NO_CACHE", "true");
    command
}

/// Runs it and gives what it wrote to stdout and to stderr.
#[track_caller]
fn outcome(command: &mut Command, code: i32) -> (String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(status.code(), Some(code), "{stdout}{stderr}");
    (stdout.into_owned(), stderr.into_owned())
}

#[track_caller]
fn check(arguments: &[&str], code: i32, expected: Expect) {
    let (stdout, stderr) = outcome(portcullis().args(arguments), code);
    expected.assert_eq(&format!("{stdout}{stderr}"));
}

#[test]
fn the_version_is_told() {
    check(
        &["--version"],
        0,
        expect![[r#"
        portcullis 0.1.0
    "#]],
    );
}

#[test]
fn a_wrong_flag_is_a_usage_error() {
    check(
        &["scan", "alpine", "--no-such-flag"],
        2,
        expect![[r#"
        error: unexpected argument '--no-such-flag' found

          tip: to pass '--no-such-flag' as a value, use '-- --no-such-flag'

        Usage: portcullis scan <TARGET>

        For more information, try '--help'.
    "#]],
    );
}

#[test]
fn a_wrong_format_is_told_before_the_scan() {
    check(
        &["scan", "/", "-o", "cycloned"],
        2,
        expect![[r#"
            error: there is no format `cycloned`
            hint: one of table, json, sarif, cyclonedx-json, cyclonedx-xml, spdx-json, spdx-tag-value, executables, gitlab, gitlab-codequality, junit, html, markdown, github-summary
        "#]],
    );
}

#[test]
fn a_missing_file_is_no_image_name() {
    check(
        &["scan", "./no-such-image.tar"],
        1,
        expect![[r#"
        error: `./no-such-image.tar` is not something to scan: there is no such file or directory
        hint: give an image (repo/name:tag), a path, or a scheme such as oci-dir:PATH
    "#]],
    );
}

#[test]
fn switches_are_set_as_people_write_them() {
    for (value, code) in [("1", 1), ("yes", 1), ("on", 1), ("true", 1), ("maybe", 2)] {
        let (_, stderr) = outcome(portcullis().args(["scan", "nginx"]).env("PORTCULLIS_OFFLINE", value), code);
        assert_eq!(stderr.contains("this run is offline"), code == 1, "{value}: {stderr}");
    }
}

#[test]
fn a_key_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let mut generate = portcullis();
    generate.current_dir(folder.path()).args(["key", "generate"]).env("COSIGN_PASSWORD", "");
    outcome(&mut generate, 0);
    let (_, stderr) = outcome(&mut generate, 1);
    assert!(stderr.starts_with("error: cosign.key exists already\nhint: "), "{stderr}");
}

#[test]
fn offline_says_why_a_registry_is_not_asked() {
    check(
        &["scan", "nginx", "--offline"],
        1,
        expect![[r#"
        error: docker.io/library/nginx:latest lies in a registry, and this run is offline
        hint: leave out --offline; or save the image to a file and scan that: skopeo copy docker://docker.io/library/nginx:latest oci-archive:image.tar
    "#]],
    );
}

#[test]
fn a_file_that_is_no_image_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    std::fs::write(&path, "not an image").unwrap();
    let output = portcullis().args(["scan", path.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: "), "{output:?}");
}

#[test]
fn a_damaged_database_is_an_error_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    std::fs::write(&path, "PORTCLDB").unwrap();
    let output = portcullis().args(["db", "status", "--db", path.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("hint: "), "{output:?}");
}

#[test]
fn a_full_disk_is_an_error() {
    let output = portcullis().args(["scan", env!("CARGO_MANIFEST_DIR"), "-o", "json=/dev/full"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("/dev/full"), "{output:?}");
}

#[test]
fn the_help_names_every_command_and_every_exit_code() {
    check(
        &["-h"],
        0,
        expect![[r#"
            Guards container images through their whole life: scans them, judges them by policy, signs the
            verdict, and admits only what passes

            Usage: portcullis [OPTIONS] <COMMAND>

            Commands:
              scan           Scan an image: what is in it, what is wrong with it, and whether the policy takes
                             it
              sbom           List what is in an image
              attest         Sign evidence of a scan and store it beside the image
              verify         Find the evidence of an image, check it and judge it: what the admission webhook
                             would do
              evidence       List, fetch and remove the evidence beside an image
              admit          Decide on a Kubernetes manifest as the admission webhook would
              replay         Recompute a recorded verdict: the same bytes, or the input that changed
              explain        Say why an advisory does, or does not, apply to a package
              diff           Compare two reports
              github         Tell GitHub what a report says: code scanning, a comment, a check, a status, the
                             summary of the job
              gitlab         Tell GitLab what a report says: a note on the merge request, a commit status, a
                             package
              ci             Run as part of a pipeline
              db             Update, build, share and look into advisory databases
              policy         Check policies
              key            Make signing keys
              sign-blob      Sign a file: its content, or the in-toto statement that it holds
              verify-bundle  Verify one Sigstore bundle: the client protocol of the public conformance suite
              doctor         Say what this machine can do
              cache          Look into the layer cache, or empty it
              demo           Walk the whole chain on this machine, with no network
              completions    Print completions for a shell
              man            Write manual pages
              help           Print this message or the help of the given subcommand(s)

            Options:
              -h, --help     Print help (see more with '--help')
              -V, --version  Print version

            Output:
              -q, --quiet         Say nothing but errors on stderr
              -v, --verbose       Say more on stderr: what was tried, and what was left out of use
                  --color <WHEN>  When to use colour; `NO_COLOR` is honoured [env: PORTCULLIS_COLOR=] [default:
                                  auto] [possible values: auto, always, never]

            Exit codes: 0 pass, 1 error, 2 usage, 42 deny, 43 would deny (audit mode), 44 incomplete.
        "#]],
    );
}

#[test]
fn no_command_is_a_usage_error() {
    let (stdout, stderr) = outcome(&mut portcullis(), 2);
    assert!(stdout.is_empty() && stderr.contains("Usage: portcullis"), "{stdout}{stderr}");
}

#[test]
fn every_command_has_help() {
    let (help, _) = outcome(portcullis().arg("-h"), 0);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // Lines that go on are indented further.
    let commands: Vec<&str> =
        commands.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.len() > 15, "{commands:?}");
    for command in commands.into_iter().filter(|name| *name != "help") {
        let (stdout, stderr) = outcome(portcullis().args([command, "--help"]), 0);
        assert!(
            stdout.contains(&format!("Usage: portcullis {command}")) && stderr.is_empty(),
            "{command}: {stdout}{stderr}"
        );
    }
}

#[test]
fn completions_are_for_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let (stdout, _) = outcome(portcullis().args(["completions", shell]), 0);
        assert!(stdout.contains("verify-bundle"), "{shell}");
    }
}

#[test]
fn a_key_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let generate = |code| {
        let mut command = portcullis();
        command.current_dir(folder.path()).env("COSIGN_PASSWORD", "pw").args(["key", "generate"]);
        outcome(&mut command, code)
    };
    generate(0);
    let kept = std::fs::read(folder.path().join("cosign.key")).unwrap();
    assert!(generate(1).1.contains("cosign.key"));
    assert_eq!(std::fs::read(folder.path().join("cosign.key")).unwrap(), kept);
    let public = outcome(
        portcullis().current_dir(folder.path()).env("COSIGN_PASSWORD", "pw").args([
            "key",
            "public",
            "--key",
            "cosign.key",
        ]),
        0,
    );
    assert_eq!(public.0, std::fs::read_to_string(folder.path().join("cosign.pub")).unwrap());
}

#[test]
fn a_policy_with_an_unknown_field_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = "apiVersion: portcullis.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: p}\nspec:\n  vulnerabilites: {failOn: high}\n";
    std::fs::write(folder.path().join("policy.yaml"), text).unwrap();
    let (stdout, stderr) = outcome(portcullis().current_dir(folder.path()).args(["policy", "check", "policy.yaml"]), 1);
    assert!(stdout.is_empty() && stderr.contains("policy.yaml:5"), "{stdout}{stderr}");
}
