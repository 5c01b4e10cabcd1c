//! Packages of Arch Linux and its relatives: pacman's local database.
//!
//! Format: a folder for each package, with `desc` and `files`; blocks of a name between percent signs and lines of
//! values. <https://gitlab.archlinux.org/pacman/pacman/-/blob/v7.0.0/lib/libalpm/be_local.c>

use portcullis_filetree::FileHeader;
use portcullis_model::{OwnedPaths, Package, PackageType, PathHash, Reading, SourcePackage, Warning};

use crate::{PackageReader, Selection, complete::system_package, fields, limits};

/// Reads pacman's database.
pub(crate) struct Pacman;

/// The folder `name-version-release` and the file in it.
fn place<'a>(file: &FileHeader<'a>) -> Option<(&'a str, &'a str)> {
    let (folder, name) = file.path.strip_prefix("var/lib/pacman/local/")?.split_once('/')?;
    matches!(name, "desc" | "files").then_some((folder, name))
}

impl PackageReader for Pacman {
    fn name(&self) -> &'static str {
        "pacman"
    }

    fn reads(&self) -> &'static str {
        "`var/lib/pacman/local/*/desc`, `var/lib/pacman/local/*/files`"
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        place(file).map(|_| Selection::Whole { limit: limits::DATABASE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        match place(file) {
            Some((_, "desc")) => match description(file.path, contents) {
                Some(package) => Reading { packages: vec![package], ..Reading::default() },
                None => {
                    let warning = Warning::gap(file.path, "it has no package name or no version");
                    Reading { warnings: vec![warning], ..Reading::default() }
                }
            },
            Some((folder, _)) => files(folder, contents),
            None => Reading::default(),
        }
    }
}

/// The values of each block, with its name.
fn blocks(contents: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut name: &[u8] = b"";
    fields::lines(contents).filter_map(move |line| {
        if let Some(inner) = line.strip_prefix(b"%").and_then(|line| line.strip_suffix(b"%")) {
            name = inner;
            return None;
        }
        (!line.is_empty()).then_some((name, line))
    })
}

fn description(path: &str, contents: &[u8]) -> Option<Package> {
    let (mut name, mut version, mut base) = (String::new(), String::new(), String::new());
    let mut package = system_package(PackageType::Alpm, String::new(), String::new(), path);
    for (block, value) in blocks(contents) {
        let value = fields::text(value).into_owned();
        match block {
            b"NAME" => name = value,
            b"VERSION" => version = value,
            b"BASE" => base = value,
            b"ARCH" => package.architecture = Some(value),
            b"PACKAGER" => package.vendor = Some(value),
            b"LICENSE" => package.licenses.push(value),
            // `glibc>=2.36`, `libfoo.so=1-64`; who provides what is not a package's name stands in other files.
            b"DEPENDS" => {
                package.depends_on.push(value.split(['<', '>', '=', ':']).next().unwrap_or_default().to_owned());
            }
            _ => {}
        }
    }
    if name.is_empty() || version.is_empty() {
        return None;
    }
    package.depends_on.sort();
    package.depends_on.dedup();
    let source = SourcePackage { name: if base.is_empty() { name.clone() } else { base }, version: version.clone() };
    Some(Package { name, version, source: Some(source), ..package })
}

fn files(folder: &str, contents: &[u8]) -> Reading {
    // `name-version-release`
    let Some((name, _)) = folder.rsplit_once('-').and_then(|(rest, _)| rest.rsplit_once('-')) else {
        return Reading::default();
    };
    let listed = blocks(contents).filter(|(block, path)| *block == b"FILES" && !path.ends_with(b"/"));
    let paths: Vec<PathHash> = listed.map(|(_, path)| PathHash::of(&fields::text(path))).collect();
    if paths.is_empty() {
        return Reading::default();
    }
    let owned = OwnedPaths { kind: PackageType::Alpm, package: name.to_owned(), paths };
    Reading { owned: vec![owned], ..Reading::default() }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{self, check};

    const FOLDER: &str = "var/lib/pacman/local/openssl-1:3.2.0-1";

    #[test]
    fn packages_and_their_files_are_read() {
        let desc = "%NAME%\nopenssl\n\n%VERSION%\n1:3.2.0-1\n\n%BASE%\nopenssl-src\n\n%ARCH%\nx86_64\n\n%PACKAGER%\n\
                    A B <a@b.org>\n\n%LICENSE%\nApache-2.0\nBSD\n\n%DEPENDS%\nglibc>=2.36\nlibz.so=1-64\nglibc\n\n%UNKNOWN%\nx\n";
        check(
            &Pacman,
            &format!("{FOLDER}/desc"),
            desc,
            expect![[r#"
            alpm openssl 1:3.2.0-1 from openssl-src 1:3.2.0-1, for x86_64, by A B <a@b.org>, under Apache-2.0 | BSD, needs glibc libz.so
        "#]],
        );
        let files =
            "%FILES%\nusr/\nusr/bin/\nusr/bin/openssl\nusr/lib/libssl.so.3\n\n%BACKUP%\netc/ssl/openssl.cnf\tabc\n";
        check(
            &Pacman,
            &format!("{FOLDER}/files"),
            files,
            expect![[r#"
            openssl owns 2 paths
        "#]],
        );
        let reading = testing::read(&Pacman, &format!("{FOLDER}/files"), files.as_bytes()).unwrap();
        assert_eq!(reading.owned[0].paths, ["usr/bin/openssl", "usr/lib/libssl.so.3"].map(PathHash::of));
    }

    #[test]
    fn a_description_without_a_version_is_a_gap() {
        check(
            &Pacman,
            &format!("{FOLDER}/desc"),
            "%NAME%\na\n",
            expect![[r#"
            gap in var/lib/pacman/local/openssl-1:3.2.0-1/desc: it has no package name or no version
        "#]],
        );
        assert!(testing::read(&Pacman, "var/lib/pacman/local/ALPM_DB_VERSION", b"9\n").is_none());
        assert!(testing::read(&Pacman, &format!("{FOLDER}/mtree"), b"").is_none());
    }

    proptest! {
        #[test]
        fn nothing_panics(contents: Vec<u8>, text in "(%(NAME|VERSION|FILES|DEPENDS)%\n|[a-zé/=]{0,4}\n){0,12}", folder in "[a-z-]{0,5}") {
            for name in ["desc", "files"] {
                let path = format!("var/lib/pacman/local/{folder}/{name}");
                testing::read(&Pacman, &path, &contents);
                testing::read(&Pacman, &path, text.as_bytes());
            }
        }
    }
}
