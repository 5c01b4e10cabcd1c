//! Registries that others wrote.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{cache, skip};

/// A real registry on loopback; stopped on drop.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    _folder: tempfile::TempDir,
}

/// A port on loopback on which nothing listens now. It lies below those that the kernel gives away by itself, so that
/// no connection takes it before its server does.
#[must_use]
pub fn free_port() -> u16 {
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(|| fastrand::u16(20_000..31_000)).take(1000).find(is_free).unwrap()
}

impl Registry {
    /// Debian's `docker-registry` 2.8: referrers by the fallback tag alone.
    #[must_use]
    pub fn docker() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let config = folder.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{accesslog: {{disabled: true}}, level: error}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n",
            folder.path().join("storage").display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config);
        Self::start(command, port, folder, "docker-registry (Debian's package) is missing")
    }

    /// CUE Labs' registry: the referrers API of OCI 1.1.
    #[must_use]
    pub fn cue() -> Option<Self> {
        let port = free_port();
        let mut command = Command::new(cache().join("bin/ocisrv"));
        command.args(["-addr", &format!("127.0.0.1:{port}")]);
        Self::start(command, port, tempfile::tempdir().unwrap(), "ocisrv (tests/interop/ocisrv) is missing")
    }

    fn start(mut command: Command, port: u16, folder: tempfile::TempDir, missing: &str) -> Option<Self> {
        let Ok(child) = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
            skip(missing);
            return None;
        };
        let registry = Self { child, address: ([127, 0, 0, 1], port).into(), _folder: folder };
        let started = Instant::now();
        while TcpStream::connect(registry.address).is_err() {
            assert!(started.elapsed() < Duration::from_secs(30), "the registry does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(registry)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
