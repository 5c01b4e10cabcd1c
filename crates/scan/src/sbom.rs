//! An inventory from a bill of materials: what another tool found, taken at its word.

use portcullis_model::{Inventory, Target, Warning};
use portcullis_packages::{Sbom, read_sbom};

use crate::{ScanError, Taken};

/// The inventory that a document lists. There is no coverage: no file was looked at.
pub(crate) fn take(target: &Target, document: &[u8]) -> Result<Taken, ScanError> {
    let name = &target.reference;
    let read = read_sbom(name, document).map_err(|cause| ScanError::Sbom { name: name.clone(), cause })?;
    let Sbom { format, subject, reading } = read;
    let mut warnings = reading.warnings;
    let of = if subject.is_empty() { String::new() } else { format!(" of {subject}") };
    let what = format!("a {format} document{of}: what it leaves out was not looked for");
    warnings.push(Warning::note(name, what));
    warnings.sort();
    let mut target = target.clone();
    target.labels.insert("sbom.format".to_owned(), format);
    if !subject.is_empty() {
        target.labels.insert("sbom.subject".to_owned(), subject);
    }
    let inventory = Inventory { packages: reading.packages, warnings };
    Ok(Taken { target, distribution: reading.distribution, inventory, coverage: None, executables: None })
}
