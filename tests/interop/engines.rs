//! Real container engines: what they hold is what the archive held that they were given.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use portcullis_testkit::{ImageBuilder, Layer};
use serde_json::Value;

use crate::support::{is_on, json, portcullis, run, skip};

const NAME: &str = "local/test:1";

/// An image whose upper layers remove, replace and hide what lies below.
fn image() -> ImageBuilder {
    let package = |name: &str, version: &str| format!(r#"{{"name": "{name}", "version": "{version}"}}"#);
    let base = Layer::new()
        .file("app/node_modules/a/package.json", package("a", "1.0.0"))
        .file("app/node_modules/b/package.json", package("b", "1.0.0"))
        .file("opt/node_modules/c/package.json", package("c", "1.0.0"))
        .executable("usr/bin/tool", "#!/bin/sh\n");
    let changes = Layer::new()
        .whiteout("app/node_modules/a")
        .opaque("opt/node_modules")
        .file("opt/node_modules/d/package.json", package("d", "2.0.0"))
        .file("srv/node_modules/e/package.json", package("e", "1.0.0"))
        .hard_link("srv/other/node_modules/e/package.json", "srv/node_modules/e/package.json");
    let top = Layer::new().file("app/node_modules/b/package.json", package("b", "2.0.0"));
    ImageBuilder::debian(12).package("base-files", "12.4").layer(base).layer(changes).layer(top).name(NAME)
}

/// A daemon that ends with the test.
pub(crate) struct Daemon {
    process: Child,
    unmount: Option<PathBuf>,
}

impl Daemon {
    /// Starts it, and waits for its socket.
    pub(crate) fn start(command: &mut Command, log: &Path, socket: &Path) -> Self {
        let log = fs::File::create(log).unwrap();
        // A group of its own: it starts others.
        let command = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).process_group(0);
        let daemon = Self { process: command.spawn().unwrap(), unmount: None };
        let started = Instant::now();
        while std::os::unix::net::UnixStream::connect(socket).is_err() {
            assert!(started.elapsed() < Duration::from_secs(60), "{command:?} does not listen");
            std::thread::sleep(Duration::from_millis(100));
        }
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // SIGTERM lets it clean up.
        _ = Command::new("kill").arg(self.process.id().to_string()).status();
        _ = self.process.wait();
        if let Some(mount) = &self.unmount {
            _ = Command::new("umount").arg(mount).stderr(Stdio::null()).status();
        }
    }
}

/// A Docker engine of its own, with all that it has in `folder`; its address.
pub(crate) fn dockerd(folder: &Path) -> (Daemon, String) {
    let socket = folder.join("docker.sock");
    let host = format!("unix://{}", socket.display());
    let mut dockerd = Command::new("dockerd");
    for (flag, place) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "docker.pid")] {
        dockerd.arg(flag).arg(folder.join(place));
    }
    dockerd.args(["-H", &host, "--iptables=false", "--ip6tables=false", "--bridge=none"]);
    let mut daemon = Daemon::start(&mut dockerd, &folder.join("log"), &socket);
    daemon.unmount = Some(folder.join("exec/netns/default"));
    (daemon, host)
}

/// Whether these programs can be run here, as root.
pub(crate) fn can_run(programs: &[&str]) -> bool {
    let is_there = |program: &str| {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&folders).chain(["/usr/sbin".into()]).any(|folder| folder.join(program).exists())
    };
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let absent: Vec<&str> = programs.iter().copied().filter(|program| !is_there(program)).collect();
    if !is_root || !absent.is_empty() {
        skip(&format!("container engines: {absent:?}, and root"));
        return false;
    }
    true
}

/// A folder with the image's archives, and the report of one.
fn archives() -> (tempfile::TempDir, Value) {
    let folder = tempfile::Builder::new().prefix("portcullis-engines").tempdir_in("/tmp").unwrap();
    let image = image().build();
    image.write_docker_archive(&folder.path().join("docker.tar")).unwrap();
    image.write_oci_archive(&folder.path().join("oci.tar")).unwrap();
    let report = sbom(folder.path(), &[], &format!("docker-archive:{}", folder.path().join("docker.tar").display()));
    (folder, report)
}

fn sbom(folder: &Path, variables: &[(&str, &str)], target: &str) -> Value {
    let mut command = portcullis();
    command.current_dir(folder).envs(variables.iter().copied()).env("PORTCULLIS_NO_CACHE", "1");
    json(&run(command.args(["sbom", "-o", "json", target]), &[0]).stdout)
}

/// The same inventory, distribution, coverage, labels, layers and instructions.
#[track_caller]
fn same(ours: &Value, archive: &Value) {
    for part in ["inventory", "distribution", "coverage"] {
        assert_eq!(ours[part], archive[part], "{part}");
    }
    let layers = |report: &Value| -> Vec<(Value, Value)> {
        let layers = report["target"]["layers"].as_array().unwrap();
        layers.iter().map(|layer| (layer["diffId"].clone(), layer["createdBy"].clone())).collect()
    };
    assert_eq!(layers(ours), layers(archive));
    assert_eq!(ours["target"]["platform"], archive["target"]["platform"]);
    assert!(!archive["inventory"]["packages"].as_array().unwrap().is_empty());
}

