//! OSV records, as their sources write them: <https://ossf.github.io/osv-schema/>.
//!
//! Only what the database holds is read, and leniently: a wrong type in a field that does not matter must not lose
//! the record.

use serde::Deserialize;
use serde_json::Value;

/// A record.
#[derive(Debug, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) modified: Option<String>,
    #[serde(default)]
    pub(crate) published: Option<String>,
    #[serde(default)]
    pub(crate) withdrawn: Option<String>,
    #[serde(default)]
    pub(crate) aliases: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) upstream: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) related: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) summary: Option<String>,
    #[serde(default)]
    pub(crate) details: Option<String>,
    #[serde(default)]
    pub(crate) severity: Option<Vec<SeverityRecord>>,
    #[serde(default)]
    pub(crate) affected: Option<Vec<AffectedRecord>>,
    #[serde(default)]
    pub(crate) references: Option<Vec<ReferenceRecord>>,
    #[serde(default)]
    pub(crate) database_specific: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SeverityRecord {
    #[serde(default, rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) score: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ReferenceRecord {
    #[serde(default, rename = "type")]
    pub(crate) kind: Option<String>,
    #[serde(default)]
    pub(crate) url: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct AffectedRecord {
    #[serde(default)]
    pub(crate) package: Option<PackageRecord>,
    #[serde(default)]
    pub(crate) ranges: Option<Vec<RangeRecord>>,
    #[serde(default)]
    pub(crate) versions: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) severity: Option<Vec<SeverityRecord>>,
    #[serde(default)]
    pub(crate) ecosystem_specific: Option<Value>,
    #[serde(default)]
    pub(crate) database_specific: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PackageRecord {
    #[serde(default)]
    pub(crate) ecosystem: String,
    #[serde(default)]
    pub(crate) name: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RangeRecord {
    #[serde(default, rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) events: Option<Vec<EventRecord>>,
}

/// One of the four is set; a source that sets two at once writes a broken record, which is warned of.
#[derive(Debug, Deserialize)]
pub(crate) struct EventRecord {
    #[serde(default)]
    pub(crate) introduced: Option<String>,
    #[serde(default)]
    pub(crate) fixed: Option<String>,
    #[serde(default)]
    pub(crate) last_affected: Option<String>,
    #[serde(default)]
    pub(crate) limit: Option<String>,
}
