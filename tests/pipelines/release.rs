//! The release, as a user gets it: what is in the archives, and that nothing else verifies.

use std::{fs, path::Path, process::Command};

use crate::{
    support::{is_on, json, portcullis, run, skip},
    tools::{PASSWORD, Release, root, seal, tool},
};

/// The released program itself, unpacked by the system's tar.
fn unpacked(release: &Release) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut tar = Command::new("tar");
    run(tar.arg("-xzf").arg(release.folder.join(Release::archive())).arg("-C").arg(folder.path()), &[0]);
    folder
}

#[test]
fn the_archive_holds_the_program_and_what_a_packager_wants() {
    let Some(release) = is_on().then(Release::sealed).flatten() else { return };
    let folder = unpacked(release);
    let inside = folder.path().join(Release::archive().strip_suffix(".tar.gz").unwrap());
    for name in ["portcullis", "LICENSE", "README.md", "completions/portcullis.bash", "man/portcullis-scan.1"] {
        assert!(inside.join(name).is_file(), "{name}");
    }
    let mut version = Command::new(inside.join("portcullis"));
    let version = String::from_utf8(run(version.env_clear().arg("--version"), &[0]).stdout).unwrap();
    assert_eq!(version.trim(), format!("portcullis {}", Release::version()));
    let listing = run(Command::new("tar").arg("-tvzf").arg(release.folder.join(Release::archive())), &[0]).stdout;
    let listing = String::from_utf8(listing).unwrap();
    assert!(listing.lines().all(|line| line.contains(" root/root ")), "{listing}");
}

/// Else two builders would get different bytes.
#[test]
fn the_program_does_not_tell_where_it_was_built() {
    let Some(release) = is_on().then(Release::sealed).flatten() else { return };
    let folder = unpacked(release);
    let name = Release::archive();
    let program = fs::read(folder.path().join(name.strip_suffix(".tar.gz").unwrap()).join("portcullis")).unwrap();
    let home = std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{}/.cargo", std::env::var("HOME").unwrap()));
    let target = env!("CARGO_TARGET_TMPDIR").trim_end_matches("/tmp");
    let found = |text: &str| program.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(found("/cargo/registry/src/"), "paths are mapped");
    for place in [root().to_str().unwrap(), &home, target] {
        assert!(!found(place), "{place}");
    }
}

/// Read back by our own scanner: the program names its crates, and the bill of materials beside it has them.
#[test]
fn the_program_names_its_crates_and_the_bill_of_materials_has_them() {
    let Some(release) = is_on().then(Release::sealed).flatten() else { return };
    for name in ["portcullis", "portcullis-webhook"] {
        let stem = format!("{name}-{}-linux-{}", Release::version(), std::env::consts::ARCH);
        let bill = json(&fs::read(release.folder.join(format!("{stem}.cdx.json"))).unwrap());
        let purls: Vec<&str> =
            bill["components"].as_array().unwrap().iter().filter_map(|one| one["purl"].as_str()).collect();
        for wanted in ["pkg:cargo/rustls@", "pkg:cargo/serde_json@", "pkg:cargo/aws-lc-sys@"] {
            assert!(purls.iter().any(|purl| purl.starts_with(wanted)), "{name}: {wanted}");
        }
        assert!(!purls.iter().any(|purl| purl.starts_with("pkg:cargo/proptest@")), "{name}: what only tests need");
        let text = bill.to_string();
        assert!(!text.contains("cargo auditable build"), "{name}: the list of crates is whole");
        assert!(!text.contains("/tmp/"), "{name}: where it was built is seen");
    }
}

#[test]
fn checksums_and_provenance_name_every_file() {
    let Some(release) = is_on().then(Release::sealed).flatten() else { return };
    run(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&release.folder), &[0]);
    let provenance = json(&fs::read(release.folder.join("provenance.intoto.json")).unwrap());
    assert_eq!(provenance["predicateType"], "https://slsa.dev/provenance/v1");
    let subjects = provenance["subject"].as_array().unwrap();
    let names: Vec<&str> = subjects.iter().filter_map(|subject| subject["name"].as_str()).collect();
    for entry in fs::read_dir(&release.folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_signature = name.ends_with("sigstore.json") || name == "provenance.intoto.json";
        assert!(is_signature || names.contains(&name.as_str()), "{name}");
    }
    let source = &provenance["predicate"]["buildDefinition"]["resolvedDependencies"][0];
    assert_eq!(source["digest"]["gitCommit"].as_str().map(str::len), Some(40), "{source}");
}

/// By our own `verify-bundle`, and by cosign: the list, and the statement about each file.
#[test]
fn signatures_hold_for_what_was_signed_and_for_nothing_else() {
    let Some(release) = is_on().then(Release::sealed).flatten() else { return };
    let Some(cosign) = tool("bin/cosign") else { return };
    let folder = release.copied();
    let public = folder.path().join("cosign.pub");
    fs::write(&public, &release.public_key).unwrap();
    let at = folder.path().join(release.folder.file_name().unwrap());
    let (list, list_bundle) = (at.join("SHA256SUMS"), at.join("SHA256SUMS.sigstore.json"));
    let provenance = at.join("provenance.intoto.json.sigstore.json");
    let archive = at.join(Release::archive());
    let check = |bundle: &Path, file: &Path, code: i32| {
        let mut ours = portcullis();
        ours.args(["verify-bundle", "--key"]).arg(&public).arg("--bundle").arg(bundle);
        run(ours.arg(file), &[code]);
    };
    let cosign_checks = |kind: &[&str], bundle: &Path, file: &Path, code: i32| {
        let mut theirs = Command::new(&cosign);
        theirs.args(kind).arg("--key").arg(&public).arg("--bundle").arg(bundle).arg("--insecure-ignore-tlog");
        theirs.env("HOME", folder.path());
        run(theirs.arg(file), &[code]);
    };
    let blob = ["verify-blob"];
    let attestation = ["verify-blob-attestation", "--type", "slsaprovenance1"];
    check(&list_bundle, &list, 0);
    cosign_checks(&blob, &list_bundle, &list, 0);
    for file in [&archive, &list] {
        check(&provenance, file, 0);
        cosign_checks(&attestation, &provenance, file, 0);
    }

    // One byte more, in each.
    for file in [&list, &archive] {
        let mut bytes = fs::read(file).unwrap();
        bytes.push(b'\n');
        fs::remove_file(file).unwrap();
        fs::write(file, bytes).unwrap();
    }
    check(&list_bundle, &list, 1);
    cosign_checks(&blob, &list_bundle, &list, 1);
    check(&provenance, &archive, 1);
    cosign_checks(&attestation, &provenance, &archive, 1);
}

