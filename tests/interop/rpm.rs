//! rpm's databases, as rpm itself reads them.

use std::{path::Path, process::Command};

use portcullis_filetree::FileHeader;
use portcullis_model::Reading;
use portcullis_packages::readers_of;

use crate::support::{data, is_on, run, skip};

/// What rpm says: name, epoch, version, architecture and the file it was built from, of all but keys.
const QUERY: &str = "%{NAME} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE} %{ARCH} %{SOURCERPM} %{LICENSE}\n";

fn ours(path: &str, contents: &[u8]) -> Reading {
    let file = FileHeader { path, size: contents.len() as u64, mode: 0o644, head: &[] };
    let (reader, _) = readers_of(&file).next().unwrap();
    reader.read(&file, contents)
}

/// Packages as rpm lists them, and how many files it says that they have, without directories and ghosts.
fn theirs(folder: &Path, backend: &str) -> (Vec<String>, usize) {
    let query = |format: &str| {
        let mut command = Command::new("rpm");
        command.arg("--dbpath").arg(folder).args([
            "--define",
            &format!("_db_backend {backend}"),
            "-qa",
            "--qf",
            format,
        ]);
        String::from_utf8(run(&mut command, &[0]).stdout).unwrap()
    };
    let mut packages: Vec<String> =
        query(QUERY).lines().filter(|line| !line.starts_with("gpg-pubkey ")).map(str::to_owned).collect();
    packages.sort();
    let files = query("[%{FILEMODES:perms} %{FILEFLAGS:fflags}|%{FILESTATES}|\n]");
    let is_file = |line: &&str| {
        let (mode, rest) = line.split_once(' ').unwrap();
        let (flags, state) = rest.split_once('|').unwrap();
        !mode.starts_with('d') && !flags.contains('g') && state == "0|"
    };
    (packages, files.lines().filter(is_file).count())
}

#[test]
fn rpm_reads_the_same_from_its_databases() {
    if !is_on() {
        return;
    }
    let Some(data) = data() else { return };
    if Command::new("rpm").arg("--version").output().is_err() {
        return skip("rpm is not installed");
    }
    for (file, backend) in [
        ("cbl-mariner-2.0-sqlite/rpmdb.sqlite", "sqlite"),
        ("libuuid-bdb/Packages", "bdb_ro"),
        ("scalibr-epoch-bdb/Packages", "bdb_ro"),
        ("syft-bdb/Packages", "bdb_ro"),
        ("grype-sles-bdb/Packages", "bdb_ro"),
        ("grype-centos-bdb/Packages", "bdb_ro"),
    ] {
        let contents = std::fs::read(data.join("pkgdb/rpm").join(file)).unwrap();
        let name = file.rsplit_once('/').unwrap().1;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), &contents).unwrap();
        let reading = ours(&format!("var/lib/rpm/{name}"), &contents);
        let mut packages: Vec<String> = reading
            .packages
            .iter()
            .map(|package| {
                let source = package.source.as_ref().unwrap();
                let source_version = source.version.split_once(':').map_or(&*source.version, |(_, rest)| rest);
                format!(
                    "{} {} {} {}-{source_version}.src.rpm {}",
                    package.name,
                    package.version,
                    package.architecture.as_deref().unwrap_or_default(),
                    source.name,
                    package.licenses.join("")
                )
            })
            .collect();
        packages.sort();
        let files: usize = reading.owned.iter().map(|owned| owned.paths.len()).sum();
        assert_eq!((packages, files), theirs(folder.path(), backend), "{file}");
        assert_eq!(reading.warnings, []);
    }
}
