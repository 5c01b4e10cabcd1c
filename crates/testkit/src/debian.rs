//! The package database of Debian's dpkg, in miniature.
//!
//! Format: <https://man7.org/linux/man-pages/man5/deb-control.5.html>

/// A package of dpkg's `status` file.
#[derive(Debug, Clone)]
pub struct DebianPackage {
    name: String,
    version: String,
    source: Option<String>,
}

impl DebianPackage {
    /// An installed package.
    #[must_use]
    pub fn new(name: &str, version: &str) -> Self {
        Self { name: name.to_owned(), version: version.to_owned(), source: None }
    }

    /// What it was built from: `openssl`, or `openssl (3.0.11-1)`.
    #[must_use]
    pub fn source(mut self, source: &str) -> Self {
        self.source = Some(source.to_owned());
        self
    }
}

/// `var/lib/dpkg/status` of these packages.
#[must_use]
pub fn dpkg_status(packages: &[DebianPackage]) -> String {
    let stanza = |DebianPackage { name, version, source }: &DebianPackage| {
        let source = source.as_ref().map(|source| format!("Source: {source}\n")).unwrap_or_default();
        format!(
            "Package: {name}\nStatus: install ok installed\nPriority: optional\nSection: misc\n\
             Maintainer: Nobody <nobody@example.org>\nArchitecture: amd64\n{source}Version: {version}\n\
             Description: a package of a test\n It does nothing.\n\n"
        )
    };
    packages.iter().map(stanza).collect()
}

/// Debian's `os-release` of a major version.
#[must_use]
pub fn os_release(version: u32) -> String {
    format!(
        "PRETTY_NAME=\"Debian GNU/Linux {version}\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"{version}\"\n\
         VERSION=\"{version}\"\nID=debian\nHOME_URL=\"https://www.debian.org/\"\n"
    )
}