#[test]
fn sealing_twice_gives_the_same_bytes() {
    let Some(release) = is_on().then(Release::sealed).flatten() else { return };
    let folder = release.copied();
    let at = folder.path().join(release.folder.file_name().unwrap());
    let made = ["SHA256SUMS", "provenance.intoto.json", "SHA256SUMS.sigstore.json"];
    made.iter().for_each(|name| fs::remove_file(at.join(name)).unwrap());
    assert_eq!(PASSWORD, "pw");
    seal(&at, Some(&release.key));
    for name in made {
        assert_eq!(fs::read(at.join(name)).unwrap(), fs::read(release.folder.join(name)).unwrap(), "{name}");
    }
}

/// The image of the archives: others read it, it has a shell, and our own scanner finds the crates in it.
#[test]
fn the_image_holds_the_released_program() {
    let Some(release) = is_on().then(Release::sealed).flatten() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (shell, layout) = (folder.path().join("shell"), folder.path().join("layout"));
    fs::create_dir(&shell).unwrap();
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].map(Path::new).into_iter().find(|path| path.is_file());
    let Some(busybox) = busybox else { return skip("busybox-static (Debian's package) is missing") };
    fs::copy(busybox, shell.join(format!("busybox-{}", std::env::consts::ARCH))).unwrap();
    let mut image = Command::new(env!("CARGO"));
    image.current_dir(root()).args(["run", "--quiet", "--locked", "--package", "xtask", "--", "dist", "image"]);
    image.arg(&release.folder).arg("portcullis").arg(&layout).arg("--shell").arg(&shell);
    run(&mut image, &[0]);
    let target = format!("{}:{}", layout.display(), Release::version());

    let mut inspect = Command::new("skopeo");
    let config = json(&run(inspect.args(["inspect", "--config"]).arg(format!("oci:{target}")), &[0]).stdout);
    assert_eq!(config["config"]["Entrypoint"][0], "/usr/bin/portcullis");
    let mut scan = portcullis();
    scan.args(["scan", "--db", "starter", "-o", "json", "--no-cache"]).arg(format!("oci-dir:{target}"));
    let report = json(&run(&mut scan, &[0, 42, 44]).stdout);
    let packages = report["inventory"]["packages"].as_array().unwrap();
    assert!(packages.iter().any(|package| package["name"] == "rustls"), "{}", packages.len());

    // Unpacked, it runs where nothing else is, as pipelines run it: Woodpecker through base64, Jenkins by nohup.
    let unpacked = folder.path().join("root");
    fs::create_dir(&unpacked).unwrap();
    let manifest = |descriptor: &serde_json::Value| {
        let digest = descriptor["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
        layout.join("blobs/sha256").join(digest)
    };
    let read = |path: &Path| json(&fs::read(path).unwrap());
    let index = read(&manifest(&read(&layout.join("index.json"))["manifests"][0]));
    let layer = manifest(&read(&manifest(&index["manifests"][0]))["layers"][0]);
    run(Command::new("tar").arg("-xzf").arg(layer).arg("-C").arg(&unpacked), &[0]);
    if run(Command::new("id").arg("-u"), &[0]).stdout != b"0\n" {
        return skip("to run in the image, for want of root");
    }
    // Each name that leads to busybox is one that busybox knows.
    let list = String::from_utf8(run(Command::new(busybox).arg("--list"), &[0]).stdout).unwrap();
    for name in ["base64", "chown", "gzip", "id", "nohup", "tail", "tar"] {
        assert!(unpacked.join("bin").join(name).symlink_metadata().is_ok(), "pipelines run {name}");
    }
    let applets = fs::read_dir(unpacked.join("bin")).unwrap().map(Result::unwrap);
    for applet in applets.filter(|entry| entry.file_type().unwrap().is_symlink()) {
        let name = applet.file_name().into_string().unwrap();
        assert!(list.lines().any(|known| known == name), "busybox has no {name}");
    }
    let mut inside = Command::new("chroot");
    inside.arg(&unpacked).args([
        "/bin/sh",
        "-c",
        "portcullis --version && env | sha256sum && portcullis demo --output /tmp/demo &&
         echo bm9odXAgc2ggLWMgJ2VjaG8gc3RhcnRlZCcK | base64 -d | /bin/sh -e &&
         tar -czf - etc | gunzip | tee /tmp/etc.tar | tar -tf - | grep passwd",
    ]);
    let said = run(inside.env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin").env("HOME", "/tmp"), &[0]).stdout;
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains(Release::version()) && said.contains("started"), "{said}");
}
