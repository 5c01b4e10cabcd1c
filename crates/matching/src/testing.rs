//! Packages for tests.

use portcullis_model::{Package, PackageType};

pub(crate) fn package(kind: PackageType, name: &str, version: &str) -> Package {
    Package {
        kind,
        name: name.to_owned(),
        version: version.to_owned(),
        purl: format!("pkg:{kind}/{name}@{version}"),
        source: None,
        architecture: None,
        module: None,
        vendor: None,
        licenses: Vec::new(),
        depends_on: Vec::new(),
        owned_by: None,
        locations: Vec::new(),
    }
}
