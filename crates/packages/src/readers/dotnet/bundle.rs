//! Single-file programs: a host with the application's files behind it.
//!
//! Format: <https://github.com/dotnet/designs/blob/main/accepted/2020/single-file/bundler.md> and
//! <https://github.com/dotnet/runtime/blob/v9.0.0/src/installer/managed/Microsoft.NET.HostModel/Bundle/Manifest.cs>. The
//! host has a signature, with the offset of the bundle's header before it, or zero. The header is written last, behind
//! the files, so the list of dependencies has passed by before it is known where it lay: it is known by how it begins.
//! It is never compressed.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use portcullis_filetree::FileHeader;
use portcullis_model::{Reading, Warning};

use crate::StreamReader;

/// SHA-256 of `.net core bundle`.
pub(super) const SIGNATURE: [u8; 32] = [
    0x8b, 0x12, 0x02, 0xb9, 0x6a, 0x61, 0x20, 0x38, 0x72, 0x7b, 0x93, 0x02, 0x14, 0xd7, 0xa0, 0x32, 0x13, 0xf5, 0xb9,
    0xe6, 0xef, 0xae, 0x33, 0x18, 0xee, 0x3b, 0x2d, 0xce, 0x24, 0xb3, 0x6a, 0xae,
];

/// How a list of dependencies begins, but for the brace and the blanks before it.
const BEGINNING: &[u8] = b"\"runtimeTarget\"";

static SIGNATURES: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(&SIGNATURE));
static BEGINNINGS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(BEGINNING));

/// Bytes kept from one piece to the next: a signature, and what stands before it.
const KEPT: usize = 64;

/// Bytes before the beginning of a list in which its brace stands.
const BLANKS: usize = 32;

/// Looks for a bundle's list of dependencies.
pub(super) struct Bundle {
    path: String,
    /// Of the file, in bytes.
    size: u64,
    state: State,
    /// The last bytes that passed by.
    kept: Vec<u8>,
}

enum State {
    /// Looks for the signature.
    Host,
    /// Looks for the list.
    Files,
    List(List),
    /// The host of an application that lies beside it.
    Nothing,
    Done(Box<Reading>),
}

/// The list, as far as it has come.
#[derive(Default)]
struct List {
    json: Vec<u8>,
    depth: usize,
    in_string: bool,
    is_escaped: bool,
}

impl Bundle {
    pub(super) fn new(file: &FileHeader<'_>) -> Self {
        Self { path: file.path.to_owned(), size: file.size, state: State::Host, kept: Vec::new() }
    }

    /// Looks for `finder`'s needle in what is kept and the piece; gives what stands before it, and what begins with it.
    fn find(&mut self, finder: &Finder<'_>, piece: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let before = self.kept.len();
        self.kept.extend(piece.iter().take(KEPT));
        if finder.find(&self.kept).is_none() && finder.find(piece).is_none() {
            if piece.len() >= KEPT {
                self.kept.clear();
                self.kept.extend_from_slice(piece.get(piece.len() - KEPT..)?);
            } else {
                self.kept.drain(..self.kept.len().saturating_sub(KEPT));
            }
            return None;
        }
        // Seldom: once or twice in a program.
        self.kept.truncate(before);
        let mut all = std::mem::take(&mut self.kept);
        all.extend_from_slice(piece);
        let rest = all.split_off(finder.find(&all)?);
        Some((all, rest))
    }

    fn host(&mut self, piece: &[u8]) -> bool {
        let Some((before, rest)) = self.find(&SIGNATURES, piece) else { return true };
        let offset = before.last_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        // What claims a header elsewhere holds the signature for another reason, as readers of bundles do: this one, Syft.
        if !(super::MIN_HOST..self.size).contains(&offset) {
            self.state = State::Nothing;
            return false;
        }
        self.state = State::Files;
        self.feed(rest.get(SIGNATURE.len()..).unwrap_or_default())
    }

    fn files(&mut self, piece: &[u8]) -> bool {
        let mut all = std::mem::take(&mut self.kept);
        all.extend_from_slice(piece);
        let opens = |at: &usize| {
            let before = all.get(at.saturating_sub(BLANKS)..*at).unwrap_or_default();
            before.trim_ascii_end().ends_with(b"{")
        };
        if let Some(at) = BEGINNINGS.find_iter(&all).find(opens) {
            let list = List { json: b"{".to_vec(), depth: 1, ..List::default() };
            self.state = State::List(list);
            return self.feed(all.get(at..).unwrap_or_default());
        }
        all.drain(..all.len().saturating_sub(KEPT));
        self.kept = all;
        true
    }
}

impl List {
    /// Takes bytes up to the list's end; true once it has come.
    fn take(&mut self, piece: &[u8]) -> bool {
        let mut used = 0;
        for &byte in piece {
            used += 1;
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.in_string => self.is_escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            if self.depth == 0 {
                break;
            }
        }
        self.json.extend_from_slice(piece.get(..used).unwrap_or_default());
        self.depth == 0
    }
}

impl StreamReader for Bundle {
    fn feed(&mut self, piece: &[u8]) -> bool {
        match &mut self.state {
            State::Host => self.host(piece),
            State::Files => self.files(piece),
            State::List(list) => {
                let is_end = list.take(piece);
                if is_end {
                    self.state = State::Done(Box::new(super::dependencies(&list.json, &self.path)));
                } else if list.json.len() > super::LIMIT {
                    let what = format!("its list of dependencies has more than {} bytes", super::LIMIT);
                    let warning = Warning::gap(&*self.path, what);
                    self.state = State::Done(Box::new(Reading { warnings: vec![warning], ..Reading::default() }));
                }
                matches!(self.state, State::List(_))
            }
            State::Nothing | State::Done(_) => false,
        }
    }

    fn finish(self: Box<Self>) -> Reading {
        match self.state {
            State::Done(reading) => *reading,
            State::Host | State::Nothing => Reading::default(),
            State::Files | State::List(_) => {
                let what = "a single-file .NET program whose list of dependencies was not found";
                Reading { warnings: vec![Warning::gap(self.path, what)], ..Reading::default() }
            }
        }
    }
}
