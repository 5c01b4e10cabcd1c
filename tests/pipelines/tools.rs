//! Shared here: tools, a server on loopback, a sealed release, and repositories to run pipelines in.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, OnceLock},
};

use portcullis_testkit::{ImageBuilder, Layer};

use crate::support::{cache, portcullis, run, skip};

/// The password of the keys of these tests.
pub const PASSWORD: &str = "pw";

/// The repository.
pub fn root() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap()
}

/// The schemes that a target may have, as the program reads them.
pub fn schemes() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("crates/image/src/source.rs")).unwrap();
    let arms = text.split("match scheme {").nth(1).unwrap().split("_ => {}").next().unwrap();
    let patterns = arms.lines().filter(|line| line.trim_start().starts_with('"'));
    let patterns = patterns.map(|line| line.split("=>").next().unwrap());
    let words = patterns.flat_map(|pattern| pattern.split('"').skip(1).step_by(2));
    let is_scheme = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let found: BTreeSet<String> = words.filter(is_scheme).map(str::to_owned).collect();
    assert!(found.len() >= 13 && found.contains("registry"), "{found:?}");
    found
}

/// Names of images as users write them, each with what the program must be told, so that no file which is called so is
/// taken for the image.
pub fn named_images() -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = schemes().iter().map(|scheme| format!("{scheme}:a/b:c")).map(same).collect();
    all.extend(["/images/app.tar", "./app.tar", "../app.tar"].map(|path| same(path.to_owned())));
    for name in ["app", "team/bad:v1", "localhost:5000/team/app:1", "registry.example/app@sha256:00", "app.tar", "-"] {
        all.push((name.to_owned(), format!("registry:{name}")));
    }
    all
}

fn same(name: String) -> (String, String) {
    (name.clone(), name)
}

/// A tool that `tests/run` installs.
pub fn tool(path: &str) -> Option<PathBuf> {
    let found = cache().join(path);
    if !found.is_file() {
        skip(&format!("{} is missing: tests/run installs it", path.rsplit('/').next().unwrap()));
        return None;
    }
    Some(found)
}

/// Runs `check-jsonschema`, which must take the files.
pub fn check_schema(arguments: &[&str], files: &[PathBuf]) {
    let Some(check) = tool("venv/bin/check-jsonschema") else { return };
    assert!(!files.is_empty(), "{arguments:?}");
    run(Command::new(check).args(arguments).args(files), &[0]);
}

/// A server on loopback. What it was asked for is kept.
pub struct Server {
    pub address: SocketAddr,
    pub asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers with what `answer` says to a method and a path; runs until the test ends.
    pub fn start(answer: impl Fn(&str, &str) -> (u16, Vec<u8>) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                _ = serve(stream, &answer, &kept);
            }
        });
        Self { address, asked }
    }

    /// A server of files.
    pub fn of_files(folder: &Path) -> Self {
        let folder = folder.to_owned();
        Self::start(move |_, path| match fs::read(folder.join(path.trim_start_matches('/'))) {
            Ok(bytes) => (200, bytes),
            Err(_) => (404, b"not here".to_vec()),
        })
    }
}

fn serve(
    stream: TcpStream,
    answer: &impl Fn(&str, &str) -> (u16, Vec<u8>),
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line)?;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
    let mut words = line.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    asked.lock().unwrap().push(format!("{method} {path}"));
    let (status, body) = answer(method, path);
    let stream = reader.get_mut();
    let kind = if body.starts_with(b"{") { "application/json" } else { "application/octet-stream" };
    write!(stream, "HTTP/1.1 {status} -\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n", body.len())?;
    stream.write_all(b"Connection: close\r\n\r\n")?;
    stream.write_all(&body)
}

/// A release: the folder of a version, as it lies on a server, and the public key that signed it.
pub struct Release {
    pub folder: PathBuf,
    pub public_key: String,
    /// The private key, for those who sign something else.
    pub key: PathBuf,
}

