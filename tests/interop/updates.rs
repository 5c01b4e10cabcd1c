//! Signed databases in registries that others wrote, and in the hands of tools that others wrote.

use std::{path::Path, process::Command};

use crate::support::{Registry, data, is_on, portcullis, run};

/// A small database and a key, in a folder.
fn publisher(folder: &Path) -> Option<()> {
    let data = data()?;
    run(
        portcullis().args(["db", "build", "-o"]).arg(folder.join("own.db")).arg("--from").arg(data.join("osv/Hackage")),
        &[0],
    );
    let mut generate = portcullis();
    generate.current_dir(folder).env("COSIGN_PASSWORD", "").args(["key", "generate"]);
    run(&mut generate, &[0]);
    Some(())
}

fn within(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = portcullis();
    command.current_dir(folder).env("COSIGN_PASSWORD", "").env("PORTCULLIS_CACHE_DIR", folder.join("cache"));
    command.args(arguments);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn real_registries_hold_signed_databases() {
    if !is_on() {
        return;
    }
    for registry in [Registry::docker(), Registry::cue()].into_iter().flatten() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let Some(()) = publisher(folder) else { return };
        let address = format!("oci://{}/security/advisories:v1", registry.address);
        run(
            &mut within(folder, &["db", "publish", &address, "--plain-http", "--db", "own.db", "--key", "cosign.key"]),
            &[0],
        );
        let update = ["db", "update", "--plain-http", "--from", &address, "--db", "taken.db", "--key", "cosign.pub"];
        run(&mut within(folder, &update), &[0]);
        assert_eq!(std::fs::read(folder.join("taken.db")).unwrap(), std::fs::read(folder.join("own.db")).unwrap());
        let again = run(&mut within(folder, &update), &[0]);
        assert!(text(&again.stdout).contains("is up to date"));
        let status = run(&mut within(folder, &["db", "status", "--db", "taken.db"]), &[0]);
        assert!(text(&status.stdout).contains("signature   checked: by key "), "{}", text(&status.stdout));
    }
}

#[test]
fn skopeo_carries_an_exported_database_into_a_registry() {
    if !is_on() {
        return;
    }
    let Some(registry) = Registry::docker() else { return };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let Some(()) = publisher(folder) else { return };
    run(&mut within(folder, &["db", "export", "db.tar", "--db", "own.db", "--key", "cosign.key"]), &[0]);
    let place = format!("{}/inside/advisories:v1", registry.address);
    let mut copy = Command::new("skopeo");
    copy.current_dir(folder).args([
        "copy",
        "--insecure-policy",
        "--dest-tls-verify=false",
        "oci-archive:db.tar:latest",
    ]);
    run(copy.arg(format!("docker://{place}")), &[0]);
    // The tool carries the database; the signature stays in the file.
    let address = format!("oci://{place}");
    let update = ["db", "update", "--plain-http", "--from", &address, "--db", "taken.db"];
    run(within(folder, &update).args(["--key", "cosign.pub"]), &[1]);
    run(within(folder, &update).arg("--allow-unsigned"), &[0]);
    assert_eq!(std::fs::read(folder.join("taken.db")).unwrap(), std::fs::read(folder.join("own.db")).unwrap());
}
