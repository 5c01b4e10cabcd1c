//! Documents of JSON, YAML and TOML as one kind of tree, for lockfiles whose shapes change from version to version.
//!
//! A part of another type than expected is as good as absent: one odd entry must not cost the rest of a file.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// A value of a document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    /// Text; numbers too, as they print.
    Text(String),
    Flag(bool),
    List(Vec<Self>),
    /// In the document's order.
    Map(Vec<(String, Self)>),
    Nothing,
}

static NOTHING: Node = Node::Nothing;

impl Node {
    /// The value of `key`; of two of one name the last counts.
    pub(crate) fn get(&self, key: &str) -> &Self {
        let found = self.entries().iter().rev().find(|(name, _)| name == key);
        found.map_or(&NOTHING, |(_, value)| value)
    }

    /// The item of a list.
    pub(crate) fn at(&self, index: usize) -> &Self {
        self.items().get(index).unwrap_or(&NOTHING)
    }

    pub(crate) fn entries(&self) -> &[(String, Self)] {
        if let Self::Map(entries) = self { entries } else { &[] }
    }

    pub(crate) fn items(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { &[] }
    }

    /// Text that is not empty.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text.as_str()).filter(|text| !text.is_empty()) } else { None }
    }

    /// The text of `key`.
    pub(crate) fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key).text()
    }

    /// Whether it is there and true.
    pub(crate) fn is_true(&self) -> bool {
        matches!(self, Self::Flag(true))
    }

    pub(crate) fn is_map(&self) -> bool {
        matches!(self, Self::Map(_))
    }

    /// The names of a map.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries().iter().map(|(key, _)| key.as_str())
    }

    /// The texts of a list.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.items().iter().filter_map(Self::text)
    }
}

/// Reads JSON. A byte order mark is taken, as npm takes it.
pub(crate) fn json(contents: &[u8]) -> Result<Node, String> {
    let contents = contents.strip_prefix(b"\xef\xbb\xbf").unwrap_or(contents);
    serde_json::from_slice(contents).map_err(|error| error.to_string())
}

/// Reads JSON with comments and commas before closing brackets, as bun writes it.
pub(crate) fn relaxed_json(contents: &[u8]) -> Result<Node, String> {
    json(&strict(contents))
}

/// Reads TOML.
pub(crate) fn toml(contents: &[u8]) -> Result<Node, String> {
    let text = utf8(contents)?;
    toml::from_str(text).map_err(|error| first_line(error.message()))
}

/// Reads YAML, the last of several documents: pnpm writes what it needs for itself before the project's.
pub(crate) fn yaml(contents: &[u8]) -> Result<Node, String> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 32,
            max_documents: 16,
            max_nodes: 4_000_000,
            max_events: 8_000_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_total_scalar_bytes: crate::limits::LOCKFILE,
        },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
        with_snippet: false,
    };
    let documents: Result<Vec<Node>, _> = serde_saphyr::from_multiple_with_options(utf8(contents)?, options);
    let documents = documents.map_err(|error| first_line(&error.to_string()))?;
    Ok(documents.into_iter().next_back().unwrap_or(Node::Nothing))
}

fn utf8(contents: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(contents).map_err(|error| error.to_string())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// Takes comments, and commas before closing brackets, out of JSON.
fn strict(contents: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(contents.len());
    let mut rest = contents;
    // Where in `out` a comma stands that may be one too many.
    let mut comma = None;
    while let Some((&byte, after)) = rest.split_first() {
        match byte {
            b'"' => {
                let end = string_end(rest);
                let (string, after) = rest.split_at(end);
                out.extend_from_slice(string);
                comma = None;
                rest = after;
                continue;
            }
            b'/' if after.starts_with(b"/") => {
                rest = rest.get(memchr::memchr(b'\n', rest).unwrap_or(rest.len())..).unwrap_or_default();
                continue;
            }
            b'/' if after.starts_with(b"*") => {
                let end = memchr::memmem::find(rest, b"*/").map_or(rest.len(), |at| at + 2);
                rest = rest.get(end..).unwrap_or_default();
                continue;
            }
            b',' => comma = Some(out.len()),
            b'}' | b']' => {
                if let Some(blank) = comma.take().and_then(|at| out.get_mut(at)) {
                    *blank = b' ';
                }
            }
            byte if byte.is_ascii_whitespace() => {}
            _ => comma = None,
        }
        out.push(byte);
        rest = after;
    }
    out
}

/// The length of the string that `bytes` start with, its quotes included.
fn string_end(bytes: &[u8]) -> usize {
    let mut is_escaped = false;
    let end = bytes.iter().skip(1).position(|&byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    end.map_or(bytes.len(), |end| end + 2)
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
        f.write_str("a value")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Node, E> {
        Ok(Node::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Text(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Text(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Node, E> {
        Ok(Node::Text(number.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Node, E> {
        Ok(Node::Text(text))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Nothing)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some((Key(key), value)) = map.next_entry()? {
            entries.push((key, value));
        }
        Ok(Node::Map(entries))
    }
}

/// A key: YAML has numbers and the like there too.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Node::deserialize(deserializer)? {
            Node::Text(text) => text,
            Node::Flag(flag) => flag.to_string(),
            _ => String::new(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_languages_give_one_tree() {
        let expected = json(br#"{"a": {"b": ["x", "1.5", true], "c": "1"}}"#).unwrap();
        assert_eq!(toml(b"[a]\nb = ['x', 1.5, true]\nc = 1\n").unwrap(), expected);
        assert_eq!(yaml(b"first: 1\n---\na:\n  b: [x, 1.5, true]\n  c: 1\n").unwrap(), expected);
        assert_eq!(relaxed_json(b"{// c\n\"a\":{\"b\":[\"x\",1.5,true,],/*,*/\"c\":1,\n},}").unwrap(), expected);
        assert_eq!(expected.get("a").get("b").at(2), &Node::Flag(true));
        assert_eq!(expected.get("x").get("y").at(3), &Node::Nothing);
    }

    #[test]
    fn what_looks_like_a_comment_in_a_string_is_none() {
        let tree = relaxed_json(br#"{"a": "// \" /* ,}", "b": ["\\",]}"#).unwrap();
        assert_eq!(tree.text_of("a"), Some("// \" /* ,}"));
        assert_eq!(tree.get("b").at(0).text(), Some("\\"));
    }

    #[test]
    fn depth_and_aliases_are_bounded() {
        assert!(json("[".repeat(100_000).as_bytes()).is_err());
        assert!(toml(format!("a = {}", "[".repeat(100_000)).as_bytes()).is_err());
        assert!(yaml("[".repeat(100_000).as_bytes()).is_err());
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned()
            + &(0..20).map(|i| format!("k{i}: &k{i} [*a,*a,*a,*a,*a,*a,*a,*a]\n")).collect::<String>()
            + "z: [*k19,*k19,*k19,*k19]\n";
        _ = yaml(bomb.as_bytes());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(contents: Vec<u8>, text in r#"[-\[\]{}:,"'&*/ \na=.#]{0,40}"#) {
            for bytes in [&contents[..], text.as_bytes()] {
                _ = json(bytes);
                _ = relaxed_json(bytes);
                _ = toml(bytes);
                _ = yaml(bytes);
            }
        }

        #[test]
        fn strict_json_stays_as_it_is(text in r#"(\{"a":\[1,"\\\\b//,",2\]\}|\[[0-9,"]{0,6}\])"#) {
            if let Ok(tree) = json(text.as_bytes()) {
                proptest::prop_assert_eq!(relaxed_json(text.as_bytes()), Ok(tree));
            }
        }
    }
}
