//! One 512-byte header block.

use super::Kind;

/// The unit of a tar stream, in bytes.
pub(super) const BLOCK: usize = 512;

/// A header whose checksum is right.
pub(super) struct Header([u8; BLOCK]);

/// What a header announces.
pub(super) enum TypeFlag {
    PaxLocal,
    PaxGlobal,
    GnuLongName,
    GnuLongLink,
    Entry(Kind),
}

impl Header {
    pub(super) fn new(block: [u8; BLOCK]) -> Result<Self, &'static str> {
        let stored = number(&block[148..156]).ok_or("its checksum is not a number")?;
        // The checksum counts its own field as spaces.
        let sum: u32 = block[..148].iter().chain(&block[156..]).map(|&byte| u32::from(byte)).sum::<u32>() + 8 * 32;
        // Some old writers summed signed bytes.
        let signed: i32 =
            block[..148].iter().chain(&block[156..]).map(|&byte| i32::from(byte.cast_signed())).sum::<i32>() + 8 * 32;
        if stored == u64::from(sum) || i64::try_from(stored) == Ok(i64::from(signed)) {
            Ok(Self(block))
        } else {
            Err("its checksum is wrong")
        }
    }

    pub(super) const fn type_flag(&self) -> TypeFlag {
        TypeFlag::Entry(match self.0[156] {
            b'x' => return TypeFlag::PaxLocal,
            b'g' => return TypeFlag::PaxGlobal,
            b'L' => return TypeFlag::GnuLongName,
            b'K' => return TypeFlag::GnuLongLink,
            b'0' | 0 | b'7' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'5' | b'D' => Kind::Directory,
            b'S' => Kind::Sparse,
            b'3' | b'4' | b'6' => Kind::Special,
            // POSIX: an unknown type is to be treated as a regular file.
            _ => Kind::File,
        })
    }

    pub(super) fn size(&self) -> Option<u64> {
        number(&self.0[124..136])
    }

    pub(super) fn mode(&self) -> u32 {
        number(&self.0[100..108]).and_then(|mode| u32::try_from(mode).ok()).unwrap_or(0)
    }

    /// The name, with ustar's prefix before it.
    pub(super) fn path(&self) -> Vec<u8> {
        let name = until_nul(&self.0[..100]);
        // GNU's own format has other fields where ustar has its prefix.
        let prefix = if &self.0[257..263] == b"ustar\0" { until_nul(&self.0[345..500]) } else { &[] };
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    pub(super) fn link(&self) -> Vec<u8> {
        until_nul(&self.0[157..257]).to_vec()
    }

    /// Whether it is a file as tar wrote them before POSIX: a directory is then told by the slash of its name alone.
    pub(super) const fn is_old_file(&self) -> bool {
        self.0[156] == 0
    }

    /// Whether it is a directory of an incremental GNU archive: its body lists the names.
    pub(super) const fn lists_directory(&self) -> bool {
        self.0[156] == b'D'
    }

    /// Whether GNU's old sparse map goes on in the next block.
    pub(super) const fn has_sparse_extension(&self) -> bool {
        self.0[156] == b'S' && self.0[482] != 0
    }
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// A number in octal digits or, with the first bit set, in GNU's base 256.
fn number(field: &[u8]) -> Option<u64> {
    if field.first()? & 0x80 != 0 {
        // Negative or larger than 64 bits: not a size that can be.
        return field.iter().skip(1).try_fold(u64::from(field[0] & 0x7f), |value, &byte| {
            (value >> 56 == 0).then_some(value << 8 | u64::from(byte))
        });
    }
    let digits =
        field.iter().skip_while(|&&byte| byte == b' ' || byte == 0).take_while(|&&byte| byte != 0 && byte != b' ');
    digits.copied().try_fold(0_u64, |value, digit| match digit {
        b'0'..=b'7' if value >> 61 == 0 => Some(value << 3 | u64::from(digit - b'0')),
        _ => None,
    })
}
