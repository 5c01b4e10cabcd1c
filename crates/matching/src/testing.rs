//! Packages for tests.

use portcullis_model::{Package, PackageType};

pub(crate) fn package(kind: PackageType, name: &str, version: &str) -> Package {
    Package { purl: format!("pkg:{kind}/{name}@{version}"), ..Package::new(kind, name, version) }
}
