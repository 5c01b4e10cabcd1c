//! The header of build information, and the strings behind it.
//!
//! Format: <https://github.com/golang/go/blob/go1.26.0/src/debug/buildinfo/buildinfo.go>.

use super::pointers::Form;

/// What build information starts with.
pub(super) const MAGIC: &[u8] = b"\xff Go buildinf:";

/// Where the linker puts it.
pub(super) const ALIGNMENT: u64 = 16;

/// Length of the header that the magic opens.
pub(super) const HEADER: usize = 32;

/// Flag of the header: the strings follow inline.
pub(super) const INLINE: u8 = 2;

/// Longest version and list of modules taken, in bytes. Real ones have fewer than 100, and some hundred thousand.
const MAX_VERSION: usize = 1 << 10;
const MAX_MODULES: usize = 16 << 20;

/// What bytes that start with the magic are.
pub(super) enum Parsed<'a> {
    /// Build information of Go 1.18 or newer.
    Strings {
        /// The toolchain: `go1.21.5`.
        version: &'a str,
        /// The list of modules, with the marks around it.
        modules: &'a [u8],
    },
    /// Build information of Go 1.17 or older: two pointers into the loaded program.
    Pointers(Form),
    /// More bytes are needed.
    Short,
    /// The magic stands there by chance: in a program that looks for it, such as `go` or a scanner.
    Nothing,
}

/// Reads what `bytes` start with. Takes constant time but for the version, which is short.
pub(super) fn parse(bytes: &[u8]) -> Parsed<'_> {
    let Some((header, rest)) = bytes.split_at_checked(HEADER) else { return Parsed::Short };
    let (Some(&pointer_size), Some(&flags)) = (header.get(MAGIC.len()), header.get(MAGIC.len() + 1)) else {
        return Parsed::Short;
    };
    if flags & INLINE == 0 {
        let has_pointers = header.iter().skip(MAGIC.len() + 2).any(|&byte| byte != 0);
        return if matches!(pointer_size, 4 | 8) && flags <= 1 && has_pointers {
            Parsed::Pointers(Form { width: usize::from(pointer_size), is_big_endian: flags == 1 })
        } else {
            Parsed::Nothing
        };
    }
    let (version, rest) = match take_string(rest, MAX_VERSION) {
        Taken::String(version, rest) => (version, rest),
        Taken::Short => return Parsed::Short,
        Taken::TooLong => return Parsed::Nothing,
    };
    let is_version = version.starts_with(b"go1") || version.starts_with(b"devel");
    let Some(version) = std::str::from_utf8(version).ok().filter(|_| is_version) else { return Parsed::Nothing };
    match take_string(rest, MAX_MODULES) {
        Taken::String(modules, _) => Parsed::Strings { version, modules },
        Taken::Short => Parsed::Short,
        Taken::TooLong => Parsed::Nothing,
    }
}

enum Taken<'a> {
    /// The string, and what follows it.
    String(&'a [u8], &'a [u8]),
    Short,
    TooLong,
}

/// Takes a string with its length before it, as a varint.
fn take_string(bytes: &[u8], limit: usize) -> Taken<'_> {
    let mut length = 0_usize;
    for (index, &byte) in bytes.iter().enumerate().take(4) {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let split = bytes.get(index + 1..).and_then(|rest| rest.split_at_checked(length));
            return match split {
                _ if length > limit => Taken::TooLong,
                Some((string, rest)) => Taken::String(string, rest),
                None => Taken::Short,
            };
        }
    }
    if bytes.len() < 4 { Taken::Short } else { Taken::TooLong }
}
