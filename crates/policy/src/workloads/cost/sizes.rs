//! How large are the values that expressions about a workload may look at.

use cel::{Value as Cel, objects::Key};
use serde_json::Value;

/// How large the inputs are.
#[derive(Debug, Clone, Copy)]
pub(in crate::workloads) struct Sizes {
    /// The longest list, map or literal list.
    pub(super) longest: u64,
    /// All values together, with their texts: each [`TEXT_BYTES`] are one more.
    pub(super) values: u64,
    /// Of these, what `params` holds.
    pub(super) params: u64,
    /// The longest text, in bytes.
    pub(super) text: u64,
    /// Whether a number may have a fraction: as an index it is an error, which holds the list.
    pub(super) has_fractions: bool,
}

/// So many bytes of a text take what a value takes.
pub(super) const TEXT_BYTES: u64 = 64;

/// The levels of what a variable may give. Values are walked by recursion, and each variable may hold the one before.
const MAX_VALUE_LEVELS: usize = 64;

impl Default for Sizes {
    fn default() -> Self {
        Self { longest: 1, values: 1, params: 1, text: 1, has_fractions: false }
    }
}

impl Sizes {
    /// All values together.
    pub(in crate::workloads) const fn values(&self) -> u64 {
        self.values
    }

    pub(in crate::workloads) fn add(&mut self, value: &Value) {
        self.values += 1;
        match value {
            Value::Array(values) => {
                self.longest = self.longest.max(values.len() as u64);
                values.iter().for_each(|value| self.add(value));
            }
            Value::Object(fields) => self.add_fields(fields.len(), fields),
            Value::String(text) => self.add_text(text),
            Value::Number(number) => self.has_fractions |= number.is_f64(),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn add_text(&mut self, text: &str) {
        self.text = self.text.max(text.len() as u64);
        self.values += text.len() as u64 / TEXT_BYTES;
    }

    /// As [`Self::add`], of `params`.
    pub(in crate::workloads) fn add_params<'a>(
        &mut self,
        count: usize,
        params: impl IntoIterator<Item = (&'a String, &'a Value)>,
    ) {
        let before = self.values;
        self.add_fields(count, params);
        self.params = (self.values - before).max(1);
    }

    /// As [`Self::add`], of so many named values.
    fn add_fields<'a>(&mut self, count: usize, fields: impl IntoIterator<Item = (&'a String, &'a Value)>) {
        self.longest = self.longest.max(count as u64);
        for (name, value) in fields {
            self.add_text(name);
            self.add(value);
        }
    }

    /// As [`Self::add`], of what an expression gave. None where it has more levels than may be.
    pub(in crate::workloads) fn with_computed(mut self, value: &Cel) -> Option<Self> {
        let mut left = vec![(value, 1)];
        while let Some((value, level)) = left.pop() {
            if level > MAX_VALUE_LEVELS {
                return None;
            }
            self.values += 1;
            match value {
                Cel::List(values) => {
                    self.longest = self.longest.max(values.len() as u64);
                    left.extend(values.iter().map(|value| (value, level + 1)));
                }
                Cel::Map(map) => {
                    self.longest = self.longest.max(map.map.len() as u64);
                    map.map.keys().for_each(|key| self.add_key(key));
                    left.extend(map.map.values().map(|value| (value, level + 1)));
                }
                Cel::String(text) => self.add_text(text),
                Cel::Float(_) => self.has_fractions = true,
                _ => {}
            }
        }
        Some(self)
    }

    fn add_key(&mut self, key: &Key) {
        if let Key::String(text) = key {
            self.add_text(text);
        }
    }
}
