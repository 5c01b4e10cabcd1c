//! Packages of Alpine, Wolfi and their relatives: apk's database.
//!
//! Format: <https://wiki.alpinelinux.org/wiki/Apk_spec#Install_DB>: fields of one letter, records between blank
//! lines; `F:` names a directory and each `R:` after it a file in it.

use portcullis_filetree::FileHeader;
use portcullis_model::{OwnedPaths, Package, PackageType, PathHash, Reading, SourcePackage, Warning};

use crate::{PackageReader, Selection, complete::system_package, fields, limits, needs::Needs};

/// Reads apk's database.
pub(crate) struct Apk;

impl PackageReader for Apk {
    fn name(&self) -> &'static str {
        "apk"
    }

    fn reads(&self) -> &'static str {
        "`lib/apk/db/installed`, `usr/lib/apk/db/installed`"
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        matches!(file.path, "lib/apk/db/installed" | "usr/lib/apk/db/installed")
            .then_some(Selection::Whole { limit: limits::DATABASE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let mut reading = Reading::default();
        let mut needs = Needs::default();
        for (index, record) in fields::records(contents).enumerate() {
            if index == limits::RECORDS {
                reading.warnings.push(limits::too_many_records(file.path));
                break;
            }
            let mut record = Record::parse(record);
            if record.name.is_empty() || record.version.is_empty() {
                let named = if record.name.is_empty() { String::new() } else { format!(" (`{}`)", record.name) };
                let message = format!("record {}{named} has no package name or no version", index + 1);
                reading.warnings.push(Warning::gap(file.path, message));
                continue;
            }
            if !record.paths.is_empty() {
                reading.owned.push(OwnedPaths {
                    kind: PackageType::Apk,
                    package: record.name.clone(),
                    paths: std::mem::take(&mut record.paths),
                });
            }
            record.note_needs(reading.packages.len(), &mut needs);
            reading.packages.push(record.into_package(file.path));
        }
        needs.resolve(&mut reading.packages, &reading.owned, contents.len());
        reading
    }
}

#[derive(Default)]
struct Record {
    name: String,
    version: String,
    architecture: String,
    origin: String,
    license: String,
    maintainer: String,
    paths: Vec<PathHash>,
    depends: String,
    provides: String,
}

impl Record {
    fn parse(record: &[u8]) -> Self {
        let mut parsed = Self::default();
        let mut path = String::new();
        let mut directory = 0;
        for (name, value) in fields::fields(record) {
            let text = fields::text(value);
            match name {
                b"P" => parsed.name = text.into_owned(),
                b"V" => parsed.version = text.into_owned(),
                b"A" => parsed.architecture = text.into_owned(),
                b"o" => parsed.origin = text.into_owned(),
                b"L" => parsed.license = text.into_owned(),
                b"D" => parsed.depends = text.into_owned(),
                b"p" => parsed.provides = text.into_owned(),
                b"m" => parsed.maintainer = text.into_owned(),
                b"F" => {
                    path.clear();
                    path.push_str(&text);
                    if !path.is_empty() {
                        path.push('/');
                    }
                    directory = path.len();
                }
                b"R" => {
                    path.truncate(directory);
                    path.push_str(&text);
                    parsed.paths.push(PathHash::of(&path));
                }
                _ => {}
            }
        }
        parsed
    }

    /// Notes what the package needs. `!name` stands for what must not be there, `name>=1` for a version.
    fn note_needs(&self, index: usize, needs: &mut Needs) {
        needs.name(index, &self.name);
        let bare = |word: &'_ str| word.split(['=', '<', '>', '~', '@']).next().unwrap_or_default().to_owned();
        for word in self.provides.split_ascii_whitespace() {
            needs.provide(index, &bare(word));
        }
        for word in self.depends.split_ascii_whitespace().filter(|word| !word.starts_with('!')) {
            needs.require(index, std::iter::once(bare(word).as_str()));
        }
    }

