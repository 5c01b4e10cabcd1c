//! Entries of a tar stream as bytes, right or wrong as the test wants them.
//!
//! Format: <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html>, and GNU's
//! <https://www.gnu.org/software/tar/manual/html_node/Standard.html>

/// The unit of a tar stream, in bytes.
pub const BLOCK: usize = 512;

/// The two zero blocks at the end of an archive.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// One header block; the checksum is right.
#[derive(Debug, Clone)]
pub struct Header {
    block: [u8; BLOCK],
}

impl Header {
    /// A ustar header. Names longer than the field are cut: see [`entry`] for what does not cut them.
    #[must_use]
    pub fn new(type_flag: u8, name: &[u8], size: u64) -> Self {
        let mut block = [0; BLOCK];
        let length = name.len().min(100);
        block[..length].copy_from_slice(&name[..length]);
        block[156] = type_flag;
        block[257..265].copy_from_slice(b"ustar\x0000");
        let mut header = Self { block }.mode(0o644);
        // Owner and group: root; modified: at the epoch.
        for start in [108, 116] {
            header.block[start..start + 8].copy_from_slice(b"0000000\0");
        }
        header.block[136..148].copy_from_slice(b"00000000000\0");
        header.size(size)
    }

    /// The permission bits.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.block[100..108].copy_from_slice(format!("{mode:07o}\0").as_bytes());
        self
    }

    /// The size, in octal or, where that is too short, in base 256.
    #[must_use]
    pub fn size(mut self, size: u64) -> Self {
        if size < 1 << 33 {
            self.block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
        } else {
            self.block[124..136].fill(0);
            self.block[124] = 0x80;
            self.block[128..136].copy_from_slice(&size.to_be_bytes());
        }
        self
    }

    /// The target of a link.
    #[must_use]
    pub fn link(mut self, target: &[u8]) -> Self {
        let length = target.len().min(100);
        self.block[157..157 + length].copy_from_slice(&target[..length]);
        self
    }

    /// Any bytes at any place, as another program would write them.
    #[must_use]
    pub fn bytes(mut self, at: usize, bytes: &[u8]) -> Self {
        self.block[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// The block, with its checksum.
    #[must_use]
    pub fn finish(mut self) -> [u8; BLOCK] {
        self.block[148..156].fill(b' ');
        let sum: u32 = self.block.iter().map(|&byte| u32::from(byte)).sum();
        self.block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.block
    }
}

/// An entry with its body, padded; long names and targets go into GNU's extension headers before it.
#[must_use]
pub fn entry(type_flag: u8, name: &[u8], link: &[u8], mode: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (flag, long) in [(b'L', name), (b'K', link)] {
        if long.len() > 100 {
            bytes
                .extend(with_body(Header::new(flag, b"././@LongLink", long.len() as u64 + 1), &[long, b"\0"].concat()));
        }
    }
    let header = Header::new(type_flag, name, body.len() as u64).mode(mode).link(link);
    bytes.extend(with_body(header, body));
    bytes
}

/// A header, a body and its padding.
#[must_use]
pub fn with_body(header: Header, body: &[u8]) -> Vec<u8> {
    let mut bytes = header.finish().to_vec();
    bytes.extend_from_slice(body);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

/// A pax extended header for the next entry.
#[must_use]
pub fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let body: String = records.iter().map(|(key, value)| pax_record(key, value)).collect();
    with_body(Header::new(b'x', b"PaxHeaders/entry", body.len() as u64), body.as_bytes())
}

/// `<length> <key>=<value>\n`, where the length counts itself.
fn pax_record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length.to_string().len() + rest != length {
        length = length.to_string().len() + rest;
    }
    format!("{length} {key}={value}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pax_lengths_count_themselves() {
        for value in ["", "a", &"b".repeat(90), &"c".repeat(93), &"d".repeat(994)] {
            let record = pax_record("path", value);
            let (length, _) = record.split_once(' ').unwrap();
            assert_eq!(length.parse(), Ok(record.len()));
        }
    }
}