impl Release {
    pub fn version() -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// The archive's name for this machine.
    pub fn archive() -> String {
        format!("portcullis-{}-linux-{}.tar.gz", Self::version(), std::env::consts::ARCH)
    }

    /// What `cargo xtask dist build` made, sealed once with a new key.
    pub fn sealed() -> Option<&'static Self> {
        static RELEASE: OnceLock<Option<Release>> = OnceLock::new();
        RELEASE.get_or_init(Self::seal).as_ref()
    }

    fn seal() -> Option<Self> {
        let Some(built) = std::env::var_os("PORTCULLIS_DIST").map(PathBuf::from) else {
            skip("release archives: PORTCULLIS_DIST names no folder; tests/run sets it");
            return None;
        };
        let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("release");
        _ = fs::remove_dir_all(&work);
        let folder = work.join(format!("v{}", Self::version()));
        fs::create_dir_all(&folder).unwrap();
        for entry in fs::read_dir(&built).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
        }
        let mut generate = portcullis();
        generate.args(["key", "generate", "--output-prefix"]).arg(work.join("cosign")).env("COSIGN_PASSWORD", PASSWORD);
        run(&mut generate, &[0]);
        let key = work.join("cosign.key");
        seal(&folder, Some(&key));
        let public_key = fs::read_to_string(work.join("cosign.pub")).unwrap();
        Some(Self { folder, public_key, key })
    }

    /// A copy of its parent folder, to tamper with.
    pub fn copied(&self) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        let folder = copy.path().join(self.folder.file_name().unwrap());
        fs::create_dir(&folder).unwrap();
        for entry in fs::read_dir(&self.folder).unwrap() {
            let path = entry.unwrap().path();
            // What nobody changes need not be copied.
            fs::hard_link(&path, folder.join(path.file_name().unwrap())).unwrap();
        }
        copy
    }
}

/// `cargo xtask dist seal`.
pub fn seal(folder: &Path, key: Option<&Path>) {
    let mut seal = Command::new(env!("CARGO"));
    seal.current_dir(root()).args(["run", "--quiet", "--locked", "--package", "xtask", "--", "dist", "seal"]);
    seal.arg(folder).env("COSIGN_PASSWORD", PASSWORD);
    if let Some(key) = key {
        seal.arg("--key").arg(key);
    }
    run(&mut seal, &[0]);
}

/// A repository of a host on disk, with one commit: the named folders of ours, files, and the archives `healthy.tar` and
/// `vulnerable.tar`.
pub fn repository(host: &str, folders: &[&str], files: &BTreeMap<&str, String>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for name in folders {
        run(Command::new("cp").arg("-r").arg(root().join(name)).arg(at), &[0]);
    }
    for (name, text) in files {
        let path = at.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    write_vulnerable(&at.join("vulnerable.tar"));
    write_healthy(&at.join("healthy.tar"));
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.current_dir(at).args(["-c", "user.name=test", "-c", "user.email=test@example.com"]);
        run(git.args(arguments), &[0]);
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["remote", "add", "origin", &format!("git@{host}:team/app.git")]);
    git(&["add", "-A"]);
    git(&["commit", "-qm", "test"]);
    folder
}

/// An archive of an image with old libraries in it, which the starter database denies.
fn write_vulnerable(path: &Path) {
    let package = r#"{"name": "lodash", "version": "4.17.15"}"#;
    let layer = Layer::new().file("app/node_modules/lodash/package.json", package);
    let image = ImageBuilder::debian(12).package("base-files", "12.4+deb12u5").layer(layer).name("team/app:1").build();
    image.write_docker_archive(path).unwrap();
}

/// An archive of an image that passes.
pub fn write_healthy(path: &Path) {
    let image = ImageBuilder::debian(12).package("base-files", "12.4+deb12u5").name("team/app:1").build();
    image.write_docker_archive(path).unwrap();
}
