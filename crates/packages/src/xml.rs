//! Walks an XML document, element by element: what a manifest in XML needs, and no more.
//!
//! No entity but the five predefined ones and character references is resolved, so a document cannot grow.
//! (<https://www.w3.org/TR/xml/>)

use std::borrow::Cow;

use quick_xml::{
    Reader,
    escape::resolve_predefined_entity,
    events::{BytesStart, Event},
};

/// How deep elements may be nested. Real documents go ten deep.
const MAX_DEPTH: usize = 100;

/// An element, at its end.
pub(crate) struct Element<'a> {
    /// The names of the elements from the root to this one, without prefixes: `project/parent/version`.
    pub(crate) path: &'a str,
    /// Its own text, trimmed.
    pub(crate) text: &'a str,
    attributes: &'a [(String, String)],
}

impl Element<'_> {
    /// An attribute.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// The document is not what its format says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum XmlError {
    #[error("not XML")]
    Malformed(#[source] Box<quick_xml::Error>),
    #[error("elements nested more than {MAX_DEPTH} deep")]
    TooDeep,
    #[error("no end of {0} elements")]
    Open(usize),
}

/// An element that is open.
struct Open {
    /// Length of its parent's path.
    parent: usize,
    text: String,
    attributes: Vec<(String, String)>,
}

/// Calls `on` for each element of `contents`, inner ones before outer ones.
///
/// # Errors
/// When the document breaks off or is damaged; what came before was handed on.
pub(crate) fn elements(contents: &[u8], on: &mut dyn FnMut(&Element<'_>)) -> Result<(), XmlError> {
    let document = decode(contents);
    let mut reader = Reader::from_str(&document);
    reader.config_mut().allow_dangling_amp = true;
    reader.config_mut().expand_empty_elements = true;
    let mut path = String::new();
    let mut open: Vec<Open> = Vec::new();
    loop {
        let event = reader.read_event().map_err(|error| XmlError::Malformed(Box::new(error)))?;
        match event {
            Event::Start(start) => {
                if open.len() >= MAX_DEPTH {
                    return Err(XmlError::TooDeep);
                }
                open.push(Open { parent: path.len(), text: String::new(), attributes: attributes(&start) });
                if !path.is_empty() {
                    path.push('/');
                }
                path.push_str(start.local_name().into_inner());
            }
            Event::End(_) => {
                let Some(Open { parent, text, attributes }) = open.pop() else { continue };
                on(&Element { path: &path, text: text.trim(), attributes: &attributes });
                path.truncate(parent);
            }
            Event::Text(text) => push(&mut open, &text),
            Event::CData(text) => push(&mut open, &text),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(character)) => push(&mut open, character.encode_utf8(&mut [0; 4])),
                _ => push(&mut open, resolve_predefined_entity(&reference).unwrap_or_default()),
            },
            Event::Eof if open.is_empty() => return Ok(()),
            Event::Eof => return Err(XmlError::Open(open.len())),
            _ => {}
        }
    }
}

fn push(open: &mut [Open], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn attributes(start: &BytesStart<'_>) -> Vec<(String, String)> {
    let mut attributes = start.attributes();
    let attributes = attributes.with_checks(false).filter_map(Result::ok);
    attributes
        .map(|attribute| {
            let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0);
            let value = value.unwrap_or_else(|_error| attribute.value.clone());
            (attribute.key.local_name().into_inner().to_owned(), value.trim().to_owned())
        })
        .collect()
}

/// A document as text: UTF-8, or UTF-16 with its mark, as tools on Windows write it.
fn decode(contents: &[u8]) -> Cow<'_, str> {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|pair| unit(*pair)).collect();
        Cow::Owned(String::from_utf16_lossy(&units))
    };
    match contents {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        other => String::from_utf8_lossy(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(contents: &[u8]) -> (Vec<String>, Option<String>) {
        let mut seen = Vec::new();
        let result = elements(contents, &mut |element| {
            seen.push(format!("{}={}{:?}", element.path, element.text, element.attribute("v")));
        });
        (seen, result.err().map(|error| error.to_string()))
    }

    #[test]
    fn elements_come_with_their_path_text_and_attributes() {
        let text = "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x 'y'>]><a><x:b v='1 &amp; 2'> t &lt;&#x41;<![CDATA[<]]>\
                    <!-- c --> </x:b><c/>&x;</a>";
        let expected = ["a/b=t <A<Some(\"1 & 2\")", "a/c=None", "a=None"];
        assert_eq!(read(text.as_bytes()), (expected.map(str::to_owned).to_vec(), None));
        let wide: Vec<u8> =
            [0xff, 0xfe].into_iter().chain("<a>é</a>".encode_utf16().flat_map(u16::to_le_bytes)).collect();
        assert_eq!(read(&wide).0, ["a=éNone"]);
    }

    #[test]
    fn what_came_before_a_fault_is_kept() {
        let (seen, error) = read(b"<a><b>1</b><c>");
        assert_eq!(seen, ["a/b=1None"]);
        assert_eq!(error.as_deref(), Some("no end of 2 elements"));
        let (_, error) = read("<a>".repeat(200).as_bytes());
        assert_eq!(error.as_deref(), Some("elements nested more than 100 deep"));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(contents: Vec<u8>, text in "(<[a/!?&;\\[\\]]{0,3}>?|&#?x?[0-9g]{0,9};?|v='?|-){0,20}") {
            let _read = read(&contents);
            let _read = read(text.as_bytes());
        }
    }
}
