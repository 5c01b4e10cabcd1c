//! Advisories as OSV records: <https://ossf.github.io/osv-schema/>.

use serde_json::{Value, json};

/// Puts a record together.
#[derive(Debug, Clone)]
pub struct AdvisoryRecord(Value);

impl AdvisoryRecord {
    /// A record that affects nothing yet.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(json!({
            "schema_version": "1.6.0",
            "id": id,
            "published": "2026-01-01T00:00:00Z",
            "modified": "2026-01-02T00:00:00Z",
            "summary": format!("What is wrong, says {id}"),
            "affected": [],
        }))
    }

    /// Any field of the record.
    #[must_use]
    pub fn field(mut self, name: &str, value: Value) -> Self {
        self.0[name] = value;
        self
    }

    /// Other ids of the same vulnerability.
    #[must_use]
    pub fn aliases(self, ids: &[&str]) -> Self {
        self.field("aliases", json!(ids))
    }

    /// What is affected, from `introduced` (`0` for the first version) to before `fixed`, if there is a fix.
    #[must_use]
    pub fn affects(self, ecosystem: &str, name: &str, introduced: &str, fixed: Option<&str>) -> Self {
        let mut events = vec![json!({"introduced": introduced})];
        events.extend(fixed.map(|fixed| json!({"fixed": fixed})));
        self.affected(ecosystem, name, json!({"ranges": [{"type": "ECOSYSTEM", "events": events}]}))
    }

    /// What is affected: `entry` is the object beside `package`, with its `ranges`, `versions` and whatever else.
    #[must_use]
    pub fn affected(mut self, ecosystem: &str, name: &str, mut entry: Value) -> Self {
        entry["package"] = json!({"ecosystem": ecosystem, "name": name});
        if let Some(list) = self.0["affected"].as_array_mut() {
            list.push(entry);
        }
        self
    }

    /// The record's JSON.
    #[must_use]
    pub fn json(&self) -> String {
        self.0.to_string()
    }
}