#[test]
fn docker_s_images_are_read_in_place_and_by_export() {
    if !is_on() || !can_run(&["dockerd", "docker"]) {
        return;
    }
    let (folder, expected) = archives();
    let folder = folder.path();
    let (_daemon, host) = dockerd(folder);
    let mut docker = Command::new("docker");
    run(docker.args(["-H", &host, "load", "-i"]).arg(folder.join("docker.tar")), &[0]);
    let variables = [("DOCKER_HOST", host.as_str())];
    let in_place = sbom(folder, &variables, &format!("docker:{NAME}"));
    same(&in_place, &expected);
    assert_eq!(in_place["target"]["reference"], "docker.io/local/test:1");
    let id = in_place["target"]["configDigest"].as_str().unwrap();
    same(&sbom(folder, &variables, &format!("docker:{id}")), &expected);
    // Where its folders say something else, as those of another machine would, the engine is asked for an archive.
    let layers = folder.join("data/image/overlay2/layerdb/sha256");
    for layer in fs::read_dir(&layers).unwrap() {
        fs::write(layer.unwrap().path().join("cache-id"), "no folder").unwrap();
    }
    same(&sbom(folder, &variables, &format!("docker:{NAME}")), &expected);
    let mut absent = portcullis();
    absent.envs(variables).args(["sbom", "docker:no-such-image"]);
    let output = run(&mut absent, &[1]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("docker: it has no image no-such-image") && text.contains("hint: "), "{text}");
}

#[test]
fn podman_s_images_are_read_in_place_and_through_its_socket() {
    if !is_on() || !can_run(&["podman"]) {
        return;
    }
    let (folder, expected) = archives();
    let folder = folder.path();
    let place = |name: &str| folder.join(name).display().to_string();
    let configuration = folder.join("storage.conf");
    let text =
        format!("[storage]\ndriver = \"overlay\"\ngraphroot = {:?}\nrunroot = {:?}\n", place("root"), place("run"));
    fs::write(&configuration, text).unwrap();
    let configuration = configuration.display().to_string();
    let podman = || {
        let mut podman = Command::new("podman");
        podman
            .env("CONTAINERS_STORAGE_CONF", &configuration)
            .args(["--events-backend=file", "--cgroup-manager=cgroupfs"]);
        podman
    };
    run(podman().args(["load", "-q", "-i"]).arg(folder.join("docker.tar")), &[0]);
    let variables = [("CONTAINERS_STORAGE_CONF", configuration.as_str())];
    same(&sbom(folder, &variables, &format!("podman:{NAME}")), &expected);
    same(&sbom(folder, &variables, &format!("podman:localhost/{NAME}")), &expected);
    same(&sbom(folder, &variables, &format!("containers-storage:{NAME}")), &expected);
    // Where the storage cannot be read, Podman's socket is asked.
    let socket = folder.join("podman.sock");
    let host = format!("unix://{}", socket.display());
    let mut service = podman();
    service.args(["system", "service", "--time=0", &host]);
    let _daemon = Daemon::start(&mut service, &folder.join("log"), &socket);
    fs::write(folder.join("none.conf"), format!("[storage]\ngraphroot = {:?}\n", place("none"))).unwrap();
    let none = place("none.conf");
    let variables = [("CONTAINERS_STORAGE_CONF", none.as_str()), ("CONTAINER_HOST", host.as_str())];
    same(&sbom(folder, &variables, &format!("podman:{NAME}")), &expected);
    // overlay mounts of the storage itself.
    _ = Command::new("umount").arg(folder.join("root/overlay")).stderr(Stdio::null()).status();
}

/// Starts a containerd of its own; where it listens.
pub fn containerd(folder: &Path) -> (String, Daemon) {
    let place = |name: &str| folder.join(name).display().to_string();
    let text = format!(
        "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {:?}\n",
        place("root"),
        place("state"),
        place("c.sock")
    );
    fs::write(folder.join("config.toml"), text).unwrap();
    let mut containerd = Command::new("containerd");
    containerd.arg("-c").arg(folder.join("config.toml"));
    let daemon = Daemon::start(&mut containerd, &folder.join("log"), &folder.join("c.sock"));
    (place("c.sock"), daemon)
}

#[test]
fn containerd_s_images_are_read_from_its_content_store() {
    if !is_on() || !can_run(&["containerd", "ctr"]) {
        return;
    }
    let (folder, expected) = archives();
    let folder = folder.path();
    let place = |name: &str| folder.join(name).display().to_string();
    let (_, _daemon) = containerd(folder);
    let ctr = |namespace: &str| {
        let mut ctr = Command::new("ctr");
        ctr.args(["-a", &place("c.sock"), "-n", namespace, "images"]);
        ctr
    };
    let import = ["import", "--no-unpack", "--index-name", "docker.io/local/test:1"];
    run(ctr("k8s.io").args(import).arg(folder.join("docker.tar")), &[0]);
    let socket = place("c.sock");
    let variables = [("CONTAINERD_ADDRESS", socket.as_str())];
    let listed = run(ctr("k8s.io").args(["list", "-q"]), &[0]);
    let names = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(names.contains("docker.io/local/test:1"), "{names}");
    // By the name that people write, in a namespace that is looked into, that is named, and as the kubelet's.
    for target in ["containerd:local/test:1", "containerd:docker.io/local/test:1@k8s.io", "cri:local/test:1"] {
        same(&sbom(folder, &variables, target), &expected);
    }
    let mut absent = portcullis();
    absent.envs(variables).args(["sbom", "containerd:local/test:1@default"]);
    let output = run(&mut absent, &[1]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("it has no image local/test:1 in the namespace default"));
}
