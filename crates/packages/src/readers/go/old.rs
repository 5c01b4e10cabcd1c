//! What Go 1.17 and older left in a program: the list of modules and the toolchain's version lie among its constants, and
//! the header holds pointers to them.
//!
//! A pointer may lead to what has streamed by, so none is followed. The list stands between two marks that Go has never
//! changed (<https://github.com/golang/go/blob/go1.17/src/cmd/go/internal/modload/build.go>), and the version is a text of
//! its own, which the linker ends with a zero (<https://github.com/golang/go/blob/go1.17/src/cmd/link/internal/ld/data.go>).

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::executable::Window;

/// The marks before and behind the list.
pub(super) const START: [u8; 16] = *b"\x30\x77\xaf\x0c\x92\x74\x08\x02\x41\xe1\xc1\x07\xe6\xd6\x18\xe6";
pub(super) const END: [u8; 16] = *b"\xf9\x32\x43\x31\x86\x18\x20\x72\x00\x82\x42\x10\x41\x16\xd8\xf2";

/// The longest list kept, in bytes. Real ones have some ten thousand.
const MAX_LIST: usize = 1 << 20;

/// The longest version, with the zeros around it.
const LOOK_AHEAD: usize = 32;

static LIST: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(&START));
static LIST_END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(&END));
static VERSION: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\0go1."));

/// What was seen.
pub(super) struct OldStrings {
    window: Window<LOOK_AHEAD>,
    /// The list with its marks, as far as it has come.
    list: Vec<u8>,
    is_whole: bool,
    version: Option<String>,
}

impl OldStrings {
    pub(super) const fn new() -> Self {
        Self { window: Window::new(), list: Vec::new(), is_whole: false, version: None }
    }

    pub(super) fn feed(&mut self, piece: &[u8]) {
        let Self { window, list, is_whole, version } = self;
        go_on(list, is_whole, piece);
        window.feed(piece, |bytes, places| look(bytes, places, (list, is_whole), version));
    }

    /// The version, and the list with its marks.
    pub(super) fn finish(mut self) -> (Option<String>, Option<Vec<u8>>) {
        let Self { window, list, is_whole, version } = &mut self;
        window.finish(|bytes, places| look(bytes, places, (list, is_whole), version));
        (self.version, self.is_whole.then_some(self.list))
    }
}

/// Adds to a list that has begun.
fn go_on(list: &mut Vec<u8>, is_whole: &mut bool, piece: &[u8]) {
    if list.is_empty() || *is_whole {
        return;
    }
    // The end may lie across the seam.
    let from = list.len().saturating_sub(END.len() - 1).max(START.len());
    list.extend_from_slice(piece);
    let end = LIST_END.find(list.get(from..).unwrap_or_default()).map(|at| from + at + END.len());
    match end {
        Some(end) if end <= MAX_LIST => {
            list.truncate(end);
            *is_whole = true;
        }
        // No list: the mark stands there for another reason.
        Some(_) => *list = Vec::new(),
        None if list.len() > MAX_LIST => *list = Vec::new(),
        None => {}
    }
}

/// Looks at the first `places` of `bytes`.
fn look(bytes: &[u8], places: usize, (list, is_whole): (&mut Vec<u8>, &mut bool), version: &mut Option<String>) {
    let view = |length: usize| bytes.get(..bytes.len().min(places + length - 1)).unwrap_or_default();
    if list.is_empty()
        && !*is_whole
        && let Some(at) = LIST.find(view(START.len()))
        && let Some(rest) = bytes.get(at..)
    {
        let (start, rest) = rest.split_at(START.len());
        list.extend_from_slice(start);
        go_on(list, is_whole, rest);
    }
    if version.is_none() {
        let found = VERSION.find_iter(view(VERSION.needle().len()));
        *version = found.filter_map(|at| version_of(bytes.get(at + 1..)?)).next();
    }
}

/// `go1.16.15` of `go1.16.15\0…`; only versions that had no newer form of build information.
fn version_of(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().take(LOOK_AHEAD).position(|&byte| byte == 0)?;
    let version = std::str::from_utf8(bytes.get(..end)?).ok()?;
    let minor = version.strip_prefix("go1.")?;
    let digits = minor.find(|character: char| !character.is_ascii_digit()).unwrap_or(minor.len());
    let is_old = minor.get(..digits)?.parse::<u32>().is_ok_and(|minor| minor <= 17);
    let is_plain = minor.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    (is_old && is_plain).then(|| version.to_owned())
}
