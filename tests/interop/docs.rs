//! The commands of the quick start, as they stand there, one after the other in one shell.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use portcullis_testkit::{AdvisoryRecord, ImageBuilder, Layer};

use crate::support::{free_port, is_on, portcullis, run, skip};

const PAGE: &str = include_str!("../../docs/quick-start.md");

/// Commands that need what a test has not: a Docker engine's image, the network, a person at the keyboard, a build. What
/// stands for them is made beforehand, or is beside them.
const INSTEAD: [(&str, &str); 5] = [
    ("docker save ", "true"),
    ("for ecosystem in ", "true"),
    ("read -rs COSIGN_PASSWORD", "export COSIGN_PASSWORD=quick"),
    ("cargo build ", "true"),
    // It runs until it is stopped.
    ("target/release/portcullis-webhook ", "true"),
];

/// The page's commands. A line that starts with neither `$` nor `>` goes on with the one before: a text that is fed in.
fn commands() -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    for block in PAGE.split("```console\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        for line in block.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                commands.push(command.to_owned());
            } else if let Some(last) = commands.last_mut() {
                last.push('\n');
                last.push_str(line.strip_prefix("> ").unwrap_or(line));
            }
        }
    }
    commands
}

/// What the page takes as given: an image's archive, advisories, and later a newer database and a newer report.
fn prepare(folder: &Path) {
    let lodash = r#"{"name": "lodash", "version": "4.17.15"}"#;
    let layer = Layer::new().file("app/node_modules/lodash/package.json", lodash);
    let image = ImageBuilder::debian(12).package("base-files", "12.4+deb12u5").layer(layer);
    image.build().write_docker_archive(&folder.join("app.tar")).unwrap();
    std::fs::create_dir(folder.join("advisories")).unwrap();
    for (id, ecosystem, name, fixed) in
        [("CVE-2026-0001", "npm", "lodash", "4.17.21"), ("CVE-2026-0002", "Debian:12", "base-files", "12.4")]
    {
        let record = AdvisoryRecord::new(id).affects(ecosystem, name, "0", Some(fixed));
        std::fs::write(folder.join(format!("advisories/{id}.json")), record.json()).unwrap();
    }
}

/// Every command must end, and with an exit code that the documentation names.
fn script(port: u16) -> String {
    let mut script = String::from("check() { case $1 in 0|42|43|44) ;; *) echo \"$2: $1\"; exit 1 ;; esac; }\n");
    for command in commands() {
        let instead = INSTEAD.iter().find(|(start, _)| command.starts_with(start));
        let command = instead.map_or(command.as_str(), |(_, other)| other).replace("5599", &port.to_string());
        if command.starts_with("portcullis replay report.json --db newer.db") {
            script.push_str("cp portcullis.db newer.db; cp report.json newer.json\n");
        }
        let first = command.lines().next().unwrap_or_default().replace(['"', '$', '`', '\\'], "");
        script.push_str(&format!("{command}\ncheck $? \"{first}\"\n"));
        if command.starts_with("docker-registry ") {
            script.push_str(&format!("until curl -s 127.0.0.1:{port}/v2/ > /dev/null; do sleep 0.05; done\n"));
        }
    }
    script.push_str("kill %1\necho done to the end\n");
    script
}

#[test]
fn the_quick_start_works_as_it_is_written() {
    if !is_on() {
        return;
    }
    if Command::new("docker-registry").arg("--version").output().is_err() {
        skip("docker-registry (Debian's package) is missing");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let binary = Path::new(portcullis().get_program()).canonicalize().unwrap();
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash");
    shell.current_dir(folder.path()).env_clear().env("PATH", path).env("HOME", folder.path());
    let output = run(shell.args(["-mc", &script(free_port())]), &[0]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("done to the end"), "{told}");
    assert!(told.contains("Pod app: refused") || told.contains("Pod app: admitted"), "{told}");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("the verdict is the same, byte for byte"), "{told}");
    webhook(folder.path(), &binary.with_file_name("portcullis-webhook"));
}

/// The webhook starts with the page's own flags, and says that it is ready.
fn webhook(folder: &Path, binary: &Path) {
    let line =
        commands().into_iter().find(|command| command.starts_with("target/release/portcullis-webhook ")).unwrap();
    let port = free_port();
    let mut start = Command::new(binary);
    start.current_dir(folder).args(line.split_whitespace().skip(1)).env_clear();
    start.args(["--listen", &format!("127.0.0.1:{port}")]).stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running(start.spawn().unwrap());
    let started = Instant::now();
    let ready = || {
        let url = format!("https://localhost:{port}/readyz");
        Command::new("curl").current_dir(folder).args(["-sf", "--cacert", "ca.pem", &url]).status().unwrap().success()
    };
    while !ready() {
        assert!(started.elapsed() < Duration::from_secs(60), "the webhook does not become ready");
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(running);
}

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}
