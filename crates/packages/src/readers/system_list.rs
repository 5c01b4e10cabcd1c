//! Systems that are installed as one image, and leave a list of what it was made of: Bottlerocket and
//! Container-Optimized OS.
//!
//! Formats: <https://bottlerocket.dev/en/os/latest/#/concepts/application-inventory/> (packages are built as rpms), and
//! <https://cloud.google.com/container-optimized-os/docs/how-to/package-versions> (built by portage).

use portcullis_filetree::FileHeader;
use portcullis_model::{Package, PackageType, Reading, Warning};
use serde::Deserialize;

use crate::{PackageReader, Selection, complete::system_package, limits};

/// Reads the lists of such systems.
pub(crate) struct SystemList;

const BOTTLEROCKET: &str = "usr/share/bottlerocket/application-inventory.json";
const OPTIMIZED: &str = "etc/cos-package-info.json";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Applications {
    content: Vec<Application>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Application {
    name: String,
    publisher: String,
    architecture: String,
    version: String,
    release: String,
    epoch: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ebuilds {
    /// What the system is built with is not in it.
    installed_packages: Vec<Ebuild>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Ebuild {
    category: String,
    name: String,
    version: String,
    ebuild_version: String,
}

impl Application {
    fn into_package(self, path: &str) -> Package {
        let Self { name, publisher, architecture, version, release, epoch } = self;
        let epoch = if epoch.is_empty() || epoch == "0" { String::new() } else { format!("{epoch}:") };
        let release = if release.is_empty() { release } else { format!("-{release}") };
        let optional = |text: String| (!text.is_empty()).then_some(text);
        Package {
            architecture: optional(architecture),
            vendor: optional(publisher),
            ..system_package(PackageType::Rpm, name, format!("{epoch}{version}{release}"), path)
        }
    }
}

impl Ebuild {
    fn into_package(self, path: &str) -> Package {
        let Self { category, name, version, ebuild_version } = self;
        let name = if category.is_empty() { name } else { format!("{category}/{name}") };
        let version = if ebuild_version.is_empty() { version } else { ebuild_version };
        system_package(PackageType::Ebuild, name, version, path)
    }
}

fn packages(path: &str, contents: &[u8]) -> Result<Vec<Package>, serde_json::Error> {
    if path == BOTTLEROCKET {
        let list: Applications = serde_json::from_slice(contents)?;
        return Ok(list.content.into_iter().map(|entry| entry.into_package(path)).collect());
    }
    let list: Ebuilds = serde_json::from_slice(contents)?;
    Ok(list.installed_packages.into_iter().map(|entry| entry.into_package(path)).collect())
}

impl PackageReader for SystemList {
    fn name(&self) -> &'static str {
        "system-list"
    }

    fn reads(&self) -> &'static str {
        "`usr/share/bottlerocket/application-inventory.json`, `etc/cos-package-info.json`"
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        matches!(file.path, BOTTLEROCKET | OPTIMIZED).then_some(Selection::Whole { limit: limits::DATABASE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let mut reading = Reading::default();
        match packages(file.path, contents) {
            Ok(packages) => {
                let is_named = |package: &Package| !package.name.is_empty() && !package.version.is_empty();
                let (named, nameless): (Vec<Package>, Vec<Package>) = packages.into_iter().partition(is_named);
                reading.packages = named;
                if !nameless.is_empty() {
                    let what = format!("{} entries have no package name or no version", nameless.len());
                    reading.warnings.push(Warning::gap(file.path, what));
                }
            }
            Err(error) => reading.warnings.push(Warning::gap(file.path, format!("not a list of packages: {error}"))),
        }
        reading
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{self, check};

    #[test]
    fn lists_are_read() {
        let applications = r#"{"Content": [{"Name": "acpid", "Publisher": "Bottlerocket", "ApplicationType": "Unspecified",
            "Architecture": "x86_64", "Version": "2.0.34", "Release": "1.abc.br1", "Epoch": "1"}, {"Name": "b"}]}"#;
        check(
            &SystemList,
            BOTTLEROCKET,
            applications,
            expect![[r#"
            rpm acpid 1:2.0.34-1.abc.br1, for x86_64, by Bottlerocket
            gap in usr/share/bottlerocket/application-inventory.json: 1 entries have no package name or no version
        "#]],
        );
        let ebuilds = r#"{"installedPackages": [{"category": "app-arch", "name": "gzip", "version": "1.9"}],
            "buildTimePackages": [{"category": "sys-devel", "name": "gcc", "version": "10"}]}"#;
        check(
            &SystemList,
            OPTIMIZED,
            ebuilds,
            expect![[r#"
            ebuild app-arch/gzip 1.9
        "#]],
        );
        check(
            &SystemList,
            OPTIMIZED,
            "[]",
            expect![[r#"
            gap in etc/cos-package-info.json: not a list of packages: invalid length 0, expected struct Ebuilds with 1 element at line 1 column 2
        "#]],
        );
    }

    proptest! {
        #[test]
        fn nothing_panics(contents: Vec<u8>, text in "[{}\\[\\]\":,a-zA-Z]{0,20}") {
            for path in [BOTTLEROCKET, OPTIMIZED] {
                testing::read(&SystemList, path, &contents);
                testing::read(&SystemList, path, text.as_bytes());
            }
        }
    }
}
