//! Flatpak's applications and runtimes: the `metadata` of what is deployed.
//!
//! Format: <https://docs.flatpak.org/en/latest/flatpak-command-reference.html#flatpak-metadata>. The folder is
//! `app/ID/ARCH/BRANCH/COMMIT` or `runtime/…`. No version is written down: the branch is the nearest to one.

use portcullis_filetree::FileHeader;
use portcullis_model::{Package, PackageType, Purl, Reading};

use crate::{PackageReader, Selection, complete::language_package, fields};

/// Reads what Flatpak has deployed.
pub(crate) struct Flatpak;

/// Bytes of the largest file that is read.
const LIMIT: usize = 1 << 20;

/// Name, architecture and branch of what is deployed.
fn deployed<'a>(file: &FileHeader<'a>) -> Option<(&'a str, &'a str, &'a str)> {
    let rest = file.path.strip_prefix("var/lib/flatpak/")?;
    let rest = rest.strip_prefix("app/").or_else(|| rest.strip_prefix("runtime/"))?;
    let mut parts = rest.split('/');
    let (name, architecture, branch, _commit) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    parts.eq(["metadata"]).then_some((name, architecture, branch))
}

impl PackageReader for Flatpak {
    fn name(&self) -> &'static str {
        "flatpak"
    }

    fn reads(&self) -> &'static str {
        "`var/lib/flatpak/app/*/*/*/*/metadata`, `var/lib/flatpak/runtime/*/*/*/*/metadata`"
    }

    /// `NAME/ARCHITECTURE/BRANCH/COMMIT/metadata`.
    fn path_parts(&self) -> usize {
        5
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        deployed(file).map(|_| Selection::Whole { limit: LIMIT })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let Some((name, architecture, branch)) = deployed(file) else { return Reading::default() };
        let purl = Purl::new(PackageType::Generic, "flatpak", name, branch).qualifier("arch", architecture);
        // `runtime=org.gnome.Platform/x86_64/46`
        let runtime = fields::lines(contents).find_map(|line| line.strip_prefix(b"runtime="));
        let runtime =
            runtime.map(|value| fields::text(value.split(|byte| *byte == b'/').next().unwrap_or(value)).into_owned());
        let named = (name.to_owned(), branch.to_owned());
        let package = Package {
            architecture: Some(architecture.to_owned()),
            depends_on: runtime.filter(|runtime| runtime != name).into_iter().collect(),
            ..language_package(PackageType::Generic, purl, named, None, file.path)
        };
        Reading { packages: vec![package], ..Reading::default() }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{self, check};

    #[test]
    fn applications_and_runtimes_are_read() {
        let application = "[Application]\nname=org.gnome.Maps\nruntime=org.gnome.Platform/x86_64/46\n";
        check(
            &Flatpak,
            "var/lib/flatpak/app/org.gnome.Maps/x86_64/stable/abc/metadata",
            application,
            expect![[r#"
            generic org.gnome.Maps stable, for x86_64, purl pkg:generic/flatpak/org.gnome.Maps@stable?arch=x86_64, needs org.gnome.Platform
        "#]],
        );
        let runtime = "[Runtime]\nname=org.gnome.Platform\nruntime=org.gnome.Platform/x86_64/46\n";
        check(
            &Flatpak,
            "var/lib/flatpak/runtime/org.gnome.Platform/x86_64/46/abc/metadata",
            runtime,
            expect![[r#"
            generic org.gnome.Platform 46, for x86_64, purl pkg:generic/flatpak/org.gnome.Platform@46?arch=x86_64
        "#]],
        );
        for path in ["app/a/x86_64/stable/metadata", "app/a/x86_64/stable/abc/files/metadata", "repo/a/b/c/d/metadata"]
        {
            assert!(testing::read(&Flatpak, &format!("var/lib/flatpak/{path}"), b"").is_none(), "{path}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(contents: Vec<u8>) {
            testing::read(&Flatpak, "var/lib/flatpak/app/a/x86_64/stable/abc/metadata", &contents);
        }
    }
}
