//! What a report says of an image, as an OpenVEX document: what affects it and what to do, and what does not, and why.
//!
//! Format: <https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md>, version 0.2.0.

use portcullis_model::{Digest, Finding, FixState, Report, Text};
use serde_json::{Value, json};

const CONTEXT: &str = "https://openvex.dev/ns/v0.2.0";

/// The document of a report. `author` is who says so.
#[must_use]
pub fn document(report: &Report, image: &str, digest: &Digest, author: &str) -> Value {
    let product = product(image, digest);
    let statements: Vec<Value> = report.findings.iter().map(|finding| statement(finding, &product)).collect();
    let content = Digest::of(json!(statements).to_string().as_bytes());
    json!({
        "@context": CONTEXT,
        "@id": format!("https://portcullis.dev/vex/{}", content.hex()),
        "author": author,
        "timestamp": report.created,
        "version": 1,
        "tooling": format!("portcullis {}", report.tool.version),
        "statements": statements,
    })
}

/// The image as a package URL, `pkg:oci/app@sha256:…?repository_url=registry.example/team/app`:
/// <https://github.com/package-url/purl-spec/blob/main/types-doc/oci-definition.md>.
fn product(image: &str, digest: &Digest) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    format!("pkg:oci/{name}@sha256%3A{}?repository_url={image}", digest.hex())
}

fn statement(finding: &Finding, product: &str) -> Value {
    let name = finding.cve.as_deref().unwrap_or(&finding.id);
    let aliases: Vec<&str> = std::iter::once(finding.id.as_str())
        .chain(finding.aliases.iter().map(Text::as_str))
        .filter(|alias| *alias != name)
        .collect();
    let mut statement = json!({
        "vulnerability": {"name": name, "aliases": aliases},
        "products": [{"@id": product, "subcomponents": [{"@id": finding.package.purl}]}],
    });
    let (status, field, text) = status(finding);
    if let Some(fields) = statement.as_object_mut() {
        fields.insert("status".into(), json!(status));
        fields.insert(field.into(), json!(text));
    }
    statement
}

/// The status, and the field that it must come with. A policy's exception accepts a vulnerability: that does not make
/// it less of one.
fn status(finding: &Finding) -> (&'static str, &'static str, String) {
    if let Some(suppression) = &finding.suppressed {
        let reason = suppression.reason.clone();
        return if suppression.by == "policy-exception" {
            ("affected", "action_statement", format!("accepted: {reason}"))
        } else {
            ("not_affected", "impact_statement", reason)
        };
    }
    let action = match (finding.state, finding.fixed_versions.first()) {
        (FixState::NotAffected, _) => {
            return ("not_affected", "impact_statement", "the source says that it is not affected".into());
        }
        (FixState::Unknown, _) => {
            return ("under_investigation", "status_notes", "the versions could not be compared".into());
        }
        (_, Some(fixed)) => format!("upgrade {} to {fixed}", finding.package.name),
        (FixState::WillNotFix, None) => "there will be no fix: replace the package, or accept the risk".into(),
        (FixState::EndOfLife, None) => "there will be no fix: move to a release that is supported".into(),
        (_, None) => match &finding.last_affected {
            Some(last) => format!("upgrade beyond {last}, the last version that is named as affected"),
            None => "no fix is known yet".into(),
        },
    };
    ("affected", "action_statement", action)
}
