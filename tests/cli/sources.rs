//! Where images come from, as users name it: standard input, engines, proxies.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
    sync::mpsc,
};

use portcullis_testkit::{Compression, ImageBuilder, Layer};

use crate::{outcome, portcullis};

fn image() -> ImageBuilder {
    let layer = Layer::new().file("node_modules/left-pad/package.json", r#"{"name": "left-pad", "version": "1.3.0"}"#);
    ImageBuilder::debian(12).package("base-files", "12.4").layer(layer).name("team/app:1")
}

/// Runs it with bytes on its standard input.
fn piped(command: &mut Command, input: &[u8]) -> Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may end before it has read everything.
    _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn sbom(folder: &Path, target: &str) -> Command {
    let mut command = portcullis();
    // In the working folder, so that what is left behind is seen.
    command.current_dir(folder).env("PORTCULLIS_CACHE_DIR", "cache").args(["sbom", target, "-o", "json"]);
    command
}

#[test]
fn archives_come_on_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let image = image().build();
    image.write_docker_archive(&folder.join("docker.tar")).unwrap();
    image.write_oci_archive(&folder.join("oci.tar")).unwrap();
    let inventory = |bytes: &[u8]| {
        let report: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        report["inventory"].clone()
    };
    let (expected, _) = outcome(&mut sbom(folder, "docker.tar"), 0);
    let expected = inventory(expected.as_bytes());
    for file in ["docker.tar", "oci.tar"] {
        let plain = fs::read(folder.join(file)).unwrap();
        for packed in [plain.clone(), Compression::Gzip.apply(&plain), Compression::Zstd.apply(&plain)] {
            let output = piped(&mut sbom(folder, "-"), &packed);
            assert_eq!(inventory(&output.stdout), expected, "{file}: {}", String::from_utf8_lossy(&output.stderr));
            // What is cut off is an error, and no panic.
            let output = piped(&mut sbom(folder, "-"), &packed[..packed.len() / 2]);
            assert_eq!(output.status.code(), Some(1), "{file}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
    let archive = fs::read(folder.join("docker.tar")).unwrap();
    let output = piped(&mut sbom(folder, "docker-archive:-:team/app:1"), &archive);
    assert_eq!(inventory(&output.stdout), expected);
    let output = piped(&mut sbom(folder, "docker-archive:-:other:1"), &archive);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard input has no image named `other:1`"));
    // A bill of materials is told from an archive.
    let bill = piped(portcullis().current_dir(folder).args(["sbom", "docker.tar"]), b"");
    let output = piped(&mut sbom(folder, "-"), &bill.stdout);
    assert!(String::from_utf8_lossy(&output.stdout).contains("left-pad"), "{output:?}");
    for nothing in ["", "hello", "\u{1f}\u{8b}"] {
        assert_eq!(piped(&mut sbom(folder, "-"), nothing.as_bytes()).status.code(), Some(1), "{nothing}");
    }
    // Nothing is left behind.
    let left: Vec<_> = fs::read_dir(folder.join("cache/archives")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Whoever may write where a scan runs must not choose what is scanned.
#[test]
fn a_folder_does_not_take_the_place_of_an_image() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for name in ["127.0.0.1:1/team/app:v1", "ghcr.io/team/app:v1", "localhost/app:v1", "app:v1", "my.d/app"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    for name in ["127.0.0.1:1/team/app:v1", "ghcr.io/team/app:v1", "localhost/app:v1"] {
        let (stdout, told) = outcome(&mut sbom(folder, name), 1);
        let hint = format!("hint: registry:{name} is the image in the registry, ./{name} what lies here\n");
        assert!(stdout.is_empty() && told.contains("of a file or folder here") && told.ends_with(&hint), "{told}");
        outcome(&mut sbom(folder, &format!("./{name}")), 0);
        outcome(&mut sbom(folder, &format!("dir:{name}")), 0);
    }
    let (_, told) = outcome(&mut sbom(folder, "registry:127.0.0.1:1/team/app:v1"), 1);
    assert!(told.contains("127.0.0.1:1"), "{told}");
    // These are paths like any other.
    outcome(&mut sbom(folder, "app:v1"), 0);
    outcome(&mut sbom(folder, "my.d/app"), 0);
}

#[test]
fn engines_that_are_not_there_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = |target: &str, variable: &str, value: &str| {
        let mut command = portcullis();
        command.current_dir(folder).env(variable, value).args(["sbom", target]);
        outcome(&mut command, 1).1
    };
    let docker = run("docker:nginx", "DOCKER_HOST", "unix:///nonexistent/docker.sock");
    assert!(docker.starts_with("error: docker: it does not answer: ") && docker.contains("hint: "), "{docker}");
    let ssh = run("docker:nginx", "DOCKER_HOST", "ssh://me@elsewhere.example");
    assert!(ssh.contains("only unix:// and tcp:// addresses are asked") && ssh.contains("hint: "), "{ssh}");
    let odd = run("docker:nginx?all=1", "DOCKER_HOST", "unix:///nonexistent/docker.sock");
    assert!(odd.contains("`nginx?all=1` is not the name of an image"), "{odd}");
    let containerd = run("containerd:nginx", "CONTAINERD_ADDRESS", "/nonexistent/containerd.sock");
    assert!(containerd.starts_with("error: containerd: it does not answer: "), "{containerd}");
    fs::write(folder.join("storage.conf"), format!("[storage]\ngraphroot = {:?}\n", folder.join("none"))).unwrap();
    let podman = run("podman:nginx", "CONTAINERS_STORAGE_CONF", folder.join("storage.conf").to_str().unwrap());
    assert!(podman.starts_with("error: podman: there is no image nginx in ") && podman.contains("none"), "{podman}");
    for target in ["docker:", "podman:", "containerd:", "cri:"] {
        assert!(run(target, "X", "").contains("the name of the image is missing"), "{target}");
    }
}

/// A proxy that answers everything with 404 and tells the first line of what it was asked.
fn proxy() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, asked) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
            if sender.send(first).is_err() {
                return;
            }
        }
    });
    (address, asked)
}

