//! The records of a ZIP file: what stands before an entry's data, and the directory at the end.
//!
//! Format: <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>, 4.3.7 to 4.3.16 and 4.5.3.

/// Entries are not compressed.
pub(super) const STORED: u16 = 0;

/// Entries are compressed by DEFLATE.
pub(super) const DEFLATED: u16 = 8;

/// What stands in place of a size that needs 64 bits, or is not known yet.
const ELSEWHERE: u32 = u32::MAX;

/// What bytes are that should begin a record.
pub(super) enum Parsed<'a> {
    /// So many bytes are needed to tell.
    Short(usize),
    /// An entry: data of it follows.
    Local(Local<'a>, usize),
    /// A line of the directory.
    Central(Central<'a>, usize),
    /// The directory's end, with so many bytes of comment behind it.
    End(usize, usize),
    /// A record that says nothing here, of so many bytes.
    Other(u64),
    /// No record.
    Nothing,
}

/// A local header.
pub(super) struct Local<'a> {
    pub(super) name: &'a [u8],
    pub(super) method: u16,
    pub(super) is_encrypted: bool,
    /// Whether the sizes follow the data.
    pub(super) has_descriptor: bool,
    /// Bytes of data, compressed; 0 where the descriptor has it.
    pub(super) compressed: u64,
}

/// A line of the directory.
pub(super) struct Central<'a> {
    pub(super) name: &'a [u8],
    pub(super) compressed: u64,
}

/// Reads what `bytes` begin with.
pub(super) fn parse(bytes: &[u8]) -> Parsed<'_> {
    let Some(signature) = bytes.first_chunk::<4>() else { return Parsed::Short(4) };
    match signature {
        b"PK\x03\x04" => local(bytes),
        b"PK\x01\x02" => central(bytes),
        b"PK\x05\x06" => match u16_at(bytes, 20) {
            Some(comment) => Parsed::End(22, usize::from(comment)),
            None => Parsed::Short(22),
        },
        // The end of the directory in 64 bits, and its locator.
        b"PK\x06\x06" => match u64_at(bytes, 4) {
            Some(rest) => Parsed::Other(rest.saturating_add(12)),
            None => Parsed::Short(12),
        },
        b"PK\x06\x07" => Parsed::Other(20),
        // Archive extra data, and a signature of the directory.
        b"PK\x06\x08" => match u32_at(bytes, 4) {
            Some(rest) => Parsed::Other(u64::from(rest) + 8),
            None => Parsed::Short(8),
        },
        b"PK\x05\x05" => match u16_at(bytes, 4) {
            Some(rest) => Parsed::Other(u64::from(rest) + 6),
            None => Parsed::Short(6),
        },
        _ => Parsed::Nothing,
    }
}

fn local(bytes: &[u8]) -> Parsed<'_> {
    const FIXED: usize = 30;
    let fields = || {
        let flags = u16_at(bytes, 6)?;
        Some((u16_at(bytes, 4)?, flags, u16_at(bytes, 8)?, u32_at(bytes, 18)?, u32_at(bytes, 22)?))
    };
    let lengths = || Some((usize::from(u16_at(bytes, 26)?), usize::from(u16_at(bytes, 28)?)));
    let (Some((version, flags, method, compressed, size)), Some((name, extra))) = (fields(), lengths()) else {
        return Parsed::Short(FIXED);
    };
    // What is found by its four bytes alone may stand there by chance.
    if version & 0xff > 100 || name == 0 || !matches!(method, 0..=20 | 92..=99) {
        return Parsed::Nothing;
    }
    let length = FIXED + name + extra;
    let (Some(name_bytes), Some(extra)) = (bytes.get(FIXED..FIXED + name), bytes.get(FIXED + name..length)) else {
        return Parsed::Short(length);
    };
    let compressed = if compressed == ELSEWHERE {
        wide(extra, usize::from(size == ELSEWHERE)).unwrap_or(u64::from(compressed))
    } else {
        u64::from(compressed)
    };
    let header = Local {
        name: name_bytes,
        method,
        is_encrypted: flags & 0x2041 != 0,
        has_descriptor: flags & 8 != 0,
        compressed,
    };
    Parsed::Local(header, length)
}

fn central(bytes: &[u8]) -> Parsed<'_> {
    const FIXED: usize = 46;
    let fields = || {
        let lengths = [u16_at(bytes, 28)?, u16_at(bytes, 30)?, u16_at(bytes, 32)?].map(usize::from);
        Some((u32_at(bytes, 20)?, u32_at(bytes, 24)?, lengths))
    };
    let Some((compressed, size, [name, extra, comment])) = fields() else { return Parsed::Short(FIXED) };
    if bytes.len() < FIXED {
        return Parsed::Short(FIXED);
    }
    let length = FIXED + name + extra + comment;
    let (Some(name_bytes), Some(extra)) =
        (bytes.get(FIXED..FIXED + name), bytes.get(FIXED + name..FIXED + name + extra))
    else {
        return Parsed::Short(length);
    };
    if bytes.len() < length {
        return Parsed::Short(length);
    }
    let compressed = if compressed == ELSEWHERE {
        wide(extra, usize::from(size == ELSEWHERE)).unwrap_or(u64::from(compressed))
    } else {
        u64::from(compressed)
    };
    Parsed::Central(Central { name: name_bytes, compressed }, length)
}

/// The `index`th number of the extra field that has sizes in 64 bits.
fn wide(mut extra: &[u8], index: usize) -> Option<u64> {
    loop {
        let (id, length) = (u16_at(extra, 0)?, usize::from(u16_at(extra, 2)?));
        let data = extra.get(4..4 + length)?;
        if id == 1 {
            return u64_at(data, 8 * index);
        }
        extra = extra.get(4 + length..)?;
    }
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
