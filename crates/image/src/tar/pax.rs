//! The records of a pax extended header: `<length> <key>=<value>\n`, the length counting itself.

/// The records that change how the next entry is read.
#[derive(Default)]
pub(super) struct PaxRecords {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link_path: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    /// The name of a sparse file; `path` then holds a made-up one.
    pub(super) sparse_name: Option<Vec<u8>>,
    pub(super) sparse: bool,
}

impl PaxRecords {
    /// Takes the records of one header; what is not a record ends it.
    pub(super) fn parse(&mut self, mut bytes: &[u8]) {
        while let Some((record, rest)) = split_record(bytes) {
            bytes = rest;
            let Some(equals) = memchr(b'=', record) else { continue };
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link_path = Some(value.to_vec()),
                b"size" => self.size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()),
                b"GNU.sparse.name" => self.sparse_name = Some(value.to_vec()),
                key if key.starts_with(b"GNU.sparse.") => self.sparse = true,
                _ => {}
            }
        }
    }
}

fn memchr(needle: u8, haystack: &[u8]) -> Option<usize> {
    haystack.iter().position(|&byte| byte == needle)
}

/// The first record's `key=value`, and what follows it.
fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = memchr(b' ', bytes.get(..20.min(bytes.len()))?)?;
    let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    Some((record, &bytes[length..]))
}
