//! rpm's database in Berkeley DB, as Red Hat had it up to version 8: the hash `Packages`.
//!
//! Format: `dbinc/db_page.h` of Berkeley DB, <https://docs.oracle.com/cd/E17275_01/html/programmer_reference/am_conf.html>
//! for what its parts mean. Values that are larger than a page lie in chains of overflow pages. The pages are read one
//! after another: buckets and their order do not matter here.

use super::{
    bytes::{Order, Pages},
    damage::{Damage, Each},
};

const MAGIC: u32 = 0x0006_1561;

/// Kinds of page.
const HASH_UNSORTED: u8 = 2;
const OVERFLOW: u8 = 7;
const HASH: u8 = 13;

/// Kinds of entry in a page of the hash.
const ON_PAGE: u8 = 1;
const OFF_PAGE: u8 = 3;

/// Bytes before what a page holds.
const PAGE_HEADER: usize = 26;

/// The smallest header of rpm's: what is shorter is no package but a number that rpm keeps beside them.
const LEAST_HEADER: usize = 8;

/// Hands each package's header to `each`, and whatever is wrong.
pub(super) fn headers(contents: &[u8], each: &mut Each<'_>) {
    let order = [Order::Little, Order::Big].into_iter().find(|order| order.u32(contents, 12) == Some(MAGIC));
    let size = |order: Order| {
        let size = order.u32(contents, 20)? as usize;
        ((512..=65_536).contains(&size) && size.is_power_of_two()).then_some(size)
    };
    let Some((order, page_size)) = order.and_then(|order| Some((order, size(order)?))) else {
        return each(Err(Damage::Unknown("a hash of Berkeley DB")));
    };
    let last = order.u32(contents, 32).unwrap_or_default();
    let claimed = (u64::from(last) + 1) * page_size as u64;
    if claimed > contents.len() as u64 {
        each(Err(Damage::Short { len: contents.len(), claimed }));
    }
    // A writer that was stopped may have added pages, and not yet said so.
    if claimed < contents.len() as u64 {
        each(Err(Damage::Long { len: contents.len(), claimed }));
    }
    let pages = Pages::of(contents, page_size);
    let mut hash = Hash { pages, order, left: contents.len(), buffer: Vec::new() };
    for number in 1..=last {
        match hash.pages.peek(number) {
            Some(page) if matches!(page.get(25), Some(&(HASH_UNSORTED | HASH))) => hash.page(number, page, each),
            Some(_) => {}
            // All pages after this one are outside too.
            None => break,
        }
    }
}

struct Hash<'a> {
    pages: Pages<'a>,
    order: Order,
    /// Bytes that values may still have: together they are not more than the file.
    left: usize,
    /// A value that is in more than one piece.
    buffer: Vec<u8>,
}

impl<'a> Hash<'a> {
    /// The values of a page of the hash: each stands after its key.
    fn page(&mut self, number: u32, page: &'a [u8], each: &mut Each<'_>) {
        let order = self.order;
        let entries = usize::from(order.u16(page, 20).unwrap_or_default());
        let offset = |entry: usize| order.u16(page, PAGE_HEADER + 2 * entry).map(usize::from);
        for entry in (1..entries).step_by(2) {
            // Entries are stored from the end of the page on: each ends where the one before it starts.
            let item = offset(entry).zip(offset(entry - 1)).and_then(|(start, end)| page.get(start..end));
            match item.and_then(<[u8]>::split_first) {
                Some((&ON_PAGE, value)) if value.len() < LEAST_HEADER => {}
                Some((&ON_PAGE, value)) => match self.take(value.len()) {
                    Ok(()) => each(Ok(value)),
                    Err(damage) => each(Err(damage)),
                },
                Some((&OFF_PAGE, place)) if place.len() >= 11 => {
                    let (first, length) = (order.u32(place, 3), order.u32(place, 7));
                    let (first, length) = (first.unwrap_or_default(), length.unwrap_or_default() as usize);
                    match self.take(length) {
                        Ok(()) => self.chain(first, length, each),
                        Err(damage) => each(Err(damage)),
                    }
                }
                _ => each(Err(Damage::Entry { page: number, entry })),
            }
        }
    }

    fn take(&mut self, length: usize) -> Result<(), Damage> {
        self.left = self.left.checked_sub(length).ok_or(Damage::Overlap)?;
        Ok(())
    }

    /// Hands on a value that lies in overflow pages, or as much of it as can be had.
    fn chain(&mut self, first: u32, length: usize, each: &mut Each<'_>) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        if let Err(damage) = self.follow(first, length, &mut buffer) {
            each(Err(damage));
        }
        if !buffer.is_empty() {
            each(Ok(&buffer));
        }
        self.buffer = buffer;
    }

    fn follow(&mut self, mut next: u32, length: usize, buffer: &mut Vec<u8>) -> Result<(), Damage> {
        while buffer.len() < length {
            let page = self.pages.peek(next).ok_or(Damage::Outside { page: next })?;
            if !self.pages.mark(next) {
                return Err(Damage::Again { page: next });
            }
            let cut = Damage::Page { page: next, what: "the rest of a value" };
            // What a page holds in its own field for that: the last of a chain is not full.
            let (Some(&OVERFLOW), Some(held)) = (page.get(25), self.order.u16(page, 22)) else { return Err(cut) };
            let wanted = (length - buffer.len()).min(usize::from(held));
            let bytes = page.get(PAGE_HEADER..page.len().min(PAGE_HEADER + wanted)).unwrap_or_default();
            buffer.extend_from_slice(bytes);
            if bytes.len() < wanted || wanted == 0 {
                return Err(cut);
            }
            next = self.order.u32(page, 16).ok_or(cut)?;
        }
        Ok(())
    }
}
