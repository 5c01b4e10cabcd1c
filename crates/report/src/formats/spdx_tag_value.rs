//! SPDX 2.3 as tags and values: another spelling of the JSON document.
//!
//! Format: <https://spdx.github.io/spdx-spec/v2.3/>, the tag-value examples of each section.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use portcullis_model::Report;
use serde_json::Value;

use super::spdx_json::Document;
use crate::{RenderOptions, ReportError, ReportFormat};

/// `-o spdx-tag-value`
pub(crate) struct SpdxTagValue;

impl ReportFormat for SpdxTagValue {
    fn name(&self) -> &'static str {
        "spdx-tag-value"
    }

    fn describe(&self) -> &'static str {
        "SPDX 2.3 as tags and values"
    }

    fn extension(&self) -> &'static str {
        "spdx"
    }

    fn media_type(&self) -> &'static str {
        "text/spdx"
    }

    fn lists_packages(&self) -> bool {
        true
    }

    fn write(&self, report: &Report, _: &RenderOptions, out: &mut dyn io::Write) -> Result<(), ReportError> {
        let document = Document::of(report);
        let head: Value = document.head().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let mut text = String::new();
        let mut out = io::BufWriter::with_capacity(64 * 1024, out);
        for (tag, field) in [
            ("SPDXVersion", "spdxVersion"),
            ("DataLicense", "dataLicense"),
            ("SPDXID", "SPDXID"),
            ("DocumentName", "name"),
            ("DocumentNamespace", "documentNamespace"),
        ] {
            line(&mut text, tag, &head, field);
        }
        let creation = head.get("creationInfo").unwrap_or(&Value::Null);
        for creator in items(creation, "creators") {
            put(&mut text, "Creator", creator.as_str().unwrap_or_default());
        }
        line(&mut text, "Created", creation, "created");
        document.annotations().iter().for_each(|annotation| annotate(&mut text, annotation));
        for item in document.packages() {
            package(&mut text, &item);
            flush(&mut text, &mut out)?;
        }
        for license in &document.licenses() {
            text.push('\n');
            line(&mut text, "LicenseID", license, "licenseId");
            block(&mut text, "ExtractedText", license, "extractedText");
            line(&mut text, "LicenseName", license, "name");
        }
        text.push('\n');
        for relationship in document.relationships() {
            let field = |name: &str| relationship.get(name).and_then(Value::as_str).unwrap_or_default();
            let words = [field("spdxElementId"), field("relationshipType"), field("relatedSpdxElement")].join(" ");
            put(&mut text, "Relationship", &words);
            line(&mut text, "RelationshipComment", &relationship, "comment");
            flush(&mut text, &mut out)?;
        }
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(())
    }
}

/// Writes what there is, so that no more than one entry is held.
fn flush(text: &mut String, out: &mut impl io::Write) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    text.clear();
    Ok(())
}

fn annotate(text: &mut String, annotation: &Value) {
    text.push('\n');
    line(text, "Annotator", annotation, "annotator");
    line(text, "AnnotationDate", annotation, "annotationDate");
    line(text, "AnnotationType", annotation, "annotationType");
    put(text, "SPDXREF", "SPDXRef-DOCUMENT");
    block(text, "AnnotationComment", annotation, "comment");
}

fn package(text: &mut String, package: &Value) {
    text.push('\n');
    line(text, "PackageName", package, "name");
    line(text, "SPDXID", package, "SPDXID");
    line(text, "PackageVersion", package, "versionInfo");
    line(text, "PackageSupplier", package, "supplier");
    line(text, "PackageDownloadLocation", package, "downloadLocation");
    put(text, "FilesAnalyzed", "false");
    for checksum in items(package, "checksums") {
        let value = checksum.get("checksumValue").and_then(Value::as_str).unwrap_or_default();
        put(text, "PackageChecksum", &format!("SHA256: {value}"));
    }
    block(text, "PackageSourceInfo", package, "sourceInfo");
    line(text, "PackageLicenseConcluded", package, "licenseConcluded");
    line(text, "PackageLicenseDeclared", package, "licenseDeclared");
    line(text, "PackageCopyrightText", package, "copyrightText");
    block(text, "PackageDescription", package, "description");
    block(text, "PackageComment", package, "comment");
    for reference in items(package, "externalRefs") {
        let field = |name: &str| reference.get(name).and_then(Value::as_str).unwrap_or_default();
        let words = [field("referenceCategory"), field("referenceType"), field("referenceLocator")].join(" ");
        put(text, "ExternalRef", &words);
        block(text, "ExternalRefComment", reference, "comment");
    }
    line(text, "PrimaryPackagePurpose", package, "primaryPackagePurpose");
}

fn items<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value.get(field).and_then(Value::as_array).into_iter().flatten()
}

fn line(text: &mut String, tag: &str, value: &Value, field: &str) {
    if let Some(value) = value.get(field).and_then(Value::as_str) {
        put(text, tag, value);
    }
}

/// Text that may hold anything but its own end.
fn block(text: &mut String, tag: &str, value: &Value, field: &str) {
    if let Some(value) = value.get(field).and_then(Value::as_str) {
        put(text, tag, &format!("<text>{}</text>", value.replace("</text>", "</ text>")));
    }
}

/// The document's texts hold no line break: those are escaped in them.
fn put(text: &mut String, tag: &str, value: &str) {
    // Writing to a String cannot fail.
    _ = writeln!(text, "{tag}: {value}");
}
