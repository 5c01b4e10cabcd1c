//! Packages of Nix, in NixOS and in images that Nix made: the folders of its store.
//!
//! A folder is `nix/store/hash-name-version`, and nothing in it says more. So its path is the package, wherever it
//! holds a program, a library or Nix's own notes; sources, scripts and configurations hold none, and mostly have no
//! version. Names: <https://nix.dev/manual/nix/2.24/language/builtins#builtins-parseDrvName>.

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Purl, Reading};

use crate::{PackageReader, Selection, StreamReader, complete::language_package};

/// Reads the paths of Nix's store.
pub(crate) struct Nix;

/// Characters of the hash in a path.
const HASH: usize = 32;

/// Outputs that a package is split into, as they follow the version.
const OUTPUTS: [&str; 11] = ["bin", "data", "debug", "dev", "devdoc", "doc", "info", "lib", "man", "out", "static"];

/// Name and version of the package that a file says is there.
fn package_of<'a>(file: &FileHeader<'a>) -> Option<(&'a str, &'a str)> {
    let (folder, inside) = file.path.strip_prefix("nix/store/")?.split_once('/')?;
    let (hash, full_name) = folder.split_at_checked(HASH)?;
    let is_hash = hash.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    let (place, rest) = inside.split_once('/')?;
    // One level is enough, and a library's own tree of thousands too much.
    let counts = matches!(place, "bin" | "sbin" | "lib" | "lib64" | "libexec" | "nix-support") && !rest.contains('/');
    if !is_hash || !counts {
        return None;
    }
    name_and_version(full_name.strip_prefix('-')?)
}

/// The version starts after the first hyphen with no letter behind it; an output's name after it is left out.
fn name_and_version(full_name: &str) -> Option<(&str, &str)> {
    let full_name = match full_name.rsplit_once('-') {
        Some((rest, output)) if OUTPUTS.contains(&output) => rest,
        _ => full_name,
    };
    let starts = full_name.match_indices('-').map(|(at, _)| at);
    let start = starts
        .into_iter()
        .find(|at| full_name.as_bytes().get(at + 1).is_some_and(|next| !next.is_ascii_alphabetic() && *next != b'-'))?;
    let (name, version) = full_name.split_at_checked(start)?;
    let version = version.get(1..)?;
    (!name.is_empty()).then_some((name, version))
}

impl PackageReader for Nix {
    fn name(&self) -> &'static str {
        "nix"
    }

    fn reads(&self) -> &'static str {
        "the paths of `nix/store/<hash>-<name>-<version>/*/*` for `bin`, `sbin`, `lib`, `lib64`, `libexec`, `nix-support`"
    }

    /// `HASH-NAME-VERSION/bin/FILE`.
    fn path_parts(&self) -> usize {
        3
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let (name, version) = package_of(file)?;
        let found = Found { name: name.to_owned(), version: version.to_owned(), path: file.path.to_owned() };
        Some(Selection::Stream(Box::new(found)))
    }

    fn read(&self, _: &FileHeader<'_>, _: &[u8]) -> Reading {
        Reading::default()
    }
}

/// A package, found by a path: nothing of the file is needed.
struct Found {
    name: String,
    version: String,
    path: String,
}

impl StreamReader for Found {
    fn feed(&mut self, _: &[u8]) -> bool {
        false
    }

    fn finish(self: Box<Self>) -> Reading {
        let Self { name, version, path } = *self;
        let purl = Purl::new(PackageType::Nix, "", &name, &version);
        let package = language_package(PackageType::Nix, purl, (name, version), None, &path);
        Reading { packages: vec![package], ..Reading::default() }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{self, check};

    const HASHED: &str = "nix/store/0c0b9ylzjm2kzhdvzmnbr6c5f6kvhxay";

    #[test]
    fn folders_of_the_store_are_packages() {
        check(
            &Nix,
            &format!("{HASHED}-openssl-3.0.12-bin/bin/openssl"),
            "x",
            expect![[r#"
            nix openssl 3.0.12, purl pkg:nix/openssl@3.0.12
        "#]],
        );
        for (full_name, name, version) in [
            ("glibc-2.38-44", "glibc", "2.38-44"),
            ("python3.11-requests-2.31.0", "python3.11-requests", "2.31.0"),
            ("zlib-1.3-dev", "zlib", "1.3"),
            ("bash-5.2-p15", "bash", "5.2-p15"),
            ("lib-3proxy-1", "lib", "3proxy-1"),
        ] {
            assert_eq!(name_and_version(full_name), Some((name, version)));
        }
        for path in ["-source/bin/x", "-hello-1.0/share/a/b", "-hello-1.0/lib/a/b", "-hello-1.0", "hello-1.0/bin/x"] {
            assert!(testing::read(&Nix, &format!("{HASHED}{path}"), b"x").is_none(), "{path}");
        }
        assert!(testing::read(&Nix, "nix/store/.links/0c0b9ylzjm2kzhdvzmnbr6c5f6kvhxay", b"x").is_none());
    }

    proptest! {
        #[test]
        fn nothing_panics(name in "[a-zé0-9-]{0,40}", rest in "[a-z/-]{0,9}") {
            testing::read(&Nix, &format!("nix/store/{name}/bin/{rest}"), b"x");
            testing::read(&Nix, &format!("{HASHED}-{name}/bin/{rest}"), b"x");
        }
    }
}
