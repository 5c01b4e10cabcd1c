//! Crates by the paths of their sources, which messages of panics hold: `…/registry/src/<index>/<name>-<version>/`.
//!
//! Cargo's store: <https://doc.rust-lang.org/cargo/guide/cargo-home.html>. The folder's name of an index ends with
//! sixteen hexadecimal digits; those of crates.io begin as [`CRATES_IO`] says.

use std::{collections::BTreeSet, sync::LazyLock};

use memchr::memmem::Finder;

use crate::lockfile::{Listing, Origin};

static STORE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"registry/src/"));

/// How the store calls crates.io, by its two protocols.
const CRATES_IO: [&str; 2] = ["index.crates.io-", "github.com-"];

/// Most crates of one program.
const MAX_CRATES: usize = 10_000;

/// What was seen: name, version, and whether crates.io has it.
#[derive(Default)]
pub(super) struct Traces(BTreeSet<(String, String, bool)>);

impl Traces {
    /// Looks at the first `places` of `bytes`.
    pub(super) fn look(&mut self, bytes: &[u8], places: usize) {
        let needle = STORE.needle().len();
        let view = bytes.get(..bytes.len().min(places + needle - 1)).unwrap_or_default();
        for at in STORE.find_iter(view) {
            if self.0.len() >= MAX_CRATES {
                return;
            }
            let path = bytes.get(at + needle..bytes.len().min(at + needle + 300)).unwrap_or_default();
            self.0.extend(crate_of(path));
        }
    }

    /// Adds the crates, if there are any, and says what they are.
    pub(super) fn read(self, listing: &mut Listing<'_>) {
        if self.0.is_empty() {
            return;
        }
        listing.partial(
            "a program of Rust without a list of its crates: those are named whose sources its messages name, and \
             others may be missing. hint: build it with `cargo auditable build`",
        );
        for (name, version, is_of_crates_io) in &self.0 {
            let origin = if *is_of_crates_io { Origin::Registry } else { Origin::OtherRegistry("registry") };
            listing.add_from(origin, name, version, Vec::new());
        }
    }
}

/// `index.crates.io-1949cf8c6b5b557f/serde-1.0.228/`, with whatever follows.
fn crate_of(path: &[u8]) -> Option<(String, String, bool)> {
    let mut parts = path.split(|&byte| byte == b'/' || byte == b'\\');
    let (index, folder) = (parts.next()?, parts.next()?);
    // Without a separator behind it the name is not whole.
    parts.next()?;
    let (index, folder) = (std::str::from_utf8(index).ok()?, std::str::from_utf8(folder).ok()?);
    let (_, digits) = index.rsplit_once('-')?;
    if digits.len() != 16 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let is_name = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    // The version begins at the last `-` before three numbers: `x-1-2.0.0-rc.1`.
    let at = folder.match_indices('-').find(|(at, _)| is_name(&folder[..*at]) && is_version(&folder[at + 1..]))?.0;
    let is_of_crates_io = CRATES_IO.iter().any(|name| index.starts_with(name));
    Some((folder.get(..at)?.to_owned(), folder.get(at + 1..)?.to_owned(), is_of_crates_io))
}

/// Three numbers with dots between, and what may follow them.
fn is_version(text: &str) -> bool {
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    numbers.split('.').count() == 3
        && numbers.split('.').all(is_number)
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.' | b'_'))
}
