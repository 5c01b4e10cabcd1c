//! Rust crates that a program was built from: the list that cargo-auditable puts into it, or traces in its messages.
//!
//! Format: <https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md>: a section `.dep-v0` of JSON,
//! packed by zlib. It is known by how it begins, while the file streams by. A program without one names the crates
//! whose code can panic, by the path of their sources: better than nothing, and said to be partial: such a program stays an unexplained one.

mod auditable;
mod traces;

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Reading};

use crate::{
    PackageReader, Selection, StreamReader,
    executable::{Window, is_executable},
    lockfile::Listing,
};
use auditable::List;
use traces::Traces;

/// Reads lists of crates.
pub(crate) struct Rust;

/// How much is looked at from each place on.
const LOOK_AHEAD: usize = 512;

impl PackageReader for Rust {
    fn name(&self) -> &'static str {
        "rust"
    }

    fn reads(&self) -> &'static str {
        "every ELF, Mach-O and PE executable, by its first bytes"
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let crates = || Crates {
            path: file.path.to_owned(),
            window: Window::new(),
            list: List::new(),
            traces: Traces::default(),
        };
        is_executable(file).then(|| Selection::Stream(Box::new(crates())))
    }

    /// Not called: every file is read in pieces.
    fn read(&self, _: &FileHeader<'_>, _: &[u8]) -> Reading {
        Reading::default()
    }
}

/// Looks for a list, and for traces.
struct Crates {
    path: String,
    window: Window<LOOK_AHEAD>,
    list: List,
    traces: Traces,
}

impl StreamReader for Crates {
    fn feed(&mut self, piece: &[u8]) -> bool {
        let Self { window, list, traces, .. } = self;
        list.go_on(piece);
        window.feed(piece, |bytes, places| {
            list.look(bytes, places);
            traces.look(bytes, places);
        });
        !self.list.is_whole()
    }

    fn finish(self: Box<Self>) -> Reading {
        let Self { path, mut window, mut list, mut traces } = *self;
        window.finish(|bytes, places| {
            list.look(bytes, places);
            traces.look(bytes, places);
        });
        let file = FileHeader { path: &path, size: 0, mode: 0, head: &[] };
        let mut listing = Listing::new(PackageType::Cargo, &file);
        if !list.read(&mut listing) {
            traces.read(&mut listing);
        }
        listing.finish()
    }
}

#[cfg(test)]
mod tests;
