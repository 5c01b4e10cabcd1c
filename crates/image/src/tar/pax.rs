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
    pub(super) fn parse(mut bytes: &[u8]) -> Self {
        let mut records = Self::default();
        while let Some((record, rest)) = split_record(bytes) {
            bytes = rest;
            let Some(equals) = memchr(b'=', record) else { continue };
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            // An empty value takes back what an earlier record said.
            let text = (!value.is_empty()).then(|| value.to_vec());
            match key {
                b"path" => records.path = text,
                b"linkpath" => records.link_path = text,
                b"size" => records.size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()),
                key if key.starts_with(b"GNU.sparse.") => {
                    records.sparse = true;
                    if key == b"GNU.sparse.name" {
                        records.sparse_name = text;
                    }
                }
                _ => {}
            }
        }
        records
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
