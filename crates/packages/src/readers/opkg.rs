//! Packages of OpenWrt, Yocto and other embedded systems: opkg's status file and file lists.
//!
//! Format: as dpkg's, see `control`. <https://openwrt.org/docs/guide-user/additional-software/opkg>

use portcullis_filetree::FileHeader;
use portcullis_model::{OwnedPaths, PackageType, Reading};

use crate::{
    PackageReader, Selection,
    control::{self, Extent},
    limits,
};

/// Reads opkg's database.
pub(crate) struct Opkg;

const FOLDERS: [&str; 2] = ["usr/lib/opkg/", "var/lib/opkg/"];

/// The file's path in the folder of the database.
fn place<'a>(file: &FileHeader<'a>) -> Option<&'a str> {
    let place = FOLDERS.iter().find_map(|folder| file.path.strip_prefix(folder))?;
    (place == "status" || list_of(place).is_some()).then_some(place)
}

/// `info/zlib.list` is of `zlib`.
fn list_of(place: &str) -> Option<&str> {
    place.strip_prefix("info/")?.strip_suffix(".list").filter(|name| !name.is_empty())
}

impl PackageReader for Opkg {
    fn name(&self) -> &'static str {
        "opkg"
    }

    fn reads(&self) -> &'static str {
        "`status` and `info/*.list` in `usr/lib/opkg` and `var/lib/opkg`"
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        place(file).map(|_| Selection::Whole { limit: limits::DATABASE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let Some(name) = place(file).and_then(list_of) else {
            return control::read(PackageType::Opkg, file.path, contents, Extent::Whole);
        };
        let paths = control::listed(contents);
        if paths.is_empty() {
            return Reading::default();
        }
        let owned = OwnedPaths { kind: PackageType::Opkg, package: name.to_owned(), paths };
        Reading { owned: vec![owned], ..Reading::default() }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use portcullis_model::PathHash;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{self, check};

    #[test]
    fn packages_and_their_files_are_read() {
        let contents = "Package: dropbear\nVersion: 2022.82-2\nDepends: libc, zlib\nStatus: install user installed\n\
                        Architecture: mips_24kc\nInstalled-Time: 1\n\nPackage: zlib\nVersion: 1.2.11-6\nDepends: libc\n\
                        Status: install hold installed\nArchitecture: mips_24kc\n\nPackage: old\nVersion: 1\n\
                        Status: deinstall ok not-installed\n\n\
                        Package: stuck\nVersion: 2\nStatus: deinstall user removal-failed\n";
        check(
            &Opkg,
            "usr/lib/opkg/status",
            contents,
            expect![[r#"
            opkg dropbear 2022.82-2, for mips_24kc, needs zlib
            opkg zlib 1.2.11-6, for mips_24kc
            opkg stuck 2
        "#]],
        );
        let reading =
            testing::read(&Opkg, "var/lib/opkg/info/zlib.list", b"/lib/libz.so.1\n/usr/lib/libz.a\n").unwrap();
        assert_eq!(reading.owned[0].package, "zlib");
        assert_eq!(reading.owned[0].paths, ["usr/lib/libz.so.1", "usr/lib/libz.a"].map(PathHash::of));
        assert!(testing::read(&Opkg, "usr/lib/opkg/info/zlib.control", b"x").is_none());
    }

    proptest! {
        #[test]
        fn nothing_panics(contents: Vec<u8>) {
            for path in ["usr/lib/opkg/status", "var/lib/opkg/info/a.list"] {
                testing::read(&Opkg, path, &contents);
            }
        }
    }
}