    fn into_package(self, path: &str) -> Package {
        let optional = |value: String| (!value.is_empty()).then_some(value);
        let origin = optional(self.origin).unwrap_or_else(|| self.name.clone());
        Package {
            source: Some(SourcePackage { name: origin, version: self.version.clone() }),
            architecture: optional(self.architecture),
            vendor: optional(self.maintainer),
            licenses: optional(self.license).into_iter().collect(),
            ..system_package(PackageType::Apk, self.name, self.version, path)
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{self, check};

    const PATH: &str = "lib/apk/db/installed";

    #[test]
    fn packages_and_their_files_are_read() {
        let contents = "C:Q1abc=\nP:libssl3\nV:3.1.4-r5\nA:x86_64\nL:Apache-2.0\no:openssl\nm:A B <a@b.org>\nF:usr\nF:usr/lib\n\
                        R:libssl.so.3\na:0:0:755\nF:\nR:README\n\nP:musl\nV:1.2.4_git20230717-r4\nA:aarch64\n";
        check(
            &Apk,
            PATH,
            contents,
            expect![[r#"
                apk libssl3 3.1.4-r5 from openssl 3.1.4-r5, for x86_64, by A B <a@b.org>, under Apache-2.0
                apk musl 1.2.4_git20230717-r4, for aarch64
                libssl3 owns 2 paths
            "#]],
        );
        let reading = testing::read(&Apk, PATH, contents.as_bytes()).unwrap();
        assert_eq!(reading.owned[0].paths, ["usr/lib/libssl.so.3", "README"].map(PathHash::of));
    }

    #[test]
    fn needs_are_resolved_through_what_packages_provide() {
        let contents = "P:curl\nV:1-r0\nD:ca-certificates-bundle so:libc.musl-x86_64.so.1 libcurl=1-r0 /bin/sh !wget none\n\n\
                        P:musl\nV:1\np:so:libc.musl-x86_64.so.1=1\n\nP:libcurl\nV:1\nD:so:libc.musl-x86_64.so.1 libcurl\n\n\
                        P:wget\nV:1\n\nP:busybox\nV:1\nF:bin\nR:sh\n";
        check(
            &Apk,
            PATH,
            contents,
            expect![[r#"
            apk curl 1-r0, needs busybox libcurl musl
            apk musl 1
            apk libcurl 1, needs musl
            apk wget 1
            apk busybox 1
            busybox owns 1 paths
        "#]],
        );
    }

    #[test]
    fn a_record_without_a_version_is_a_gap_and_the_rest_survives() {
        check(
            &Apk,
            PATH,
            "P:a\n\nV:1\n\nP:b\nV:2\n",
            expect![[r#"
                apk b 2
                gap in lib/apk/db/installed: record 1 (`a`) has no package name or no version
                gap in lib/apk/db/installed: record 2 has no package name or no version
            "#]],
        );
    }

    #[test]
    fn real_databases_are_read() {
        for (file, count, one, gaps) in [
            ("alpine-installed", 15, "", 0),
            ("syft-multiple-installed", 14, "", 0),
            ("syft-corrupt-installed", 1, "alpine-baselayout-data 3.2.0-r22", 1),
            ("trivy-installed", 1, "", 0),
            ("osv-scanner-installed", 1, "", 0),
        ] {
            let Some(contents) = testing::data(&format!("pkgdb/apk/{file}")) else { return };
            let reading = testing::read(&Apk, PATH, &contents).unwrap();
            let packages: Vec<String> = reading.packages.iter().map(|p| format!("{} {}", p.name, p.version)).collect();
            assert_eq!(packages.len(), count, "{file}: {packages:?}");
            assert!(one.is_empty() || packages.iter().any(|package| package == one), "{file}: {packages:?}");
            assert_eq!(reading.warnings.len(), gaps, "{file}: {:?}", reading.warnings);
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(contents: Vec<u8>, text in "([PVAoLmFR]:[a-z0-9/é]{0,4}\n|\n){0,12}") {
            testing::read(&Apk, PATH, &contents);
            testing::read(&Apk, PATH, text.as_bytes());
        }
    }
}
