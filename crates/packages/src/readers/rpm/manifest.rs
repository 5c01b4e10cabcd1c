//! The list of packages that Azure Linux leaves in its distroless images, which have no rpm database.
//!
//! Format: one package a line, ten fields with tabs between them, as rpm's own query writes them: name,
//! version-release, time of installation, time of building, vendor, epoch, size, architecture, epoch as a number,
//! source rpm. <https://github.com/microsoft/azurelinux/blob/3.0/toolkit/tools/imagegen/installutils/installutils.go>

use portcullis_model::{Reading, Warning};

use super::gather::Entry;
use crate::fields;

/// What rpm writes for a value that is not there.
const NONE: &str = "(none)";

pub(super) fn read(path: &str, contents: &[u8]) -> Reading {
    let mut reading = Reading::default();
    for (index, line) in fields::lines(contents).enumerate().filter(|(_, line)| !line.trim_ascii().is_empty()) {
        match entry(&fields::text(line)) {
            Some(entry) => reading.packages.push(entry.into_package(path)),
            None => {
                let what = format!("line {} is not a package with a name and a version", index + 1);
                reading.warnings.push(Warning::gap(path, what));
            }
        }
    }
    reading
}

fn entry(line: &str) -> Option<Entry> {
    let mut fields = line.split('\t').map(|field| if field == NONE { "" } else { field.trim() });
    let mut next = || fields.next().unwrap_or_default();
    let (name, full_version) = (next(), next());
    let (version, release) = full_version.rsplit_once('-').unwrap_or((full_version, ""));
    if name.is_empty() || version.is_empty() {
        return None;
    }
    let (_installed, _built, vendor) = (next(), next(), next());
    let (epoch, _size, architecture, epoch_number, source_rpm) = (next(), next(), next(), next(), next());
    Some(Entry {
        name: name.to_owned(),
        version: version.to_owned(),
        release: release.to_owned(),
        epoch: epoch.parse().or_else(|_missing| epoch_number.parse()).unwrap_or_default(),
        architecture: architecture.to_owned(),
        source_rpm: source_rpm.to_owned(),
        vendor: vendor.to_owned(),
        license: String::new(),
        module: String::new(),
    })
}
