//! Text that several hold and nobody changes.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    fmt::{self, Write as _},
    hash,
    ops::Deref,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

/// A part of a text that is shared: to hold it once more takes no second copy of it.
///
/// The texts of an advisory lie behind one another in one piece of memory, and its findings point there. It reads as a
/// `str`, and is written as one.
#[derive(Clone, Default)]
pub struct Text {
    /// None of an empty text. A pointer to a pointer takes eight bytes less, and reports hold hundreds of thousands.
    whole: Option<Arc<Box<str>>>,
    start: u32,
    /// Where it ends; [`END`] is where the whole does.
    end: u32,
}

/// Stands for the end of a text of any length.
const END: u32 = u32::MAX;

impl Text {
    /// The text.
    #[must_use]
    #[inline]
    pub fn as_str(&self) -> &str {
        let Some(whole) = &self.whole else { return "" };
        let end = if self.end == END { whole.len() } else { self.end as usize };
        whole.get(self.start as usize..end).unwrap_or_default()
    }
}

/// Texts on their way into one piece of memory.
#[derive(Debug, Default)]
pub struct Texts {
    whole: String,
    ends: Vec<u32>,
}

impl Texts {
    /// Makes room for `bytes` of `count` texts.
    pub fn reserve(&mut self, count: usize, bytes: usize) {
        self.whole.reserve(bytes);
        self.ends.reserve(count);
    }

    /// Adds one. One that no longer fits into four gigabytes is empty, so that those after it keep their places.
    pub fn add(&mut self, text: &str) {
        if fits(self.whole.len() + text.len()) {
            self.whole.push_str(text);
        }
        self.end();
    }

    /// Adds what `text` writes, without a text of its own for it.
    pub fn add_display(&mut self, text: &impl fmt::Display) {
        let start = self.whole.len();
        if write!(self.whole, "{text}").is_err() || !fits(self.whole.len()) {
            self.whole.truncate(start);
        }
        self.end();
    }

    fn end(&mut self) {
        // It is known to fit.
        self.ends.push(u32::try_from(self.whole.len()).unwrap_or_default());
    }

    /// All of them, in the order in which they were added.
    pub fn share(self) -> impl Iterator<Item = Text> {
        let whole = Arc::new(self.whole.into_boxed_str());
        let mut start = 0;
        self.ends.into_iter().map(move |end| Text {
            whole: Some(Arc::clone(&whole)),
            start: std::mem::replace(&mut start, end),
            end,
        })
    }
}

/// Whether a text may end there.
fn fits(end: usize) -> bool {
    u32::try_from(end).is_ok_and(|end| end < END)
}

impl Deref for Text {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self { whole: (!text.is_empty()).then(|| Arc::new(text.into_boxed_str())), start: 0, end: END }
    }
}

impl From<&String> for Text {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<&Text> for String {
    fn from(text: &Text) -> Self {
        text.as_str().to_owned()
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.as_str().to_owned()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Eq for Text {}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<String> for Text {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl hash::Hash for Text {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Serialize for Text {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(String::deserialize(deserializer)?.into())
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Text {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        String::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_of_many_is_no_copy() {
        let mut texts = Texts::default();
        ["GHSA-1", "", "a title"].into_iter().for_each(|text| texts.add(text));
        let shared: Vec<Text> = texts.share().collect();
        assert_eq!(shared, ["GHSA-1", "", "a title"]);
        let (first, last) = (&shared[0], shared[2].clone());
        assert!(first.whole.as_ref().zip(last.whole.as_ref()).is_some_and(|(a, b)| Arc::ptr_eq(a, b)));
        assert!(size_of::<Text>() == 16);
        assert!(Text::from("").whole.is_none());
        assert_eq!(first.as_ptr().wrapping_add(6), last.as_ptr());
    }

    proptest! {
        #[test]
        fn texts_come_out_as_they_went_in(texts in prop::collection::vec(".{0,9}", 0..9)) {
            let mut gathered = Texts::default();
            texts.iter().for_each(|text| gathered.add(text));
            let shared: Vec<Text> = gathered.share().collect();
            prop_assert_eq!(&shared, &texts);
            let single: Vec<Text> = texts.iter().map(Text::from).collect();
            prop_assert_eq!(&shared, &single);
            let json = serde_json::to_string(&shared).unwrap();
            prop_assert_eq!(&json, &serde_json::to_string(&texts).unwrap());
            prop_assert_eq!(serde_json::from_str::<Vec<Text>>(&json).unwrap(), shared);
        }
    }
}
