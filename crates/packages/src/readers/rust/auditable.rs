//! The list that cargo-auditable writes.
//!
//! Format: <https://github.com/rust-secure-code/cargo-auditable/blob/master/cargo-auditable.schema.json>.

use flate2::{Decompress, FlushDecompress, Status};

use crate::{
    lockfile::{Listing, Origin},
    tree::{self, Node},
};

/// Longest list, unpacked. That of a program of five hundred crates has fifty kilobytes.
const MAX_LIST: usize = 8 << 20;

/// What zlib's data begins with, for the window that every packer uses.
const ZLIB: u8 = 0x78;

/// How a list may begin.
const BEGINS: [&[u8]; 2] = [b"{\"packages\":[", b"{\"format\":"];

/// Looks for a list, and unpacks it as it arrives.
pub(super) struct List {
    unpacker: Decompress,
    state: State,
}

enum State {
    Sought,
    Open(Vec<u8>),
    Whole(Vec<u8>),
    /// It cannot be unpacked, or claims more than a list may have.
    Broken,
}

impl List {
    pub(super) fn new() -> Self {
        Self { unpacker: Decompress::new(true), state: State::Sought }
    }

    /// Whether there is nothing left to look for.
    pub(super) const fn is_whole(&self) -> bool {
        matches!(self.state, State::Whole(_))
    }

    /// Looks at the first `places` of `bytes`, all of which have arrived; what follows comes through [`Self::go_on`].
    pub(super) fn look(&mut self, bytes: &[u8], places: usize) {
        if !matches!(self.state, State::Sought) {
            return;
        }
        for at in memchr::memchr_iter(ZLIB, bytes.get(..places).unwrap_or_default()) {
            let packed = bytes.get(at..).unwrap_or_default();
            if self.begins(packed) {
                self.unpacker.reset(true);
                self.state = State::Open(Vec::new());
                self.go_on(packed);
                return;
            }
        }
    }

    /// Whether a list is packed here.
    fn begins(&mut self, packed: &[u8]) -> bool {
        let [first, second, block, ..] = *packed else { return false };
        // The header's own check, no dictionary, and a kind of block that exists.
        let is_header = u16::from_be_bytes([first, second]).is_multiple_of(31) && second & 0x20 == 0 && block & 6 != 6;
        if !is_header {
            return false;
        }
        self.unpacker.reset(true);
        let mut text = [0; 16];
        let outcome = self.unpacker.decompress(packed, &mut text, FlushDecompress::None);
        let length = usize::try_from(self.unpacker.total_out()).unwrap_or_default();
        let text = text.get(..length).unwrap_or_default();
        outcome.is_ok() && BEGINS.iter().any(|begin| text.starts_with(begin))
    }

    /// Takes what follows the beginning of a list.
    pub(super) fn go_on(&mut self, mut packed: &[u8]) {
        let State::Open(text) = &mut self.state else { return };
        let mut text = std::mem::take(text);
        self.state = State::Broken;
        loop {
            text.reserve(16 << 10);
            let before = (self.unpacker.total_in(), text.len());
            let outcome = self.unpacker.decompress_vec(packed, &mut text, FlushDecompress::None);
            let taken = usize::try_from(self.unpacker.total_in() - before.0).unwrap_or_default();
            packed = packed.get(taken..).unwrap_or_default();
            match outcome {
                Ok(Status::StreamEnd) => self.state = State::Whole(text),
                Ok(_) if text.len() > MAX_LIST => {}
                Ok(_) if taken > 0 || text.len() > before.1 => continue,
                Ok(_) => self.state = State::Open(text),
                Err(_) => {}
            }
            return;
        }
    }

    /// Adds the crates; false if there is no list that can be read.
    pub(super) fn read(self, listing: &mut Listing<'_>) -> bool {
        let text = match self.state {
            State::Whole(text) => text,
            State::Sought => return false,
            State::Open(_) | State::Broken => {
                listing.gap("the list of crates in it breaks off, or is larger than one can be");
                return false;
            }
        };
        match tree::json(&text) {
            Ok(document) => crates(listing, document.get("packages").items()),
            Err(why) => {
                listing.gap(format!("the list of crates in it is not JSON: {why}"));
                return false;
            }
        }
        true
    }
}

fn crates(listing: &mut Listing<'_>, crates: &[Node]) {
    let name_and_version = |node: &Node| Some(format!("{}@{}", node.text_of("name")?, node.text_of("version")?));
    for node in crates {
        let (Some(name), Some(version)) = (node.text_of("name"), node.text_of("version")) else {
            listing.gap("a crate in the list has no name or no version");
            continue;
        };
        if node.text_of("kind") == Some("build") {
            listing.leave_out("needed for the build alone");
            continue;
        }
        let indexes = node.get("dependencies").texts().filter_map(|index| index.parse::<usize>().ok());
        let needs = indexes.filter_map(|index| name_and_version(crates.get(index)?));
        // The list says no more than which kind of place it was.
        let origin = match node.text_of("source") {
            Some("local") | None => Origin::Local(""),
            Some("git") => Origin::Repository("git"),
            Some("crates.io") => Origin::Registry,
            Some(other) => Origin::OtherRegistry(other),
        };
        listing.add_from(origin, name, version, needs);
    }
}
