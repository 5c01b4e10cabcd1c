//! What the tests share: the binary, the big images, a registry.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Once,
    time::{Duration, Instant},
};

use serde_json::Value;

/// Whether these tests run; says so if not.
pub fn is_on() -> bool {
    let is_on = std::env::var_os("PORTCULLIS_INTEROP").is_some();
    if !is_on {
        println!("skipped: beside tools that others wrote: PORTCULLIS_INTEROP is not set; tests/run sets it");
    }
    is_on
}

/// Says that a test cannot run, which is a failure in CI.
pub fn skip(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what}");
    println!("skipped: {what}");
}

pub fn cache() -> PathBuf {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    std::env::var_os("PORTCULLIS_CACHE").map_or_else(|| home.join(".cache/portcullis-tests"), PathBuf::from)
}

pub fn data() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let path = std::env::var_os("PORTCULLIS_TEST_DATA").map_or(default, PathBuf::from);
    if !path.is_dir() {
        skip("real data: PORTCULLIS_TEST_DATA names no folder");
        return None;
    }
    Some(path)
}

/// The binary, with nothing of the environment but what a test gives it.
pub fn portcullis() -> Command {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/portcullis");
    let mut command = Command::new(std::env::var_os("PORTCULLIS_BIN").map_or(default, PathBuf::from));
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).env("HOME", "/nonexistent").env("SOURCE_DATE_EPOCH", "1790000000");
    command
}

/// Runs a command and gives its output; it must end with one of `codes`.
#[track_caller]
pub fn run(command: &mut Command, codes: &[i32]) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let code = output.status.code().unwrap_or(-1);
    assert!(
        codes.contains(&code),
        "{command:?} ended with {code}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

pub fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// The folder of the big images, built once by the recipe beside the test data.
pub fn images() -> Option<PathBuf> {
    static BUILD: Once = Once::new();
    let folder = cache().join("images");
    let recipe = std::env::var_os("PORTCULLIS_BENCH")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/bench"), PathBuf::from)
        .join("make-images.sh");
    if !recipe.is_file() {
        skip("big images: PORTCULLIS_BENCH names no folder with make-images.sh");
        return None;
    }
    BUILD.call_once(|| {
        let mut make = Command::new("bash");
        make.arg(&recipe).arg(&folder).args(["debian-base", "python-app", "node-app"]);
        // The recipe leaves a registry running: its output is not waited for.
        let status = make.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(status.success(), "the big images could not be built");
        _ = Command::new("bash").arg(&recipe).arg(&folder).arg("registry-stop").status();
    });
    Some(folder)
}

/// The full database, built once from the real advisories.
pub fn database() -> Option<PathBuf> {
    static BUILD: Once = Once::new();
    let data = data()?;
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("whole.db");
    BUILD.call_once(|| {
        let mut build = portcullis();
        build.args(["db", "build", "-o"]).arg(&path);
        for folder in ["osv", "kev", "epss"] {
            build.arg("--from").arg(data.join(folder));
        }
        run(&mut build, &[0]);
    });
    Some(path)
}

/// A real registry on loopback; stopped on drop.
pub struct Registry {
    child: Child,
    pub address: SocketAddr,
    _folder: tempfile::TempDir,
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Registry {
    /// Debian's `docker-registry` 2.8: referrers by the fallback tag alone.
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
