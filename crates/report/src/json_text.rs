//! JSON that is safe to show: what a terminal or a pipeline's log would act on is written as an escape, which every
//! reader of JSON turns back into the same text.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::{ReportError, text::is_invisible};

/// Writes `value` with two spaces of indentation and a newline at the end.
pub(crate) fn write_json<T: Serialize>(value: &T, out: &mut dyn io::Write) -> Result<(), ReportError> {
    let mut buffered = io::BufWriter::with_capacity(64 * 1024, out);
    value
        .serialize(&mut Serializer::with_formatter(&mut buffered, SafeFormatter::default()))
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

/// Two spaces for each level, as `serde_json`'s own formatter writes them; but what stands between two values is
/// written at once, not level by level.
#[derive(Default)]
struct SafeFormatter {
    level: usize,
    has_value: bool,
}

/// A line's end and the indentation of the deepest level that is written at once.
const BETWEEN: &[u8] = b",\n                                                                ";

impl SafeFormatter {
    fn begin<W: ?Sized + io::Write>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.level += 1;
        self.has_value = false;
        writer.write_all(bracket)
    }

    fn end<W: ?Sized + io::Write>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.level -= 1;
        if self.has_value {
            self.line(writer, true)?;
        }
        writer.write_all(bracket)
    }

    /// Begins a line, after a comma unless it is the first of its list.
    fn line<W: ?Sized + io::Write>(&self, writer: &mut W, is_first: bool) -> io::Result<()> {
        let start = usize::from(is_first);
        match BETWEEN.get(start..2 + self.level * 2) {
            Some(between) => writer.write_all(between),
            None => {
                writer.write_all(BETWEEN.get(start..2).unwrap_or_default())?;
                (0..self.level).try_for_each(|_| writer.write_all(b"  "))
            }
        }
    }
}

/// Whether there is nothing but printable ASCII without `#`, as in nearly all text. Without a branch for each byte, many
/// are looked at together; what is left at the end is filled up with spaces for that.
fn is_plain(text: &[u8]) -> bool {
    const TOGETHER: usize = 16;
    let are_plain = |bytes: &[u8; TOGETHER]| {
        bytes.iter().fold(true, |plain, byte| plain & (b' '..=b'~').contains(byte) & (*byte != b'#'))
    };
    let (whole, rest) = text.as_chunks::<TOGETHER>();
    let mut last = [b' '; TOGETHER];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    whole.iter().all(are_plain) && are_plain(&last)
}

impl Formatter for SafeFormatter {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if is_plain(fragment.as_bytes()) {
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

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(writer, b"[")
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"]")
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.line(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(writer, b"{")
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"}")
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.line(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
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

    #[test]
    fn what_is_deep_looks_so_too() {
        let mut value = serde_json::json!([]);
        for level in 0..100 {
            value = serde_json::json!([level, { "in": value }]);
        }
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
