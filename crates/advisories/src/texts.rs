//! Unpacking the compressed texts: a block holds those of neighbours, so that the last ones are kept.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use portcullis_model::LookupError;
use zstd::bulk::Decompressor;

use crate::{
    format::Section,
    pages::{Pages, u64_at},
};

/// Largest text frame taken, in bytes: one record's text may be larger than a block.
const MAX_TEXT: usize = 64 * 1024 * 1024;

/// Bytes of unpacked text kept: packages are asked in the order in which their texts lie, so that few are enough.
const CACHED: usize = 1024 * 1024;

/// Where a text is.
#[derive(Clone, Copy)]
pub(crate) struct TextPlace {
    pub(crate) block: u64,
    pub(crate) start: u64,
    pub(crate) length: u64,
}

/// What was unpacked of a database.
#[derive(Default)]
pub(crate) struct Texts(Mutex<Unpacked>);

#[derive(Default)]
struct Unpacked {
    /// Those that nobody uses at the moment. One is made when there is none: it holds the dictionary.
    decompressors: Vec<Decompressor<'static>>,
    blocks: HashMap<u64, Arc<Vec<u8>>>,
    bytes: usize,
}

impl Texts {
    /// Runs `read` over a text.
    pub(crate) fn read<T>(
        &self,
        pages: &Pages,
        place: TextPlace,
        read: impl FnOnce(&[u8]) -> Result<T, LookupError>,
    ) -> Result<T, LookupError> {
        let text = self.block(pages, place.block)?;
        let range = |start: u64, length: u64| {
            let start = usize::try_from(start).ok()?;
            text.get(start..start.checked_add(usize::try_from(length).ok()?)?)
        };
        let text = range(place.start, place.length);
        read(text.ok_or_else(|| LookupError("a text lies outside of its block".into()))?)
    }

    fn block(&self, pages: &Pages, block: u64) -> Result<Arc<Vec<u8>>, LookupError> {
        let mut unpacked = self.unpacked();
        if let Some(text) = unpacked.blocks.get(&block) {
            return Ok(Arc::clone(text));
        }
        let idle = unpacked.decompressors.pop();
        // Others need not wait while this block is unpacked.
        drop(unpacked);
        let frame = frame(pages, block)?;
        let failed = |error: std::io::Error| LookupError(format!("a text block cannot be unpacked: {error}"));
        let mut decompressor = match idle {
            Some(decompressor) => decompressor,
            None => {
                let dictionary = pages.get(Section::Dictionary, 0, pages.length(Section::Dictionary))?;
                Decompressor::with_dictionary(dictionary).map_err(failed)?
            }
        };
        let capacity = Decompressor::upper_bound(frame).unwrap_or(MAX_TEXT).min(MAX_TEXT);
        let text = Arc::new(decompressor.decompress(frame, capacity).map_err(failed)?);
        let mut unpacked = self.unpacked();
        unpacked.decompressors.push(decompressor);
        unpacked.keep(block, &text);
        Ok(text)
    }

    fn unpacked(&self) -> MutexGuard<'_, Unpacked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unpacked {
    /// Keeps a block; all others are forgotten where there would be too many.
    fn keep(&mut self, block: u64, text: &Arc<Vec<u8>>) {
        if self.bytes + text.len() > CACHED {
            self.blocks.clear();
            self.bytes = 0;
        }
        if self.blocks.insert(block, Arc::clone(text)).is_none() {
            self.bytes += text.len();
        }
    }
}

/// The number of the first block of long texts.
pub(crate) fn first_long_block(pages: &Pages) -> Result<u64, LookupError> {
    Ok(u64_at(pages.get(Section::TextOffsets, 0, 8)?, 0).unwrap_or_default())
}

fn frame(pages: &Pages, block: u64) -> Result<&[u8], LookupError> {
    let at = usize::try_from(block).ok().and_then(|block| block.checked_mul(8)?.checked_add(8));
    let offsets = pages.get(Section::TextOffsets, at.unwrap_or(usize::MAX), 16)?;
    let number = |at| u64_at(offsets, at).and_then(|value| usize::try_from(value).ok()).unwrap_or(usize::MAX);
    let length = number(8).checked_sub(number(0)).ok_or_else(|| LookupError("text blocks are not in order".into()))?;
    pages.get(Section::TextBlocks, number(0), length)
}
