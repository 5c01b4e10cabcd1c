//! What Go 1.17 and older left in a program: the list of modules and the toolchain's version lie among its constants, and
//! the header holds pointers to them.
//!
//! The list stands between two marks that Go has never changed
//! (<https://github.com/golang/go/blob/go1.17/src/cmd/go/internal/modload/build.go>). The version is a text of its own, which
//! the linker ends with a zero (<https://github.com/golang/go/blob/go1.17/src/cmd/link/internal/ld/data.go>), or stands among
//! others, where only its place and its length tell it: see `pointers.rs`.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::{
    header::{self, ALIGNMENT, HEADER, MAGIC, Parsed},
    pointers::Pointers,
};
use crate::executable::Window;

/// The marks before and behind the list.
pub(super) const START: [u8; 16] = *b"\x30\x77\xaf\x0c\x92\x74\x08\x02\x41\xe1\xc1\x07\xe6\xd6\x18\xe6";
pub(super) const END: [u8; 16] = *b"\xf9\x32\x43\x31\x86\x18\x20\x72\x00\x82\x42\x10\x41\x16\xd8\xf2";

/// The longest list kept, in bytes. Real ones have some ten thousand.
const MAX_LIST: usize = 1 << 20;

/// The longest version, with the zero behind it; a header.
const LOOK_AHEAD: usize = HEADER;

static LIST: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(&START));
static LIST_END: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(&END));
static VERSION: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"go1."));
static HEADERS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(MAGIC));

/// What was seen.
pub(super) struct OldStrings {
    window: Window<LOOK_AHEAD>,
    /// The list with its marks, as far as it has come.
    list: Vec<u8>,
    is_whole: bool,
    /// Whether a list began and was given up: too long, or without an end.
    was_cut: bool,
    version: Option<String>,
    pointers: Pointers,
    /// Bytes looked at, and the last of them.
    looked: u64,
    last: u8,
}

/// What was seen in all of a program.
pub(super) struct Seen {
    pub(super) version: Option<String>,
    pub(super) list: List,
}

/// The list of modules.
pub(super) enum List {
    /// With its marks.
    Whole(Vec<u8>),
    /// There is one, and it is not known in full.
    Cut,
    Absent,
}

impl OldStrings {
    pub(super) fn new() -> Self {
        Self {
            window: Window::new(),
            list: Vec::new(),
            is_whole: false,
            was_cut: false,
            version: None,
            pointers: Pointers::default(),
            looked: 0,
            last: 0,
        }
    }

    pub(super) fn feed(&mut self, piece: &[u8]) {
        self.go_on(piece);
        let mut window = std::mem::replace(&mut self.window, Window::new());
        window.feed(piece, |bytes, places| self.look(bytes, places));
        self.window = window;
    }

    /// What there is, at the end.
    pub(super) fn finish(mut self) -> Seen {
        let mut window = std::mem::replace(&mut self.window, Window::new());
        window.finish(|bytes, places| self.look(bytes, places));
        let list = match self.list {
            list if self.is_whole => List::Whole(list),
            list if self.was_cut || !list.is_empty() => List::Cut,
            _ => List::Absent,
        };
        let version = self.pointers.version().and_then(plain_version).or(self.version);
        Seen { version, list }
    }

    /// Adds to a list that has begun.
    fn go_on(&mut self, piece: &[u8]) {
        if self.list.is_empty() || self.is_whole {
            return;
        }
        // The end may lie across the seam.
        let from = self.list.len().saturating_sub(END.len() - 1).max(START.len());
        self.list.extend_from_slice(piece);
        let end = LIST_END.find(self.list.get(from..).unwrap_or_default()).map(|at| from + at + END.len());
        match end {
            Some(end) if end <= MAX_LIST => {
                self.list.truncate(end);
                self.is_whole = true;
            }
            None if self.list.len() <= MAX_LIST => {}
            // Or the mark stands there for another reason: a list that follows may be the real one.
            Some(_) | None => {
                self.list = Vec::new();
                self.was_cut = true;
            }
        }
    }

    /// Looks at the first `places` of `bytes`.
    fn look(&mut self, bytes: &[u8], places: usize) {
        let view = |length: usize| bytes.get(..bytes.len().min(places + length - 1)).unwrap_or_default();
        if self.list.is_empty()
            && !self.is_whole
            && let Some(at) = LIST.find(view(START.len()))
            && let Some(rest) = bytes.get(at..)
        {
            let (start, rest) = rest.split_at(START.len());
            self.list.extend_from_slice(start);
            self.go_on(rest);
        }
        for at in VERSION.find_iter(view(VERSION.needle().len())) {
            let text = bytes.get(at..).unwrap_or_default();
            self.pointers.text(self.looked + at as u64, text);
            let before = at.checked_sub(1).map_or(Some(self.last), |before| bytes.get(before).copied());
            if before == Some(0) && self.version.is_none() {
                self.version = version_of(text);
            }
        }
        let looked = bytes.get(..places).unwrap_or_default();
        self.pointers.head(looked);
        for at in HEADERS.find_iter(view(MAGIC.len())) {
            let (place, header) = (self.looked + at as u64, bytes.get(at..).unwrap_or_default());
            if place.is_multiple_of(ALIGNMENT)
                && let Parsed::Pointers(form) = header::parse(header)
            {
                self.pointers.header(place, form, header);
            }
        }
        self.pointers.feed(looked);
        self.looked += looked.len() as u64;
        self.last = looked.last().copied().unwrap_or(self.last);
    }
}

/// `go1.16.15` of `go1.16.15\0…`; only versions that had no newer form of build information.
fn version_of(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().take(LOOK_AHEAD).position(|&byte| byte == 0)?;
    plain_version(bytes.get(..end)?)
}

fn plain_version(text: &[u8]) -> Option<String> {
    let version = std::str::from_utf8(text).ok()?;
    let minor = version.strip_prefix("go1.")?;
    let digits = minor.find(|character: char| !character.is_ascii_digit()).unwrap_or(minor.len());
    let is_old = minor.get(..digits)?.parse::<u32>().is_ok_and(|minor| minor <= 17);
    let is_plain = minor.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    (is_old && is_plain).then(|| version.to_owned())
}
