//! SPDX 2.2 and 2.3 as tags and values: one field a line, long texts between `<text>` and `</text>`.
//!
//! Format: <https://spdx.github.io/spdx-spec/v2.3/conformance/#44-standard-data-format-requirements>

use std::borrow::Cow;

use super::{
    gather::Gathered,
    loose::Text,
    spdx::{ExtractedLicense, Package, Relationship},
};
use crate::fields;

/// Reads a document. What is no field is passed over.
pub(super) fn read(bytes: &[u8], gathered: &mut Gathered) {
    let mut reader = Reader { gathered, package: None, relationship: None, license: None };
    let mut rest = bytes;
    while let Some(Field { tag, value, is_cut }) = next_field(&mut rest) {
        if is_cut {
            reader.gathered.cut(&tag);
        }
        reader.field(&tag, value);
    }
    reader.end_package();
    reader.end_relationship();
    reader.end_license();
}

struct Reader<'a, 's> {
    gathered: &'s mut Gathered,
    package: Option<Package<'a>>,
    relationship: Option<Relationship<'a>>,
    license: Option<ExtractedLicense<'a>>,
}

impl<'a> Reader<'a, '_> {
    fn field(&mut self, tag: &str, value: Cow<'a, str>) {
        match tag {
            "SPDXVersion" => {
                if let Some(version) = value.strip_prefix("SPDX-") {
                    self.gathered.format("SPDX");
                    self.gathered.format_version(version);
                }
            }
            "DocumentName" => self.gathered.document_name(&value),
            "PackageName" => {
                self.end_package();
                self.package = Some(Package { name: Text(value), ..Package::default() });
            }
            // What follows is no longer about the package.
            "FileName" | "SnippetSPDXID" => self.end_package(),
            "LicenseID" => {
                self.end_package();
                self.end_license();
                self.license = Some(ExtractedLicense { license_id: Text(value), ..ExtractedLicense::default() });
            }
            "LicenseName" => {
                if let Some(license) = &mut self.license {
                    license.name = Text(value);
                }
            }
            "Relationship" => {
                self.end_relationship();
                let mut words = value.split_whitespace().map(|word| Text(word.to_owned().into()));
                if let (Some(spdx_element_id), Some(relationship_type), Some(related_spdx_element)) =
                    (words.next(), words.next(), words.next())
                {
                    let comment = Text::default();
                    self.relationship =
                        Some(Relationship { spdx_element_id, relationship_type, related_spdx_element, comment });
                }
            }
            "RelationshipComment" => {
                if let Some(relationship) = &mut self.relationship {
                    relationship.comment = Text(value);
                }
            }
            _ => {
                if let Some(package) = &mut self.package {
                    package_field(package, tag, value);
                }
            }
        }
    }

    fn end_package(&mut self) {
        if let Some(package) = self.package.take() {
            package.gather(self.gathered);
        }
    }

    fn end_relationship(&mut self) {
        if let Some(relationship) = self.relationship.take() {
            relationship.gather(self.gathered);
        }
    }

    fn end_license(&mut self) {
        if let Some(license) = self.license.take() {
            license.gather(self.gathered);
        }
    }
}

fn package_field<'a>(package: &mut Package<'a>, tag: &str, value: Cow<'a, str>) {
    let field = match tag {
        "SPDXID" => &mut package.id,
        "PackageVersion" => &mut package.version_info,
        "PackageFileName" => &mut package.package_file_name,
        "PackageSupplier" => &mut package.supplier,
        "PackageOriginator" => &mut package.originator,
        "PackageSourceInfo" => &mut package.source_info,
        "PackageLicenseDeclared" => &mut package.license_declared,
        "PackageLicenseConcluded" => &mut package.license_concluded,
        "PackageDescription" => &mut package.description,
        "PrimaryPackagePurpose" => &mut package.primary_package_purpose,
        "PackageAttributionText" => return package.attribution_texts.0.push(value),
        "AnnotationComment" => return package.annotations.0.push(value),
        "ExternalRef" => {
            // Category, type, locator.
            let mut words = value.split_whitespace().skip(1);
            if let (Some(kind), Some(locator)) = (words.next(), words.next()) {
                package.external_refs.add(kind, locator.to_owned().into());
            }
            return;
        }
        _ => return,
    };
    *field = Text(value);
}

struct Field<'a> {
    tag: Cow<'a, str>,
    value: Cow<'a, str>,
    /// Whether it is a text that does not end before the document does.
    is_cut: bool,
}

/// The next `Tag: value`. Some tools leave out the colon of a relationship.
fn next_field<'a>(rest: &mut &'a [u8]) -> Option<Field<'a>> {
    loop {
        let line = fields::lines(rest).next()?;
        let whole = *rest;
        let end = memchr::memchr(b'\n', whole).map_or(whole.len(), |end| end + 1);
        *rest = whole.get(end..).unwrap_or_default();
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let colon = memchr::memchr(b':', line);
        let (tag, value) = match colon {
            Some(colon) if !line.get(..colon)?.contains(&b' ') => (line.get(..colon)?, line.get(colon + 1..)?),
            _ => match line.strip_prefix(b"Relationship ") {
                Some(value) => (&b"Relationship"[..], value),
                None => continue,
            },
        };
        let value = value.trim_ascii();
        let Some(opened) = value.strip_prefix(b"<text>") else {
            return Some(Field { tag: fields::text(tag), value: fields::text(value), is_cut: false });
        };
        // The text may end on this line or on one of those that follow.
        let start = opened.as_ptr() as usize - whole.as_ptr() as usize;
        let text = whole.get(start..)?;
        let end = memchr::memmem::find(text, b"</text>");
        let length = end.unwrap_or(text.len());
        let after = text.get((length + b"</text>".len()).min(text.len())..).unwrap_or_default();
        *rest = memchr::memchr(b'\n', after).and_then(|end| after.get(end + 1..)).unwrap_or_default();
        let value = fields::text(text.get(..length)?);
        return Some(Field { tag: fields::text(tag), value, is_cut: end.is_none() });
    }
}
