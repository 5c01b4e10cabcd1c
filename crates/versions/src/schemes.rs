//! The family of version schemes: each file defines one, each line of the table below registers one.

use std::cmp::Ordering;

/// Compares two versions; none when one of them is no version of the scheme.
pub(crate) type Compare = fn(&str, &str) -> Option<Ordering>;

/// What a scheme's file says of itself.
pub(crate) struct Definition {
    /// Its name in messages and in the documentation.
    pub(crate) name: &'static str,
    /// The ecosystems whose versions it orders, as OSV writes them, without a suffix.
    pub(crate) ecosystems: &'static [&'static str],
    /// The order.
    pub(crate) compare: Compare,
    /// The order of an installed version and the bound of a range, where specifiers have rules of their own.
    pub(crate) compare_to_bound: Compare,
    /// Whether the ecosystem's own tools accept a version.
    pub(crate) accepts: fn(&str) -> bool,
    /// What both orders come to for versions of nothing but numbers.
    pub(crate) plain: Plain,
}

/// The order of two lists of numbers such as `1.10.2`, one of which begins the other. Most versions are such lists, and
/// need not be taken apart by the rules of a scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plain {
    /// Zeros at the end do not count.
    Padded,
    /// The longer one is later.
    Listed,
    /// As the scheme says.
    Own,
}

macro_rules! schemes {
    ($($(#[$doc:meta])* $scheme:ident => $file:ident,)*) => {
        $(mod $file;)*

        /// An order of versions.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Scheme {
            $($(#[$doc])* $scheme,)*
        }

        /// Every scheme.
        pub const SCHEMES: &[Scheme] = &[$(Scheme::$scheme,)*];

        impl Scheme {
            pub(crate) const fn definition(self) -> &'static Definition {
                match self {
                    $(Self::$scheme => &$file::DEFINITION,)*
                }
            }
        }

        #[cfg(test)]
        const FILES: &[&str] = &[$(stringify!($file),)*];
    };
}

schemes! {
    /// Debian, Ubuntu and their derivatives.
    Deb => deb,
    /// Alpine, Wolfi, Chainguard.
    Apk => apk,
    /// Red Hat, SUSE and the others that RPM serves.
    Rpm => rpm,
    /// Python.
    Pep440 => pep440,
    /// Semantic Versioning as it is written: Rust, Elixir, Swift.
    Semver => semver,
    /// JavaScript: Semantic Versioning as npm reads it.
    Npm => npm,
    /// Go modules, and Go itself.
    Go => go,
    /// Java.
    Maven => maven,
    /// Ruby.
    Rubygems => rubygems,
    /// PHP.
    Packagist => packagist,
    /// .NET.
    Nuget => nuget,
    /// Dart.
    Dart => dart,
    /// Bitnami.
    Bitnami => bitnami,
    /// Julia.
    Julia => julia,
    /// R.
    Cran => cran,
    /// Haskell.
    Hackage => hackage,
    /// C and C++: Conan.
    Conan => conan,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_registered_and_every_name_is_its_own() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/schemes");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        files.sort();
        let mut registered = FILES.to_vec();
        registered.sort_unstable();
        assert_eq!(files, registered);

        let mut names: Vec<_> = SCHEMES.iter().map(|scheme| scheme.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SCHEMES.len());

        let mut ecosystems: Vec<_> = SCHEMES.iter().flat_map(|scheme| scheme.ecosystems()).collect();
        ecosystems.sort_unstable();
        let count = ecosystems.len();
        ecosystems.dedup();
        assert_eq!(ecosystems.len(), count, "an ecosystem has two schemes");
    }
}
