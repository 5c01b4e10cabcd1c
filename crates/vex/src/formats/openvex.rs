//! OpenVEX, versions 0.0.1 to 0.2.0: <https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md>. Older documents name
//! vulnerability and products by plain texts.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Draft, joined, time};
use crate::{Component, Product, Status};

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "@id", default)]
    id: Option<String>,
    #[serde(default)]
    timestamp: Option<String>,
    #[serde(default)]
    statements: Vec<StatementRecord>,
}

#[derive(Deserialize)]
struct StatementRecord {
    #[serde(default)]
    vulnerability: Option<VulnerabilityRecord>,
    #[serde(default)]
    timestamp: Option<String>,
    #[serde(default)]
    last_updated: Option<String>,
    #[serde(default)]
    products: Option<Vec<ProductRecord>>,
    /// Of versions before 0.2.0: parts of every product.
    #[serde(default)]
    subcomponents: Option<Vec<ProductRecord>>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    justification: Option<String>,
    #[serde(default)]
    impact_statement: Option<String>,
    #[serde(default)]
    status_notes: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum VulnerabilityRecord {
    Text(String),
    Struct {
        #[serde(rename = "@id", default)]
        id: Option<String>,
        #[serde(default)]
        name: Option<String>,
        #[serde(default)]
        aliases: Option<Vec<String>>,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ProductRecord {
    Text(String),
    Struct {
        #[serde(rename = "@id", default)]
        id: Option<String>,
        #[serde(default)]
        identifiers: Option<BTreeMap<String, String>>,
        #[serde(default)]
        hashes: Option<BTreeMap<String, String>>,
        #[serde(default)]
        subcomponents: Option<Vec<Self>>,
    },
}

/// An in-toto statement with a document as its predicate: <https://github.com/openvex/spec/blob/main/ATTESTING.md>.
#[derive(Deserialize)]
struct AttestedRecord {
    #[serde(default)]
    subject: Vec<SubjectRecord>,
    predicate: Record,
}

#[derive(Deserialize)]
struct SubjectRecord {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    digest: BTreeMap<String, String>,
}

pub(super) fn read(bytes: &[u8], draft: &mut Draft) -> Result<(), serde_json::Error> {
    let record: Record = serde_json::from_slice(bytes)?;
    gather(record, &[], draft);
    Ok(())
}

pub(super) fn read_attested(bytes: &[u8], draft: &mut Draft) -> Result<(), serde_json::Error> {
    let AttestedRecord { subject, predicate } = serde_json::from_slice(bytes)?;
    let subjects: Vec<usize> = subject
        .into_iter()
        .map(|SubjectRecord { name, digest }| {
            let mut component = Component::named(&name.unwrap_or_default());
            digest.get("sha256").into_iter().for_each(|hex| component.add(&format!("sha256:{hex}")));
            draft.component(component)
        })
        .collect();
    gather(predicate, &subjects, draft);
    Ok(())
}

/// `subjects` are what a statement without products speaks of.
fn gather(record: Record, subjects: &[usize], draft: &mut Draft) {
    let Record { id, timestamp, statements } = record;
    draft.id = id.unwrap_or_default();
    for record in statements {
        let StatementRecord { vulnerability, timestamp: own_time, last_updated, products, .. } = &record;
        let status = match record.status.as_deref() {
            Some("not_affected") => Status::NotAffected,
            Some("fixed") => Status::Fixed,
            Some("affected") => Status::Affected,
            Some("under_investigation") => Status::UnderInvestigation,
            other => {
                let other: String = other.unwrap_or("none").chars().take(60).collect();
                draft.problem(format!("`{other}` is no status of OpenVEX: the statement is left out"));
                continue;
            }
        };
        let ids: Vec<String> = match vulnerability {
            None => Vec::new(),
            Some(VulnerabilityRecord::Text(name)) => vec![name.clone()],
            Some(VulnerabilityRecord::Struct { id, name, aliases }) => {
                // The id is a link as a rule, whose last part is the vulnerability's own.
                let of_link = id.as_deref().and_then(|id| id.rsplit('/').next()).map(str::to_owned);
                let aliases = aliases.iter().flatten().cloned();
                name.clone().into_iter().chain(of_link).chain(aliases).collect()
            }
        };
        let shared: Vec<usize> =
            record.subcomponents.iter().flatten().map(|part| draft.component(component(part))).collect();
        let mut named: Vec<Product> = Vec::new();
        for product in products.iter().flatten() {
            let whole = draft.component(component(product));
            let mut parts = shared.clone();
            if let ProductRecord::Struct { subcomponents: Some(own), .. } = product {
                parts.extend(own.iter().map(|part| draft.component(component(part))));
            }
            named.push(Product { whole, parts });
        }
        if named.is_empty() {
            named.extend(subjects.iter().map(|&whole| Product { whole, parts: shared.clone() }));
        }
        let detail = record.impact_statement.as_deref().or(record.status_notes.as_deref());
        let reason = joined(record.justification.as_deref(), detail);
        // The specification demands one of them: without, the statement is not valid.
        let said = [record.justification.as_deref(), record.impact_statement.as_deref()];
        if status == Status::NotAffected && said.into_iter().flatten().all(|text| text.trim().is_empty()) {
            let id: String = ids.first().map_or("nothing", String::as_str).chars().take(60).collect();
            draft.problem(format!(
                "`not_affected` on {id} without `justification` or `impact_statement`: it is left out"
            ));
            continue;
        }
        let latest = time(last_updated.as_deref()).max(time(own_time.as_deref()));
        draft.statement(ids, named, status, reason, latest.or_else(|| time(timestamp.as_deref())));
    }
}

fn component(record: &ProductRecord) -> Component {
    match record {
        ProductRecord::Text(id) => Component::named(id),
        ProductRecord::Struct { id, identifiers, hashes, .. } => {
            let mut component = Component::default();
            id.iter().for_each(|id| component.add(id));
            identifiers.iter().flatten().filter(|(key, _)| *key == "purl").for_each(|(_, purl)| component.add(purl));
            let hashes = hashes.iter().flatten().filter(|(key, _)| matches!(key.as_str(), "sha-256" | "sha256"));
            hashes.for_each(|(_, hex)| component.add(&format!("sha256:{}", hex.to_ascii_lowercase())));
            component
        }
    }
}
