//! Paths of untrusted archives, made safe.

/// Why a path was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsafePath {
    /// It has a `..` part: it could leave the root.
    #[error("the path has a `..` part")]
    Parent,
    /// It is longer than any file system allows.
    #[error("the path is longer than 4096 bytes")]
    TooLong,
    /// It has a NUL byte.
    #[error("the path has a NUL byte")]
    Nul,
}

/// Longest path taken, in bytes: Linux's `PATH_MAX`.
const MAX_PATH: usize = 4096;

/// Cleans `raw` into a path relative to the root: no leading slash, no `.` or empty parts. Bytes that are not UTF-8
/// are written as `\xNN`, so that the same file always has the same name.
///
/// # Errors
/// When the path could lead out of the root, or could not exist.
pub fn clean_path(raw: &[u8], out: &mut String) -> Result<(), UnsafePath> {
    out.clear();
    if raw.len() > MAX_PATH {
        return Err(UnsafePath::TooLong);
    }
    if memchr::memchr(0, raw).is_some() {
        return Err(UnsafePath::Nul);
    }
    for part in raw.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => continue,
            b".." => {
                out.clear();
                return Err(UnsafePath::Parent);
            }
            _ => {}
        }
        if !out.is_empty() {
            out.push('/');
        }
        for chunk in part.utf8_chunks() {
            out.push_str(chunk.valid());
            for byte in chunk.invalid() {
                use std::fmt::Write as _;
                // Writing to a String cannot fail.
                _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleans_and_refuses() {
        let mut out = String::new();
        for (raw, clean) in [
            (&b"./usr//bin/./env"[..], "usr/bin/env"),
            (b"/etc/passwd", "etc/passwd"),
            (b"a/\xff\xfeb", "a/\\xff\\xfeb"),
            (b"./", ""),
            (b"a/..b", "a/..b"),
        ] {
            clean_path(raw, &mut out).unwrap();
            assert_eq!(out, clean);
        }
        assert_eq!(clean_path(b"a/../../etc", &mut out), Err(UnsafePath::Parent));
        assert_eq!(clean_path(&[b'a'; 5000], &mut out), Err(UnsafePath::TooLong));
        assert_eq!(clean_path(b"a\0b", &mut out), Err(UnsafePath::Nul));
    }
}
