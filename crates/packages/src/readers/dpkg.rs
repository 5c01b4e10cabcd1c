//! Debian's packages: dpkg's status file, its file lists, and the status files of distroless images.
//!
//! Format: <https://manpages.debian.org/bookworm/dpkg/dpkg.1.en.html#FILES>; the records are those of `control`.

use portcullis_filetree::FileHeader;
use portcullis_model::{OwnedPaths, PackageType, PathHash, Reading};

use crate::{
    PackageReader, Selection,
    control::{self, Extent},
    fields, limits,
};

/// Reads dpkg's database.
pub(crate) struct Dpkg;

/// The files of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// All packages: `var/lib/dpkg/status`.
    Status,
    /// One package, or several, of a distroless image: `var/lib/dpkg/status.d/*`.
    StatusPart,
    /// A package's files, one a line: `var/lib/dpkg/info/*.list`.
    List,
    /// A package's files with their hashes: `var/lib/dpkg/status.d/*.md5sums`.
    Hashes,
}

fn kind_of(path: &str) -> Option<Kind> {
    let path = path.strip_prefix("var/lib/dpkg/")?;
    if path == "status" {
        return Some(Kind::Status);
    }
    if let Some(name) = path.strip_prefix("status.d/") {
        return Some(if name.ends_with(".md5sums") { Kind::Hashes } else { Kind::StatusPart });
    }
    path.strip_prefix("info/").is_some_and(|name| name.ends_with(".list")).then_some(Kind::List)
}

impl PackageReader for Dpkg {
    fn name(&self) -> &'static str {
        "dpkg"
    }

    fn reads(&self) -> &'static str {
        "`var/lib/dpkg/status`, `var/lib/dpkg/status.d/*`, `var/lib/dpkg/info/*.list`"
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        kind_of(file.path).map(|_| Selection::Whole { limit: limits::DATABASE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        match kind_of(file.path) {
            Some(Kind::Status) => control::read(PackageType::Deb, file.path, contents, Extent::Whole),
            Some(Kind::StatusPart) => control::read(PackageType::Deb, file.path, contents, Extent::Part),
            Some(Kind::List) => read_list(file, contents),
            Some(Kind::Hashes) => read_hashes(file, contents),
            None => Reading::default(),
        }
    }
}

/// `info/libc6:amd64.list` is of `libc6`.
fn package_of<'a>(file: &FileHeader<'a>, suffix: &str) -> &'a str {
    let name = file.path.rsplit_once('/').map_or(file.path, |(_, name)| name);
    let name = name.strip_suffix(suffix).unwrap_or(name);
    name.split_once(':').map_or(name, |(name, _)| name)
}

fn read_list(file: &FileHeader<'_>, contents: &[u8]) -> Reading {
    owned(package_of(file, ".list"), control::listed(contents))
}

fn read_hashes(file: &FileHeader<'_>, contents: &[u8]) -> Reading {
    let paths = fields::lines(contents).filter_map(|line| {
        let (hash, path) = line.split_at_checked(32)?;
        let path = fields::text(path.trim_ascii_start());
        (hash.is_ascii() && !path.is_empty()).then(|| PathHash::of(path.strip_prefix("./").unwrap_or(&path)))
    });
    owned(package_of(file, ".md5sums"), paths.collect())
}