#[test]
fn proxies_are_asked_unless_they_are_not_to_be() {
    let (address, asked) = proxy();
    let mut command = portcullis();
    command.args(["sbom", "registry.invalid/team/app:v1", "--plain-http"]).env("HTTP_PROXY", &address);
    let (_, stderr) = outcome(&mut command, 1);
    assert_eq!(asked.recv().unwrap(), "GET http://registry.invalid/v2/team/app/manifests/v1 HTTP/1.1", "{stderr}");
    let mut command = portcullis();
    command.args(["sbom", "127.0.0.1:1/team/app:v1", "--plain-http"]);
    outcome(command.env("HTTP_PROXY", &address).env("NO_PROXY", "127.0.0.1"), 1);
    assert!(asked.try_recv().is_err());
    // HTTPS goes through a tunnel.
    let mut command = portcullis();
    outcome(command.args(["sbom", "registry.invalid/team/app:v1"]).env("HTTPS_PROXY", &address), 1);
    assert_eq!(asked.recv().unwrap(), "CONNECT registry.invalid:443 HTTP/1.1");
}

/// `go.mod` of Go 1.16 names what the project itself asks for, and `go.sum` the rest.
#[test]
fn an_old_go_project_is_read_from_both_of_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let app = folder.path().join("app");
    fs::create_dir(&app).unwrap();
    fs::write(app.join("go.mod"), "module app\ngo 1.16\nrequire github.com/gin-gonic/gin v1.6.3\n").unwrap();
    let told = |code: i32| {
        let (report, _) = outcome(&mut sbom(folder.path(), "dir:app"), code);
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        let packages = report["inventory"]["packages"].as_array().unwrap().iter();
        let packages: Vec<String> =
            packages.map(|package| format!("{} {}", package["purl"], package["evidence"])).collect();
        (packages.join("\n"), report["inventory"]["warnings"][0]["kind"].clone())
    };
    let (packages, warning) = told(44);
    assert_eq!(
        (packages.as_str(), warning.as_str()),
        ("\"pkg:golang/github.com/gin-gonic/gin@v1.6.3\" null", Some("gap"))
    );
    let sums = "github.com/gin-gonic/gin v1.6.2 h1:x=\nx/sys v0.1.0 h1:x=\nx/sys v0.2.0/go.mod h1:x=\n";
    fs::write(app.join("go.sum"), sums).unwrap();
    let (packages, warning) = told(0);
    assert!(
        packages.ends_with(
            "\"pkg:golang/x/sys@v0.1.0\" \"the highest version in go.sum; go.mod, for Go 1.16 or older, names \
                                no module that others need\""
        ),
        "{packages}"
    );
    assert_eq!((packages.lines().count(), warning.as_str()), (2, Some("note")));
    // Where `go.mod` names all, `go.sum` adds nothing.
    fs::write(app.join("go.mod"), "module app\ngo 1.17\nrequire github.com/gin-gonic/gin v1.6.3\n").unwrap();
    assert_eq!(told(0).0.lines().count(), 1);
}

/// What a manifest asks for in ranges is known by a lockfile alone.
#[test]
fn a_manifest_without_a_lockfile_is_no_pass() {
    let folder = tempfile::tempdir().unwrap();
    let told = |code: i32| {
        let (report, _) = outcome(&mut sbom(folder.path(), "dir:app"), code);
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        let warnings = report["inventory"]["warnings"].as_array().unwrap().iter();
        let warnings: Vec<String> = warnings
            .map(|warning| format!("{} {}: {}", warning["kind"], warning["path"], warning["message"]))
            .collect();
        warnings.join("\n").replace('"', "")
    };
    let write = |path: &str, text: &str| {
        let path = folder.path().join("app").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("web/package.json", r#"{"dependencies": {"lodash": "4.17.15"}}"#);
    let npm = "gap web/package.json: 1 dependency, and no lockfile says which versions (`npm install";
    assert!(told(44).starts_with(npm));
    // A workspace has one lockfile, at its root.
    write("package-lock.json", r#"{"lockfileVersion": 3, "packages": {}}"#);
    assert_eq!(told(0), "");
    let manifests = [
        ("php/composer.json", r#"{"require": {"a/b": "1"}}"#, "php/composer.lock", r#"{"packages": []}"#),
        ("rust/a/Cargo.toml", "[dependencies]\nserde = \"1\"", "rust/Cargo.lock", "version = 4\n"),
        ("ruby/Gemfile", "gem 'rails'\n", "ruby/Gemfile.lock", "GEM\n"),
        ("python/Pipfile", "[packages]\ndjango = \"*\"", "python/Pipfile.lock", r#"{"_meta": {}}"#),
    ];
    for (manifest, text, lock, locked) in manifests {
        write(manifest, text);
        let gap = told(44);
        assert!(gap.starts_with(&format!("gap {manifest}: 1 dependency, and no lockfile says which")), "{gap}");
        write(lock, locked);
        assert_eq!(told(0), "", "{lock}");
    }
    write("py/requirements.txt", "-r prod.txt\n-r requirements-base.txt\n");
    write("py/prod.txt", "django==3.2\n");
    write("py/requirements-base.txt", "");
    assert_eq!(told(44), "gap py/requirements.txt: it asks for what prod.txt names, which is not read");
}
