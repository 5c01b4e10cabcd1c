//! The registries that tests run against: the embedded one, and Debian's `docker-registry`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    dead_code,
    reason = "shared by several test programs, which fail by panicking and say what they skip"
)]

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use portcullis_registry::{Client, Credentials, Options, PlainHttp, Reference};

/// A running `docker-registry`; stopped on drop.
pub(crate) struct DockerRegistry {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl DockerRegistry {
    /// Starts it on a free loopback port; none where it is not installed, which CI does not allow.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with("")
    }

    pub(crate) fn start_with(more: &str) -> Option<Self> {
        let Some(program) = find("docker-registry", None) else {
            missing("docker-registry (Debian's package)");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = folder.path().join("config.yml");
        let storage = folder.path().join("storage");
        let text = format!(
            "version: 0.1\nlog: {{accesslog: {{disabled: true}}, level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}, \
             delete: {{enabled: true}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n{more}",
            storage.display()
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new(program).arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let registry = Self { child: child.unwrap(), address: ([127, 0, 0, 1], port).into(), _folder: folder };
        wait_for(registry.address);
        Some(registry)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A running `ocisrv`, CUE Labs' registry with the referrers API; stopped on drop.
pub(crate) struct CueRegistry {
    child: Child,
    address: SocketAddr,
}

impl CueRegistry {
    /// Starts it on a free loopback port; none where it is not installed, which CI does not allow.
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = find("ocisrv", Some("PORTCULLIS_OCISRV")) else {
            missing("ocisrv (a small main around cuelabs.dev/go/oci/ociregistry)");
            return None;
        };
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(program);
        command.args(["-addr", &address.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let registry = Self { child: command.spawn().unwrap(), address };
        wait_for(address);
        Some(registry)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for CueRegistry {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn wait_for(address: SocketAddr) {
    let started = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(started.elapsed() < Duration::from_secs(20), "{address} does not answer");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A program from a variable, PATH, or the folder where tests keep the tools that they install.
pub(crate) fn find(name: &str, variable: Option<&str>) -> Option<PathBuf> {
    let from_variable = variable.and_then(std::env::var_os).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let kept = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/portcullis-tests/bin"));
    let folders = std::env::split_paths(&path).chain(kept).map(|folder| folder.join(name));
    from_variable.into_iter().chain(folders).find(|program| program.is_file())
}

/// Says that a test cannot run, which is a failure in CI.
pub(crate) fn missing(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what} is missing");
    println!("skipped: {what} is missing");
}

pub(crate) fn quick_options() -> Options {
    Options {
        plain_http: PlainHttp::Always,
        timeout: Duration::from_secs(5),
        max_wait: Duration::from_millis(300),
        retries: 2,
        ..Options::default()
    }
}

pub(crate) fn client() -> Client {
    Client::new(quick_options(), Credentials::anonymous()).unwrap()
}

pub(crate) fn image(address: SocketAddr, rest: &str) -> Reference {
    format!("{address}/{rest}").parse().unwrap()
}