fn owned(package: &str, paths: Vec<PathHash>) -> Reading {
    if paths.is_empty() {
        return Reading::default();
    }
    Reading {
        owned: vec![OwnedPaths { kind: PackageType::Deb, package: package.to_owned(), paths }],
        ..Reading::default()
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{self, check};

    const STATUS: &str = "var/lib/dpkg/status";

    #[test]
    fn a_database_without_end_is_read_in_part_and_says_so() {
        let contents: String =
            (0..crate::limits::RECORDS + 7).map(|n| format!("Package: a{n}\nVersion: 1\n\n")).collect();
        let reading = testing::read(&Dpkg, STATUS, contents.as_bytes()).unwrap();
        assert_eq!((reading.packages.len(), reading.warnings.len()), (crate::limits::RECORDS, 1));
        assert!(reading.warnings[0].message.contains("the others were not read"), "{:?}", reading.warnings);
    }

    #[test]
    fn installed_packages_are_read_with_their_source() {
        let contents = "Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nSource: openssl\n\
                        Version: 3.0.11-1\nDescription: one\n Version: 9\n\n\
                        Package: dash\nStatus: hold ok installed\nSource: dash (0.5.12-2)\nVersion: 0.5.12-2+b1\n\n\
                        Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\
                        Package: half\nStatus: install reinstreq half-configured\nVersion: 2\nMaintainer: A <a@b.org>\n\n\
                        Package: begun\nStatus: install reinstreq half-installed\nVersion: 3\n\n\
                        Package: purged\nStatus: purge ok not-installed\n";
        check(
            &Dpkg,
            STATUS,
            contents,
            expect![[r#"
                deb libssl3 3.0.11-1 from openssl 3.0.11-1, for amd64
                deb dash 0.5.12-2+b1 from dash 0.5.12-2
                deb half 2, by A <a@b.org>
                deb begun 3
            "#]],
        );
    }

    #[test]
    fn needs_are_the_alternatives_that_are_there() {
        let contents = "Package: a\nVersion: 1\nPre-Depends: libc6:any (>= 2.36)\nDepends: none | debconf-2.0, mawk|awk, nothing\n\n\
                        Package: libc6\nVersion: 2.36\n\nPackage: cdebconf\nVersion: 1\nProvides: debconf-2.0 (= 2), x\n\n\
                        Package: mawk\nVersion: 1\nProvides: awk\nOrigin: elsewhere\n\nPackage: awk\nVersion: 1\nDepends: awk, mawk\n";
        check(
            &Dpkg,
            STATUS,
            contents,
            expect![[r#"
            deb a 1, needs cdebconf libc6 mawk
            deb libc6 2.36
            deb cdebconf 1
            deb mawk 1, by elsewhere
            deb awk 1, needs mawk
        "#]],
        );
        check(
            &Dpkg,
            "var/lib/dpkg/status.d/a",
            contents.split_once("\n\n").unwrap().0,
            expect![[r#"
            deb a 1, needs awk debconf-2.0 libc6 mawk none nothing
        "#]],
        );
    }

    #[test]
    fn records_without_a_name_or_version_are_gaps_but_notes_beside_a_distroless_package() {
        let contents = "Status: install ok installed\nVersion: 1\n\nPackage: a\n\nOther: b\n";
        check(
            &Dpkg,
            STATUS,
            contents,
            expect![[r#"
                gap in var/lib/dpkg/status: record 1 has no package name
                gap in var/lib/dpkg/status: package `a` has no version
                gap in var/lib/dpkg/status: record 3 has no package name
            "#]],
        );
        check(
            &Dpkg,
            "var/lib/dpkg/status.d/a",
            contents,
            expect![[r#"
                gap in var/lib/dpkg/status.d/a: record 1 has no package name
                gap in var/lib/dpkg/status.d/a: package `a` has no version
                note in var/lib/dpkg/status.d/a: record 3 is not a package
            "#]],
        );
    }

    #[test]
    fn file_lists_name_files_and_not_the_directories_above_them() {
        let lists = [
            ("var/lib/dpkg/info/libc6:amd64.list", "/.\n/usr\n/usr/lib\n/usr/lib/libc.so.6\n/usr/lib-old\n"),
            ("var/lib/dpkg/status.d/libc6.md5sums", "d41d8cd98f00b204e9800998ecf8427e  usr/lib/libc.so.6\nshort\n"),
        ];
        let owned = lists.map(|(path, contents)| testing::read(&Dpkg, path, contents.as_bytes()).unwrap().owned);
        assert_eq!(owned[0][0].package, "libc6");
        assert_eq!(owned[0][0].paths, ["/usr/lib/libc.so.6", "/usr/lib-old"].map(PathHash::of));
        assert_eq!(owned[1][0].package, "libc6");
        assert_eq!(owned[1][0].paths, [PathHash::of("usr/lib/libc.so.6")]);
        assert_eq!(PathHash::of("/usr/lib/libc.so.6"), PathHash::of("usr/lib/libc.so.6"));
    }

    #[test]
    fn real_databases_are_read() {
        for (file, path, count, one) in [
            ("debian12-770-packages.status", STATUS, 770, ""),
            ("texlive.status", STATUS, 357, ""),
            ("postgresql.status", STATUS, 3, ""),
            // Not dpkg's own: features of a package have records without a version.
            ("vcpkg.status", STATUS, 15, ""),
            ("debian-only.status", STATUS, 1, ""),
            ("grype-status", STATUS, 1, ""),
            ("osv-scanner-status", STATUS, 1, ""),
            ("syft/deinstall", STATUS, 1, "linux-image-6.14.0-1012-aws 6.14.0-1012.12~24.04.1"),
            ("distroless/status.d/libsqlite3-0", "var/lib/dpkg/status.d/libsqlite3-0", 1, "libsqlite3-0 3.34.1-3"),
        ] {
            let Some(contents) = testing::data(&format!("pkgdb/dpkg/{file}")) else { return };
            let reading = testing::read(&Dpkg, path, &contents).unwrap();
            let packages: Vec<String> = reading.packages.iter().map(|p| format!("{} {}", p.name, p.version)).collect();
            let gaps = if file == "vcpkg.status" { 9 } else { 0 };
            assert_eq!((packages.len(), reading.warnings.len()), (count, gaps), "{file}: {packages:?}");
            assert!(one.is_empty() || packages.iter().any(|package| package == one), "{file}: {packages:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(
            contents: Vec<u8>,
            text in "((Package|Status|Version|Source): [a-z0-9() é]{0,6}\n|\n){0,12}",
            list in "(/[a-zé]{0,3}\n){0,8}",
        ) {
            for path in [STATUS, "var/lib/dpkg/status.d/a", "var/lib/dpkg/status.d/a.md5sums", "var/lib/dpkg/info/a.list"] {
                for contents in [&contents[..], text.as_bytes(), list.as_bytes()] {
                    testing::read(&Dpkg, path, contents);
                }
            }
        }
    }
}
