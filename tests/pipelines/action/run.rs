//! Runs of the Action by `act`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    support::json,
    tools::{Release, Server, repository, root, tool},
};

/// What stands for actions of others, which `act` would clone. Their pins are read from our own action.
fn stubs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = "name: stub\ndescription: stub\nruns:\n  using: composite\n  steps:\n    - shell: bash\n      \
                run: 'true'\n";
    fs::write(folder.path().join("action.yml"), text).unwrap();
    folder
}

/// The actions of others that our action uses, each as `owner/name@commit`.
fn nested() -> Vec<String> {
    let text = fs::read_to_string(root().join("action/action.yml")).unwrap();
    let uses = text.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("uses: "));
    uses.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// A run of the action: its inputs, and what of the event and the environment matters.
pub(super) struct Run<'a> {
    inputs: Vec<(&'a str, String)>,
    pub(super) variables: Vec<(&'a str, String)>,
    pub(super) event: (&'a str, &'a str),
    /// Further files of the checkout, with what they hold.
    pub(super) files: Vec<(String, String)>,
    /// A folder whose programs are found first.
    pub(super) programs: Option<&'a Path>,
}

pub(super) struct Ended {
    code: i32,
    pub(super) log: String,
    repository: tempfile::TempDir,
}

impl<'a> Run<'a> {
    /// With the released program from a server.
    pub(super) fn of(server: &Server, release: &Release, input: (&'a str, &str)) -> Self {
        let inputs = vec![
            ("download-url", format!("http://{}", server.address)),
            ("verification-key", release.public_key.clone()),
            ("db", "starter".to_owned()),
            ("publish", "none".to_owned()),
            (input.0, input.1.to_owned()),
        ];
        Self { inputs, variables: Vec::new(), event: ("push", "{}"), files: Vec::new(), programs: None }
    }

    pub(super) fn with(mut self, name: &'a str, value: &str) -> Self {
        self.inputs.retain(|(other, _)| *other != name);
        self.inputs.push((name, value.to_owned()));
        self
    }

    pub(super) fn ends(self) -> Option<Ended> {
        let act = tool("venv/bin/act")?;
        let inputs =
            self.inputs.iter().map(|(name, value)| format!("          {name}: {}\n", serde_json::json!(value)));
        let workflow = format!(
            "on: [push, pull_request]\npermissions: {{}}\njobs:\n  scan:\n    runs-on: ubuntu-latest\n    steps:\n      \
             - uses: actions/checkout@d23441a48e516b6c34aea4fa41551a30e30af803\n      - id: it\n        \
             uses: ./action\n        with:\n{}      - if: always()\n        shell: bash\n        env:\n          \
             ALL: ${{{{ toJSON(steps.it.outputs) }}}}\n        \
             run: jq -c . <<<\"$ALL\" >\"$KEPT/outputs.json\"; env >\"$KEPT/env\"; cp -r \"$RUNNER_TEMP\" \"$KEPT\"\n",
            inputs.collect::<String>()
        );
        let event = self.event.1.to_owned();
        let mut files = BTreeMap::from([(".github/workflows/scan.yml", workflow), ("event.json", event)]);
        files.extend(self.files.iter().map(|(name, text)| (name.as_str(), text.clone())));
        let repository = repository("github.com", &["action"], &files);
        let (at, stub, home) = (repository.path(), stubs(), tempfile::tempdir().unwrap());
        let kept = at.join("kept");
        fs::create_dir(&kept).unwrap();
        let mut command = Command::new(act);
        command.current_dir(at).args([self.event.0, "-W", ".github/workflows/scan.yml", "-e", "event.json"]);
        command.args(["-P", "ubuntu-latest=-self-hosted", "--action-offline-mode", "--env"]);
        command.arg(format!("KEPT={}", kept.display()));
        for action in nested() {
            command.arg("--local-repository").arg(format!("{action}={}", stub.path().display()));
        }
        for (name, value) in &self.variables {
            command.arg("--env").arg(format!("{name}={value}"));
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let path = self.programs.map(|folder| format!("{}:{path}", folder.display())).unwrap_or(path);
        let output = command.env_clear().env("PATH", path).env("HOME", home.path()).output().unwrap();
        let log = [output.stdout, output.stderr].concat();
        let log = String::from_utf8_lossy(&log).into_owned();
        Some(Ended { code: output.status.code().unwrap_or(-1), log, repository })
    }
}

impl Ended {
    #[track_caller]
    pub(super) fn expect(&self, code: i32, words: &[&str]) -> &Self {
        assert_eq!(self.code, code, "{}", self.log);
        words.iter().for_each(|word| assert!(self.log.contains(word), "no `{word}` in\n{}", self.log));
        self
    }

    pub(super) fn kept(&self, name: &str) -> PathBuf {
        self.repository.path().join("kept").join(name)
    }

    pub(super) fn outputs(&self) -> serde_json::Value {
        json(&fs::read(self.kept("outputs.json")).unwrap())
    }

    /// A report that the run left, by its path on the runner.
    pub(super) fn report(&self, output: &str) -> serde_json::Value {
        let outputs = self.outputs();
        let path = Path::new(outputs[output].as_str().unwrap());
        let name = |path: &Path| path.file_name().unwrap().to_owned();
        let temp = fs::read_dir(self.kept(""))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|entry| entry.is_dir())
            .unwrap();
        json(&fs::read(temp.join(name(path.parent().unwrap())).join(name(path))).unwrap())
    }
}
