//! Strict JSON: an object that names a key twice is refused, because readers differ in which value they take, and a
//! signature covers both.

use std::{collections::HashSet, fmt};

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Why a text is not strict JSON.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotStrict {
    /// This key is there twice in one object.
    DuplicateKey(String),
    /// It is no JSON at all.
    Malformed(String),
}

/// The mark by which the error is recognised on its way through serde.
const MARK: &str = "\u{1}duplicate key\u{1}";

/// Reads the whole text once; nesting is bounded by serde_json.
pub(crate) fn require_unique_keys(bytes: &[u8]) -> Result<(), NotStrict> {
    let Err(error) = serde_json::from_slice::<Strict>(bytes) else { return Ok(()) };
    let text = error.to_string();
    match text.split(MARK).nth(1) {
        Some(key) if error.is_data() => Err(NotStrict::DuplicateKey(key.to_owned())),
        _ => Err(NotStrict::Malformed(text)),
    }
}

struct Strict;

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<Self>()?.is_some() {}
        Ok(Self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value::<Self>()?;
            if seen.contains(&key) {
                return Err(de::Error::custom(format!("{MARK}{}{MARK}", portcullis_errors::printable(&key, 100))));
            }
            seen.insert(key);
        }
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_twice_is_found_at_any_depth_and_spelling() {
        for twice in [r#"{"a":1,"a":2}"#, r#"[{"x":{"a":[],"\u0061":null}}]"#] {
            assert_eq!(require_unique_keys(twice.as_bytes()), Err(NotStrict::DuplicateKey("a".into())), "{twice}");
        }
        assert_eq!(require_unique_keys(br#"{"a":{"a":1},"A":[1.5,-1,"x",true,null]}"#), Ok(()));
        for broken in ["", "{", "{}{}", "{\"a\":01}", &"[".repeat(100_000)] {
            let refused = require_unique_keys(broken.as_bytes());
            assert!(matches!(refused, Err(NotStrict::Malformed(_))), "{refused:?}");
        }
        let long = format!(r#"{{"{0}":1,"{0}":2}}"#, "k".repeat(10_000));
        assert!(matches!(require_unique_keys(long.as_bytes()), Err(NotStrict::DuplicateKey(key)) if key.len() < 200));
    }

    proptest! {
        #[test]
        fn it_takes_what_serde_takes(text in "[\\[\\]{},:\"a0 .-]{0,40}") {
            let loose = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            let strict = require_unique_keys(text.as_bytes());
            let duplicate = matches!(strict, Err(NotStrict::DuplicateKey(_)));
            prop_assert_eq!(loose, strict.is_ok() || duplicate);
        }
    }
}
