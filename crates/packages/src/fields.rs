//! Records of `Name: value` lines, as dpkg and Python's metadata write them.
//!
//! Format: <https://www.debian.org/doc/debian-policy/ch-controlfields.html#syntax-of-control-files>. [`fields`] gives the
//! first line of each value, which is all of most; [`folded`] gives one value with the lines that go on with it.

use std::borrow::Cow;

/// The records of `contents`: runs of lines between blank lines.
pub(crate) fn records(contents: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = contents;
    std::iter::from_fn(move || {
        loop {
            let (line, after) = split_line(rest)?;
            if !is_blank(line) {
                break;
            }
            rest = after;
        }
        let start = rest;
        let mut length = 0;
        while let Some((line, after)) = split_line(rest) {
            if is_blank(line) {
                break;
            }
            length += rest.len() - after.len();
            rest = after;
        }
        start.get(..length)
    })
}

/// The fields of a record, in order. Lines that go on with a value, and lines that are no field, are left out.
pub(crate) fn fields(record: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    lines(record).filter(|line| !line.starts_with(b" ") && !line.starts_with(b"\t")).filter_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        Some((line.get(..colon)?, line.get(colon + 1..)?.trim_ascii()))
    })
}

/// The value of the first field `name` of a record, its lines joined by blanks; none where the record has no such field.
pub(crate) fn folded(record: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let mut lines = lines(record);
    let begins = |line: &[u8]| {
        let value = line.strip_prefix(name)?.strip_prefix(b":")?;
        Some(value.trim_ascii().to_vec())
    };
    let mut value = lines.find_map(begins)?;
    for line in lines.take_while(|line| line.starts_with(b" ") || line.starts_with(b"\t")) {
        value.push(b' ');
        value.extend_from_slice(line.trim_ascii());
    }
    Some(value)
}

/// The lines of `contents`, without what ends them.
pub(crate) fn lines(contents: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = contents;
    std::iter::from_fn(move || {
        let (line, after) = split_line(rest)?;
        rest = after;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    })
}

/// Bytes as text; what is not UTF-8 is shown as such.
pub(crate) fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// A file that people write, by the mark that it may begin with, as pip does: PowerShell's `>` writes UTF-16. None if it is
/// no text.
pub(crate) fn decode(contents: &[u8]) -> Option<Cow<'_, str>> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        char::decode_utf16(units).map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>()
    };
    let text = match contents {
        [0xff, 0xfe, rest @ ..] => Cow::Owned(utf16(rest, u16::from_le_bytes)),
        [0xfe, 0xff, rest @ ..] => Cow::Owned(utf16(rest, u16::from_be_bytes)),
        [0xef, 0xbb, 0xbf, rest @ ..] | rest => String::from_utf8_lossy(rest),
    };
    (!text.contains('\0')).then_some(text)
}

fn split_line(contents: &[u8]) -> Option<(&[u8], &[u8])> {
    if contents.is_empty() {
        return None;
    }
    match memchr::memchr(b'\n', contents) {
        Some(end) => Some((contents.get(..end)?, contents.get(end + 1..)?)),
        None => Some((contents, &[])),
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_split_at_blank_lines_and_continuations_left_out() {
        let contents = b"\n\nA: 1\r\nB:2\n  more: x\n\tmore: y\n \t\n\nnonsense\nC: a:b";
        let read: Vec<Vec<_>> =
            records(contents).map(|record| fields(record).map(|(k, v)| (text(k), text(v))).collect()).collect();
        assert_eq!(read, [vec![("A".into(), "1".into()), ("B".into(), "2".into())], vec![("C".into(), "a:b".into())]]);
    }

    #[test]
    fn the_lines_that_go_on_with_a_value_are_joined() {
        let record = b"A: 1\n B: no\nB: 2 |\r\n  3\n\t4\nC:\n 5\nB: 6\n 7";
        let value = |name: &[u8]| folded(record, name).map(|value| text(&value).into_owned());
        let expected = [(&b"A"[..], Some("1 B: no")), (b"B", Some("2 | 3 4")), (b"C", Some(" 5")), (b"D", None)];
        for (name, expected) in expected {
            assert_eq!(value(name).as_deref(), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_line_is_lost(contents: Vec<u8>) {
            let kept: usize = records(&contents).map(<[u8]>::len).sum();
            let solid = |lines: &mut dyn Iterator<Item = &[u8]>| lines.filter(|line| !is_blank(line)).count();
            let in_records: usize = records(&contents).map(|record| solid(&mut lines(record))).sum();
            proptest::prop_assert_eq!(in_records, solid(&mut lines(&contents)));
            proptest::prop_assert!(kept <= contents.len());
        }
    }
}
