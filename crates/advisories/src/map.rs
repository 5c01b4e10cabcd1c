//! A file's bytes, mapped into memory. The one place of this crate with `unsafe`.

use std::{fs::File, io, ops::Deref, path::Path};

/// The bytes of a database: mapped from a file, or compiled into the program.
pub(crate) enum Bytes {
    Mapped(memmap2::Mmap),
    Owned(Vec<u8>),
}

impl Bytes {
    pub(crate) fn map(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        #[allow(unsafe_code, reason = "memory-mapping a file has no safe form")]
        // SAFETY: The map is read-only. A database is never changed in place: builder and updater write a new file
        // and rename it over the old name, which leaves the mapped inode as it is. If some other program writes into
        // or truncates the file all the same, a changed page fails its digest; a page that was checked before the
        // change is trusted, and a truncated one raises SIGBUS, which ends the process: never a pass.
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(Self::Mapped(map))
    }

    /// Gives back the memory of pages that were read; they are read anew when they are needed.
    pub(crate) fn rest(&self) {
        let Self::Mapped(map) = self else { return };
        #[allow(unsafe_code, reason = "advice that can lose what was written has no safe form")]
        // SAFETY: The map is read-only, so that there is nothing to lose: its pages hold what the file does, before and
        // after.
        let outcome = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        // Advice that is not taken changes no answer.
        drop(outcome);
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}
