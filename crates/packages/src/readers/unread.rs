//! What this version knows of and does not read: package databases of systems without a reader.
//!
//! Passing them by in silence would make an image of such packages look empty. Each is a gap, named by its folder, so
//! that a thousand files of one folder are one line.
//!
//! Where they lie: Void <https://man.voidlinux.org/xbps-pkgdb.1>, Slackware
//! <https://docs.slackware.com/slackbook:package_management>, Solus <https://github.com/getsolus/eopkg>, FreeBSD
//! <https://man.freebsd.org/cgi/man.cgi?query=pkg&sektion=8>, pkgsrc and OpenBSD <https://man.openbsd.org/pkg_add>,
//! Clear Linux <https://github.com/clearlinux/swupd-client>, Guix
//! <https://guix.gnu.org/manual/en/html_node/The-Store.html>.

use portcullis_filetree::FileHeader;
use portcullis_model::{Reading, Warning};

use crate::{PackageReader, Selection, StreamReader};

/// Names what is not read.
pub(crate) struct Unread;

impl PackageReader for Unread {
    fn name(&self) -> &'static str {
        "unread"
    }

    fn reads(&self) -> &'static str {
        "nothing: `var/db/xbps/pkgdb-*.plist`, `var/lib/pkgtools/packages/*`, `var/log/packages/*`, \
         `var/lib/eopkg/package/*/metadata.xml`, `var/lib/pisi/package/*/metadata.xml`, `var/db/pkg/local.sqlite`, \
         `**/+CONTENTS` in `var/db/pkg` and `usr/pkg/pkgdb`, `usr/share/clear/bundles/*`, \
         and programs and libraries in `gnu/store`"
    }

    /// The gap names the folder, `lib/pkgtools/packages/FILE`.
    fn path_parts(&self) -> usize {
        4
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let (folder, what) = unread(file)?;
        Some(Selection::Stream(Box::new(Gap { folder: folder.to_owned(), what })))
    }

    /// Not called: every file is taken as a stream.
    fn read(&self, _: &FileHeader<'_>, _: &[u8]) -> Reading {
        Reading::default()
    }
}

/// Folders of databases in which the last part is the file, or the folder of a package.
const FOLDERS: [(&str, Shape, &str); 9] = [
    ("var/db/xbps", Shape::Plist, "Void's"),
    ("var/lib/pkgtools/packages", Shape::File, "Slackware's"),
    ("var/log/packages", Shape::File, "Slackware's"),
    ("var/lib/eopkg/package", Shape::Inside("metadata.xml"), "Solus's"),
    ("var/lib/pisi/package", Shape::Inside("metadata.xml"), "Pardus's"),
    ("var/db/pkg", Shape::Named("local.sqlite"), "FreeBSD's"),
    ("var/db/pkg", Shape::Inside("+CONTENTS"), "pkg_add's"),
    ("usr/pkg/pkgdb", Shape::Inside("+CONTENTS"), "pkgsrc's"),
    ("usr/share/clear/bundles", Shape::File, "Clear Linux's"),
];

/// Which files of a folder make it a database.
#[derive(Clone, Copy)]
enum Shape {
    /// Each file in it.
    File,
    /// `pkgdb-0.38.plist`
    Plist,
    /// The file of that name in it.
    Named(&'static str),
    /// The file of that name in a folder of it.
    Inside(&'static str),
}

impl Shape {
    fn fits(self, rest: &str) -> bool {
        match self {
            Self::File => !rest.contains('/'),
            Self::Plist => rest.starts_with("pkgdb-") && rest.ends_with(".plist") && !rest.contains('/'),
            Self::Named(name) => rest == name,
            Self::Inside(name) => {
                rest.split_once('/').is_some_and(|(package, file)| !package.is_empty() && file == name)
            }
        }
    }
}

/// The folder of the database that a file is of, and whose it is.
fn unread<'a>(file: &FileHeader<'a>) -> Option<(&'a str, &'static str)> {
    let path = file.path;
    if let Some(rest) = path.strip_prefix("gnu/store/") {
        let mut parts = rest.split('/').skip(1);
        let is_program = matches!(parts.next(), Some("bin" | "sbin" | "lib")) && parts.count() == 1;
        return is_program.then_some(("gnu/store", "Guix's"));
    }
    FOLDERS.iter().find_map(|&(folder, shape, whose)| {
        let rest = path.strip_prefix(folder)?.strip_prefix('/')?;
        shape.fits(rest).then_some((folder, whose))
    })
}

/// A gap, found by name: nothing of the file is needed.
struct Gap {
    folder: String,
    what: &'static str,
}

impl StreamReader for Gap {
    fn feed(&mut self, _: &[u8]) -> bool {
        false
    }

    fn finish(self: Box<Self>) -> Reading {
        let Self { folder, what } = *self;
        let warning =
            Warning::gap(folder, format!("packages of {what} package manager: this version does not read them"));
        Reading { warnings: vec![warning], ..Reading::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{read, render};

    #[test]
    fn what_has_no_reader_is_a_gap() {
        for (path, folder) in [
            ("var/db/xbps/pkgdb-0.38.plist", "var/db/xbps"),
            ("var/lib/pkgtools/packages/bash-5.1.016-x86_64-1", "var/lib/pkgtools/packages"),
            ("var/log/packages/bash-4.3.046-x86_64-1", "var/log/packages"),
            ("var/lib/eopkg/package/bash-5.2.15-76/metadata.xml", "var/lib/eopkg/package"),
            ("var/lib/pisi/package/bash-4.4-5/metadata.xml", "var/lib/pisi/package"),
            ("var/db/pkg/local.sqlite", "var/db/pkg"),
            ("var/db/pkg/bash-5.2.21/+CONTENTS", "var/db/pkg"),
            ("usr/pkg/pkgdb/bash-5.2.21/+CONTENTS", "usr/pkg/pkgdb"),
            ("usr/share/clear/bundles/os-core", "usr/share/clear/bundles"),
            ("gnu/store/0c0b9ylzjm2kzhdvzmnbr6c5f6kvhxay-hello-2.12.1/bin/hello", "gnu/store"),
        ] {
            let text = render(&read(&Unread, path, b"x").unwrap());
            assert!(text.starts_with(&format!("gap in {folder}: packages of ")), "{path}: {text}");
            assert_eq!(text.lines().count(), 1, "{path}: {text}");
        }
    }

    #[test]
    fn other_files_of_such_names_are_none() {
        for path in [
            "var/db/xbps/keys/a.plist",
            "var/log/packages",
            "var/log/packages/old/bash",
            "var/lib/eopkg/package/bash-5.2.15-76/files.xml",
            "var/db/pkg/app-misc/jq-1.7-r1/CONTENTS",
            "var/db/pkg/vuln.xml",
            "gnu/store/abc-hello-2.12.1/share/doc/hello",
            "gnu/store/.links/abc",
        ] {
            assert!(read(&Unread, path, b"x").is_none(), "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_path_makes_it_panic(path in "((var/db/pkg|gnu/store|é)/)?([a-z.é-]{0,6}/){0,5}([+]CONTENTS|x)") {
            read(&Unread, &path, b"x");
        }
    }
}
