//! What is installed in an image: packages, where they were found, and what could not be read.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Completion, Digest, Distribution, MavenProject};

/// The kind of a package: the `type` of its package URL.
///
/// Types: <https://github.com/package-url/purl-spec/tree/main/types>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PackageType {
    /// Alpine, Wolfi, Chainguard.
    Apk,
    /// Debian, Ubuntu and their derivatives.
    Deb,
    /// Red Hat, SUSE, Amazon, Azure Linux and others.
    Rpm,
    /// Rust crates.
    Cargo,
    /// PHP Composer.
    Composer,
    /// Ruby gems.
    Gem,
    /// Known binaries outside any package manager.
    Generic,
    /// GitHub Actions and releases.
    Github,
    /// Go modules.
    Golang,
    /// Haskell.
    Hackage,
    /// Elixir and Erlang.
    Hex,
    /// Julia.
    Julia,
    /// Java.
    Maven,
    /// JavaScript.
    Npm,
    /// .NET.
    Nuget,
    /// R.
    Cran,
    /// Conan (C and C++).
    Conan,
    /// Dart.
    Pub,
    /// Python.
    Pypi,
    /// Swift.
    Swift,
    /// Bitnami.
    Bitnami,
    /// Arch Linux.
    Alpm,
    /// OpenWrt and other embedded systems.
    Opkg,
    /// Gentoo.
    Ebuild,
    /// Nix.
    Nix,
    /// Snaps.
    Snap,
    /// Conda.
    Conda,
    /// CocoaPods (Swift and Objective-C).
    Cocoapods,
    /// Perl.
    Cpan,
    /// Lua.
    Luarocks,
    /// OCaml.
    Opam,
    /// Terraform and OpenTofu providers.
    Terraform,
    /// WordPress plugins and themes.
    WordpressPlugin,
    /// PECL and PEAR (PHP).
    Pear,
    /// Homebrew.
    Brew,
}

impl PackageType {
    /// The purl type.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Apk => "apk",
            Self::Deb => "deb",
            Self::Rpm => "rpm",
            Self::Cargo => "cargo",
            Self::Composer => "composer",
            Self::Gem => "gem",
            Self::Generic => "generic",
            Self::Github => "github",
            Self::Golang => "golang",
            Self::Hackage => "hackage",
            Self::Hex => "hex",
            Self::Julia => "julia",
            Self::Maven => "maven",
            Self::Npm => "npm",
            Self::Nuget => "nuget",
            Self::Cran => "cran",
            Self::Conan => "conan",
            Self::Pub => "pub",
            Self::Pypi => "pypi",
            Self::Swift => "swift",
            Self::Bitnami => "bitnami",
            Self::Alpm => "alpm",
            Self::Opkg => "opkg",
            Self::Ebuild => "ebuild",
            Self::Nix => "nix",
            Self::Snap => "snap",
            Self::Conda => "conda",
            Self::Cocoapods => "cocoapods",
            Self::Cpan => "cpan",
            Self::Luarocks => "luarocks",
            Self::Opam => "opam",
            Self::Terraform => "terraform",
            Self::WordpressPlugin => "wordpress-plugin",
            Self::Pear => "pear",
            Self::Brew => "brew",
        }
    }

    /// Whether a distribution's package manager installs it, so that the distribution's advisories speak of it.
    #[must_use]
    pub const fn is_operating_system(self) -> bool {
        matches!(self, Self::Apk | Self::Deb | Self::Rpm | Self::Alpm | Self::Opkg | Self::Ebuild)
    }
}

