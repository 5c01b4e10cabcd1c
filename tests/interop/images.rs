//! Big real images: what we find is what the package managers themselves say, run inside the same tree.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::support::{images, is_on, json, portcullis, run};

/// An image's tree, unpacked by tar, layer over layer. These images have no whiteouts.
fn unpack(layout: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let read = |digest: &str| std::fs::read(layout.join("blobs/sha256").join(&digest[7..])).unwrap();
    let index = json(&std::fs::read(layout.join("index.json")).unwrap());
    let manifest = json(&read(index["manifests"][0]["digest"].as_str().unwrap()));
    for layer in manifest["layers"].as_array().unwrap() {
        let blob = layout.join("blobs/sha256").join(&layer["digest"].as_str().unwrap()[7..]);
        let mut tar = Command::new("tar");
        tar.arg("-xzf").arg(blob).arg("-C").arg(folder.path()).args(["--exclude=dev/*", "--no-same-owner"]);
        run(&mut tar, &[0]);
    }
    folder
}

fn report(target: &str) -> Value {
    json(&run(portcullis().args(["sbom", "-o", "json", target]), &[0]).stdout)
}

fn packages(report: &Value, kind: &str) -> BTreeSet<(String, String)> {
    let text = |package: &Value, field: &str| package[field].as_str().unwrap().to_owned();
    let packages = report["inventory"]["packages"].as_array().unwrap().iter();
    packages
        .filter(|package| package["type"] == kind)
        .map(|package| (text(package, "name"), text(package, "version")))
        .collect()
}

fn lines(output: &[u8]) -> BTreeSet<(String, String)> {
    let text = String::from_utf8_lossy(output).into_owned();
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, version)| (name.to_owned(), version.to_owned()))
        .collect()
}

fn dpkg(root: &Path) -> BTreeSet<(String, String)> {
    let mut query = Command::new("dpkg-query");
    query.arg("--admindir").arg(root.join("var/lib/dpkg")).args(["-W", "-f", "${Package} ${Version}\n"]);
    lines(&run(&mut query, &[0]).stdout)
}

/// What Python itself says of a folder of packages.
fn python(folders: &[PathBuf]) -> BTreeSet<(String, String)> {
    let program = "import importlib.metadata as m, re, sys\n\
        for d in m.distributions(path=sys.argv[1:]):\n\
        \x20   print(re.sub(r'[-_.]+', '-', d.metadata['Name']).lower(), d.version)";
    let mut python = Command::new("python3");
    python.args(["-I", "-c", program]).args(folders);
    lines(&run(&mut python, &[0]).stdout)
}

/// What Node's own rules say: every package root below `node_modules`, walked and parsed by Node.
fn node(root: &Path) -> BTreeSet<(String, String)> {
    let program = r"
        const fs = require('fs'), path = require('path');
        const one = (dir) => { try { const p = JSON.parse(fs.readFileSync(path.join(dir, 'package.json'), 'utf8').replace(/^\uFEFF/, ''));
            if (typeof p.name === 'string' && p.name && typeof p.version === 'string' && p.version) console.log(p.name + ' ' + p.version); } catch {} };
        const walk = (dir, inside) => { for (const e of fs.readdirSync(dir, {withFileTypes: true})) { if (!e.isDirectory()) continue;
            const d = path.join(dir, e.name);
            if (inside && !e.name.startsWith('.')) { if (e.name.startsWith('@')) { for (const s of fs.readdirSync(d, {withFileTypes: true})) if (s.isDirectory()) one(path.join(d, s.name)); } else one(d); }
            walk(d, e.name === 'node_modules'); } };
        walk(process.argv[1], false);";
    let mut node = Command::new("node");
    node.args(["-e", program]).arg(root);
    lines(&run(&mut node, &[0]).stdout)
}

#[track_caller]
fn same(ours: &BTreeSet<(String, String)>, theirs: &BTreeSet<(String, String)>) {
    let only = |a: &BTreeSet<_>, b: &BTreeSet<_>| a.difference(b).cloned().collect::<Vec<(String, String)>>();
    assert!(!theirs.is_empty());
    assert_eq!((only(ours, theirs), only(theirs, ours)), (vec![], vec![]), "(only ours, only the package manager's)");
}

