//! The Action's scripts, each by itself: what they call the program with, and what they refuse.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use crate::{
    support::run,
    tools::{named_images, root},
};

/// Writes down what it is called with, each word on a line, and ends as it is told.
const PROGRAM: &str = "#!/bin/sh\nprintf '%s\\n' \"$@\" >called\nexit \"${ENDS:-0}\"\n";

/// A step, run in a folder of its own.
struct Step {
    folder: tempfile::TempDir,
}

/// How a step ended.
struct Ended {
    code: i32,
    log: String,
    /// What the program was called with; empty if it was not called.
    called: Vec<String>,
}

impl Step {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("portcullis");
        fs::write(&program, PROGRAM).unwrap();
        run(Command::new("chmod").arg("+x").arg(program), &[0]);
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a script with the variables that the Action's definition gives it, empty but for these.
    fn ends(&self, script: &str, variables: &[(&str, &str)]) -> Ended {
        let called = self.path().join("called");
        _ = fs::remove_file(&called);
        let mut command = Command::new("bash");
        command.arg(root().join("action").join(script)).current_dir(self.path()).env_clear();
        command
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("GITHUB_ACTION_PATH", root().join("action"));
        command.envs(given_to(script).map(|name| (name, "")));
        command.env("GITHUB_OUTPUT", self.path().join("output")).env("RUNNER_TEMP", self.path());
        command.env("RUNNER_OS", "Linux").env("PORTCULLIS", self.path().join("portcullis"));
        command.env("PORTCULLIS_CACHE_DIR", self.path().join("cache"));
        let output = command.envs(variables.iter().copied()).output().unwrap();
        let log = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let called = fs::read_to_string(called).unwrap_or_default().lines().map(str::to_owned).collect();
        Ended { code: output.status.code().unwrap_or(-1), log, called }
    }
}

impl Ended {
    #[track_caller]
    fn refused(&self, why: &str) {
        assert!(self.code == 1 && self.called.is_empty() && self.log.contains(why), "{} {}", self.code, self.log);
    }
}

/// The variables that the step of this script has.
fn given_to(script: &str) -> impl Iterator<Item = String> {
    let text = fs::read_to_string(root().join("action/action.yml")).unwrap();
    let step = text.split(&format!("$GITHUB_ACTION_PATH/{script}\"'")).nth(1).unwrap();
    let step = step.split("- name:").next().unwrap().to_owned();
    let names: Vec<String> = step
        .lines()
        .filter_map(|line| line.trim().split_once(": ${{").map(|(name, _)| name.to_owned()))
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'))
        .collect();
    assert!(!names.is_empty(), "{script}");
    names.into_iter()
}

#[test]
fn a_file_of_the_checkout_never_takes_an_images_place() {
    let step = Step::new();
    for (name, target) in named_images() {
        let scan = step.ends("scan.sh", &[("INPUT_IMAGE", &name), ("INPUT_FORMAT", "table")]);
        assert_eq!((scan.code, scan.called.last()), (0, Some(&target)), "{}", scan.log);
        let attest = step.ends("attest.sh", &[("INPUT_IMAGE", &name), ("SIGNING_KEY", "a key")]);
        assert_eq!((attest.code, attest.called.last()), (0, Some(&target)), "{}", attest.log);
    }
}

#[test]
fn evidence_is_of_the_platform_that_was_scanned() {
    let step = Step::new();
    let of = |platform| {
        let variables = [("INPUT_IMAGE", "app"), ("SIGNING_KEY", "a key"), ("INPUT_PLATFORM", platform)];
        step.ends("attest.sh", &variables).called
    };
    assert!(of("linux/arm64").contains(&"--platform=linux/arm64".to_owned()));
    assert!(!of("").iter().any(|word| word.starts_with("--platform")));
}

/// A word that is misspelt would let through what it was to deny.
#[test]
fn severities_are_read_whole_or_refused() {
    let step = Step::new();
    let with = |severity, more: &[(&str, &str)]| {
        let mut variables = vec![("INPUT_IMAGE", "app"), ("INPUT_FORMAT", "table"), ("INPUT_SEVERITY", severity)];
        variables.extend(more);
        step.ends("scan.sh", &variables)
    };
    for (severity, threshold) in [
        ("CRITICAL", "critical"),
        ("CRITICAL,HIGH", "high"),
        ("Critical, High,", "high"),
        ("low", "low"),
        ("UNKNOWN,LOW,MEDIUM,HIGH,CRITICAL", "low"),
    ] {
        let ended = with(severity, &[]);
        assert!(ended.called.contains(&format!("--fail-on={threshold}")), "{severity}: {:?}", ended.called);
    }
    with("CRITICAL,HIHG", &[]).refused("severity: hihg is none of");
    with("CRITICAL;HIGH", &[]).refused("names none of");
    with("UNKNOWN", &[]).refused("names none of");
    with("*", &[]).refused("names none of");
    with("HIGH", &[("INPUT_FAIL_ON", "critical")]).refused("name one of them");
}

#[test]
fn an_exit_code_that_is_none_is_refused() {
    let step = Step::new();
    for code in ["one", "256", "-1", "01", "00", "4 2", "1000"] {
        step.ends("prepare.sh", &[("INPUT_EXIT_CODE", code)]).refused("is no exit code");
    }
    for (code, ends) in [("", 42), ("0", 0), ("1", 1), ("99", 99), ("200", 200), ("255", 255)] {
        let prepared = step.ends("prepare.sh", &[("INPUT_EXIT_CODE", code)]);
        assert_eq!(prepared.code, 0, "{code}: {}", prepared.log);
        let gate = step.ends("gate.sh", &[("SCAN_CODE", "42"), ("INPUT_EXIT_CODE", code)]);
        assert_eq!(gate.code, ends, "{code}: {}", gate.log);
    }
}

/// What this action did not make stays, and so does what it is about to use.
#[test]
fn only_forgotten_databases_of_its_own_are_removed() {
    let step = Step::new();
    let cache = step.path().join("cache");
    fs::create_dir(&cache).unwrap();
    let fetched = step.ends("database.sh", &[]);
    let own = fetched.called.iter().find_map(|word| word.strip_prefix("--db=")).unwrap().to_owned();
    let forgotten = cache.join(format!("portcullis-{}.db", "0".repeat(64)));
    let named = cache.join(format!("portcullis-{}.db", "1".repeat(64)));
    let others = ["portcullis.db", "portcullis-team.db", "team.db"].map(|name| cache.join(name));
    let make = |path: &Path| {
        let file = fs::File::create(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(30 * 86_400)).unwrap();
    };
    let kept = [vec![Path::new(&own).to_owned(), named.clone()], others.to_vec()].concat();
    kept.iter().chain([&forgotten]).for_each(|path| make(path));
    // The update fails: what an earlier run left is used, however old it is.
    let ended = step.ends("database.sh", &[("ENDS", "1")]);
    assert!(ended.code == 0 && ended.log.contains("those of an earlier run are used"), "{}", ended.log);
    assert!(!forgotten.exists() && !named.exists());
    make(&named);
    // By another way to it, too.
    for name in [named.to_str().unwrap(), &format!("cache/{}", named.file_name().unwrap().to_str().unwrap())] {
        assert_eq!(step.ends("database.sh", &[("INPUT_DB", name)]).code, 0);
        make(Path::new(&own));
    }
    assert!(kept.iter().skip(1).all(|path| path.exists()), "{kept:?}");
}
