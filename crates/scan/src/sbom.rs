//! An inventory from a bill of materials: what another tool found, taken at its word.

use portcullis_model::{Inventory, Target, Warning};
use portcullis_packages::{Sbom, read_sbom};

use crate::{ScanError, Taken};

/// The inventory that a document lists. There is no coverage: no file was looked at.
pub(crate) fn take(target: &Target, document: &[u8]) -> Result<Taken, ScanError> {
    let name = &target.reference;
    let read = read_sbom(name, document).map_err(|cause| ScanError::Sbom { name: name.clone(), cause })?;
    // What was cut off is a gap among its warnings.
    let Sbom { format, subject, image, is_cut: _, reading } = read;
    let mut warnings = reading.warnings;
    let of = if subject.is_empty() { String::new() } else { format!(" of {subject}") };
    let article = if format.starts_with("SPDX") { "an" } else { "a" };
    let what = format!("{article} {format} document{of}: what it leaves out was not looked for");
    warnings.push(Warning::note(name, what));
    // No file was looked at either: of what it describes, nothing at all is known.
    if reading.packages.is_empty() {
        warnings.push(Warning::gap(name, "it lists no package"));
    }
    warnings.sort();
    let mut target = target.clone();
    target.labels.insert("sbom.format".to_owned(), format);
    if !subject.is_empty() {
        target.labels.insert("sbom.subject".to_owned(), subject);
    }
    if !image.is_empty() {
        target.labels.insert(portcullis_vex::IMAGE_LABEL.to_owned(), image);
    }
    let inventory = Inventory { packages: reading.packages, warnings };
    Ok(Taken {
        target,
        distribution: reading.distribution.map(|boxed| *boxed),
        inventory,
        coverage: None,
        executables: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_without_packages_is_a_gap() {
        let gaps = |components: &str| {
            let document = format!(r#"{{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": {components}}}"#);
            let warnings = take(&Target::named("bom.json"), document.as_bytes()).unwrap().inventory.warnings;
            let gaps = warnings.into_iter().filter(|warning| warning.kind == portcullis_model::WarningKind::Gap);
            gaps.map(|gap| gap.message).collect::<Vec<_>>()
        };
        let none = ["it lists no package"];
        assert_eq!(gaps("[]"), none);
        assert_eq!(gaps("\"a text in the place of a list\""), none);
        assert_eq!(gaps(r#"[{"type": "library", "name": "a", "version": "1", "purl": "pkg:cargo/a@1"}]"#), [""; 0]);
    }

    #[test]
    fn the_image_that_a_document_describes_is_kept() {
        let document = r#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [],
            "metadata": {"component": {"type": "container", "name": "app", "purl": "pkg:oci/app@sha256:00"}}}"#;
        let labels = take(&Target::named("bom.json"), document.as_bytes()).unwrap().target.labels;
        assert_eq!(labels.get(portcullis_vex::IMAGE_LABEL).map(String::as_str), Some("pkg:oci/app@sha256:00"));
    }
}
