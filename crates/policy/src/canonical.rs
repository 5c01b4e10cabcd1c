//! Canonical JSON: keys sorted, no spaces, absent fields left out, so that one document has one digest.

use serde::Serialize;
use serde_json::Value;

/// The canonical JSON of `value`.
pub(crate) fn canonical_json<T: Serialize>(value: &T) -> String {
    // A policy holds no map with keys that are not texts and no number that JSON cannot write (`check` refuses NaN),
    // so the error does not occur; null would only change a digest, never a decision.
    let value = serde_json::to_value(value).unwrap_or(Value::Null);
    sorted(value).to_string()
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            fields.sort_by(|(left, _), (right, _)| left.cmp(right));
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}