impl fmt::Display for PackageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A package that is installed in an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Package {
    /// Its ecosystem.
    #[serde(rename = "type")]
    pub kind: PackageType,
    /// The name as its ecosystem writes it: `@scope/name`, `group:artifact`, `github.com/owner/module/v2`.
    pub name: String,
    /// The version as installed; empty when the package does not say.
    pub version: String,
    /// Package URL, the package's identity across tools.
    pub purl: String,
    /// The source package it was built from, where advisories speak of sources (deb, apk, rpm).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourcePackage>,
    /// The architecture it was built for, where the package manager says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// The module stream that it belongs to, `name:stream`, where the distribution has such: advisories speak of
    /// one stream alone (<https://docs.pagure.org/modularity/>).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// The maintainer or vendor, where the package manager says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Licences as declared, in the words of SPDX where they are known to mean the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub licenses: Vec<String>,
    /// What it needs at run time. A reader gives names as the package writes them; an inventory holds the purls of
    /// those that are installed too, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// purl of the distribution's package that owns its files: the distribution, not upstream, then says what
    /// affects it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owned_by: Option<String>,
    /// The name of its upstream's product in CPE 2.3, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpe: Option<String>,
    /// Why it is taken to be there, where no package manager says so: the rule that knew it, and what it saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// Where it was found, sorted.
    pub locations: Vec<Location>,
}

impl Package {
    /// Whether it is a folder of the project's own, by its purl, and nothing that was fetched.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.purl.split(['?', '&']).skip(1).any(|qualifier| qualifier.starts_with("repository_url=file:"))
    }

    /// A package of which nothing is known but its name and version: it has no purl and no place yet.
    #[must_use]
    pub fn new(kind: PackageType, name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
            version: version.into(),
            purl: String::new(),
            source: None,
            architecture: None,
            module: None,
            vendor: None,
            licenses: Vec::new(),
            depends_on: Vec::new(),
            owned_by: None,
            cpe: None,
            evidence: None,
            locations: Vec::new(),
        }
    }
}

/// The source package that a binary package was built from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SourcePackage {
    /// Its name: `Source:` of dpkg, the origin of apk, the name part of `SOURCERPM`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A place in an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Location {
    /// Path from the root of the image, without a leading slash. What lies inside an archive follows after `!/`:
    /// `opt/app.jar!/BOOT-INF/lib/log4j-core-2.14.1.jar`.
    pub path: String,
    /// The layer that brought it: the digest of the layer's uncompressed tar (`diff_id`); null outside images.
    pub layer: Option<Digest>,
}

/// What one reader found in one file. It is stored in the layer cache.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The packages.
    pub packages: Vec<Package>,
    /// The distribution, if the file names it: few do, and readings are many.
    pub distribution: Option<Box<Distribution>>,
    /// What the file says of ownership.
    pub owned: Vec<OwnedPaths>,
    /// What the file says of the licences of packages that other files name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub licensed: Vec<Licensed>,
    /// What could not be read; the rest survives.
    pub warnings: Vec<Warning>,
    /// What the file leaves to another, or another to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion: Option<Box<Completion>>,
    /// Why the packages are only some of those that the file was made of, although all that it says was read. They
    /// count; the file does not count as explained by them.
    pub partial: Option<String>,
    /// What it says that only other files make whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maven: Option<Box<MavenProject>>,
}

/// The licences of a package that another file names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Licensed {
    /// Its ecosystem.
    pub kind: PackageType,
    /// Its name, in any version.
    pub package: String,
    /// The licences, sorted.
    pub licenses: Vec<String>,
}

/// The files that a package claims, as hashes: a package list can name hundreds of thousands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedPaths {
    /// Whose package: a distribution's, whose word then counts for what lies there, or a language's.
    pub kind: PackageType,
    /// The package's name in its own ecosystem, without a version: the file list and the version may lie apart.
    pub package: String,
    /// Its files.
    #[serde(with = "crate::path_hashes")]
    pub paths: Vec<PathHash>,
}

/// 64 bits that stand for a path inside an image.
///
/// `/bin`, `/sbin`, `/lib` and `/lib64` count as their `/usr` twins: package lists of merged-usr distributions
/// name one, the layers the other. (<https://www.debian.org/doc/debian-policy/ch-files.html>)
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathHash(pub u64);

impl PathHash {
    /// The hash of `path`, with or without a leading slash.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let path = path.strip_prefix('/').unwrap_or(path);
        let merged = ["bin/", "sbin/", "lib/", "lib64/", "lib32/", "libx32/"].iter().any(|p| path.starts_with(p));
        let usr: &[u8] = if merged { b"usr/" } else { b"" };
        // FNV-1a, widened by a final mix: stable across builds, since readings are cached by layer.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for &byte in usr.iter().chain(path.as_bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        hash ^= hash >> 32;
        hash = hash.wrapping_mul(0xd6e8_feb8_6659_fd93);
        Self(hash ^ hash >> 32)
    }
}

