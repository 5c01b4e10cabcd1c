//! Packages of Gentoo and its relatives: portage's database of installed packages.
//!
//! Format: a folder `category/name-version` for each package, with a file for each fact:
//! <https://wiki.gentoo.org/wiki//var/db/pkg>, and for names and versions
//! <https://projects.gentoo.org/pms/8/pms.html#x1-180003.1>. `CONTENTS` is always there: it makes the package.

use portcullis_filetree::FileHeader;
use portcullis_model::{OwnedPaths, Package, PackageType, PathHash, Reading, Warning};

use crate::{PackageReader, Selection, complete::system_package, fields, limits};

/// Reads portage's database.
pub(crate) struct Portage;

/// Category, `name-version`, and the name of the file.
fn place<'a>(file: &FileHeader<'a>) -> Option<(&'a str, &'a str, &'a str)> {
    let (category, rest) = file.path.strip_prefix("var/db/pkg/")?.split_once('/')?;
    let (folder, name) = rest.split_once('/')?;
    // What is being merged has a folder of its own.
    let is_merged = !folder.starts_with("-MERGING-");
    (is_merged && matches!(name, "CONTENTS" | "LICENSE")).then_some((category, folder, name))
}

impl PackageReader for Portage {
    fn name(&self) -> &'static str {
        "portage"
    }

    fn reads(&self) -> &'static str {
        "`var/db/pkg/*/*/CONTENTS`, `var/db/pkg/*/*/LICENSE`"
    }

    /// `CATEGORY/NAME-VERSION/FILE`.
    fn path_parts(&self) -> usize {
        3
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        place(file).map(|_| Selection::Whole { limit: limits::DATABASE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let Some((category, folder, name)) = place(file) else { return Reading::default() };
        let Some((plain, version)) = name_and_version(folder) else {
            let warning = Warning::gap(file.path, format!("`{folder}` is not a name and a version"));
            return Reading { warnings: vec![warning], ..Reading::default() };
        };
        let mut package =
            system_package(PackageType::Ebuild, format!("{category}/{plain}"), version.to_owned(), file.path);
        if name == "LICENSE" {
            let text = fields::text(contents).trim().to_owned();
            package.licenses.extend((!text.is_empty()).then_some(text));
            return Reading { packages: vec![package], ..Reading::default() };
        }
        let owned = owned(&package, contents);
        Reading { packages: vec![package], owned: owned.into_iter().collect(), ..Reading::default() }
    }
}

/// `jq-1.7-r1` is `jq` of `1.7-r1`: the version starts after the last hyphen with a digit behind it, but for a
/// revision.
fn name_and_version(folder: &str) -> Option<(&str, &str)> {
    let is_revision =
        |text: &str| text.strip_prefix('r').is_some_and(|r| !r.is_empty() && r.bytes().all(|b| b.is_ascii_digit()));
    let plain = folder.rsplit_once('-').filter(|(_, last)| is_revision(last)).map_or(folder, |(plain, _)| plain);
    let (name, version) = plain.rsplit_once('-')?;
    let is_version = version.starts_with(|first: char| first.is_ascii_digit());
    (is_version && !name.is_empty()).then_some(())?;
    Some((name, folder.get(name.len() + 1..)?))
}

/// Files and links of a list: `obj /path hash time`, `sym /path -> target time`.
fn owned(package: &Package, contents: &[u8]) -> Option<OwnedPaths> {
    let paths = fields::lines(contents).filter_map(|line| {
        let line = fields::text(line);
        let path = match line.split_once(' ')? {
            ("obj", rest) => rest.rsplitn(3, ' ').last()?,
            ("sym", rest) => rest.split_once(" -> ")?.0,
            _ => return None,
        };
        Some(PathHash::of(path))
    });
    let paths: Vec<PathHash> = paths.collect();
    (!paths.is_empty()).then(|| OwnedPaths { kind: package.kind, package: package.name.clone(), paths })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{self, check};

    #[test]
    fn names_and_versions_are_told_apart() {
        for (folder, name, version) in [
            ("jq-1.7-r1", "jq", "1.7-r1"),
            ("gtk+-2.24.33", "gtk+", "2.24.33"),
            ("font-adobe-100dpi-1.0.3", "font-adobe-100dpi", "1.0.3"),
            ("openssl-3.0.9_p1-r2", "openssl", "3.0.9_p1-r2"),
            ("git-9999", "git", "9999"),
        ] {
            assert_eq!(name_and_version(folder), Some((name, version)));
        }
        for folder in ["jq", "jq-r1", "-1", "jq-x-r1"] {
            assert_eq!(name_and_version(folder), None, "{folder}");
        }
    }

    #[test]
    fn packages_and_their_files_are_read() {
        let contents =
            "dir /usr\nobj /usr/bin/jq abc 1690000000\nobj /usr/share/a b abc 1\nsym /usr/lib/a.so -> a.so.1 1\n";
        check(
            &Portage,
            "var/db/pkg/app-misc/jq-1.7-r1/CONTENTS",
            contents,
            expect![[r#"
            ebuild app-misc/jq 1.7-r1
            app-misc/jq owns 3 paths
        "#]],
        );
        check(
            &Portage,
            "var/db/pkg/app-misc/jq-1.7-r1/LICENSE",
            "MIT CC-BY-3.0\n",
            expect![[r#"
            ebuild app-misc/jq 1.7-r1, under MIT CC-BY-3.0
        "#]],
        );
        check(
            &Portage,
            "var/db/pkg/virtual/libc-r1/CONTENTS",
            "",
            expect![[r#"
            gap in var/db/pkg/virtual/libc-r1/CONTENTS: `libc-r1` is not a name and a version
        "#]],
        );
        let reading = testing::read(&Portage, "var/db/pkg/a/b-1/CONTENTS", contents.as_bytes()).unwrap();
        assert_eq!(reading.owned[0].paths, ["usr/bin/jq", "usr/share/a b", "usr/lib/a.so"].map(PathHash::of));
        assert!(testing::read(&Portage, "var/db/pkg/a/-MERGING-b-1/CONTENTS", b"").is_none());
    }

    proptest! {
        #[test]
        fn nothing_panics(contents: Vec<u8>, text in "((obj|sym|dir) [a-zé/ >-]{0,9}\n){0,9}", folder in "[a-z0-9é-]{0,8}") {
            let path = format!("var/db/pkg/a/{folder}/CONTENTS");
            testing::read(&Portage, &path, &contents);
            testing::read(&Portage, &path, text.as_bytes());
        }
    }
}