#[test]
fn debian_packages_are_those_of_dpkg() {
    let Some(folder) = is_on().then(images).flatten() else { return };
    for name in ["debian-base", "python-app", "node-app"] {
        let layout = folder.join("images/oci").join(name);
        let tree = unpack(&layout);
        same(&packages(&report(&format!("oci-dir:{}", layout.display())), "deb"), &dpkg(tree.path()));
    }
}

#[test]
fn python_packages_are_those_of_python() {
    let Some(folder) = is_on().then(images).flatten() else { return };
    let layout = folder.join("images/oci/python-app");
    let tree = unpack(&layout);
    // Wherever metadata lies, vendored copies included: Python lists a folder when it is told of it.
    let mut find = Command::new("find");
    find.arg(tree.path()).args(["(", "-path", "*.dist-info/METADATA", "-o", "-path", "*.egg-info/PKG-INFO", ")"]);
    let found = String::from_utf8(run(&mut find, &[0]).stdout).unwrap();
    let folders: BTreeSet<PathBuf> =
        found.lines().filter_map(|path| Some(Path::new(path).parent()?.parent()?.to_owned())).collect();
    let folders: Vec<PathBuf> = folders.into_iter().collect();
    same(&packages(&report(&format!("oci-dir:{}", layout.display())), "pypi"), &python(&folders));
}

#[test]
fn javascript_packages_are_those_that_node_finds() {
    let Some(folder) = is_on().then(images).flatten() else { return };
    let layout = folder.join("images/oci/node-app");
    let tree = unpack(&layout);
    same(&packages(&report(&format!("oci-dir:{}", layout.display())), "npm"), &node(tree.path()));
}

#[test]
fn every_form_of_an_image_gives_the_same_inventory() {
    let Some(folder) = is_on().then(images).flatten() else { return };
    for name in ["debian-base", "python-app", "node-app"] {
        let layout = report(&format!("oci-dir:{}", folder.join("images/oci").join(name).display()));
        let archive =
            report(&format!("docker-archive:{}", folder.join("images").join(format!("{name}.tar")).display()));
        assert_eq!(layout["inventory"], archive["inventory"], "{name}");
        assert_eq!(layout["target"]["configDigest"], archive["target"]["configDigest"], "{name}");
    }
}

#[test]
fn a_cached_scan_gives_the_same_bytes() {
    let Some(folder) = is_on().then(images).flatten() else { return };
    let cache = tempfile::tempdir().unwrap();
    let report = |target: &str, variable: &str, value: &Path| {
        let mut command = portcullis();
        run(command.env(variable, value).args(["sbom", "-o", "json", target]), &[0, 44]).stdout
    };
    let layouts = ["images/oci", "images/oci-zstd"].map(|forms| std::fs::read_dir(folder.join(forms)));
    let layouts =
        layouts.into_iter().flatten().flatten().map(|layout| format!("oci-dir:{}", layout.unwrap().path().display()));
    let archives = ["debian-base", "python-app", "node-app"];
    let archives = archives.map(|name| format!("docker-archive:{}/images/{name}.tar", folder.display()));
    for target in layouts.chain(archives) {
        let uncached = report(&target, "PORTCULLIS_NO_CACHE", Path::new("1"));
        for state in ["first", "again"] {
            let cached = report(&target, "PORTCULLIS_CACHE_DIR", cache.path());
            assert!(cached == uncached, "{target}, {state}");
        }
    }
}

#[test]
fn the_same_scan_gives_the_same_bytes() {
    let Some(folder) = is_on().then(images).flatten() else { return };
    let Some(database) = crate::support::database() else { return };
    let target = format!("oci-dir:{}", folder.join("images/oci/python-app").display());
    for format in ["json", "sarif", "cyclonedx-json", "table"] {
        let scan = || run(portcullis().args(["scan", &target, "-o", format, "--db"]).arg(&database), &[42]).stdout;
        assert_eq!(scan(), scan(), "{format}");
    }
}