/// Something that could not be read, or that a reader of the report must know: a gap, with its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Warning {
    /// What kind of gap; decides whether the verdict can still be known.
    pub kind: WarningKind,
    /// The path inside the image, or the name of the input.
    pub path: String,
    /// What happened, for people.
    pub message: String,
}

impl Warning {
    /// A gap: packages may be missing.
    #[must_use]
    pub fn gap(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind: WarningKind::Gap, path: path.into(), message: message.into() }
    }

    /// A remark: nothing is missing.
    #[must_use]
    pub fn note(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind: WarningKind::Note, path: path.into(), message: message.into() }
    }
}

/// How much a warning weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum WarningKind {
    /// Something was not read: a package may be missing, so a pass becomes *unknown*.
    Gap,
    /// Odd, but everything was read.
    Note,
}

/// Builds package URLs.
///
/// Rules: <https://github.com/package-url/purl-spec/blob/main/PURL-SPECIFICATION.rst>
#[derive(Debug, Clone)]
pub struct Purl {
    text: String,
    qualifiers: Vec<(&'static str, String)>,
}

impl Purl {
    /// `pkg:kind/namespace/name@version`; each segment is percent-encoded, `namespace` may hold several.
    #[must_use]
    pub fn new(kind: PackageType, namespace: &str, name: &str, version: &str) -> Self {
        let mut text = format!("pkg:{kind}");
        for segment in namespace.split('/').filter(|segment| !segment.is_empty()) {
            text.push('/');
            encode(segment, &mut text);
        }
        text.push('/');
        encode(name, &mut text);
        if !version.is_empty() {
            text.push('@');
            encode(version, &mut text);
        }
        Self { text, qualifiers: Vec::new() }
    }

    /// Adds `key=value`; an empty value is left out.
    #[must_use]
    pub fn qualifier(mut self, key: &'static str, value: &str) -> Self {
        if !value.is_empty() {
            self.qualifiers.push((key, value.to_owned()));
        }
        self
    }

    /// The text, qualifiers sorted by key.
    #[must_use]
    pub fn build(mut self) -> String {
        self.qualifiers.sort();
        for (index, (key, value)) in self.qualifiers.iter().enumerate() {
            self.text.push(if index == 0 { '?' } else { '&' });
            self.text.push_str(key);
            self.text.push('=');
            encode(value, &mut self.text);
        }
        self.text
    }
}

/// Percent-encodes all but unreserved characters and the colon, which the specification leaves bare.
fn encode(text: &str, out: &mut String) {
    use fmt::Write as _;
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~' | b':') {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purls_are_encoded_as_the_specification_says() {
        let purl = |kind, namespace, name, version| Purl::new(kind, namespace, name, version).build();
        assert_eq!(purl(PackageType::Npm, "@angular", "core", "1.0.0"), "pkg:npm/%40angular/core@1.0.0");
        assert_eq!(purl(PackageType::Golang, "github.com/a/b", "v2", "v2.0.1"), "pkg:golang/github.com/a/b/v2@v2.0.1");
        let deb = Purl::new(PackageType::Deb, "debian", "libstdc++6", "1:12.2.0-14+deb12u1");
        assert_eq!(
            deb.qualifier("distro", "debian-12").qualifier("arch", "amd64").build(),
            "pkg:deb/debian/libstdc%2B%2B6@1:12.2.0-14%2Bdeb12u1?arch=amd64&distro=debian-12"
        );
    }

    #[test]
    fn merged_usr_paths_hash_alike() {
        assert_eq!(PathHash::of("/lib/x86_64-linux-gnu/libc.so.6"), PathHash::of("usr/lib/x86_64-linux-gnu/libc.so.6"));
        assert_ne!(PathHash::of("library/x"), PathHash::of("usr/library/x"));
    }
}
