//! JSON that is safe to show: what a terminal or a pipeline's log would act on is written as an escape, which every
//! reader of JSON turns back into the same text.

use std::io;

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, PrettyFormatter, Serializer};

use crate::{ReportError, text::is_invisible};

/// Writes `value` with two spaces of indentation and a newline at the end.
pub(crate) fn write_json<T: Serialize>(value: &T, out: &mut dyn io::Write) -> Result<(), ReportError> {
    let mut buffered = io::BufWriter::with_capacity(64 * 1024, out);
    let formatter = SafeFormatter { pretty: PrettyFormatter::new() };
    value
        .serialize(&mut Serializer::with_formatter(&mut buffered, formatter))
        .map_err(|error| if error.is_io() { ReportError::Write(error.into()) } else { ReportError::Json(error) })?;
    io::Write::write_all(&mut buffered, b"\n")?;
    io::Write::flush(&mut buffered)?;
    Ok(())
}

/// A list that is made while it is written: at no time is more than one entry of it in memory.
pub(crate) struct Each<F>(pub(crate) F);

impl<F, I> Serialize for Each<F>
where
    F: Fn() -> I,
    I: Iterator,
    I::Item: Serialize,
{
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

struct SafeFormatter {
    pretty: PrettyFormatter<'static>,
}

impl Formatter for SafeFormatter {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        // Nearly all text is plain; without a branch for each byte many are looked at together.
        if fragment.bytes().fold(true, |plain, byte| plain & (b' '..=b'~').contains(&byte) & (byte != b'#')) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut written = 0;
        let mut previous = None;
        for (index, character) in fragment.char_indices() {
            // `##[` and `##vso[` are commands to pipelines, wherever they stand in a line of the log.
            let is_command = character == '#' && previous == Some('#');
            previous = Some(character);
            if !is_command && !is_invisible(character) {
                continue;
            }
            writer.write_all(fragment.get(written..index).unwrap_or_default().as_bytes())?;
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            written = index + character.len_utf8();
        }
        writer.write_all(fragment.get(written..).unwrap_or_default().as_bytes())
    }

    fn write_char_escape<W: ?Sized + io::Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        self.pretty.write_char_escape(writer, escape)
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.pretty.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.pretty.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.pretty.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(value: &serde_json::Value) -> String {
        let mut out = Vec::new();
        write_json(value, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn looks_as_serde_writes_it() {
        let value = serde_json::json!({"a": [1, {"b": null}], "c": {}, "d": [], "e": "x\"\\y"});
        assert_eq!(written(&value), format!("{}\n", serde_json::to_string_pretty(&value).unwrap()));
    }

    proptest! {
        #[test]
        fn text_comes_back_and_nothing_invisible_goes_out(text in "(.|\u{1b}|\u{9b}|\u{202e}|\u{e0001}|##|\n|\"|\\\\){0,60}") {
            let json = written(&serde_json::json!({ text.clone(): text.clone() }));
            prop_assert!(!json.trim_end().contains(|c: char| is_invisible(c) && c != '\n'));
            prop_assert!(!json.contains("##"));
            let back: serde_json::Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(back.get(&text).and_then(|value| value.as_str()), Some(text.as_str()));
        }
    }
}
