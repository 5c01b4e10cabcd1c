//! Texts: gathered into blocks, which every core compresses and which are written in their order.

use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::Scope,
};

/// Blocks on their way through one worker.
const IN_FLIGHT: u64 = 2;

/// Bytes of a dictionary: it is what makes small blocks as small as large ones would be.
const DICTIONARY: usize = 64 * 1024;

/// A dictionary of fewer texts would hold little that others have.
const FEWEST_SAMPLES: usize = 1000;

/// Says where texts of known lengths go: to the current block, or to a new one where that would be too large.
pub(super) struct Places {
    size: usize,
    block: u64,
    used: usize,
}

/// Where a text goes.
pub(super) struct Place {
    pub(super) block: u64,
    pub(super) start: u64,
    /// It is the first of a block that follows another one.
    pub(super) is_new: bool,
}

impl Places {
    pub(super) const fn new(size: usize) -> Self {
        Self { size, block: 0, used: 0 }
    }

    pub(super) const fn next(&mut self, length: usize) -> Place {
        let is_new = self.used > 0 && self.used + length > self.size;
        if is_new {
            self.block += 1;
            self.used = 0;
        }
        let start = self.used as u64;
        self.used += length;
        Place { block: self.block, start, is_new }
    }
}

/// What takes blocks, and what gives their frames.
type Worker = (SyncSender<Vec<u8>>, Receiver<io::Result<Vec<u8>>>);

/// Workers that compress; each block's bytes depend on nothing but the block.
pub(super) struct Compressors {
    workers: Vec<Worker>,
    sent: u64,
    received: u64,
}

impl Compressors {
    pub(super) fn start<'scope>(scope: &'scope Scope<'scope, '_>, level: i32, dictionary: &'scope [u8]) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let worker = |_| {
            let (sender, blocks) = sync_channel::<Vec<u8>>(IN_FLIGHT as usize);
            let (results, receiver) = sync_channel(IN_FLIGHT as usize);
            scope.spawn(move || {
                let mut compressor = zstd::bulk::Compressor::with_dictionary(level, dictionary);
                for block in blocks {
                    let frame = match &mut compressor {
                        Ok(compressor) => compressor.compress(&block),
                        Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
                    };
                    if results.send(frame).is_err() {
                        return;
                    }
                }
            });
            (sender, receiver)
        };
        Self { workers: (0..threads).map(worker).collect(), sent: 0, received: 0 }
    }

    /// Compresses `block`; gives back the frame of an earlier one if enough are on their way.
    pub(super) fn send(&mut self, block: Vec<u8>) -> io::Result<Option<Vec<u8>>> {
        let workers = self.workers.len() as u64;
        let frame = if self.sent - self.received >= workers * IN_FLIGHT { self.receive()? } else { None };
        let worker = (self.sent % workers) as usize;
        self.sent += 1;
        self.workers[worker].0.send(block).map_err(|_error| stopped())?;
        Ok(frame)
    }

    /// The frame of the next block that was sent; none if there is no more.
    pub(super) fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.received == self.sent {
            return Ok(None);
        }
        let worker = (self.received % self.workers.len() as u64) as usize;
        self.received += 1;
        self.workers[worker].1.recv().map_err(|_error| stopped())?.map(Some)
    }
}

/// What most texts of a kind have in common; empty if there are too few texts to tell.
pub(super) fn dictionary(samples: &[u8], sizes: &[usize]) -> io::Result<Vec<u8>> {
    if sizes.len() < FEWEST_SAMPLES || samples.len() < DICTIONARY * 8 {
        return Ok(Vec::new());
    }
    zstd::dict::from_continuous(samples, sizes, DICTIONARY)
}

fn stopped() -> io::Error {
    io::Error::other("a worker stopped")
}
