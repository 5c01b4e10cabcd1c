//! Finds the line of a field: what is wrong beyond the types is found in the document, not in its text.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use serde_saphyr::Spanned;

/// Any YAML, with places.
#[derive(Debug)]
pub(crate) enum Node {
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
    List(Vec<Spanned<Self>>),
    Scalar,
}

/// A line and a column, both from 1.
pub(crate) type Place = (u64, u64);

impl Node {
    /// The place of `field`, such as `spec.exceptions[1].expires`, or of the nearest part of it that exists.
    pub(crate) fn place(&self, field: &str) -> Option<Place> {
        let mut node = self;
        let mut place = None;
        for part in field.split(['.', '[']) {
            let found = match node {
                Self::Map(entries) => entries.iter().find(|(key, _)| key.value == part).map(|(key, value)| {
                    // A value on a line of its own is of less help than the key that names it.
                    ((key.referenced.line(), key.referenced.column()), &value.value)
                }),
                Self::List(items) => {
                    let index = part.trim_end_matches(']').parse::<usize>().ok();
                    let item = index.and_then(|index| items.get(index));
                    item.map(|item| ((item.referenced.line(), item.referenced.column()), &item.value))
                }
                Self::Scalar => None,
            };
            let Some((here, next)) = found else { break };
            place = Some(here);
            node = next;
        }
        place
    }

    /// The innermost field that starts on `line`, such as `spec.exceptions[1].expires`.
    pub(crate) fn field_at(&self, line: u64) -> Option<String> {
        match self {
            Self::Map(entries) => entries.iter().find_map(|(key, value)| match value.value.field_at(line) {
                Some(rest) if rest.starts_with('[') => Some(format!("{}{rest}", key.value)),
                Some(rest) => Some(format!("{}.{rest}", key.value)),
                None => (key.referenced.line() == line).then(|| key.value.clone()),
            }),
            Self::List(items) => items.iter().enumerate().find_map(|(index, item)| match item.value.field_at(line) {
                Some(rest) if rest.starts_with('[') => Some(format!("[{index}]{rest}")),
                Some(rest) => Some(format!("[{index}].{rest}")),
                None => (item.referenced.line() == line).then(|| format!("[{index}]")),
            }),
            Self::Scalar => None,
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> de::Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar)
    }
}
