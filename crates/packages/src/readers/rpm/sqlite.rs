//! rpm's database in SQLite: the rows of the table `Packages`, read over bytes.
//!
//! Format: <https://www.sqlite.org/fileformat2.html>. The table is `hnum INTEGER PRIMARY KEY, blob BLOB`:
//! <https://github.com/rpm-software-management/rpm/blob/rpm-4.20.0-release/lib/backend/sqlite.c>. Its indexes are not
//! needed. What a write-ahead log beside the file holds is not in it.

use super::{
    bytes::{Order, Pages},
    damage::{Damage, Each},
};

const MAGIC: &[u8] = b"SQLite format 3\0";

/// The kinds of page that a table has.
const INTERIOR: u8 = 5;
const LEAF: u8 = 13;

/// Hands each package's header to `each`, and whatever is wrong.
pub(super) fn headers(contents: &[u8], each: &mut Each<'_>) {
    let Some(mut database) = Database::open(contents) else { return each(Err(Damage::Unknown("SQLite's"))) };
    if let Some(claimed) = database.claimed().filter(|claimed| *claimed > contents.len() as u64) {
        each(Err(Damage::Short { len: contents.len(), claimed }));
    }
    let mut root = None;
    let mut problems = Vec::new();
    database.walk(1, &mut |row| match row {
        Ok(row) => root = root.or_else(|| packages_root(row)),
        Err(damage) => problems.push(damage),
    });
    problems.into_iter().for_each(|damage| each(Err(damage)));
    match root {
        Some(root) => database.walk(root, &mut |row| match row {
            Ok(row) => each(columns::<2>(row).map(|[_, blob]| blob.bytes).ok_or(Damage::NoTable)),
            Err(damage) => each(Err(damage)),
        }),
        None => each(Err(Damage::NoTable)),
    }
}

/// The first page of the table of packages, if this row of the schema is about it.
fn packages_root(row: &[u8]) -> Option<u32> {
    let [kind, name, _, root] = columns(row)?;
    if kind.bytes != b"table" || name.bytes != b"Packages" || root.kind >= 12 {
        return None;
    }
    let number = root.bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    u32::try_from(number).ok()
}

struct Database<'a> {
    pages: Pages<'a>,
    contents: &'a [u8],
    page_size: usize,
    /// Bytes of a page that SQLite uses itself.
    usable: usize,
    /// Bytes that rows may still have: together they are not more than the file.
    left: usize,
    /// A row that is in more than one piece.
    buffer: Vec<u8>,
}

impl<'a> Database<'a> {
    fn open(contents: &'a [u8]) -> Option<Self> {
        if !contents.starts_with(MAGIC) {
            return None;
        }
        let page_size = match Order::Big.u16(contents, 16)? {
            1 => 65_536,
            size if size >= 512 && size.is_power_of_two() => usize::from(size),
            _ => return None,
        };
        let usable = page_size - usize::from(*contents.get(20)?);
        // What SQLite allows at least: else the arithmetic of rows makes no sense.
        (usable >= 480).then(|| Self {
            pages: Pages::of(contents, page_size),
            contents,
            page_size,
            usable,
            left: contents.len(),
            buffer: Vec::new(),
        })
    }

    /// The size that the file should have, where it says.
    fn claimed(&self) -> Option<u64> {
        let field = |at| Order::Big.u32(self.contents, at);
        // A writer of old leaves the number of pages as it was.
        let is_current = field(24)? == field(92)?;
        is_current.then_some(u64::from(field(28)?) * self.page_size as u64)
    }

    /// Page `number`, counted from 1; each only once.
    fn page(&mut self, number: u32) -> Result<&'a [u8], Damage> {
        let index = number.checked_sub(1).ok_or(Damage::Outside { page: number })?;
        let page = self.pages.peek(index).ok_or(Damage::Outside { page: number })?;
        if self.pages.mark(index) { Ok(page) } else { Err(Damage::Again { page: number }) }
    }

    /// The rows of the table that starts at page `root`, in order.
    fn walk(&mut self, root: u32, each: &mut Each<'_>) {
        let mut pending = match self.page(root) {
            Ok(page) => vec![(root, page)],
            Err(damage) => return each(Err(damage)),
        };
        while let Some((number, page)) = pending.pop() {
            // The first page starts with the header of the file.
            let start = if number == 1 { 100 } else { 0 };
            let field = |at| Order::Big.u16(page, start + at);
            let (Some(kind @ &(INTERIOR | LEAF)), Some(cells)) = (page.get(start), field(3)) else {
                each(Err(Damage::Page { page: number, what: "one of a table" }));
                continue;
            };
            let is_leaf = *kind == LEAF;
            let pointers = start + if is_leaf { 8 } else { 12 };
            let mut below = Vec::new();
            for entry in 0..usize::from(cells) {
                let cell = Order::Big.u16(page, pointers + 2 * entry).and_then(|at| page.get(usize::from(at)..));
                let done = match cell {
                    Some(cell) if is_leaf => self.row(cell, each),
                    Some(cell) => self.below(Order::Big.u32(cell, 0), &mut below),
                    None => None,
                };
                if done.is_none() {
                    each(Err(Damage::Entry { page: number, entry }));
                }
            }
            if !is_leaf && self.below(Order::Big.u32(page, start + 8), &mut below).is_none() {
                each(Err(Damage::Entry { page: number, entry: usize::from(cells) }));
            }
            pending.extend(below.drain(..).rev().filter_map(|child| child.map_err(|damage| each(Err(damage))).ok()));
        }
    }

    /// Notes a page that lies below another. A page is marked as soon as it is named: what is pending is never more
    /// than the file has pages.
    fn below(&mut self, child: Option<u32>, below: &mut Vec<Result<(u32, &'a [u8]), Damage>>) -> Option<()> {
        let child = child?;
        below.push(self.page(child).map(|page| (child, page)));
        Some(())
    }

    /// Hands on the row of a cell: `length, number, bytes, page of the rest`. None when the cell makes no sense.
    fn row(&mut self, cell: &'a [u8], each: &mut Each<'_>) -> Option<()> {
        let (length, rest) = varint(cell)?;
        let (_, rest) = varint(rest)?;
        let length = usize::try_from(length).ok()?;
        let Some(left) = self.left.checked_sub(length) else {
            each(Err(Damage::Overlap));
            return Some(());
        };
        self.left = left;
        let here = self.part_on_page(length);
        if here == length {
            each(Ok(rest.get(..length)?));
            return Some(());
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.extend_from_slice(rest.get(..here)?);
        // What can be had of a row is worth having: a header starts with the name.
        if let Err(damage) = self.follow(Order::Big.u32(rest, here)?, length, &mut buffer) {
            each(Err(damage));
        }
        each(Ok(&buffer));
        self.buffer = buffer;
        Some(())
    }

    /// How much of a row of `length` bytes lies in its leaf.
    fn part_on_page(&self, length: usize) -> usize {
        if length <= self.usable - 35 {
            return length;
        }
        let least = (self.usable - 12) * 32 / 255 - 23;
        let some = least + (length - least) % (self.usable - 4);
        if some <= self.usable - 35 { some } else { least }
    }

    /// Appends what lies in overflow pages.
    fn follow(&mut self, mut next: u32, length: usize, buffer: &mut Vec<u8>) -> Result<(), Damage> {
        while buffer.len() < length {
            let page = self.page(next)?;
            let cut = Damage::Page { page: next, what: "the rest of a row" };
            let wanted = (length - buffer.len()).min(self.usable - 4);
            let bytes = page.get(4..page.len().min(4 + wanted)).unwrap_or_default();
            buffer.extend_from_slice(bytes);
            if bytes.len() < wanted {
                return Err(cut);
            }
            next = Order::Big.u32(page, 0).ok_or(cut)?;
        }
        Ok(())
    }
}

/// A value of a row: its serial type and its bytes, or what is there of them.
#[derive(Clone, Copy, Default)]
struct Column<'a> {
    kind: u64,
    bytes: &'a [u8],
}

/// The first `N` columns of a row; none if it has fewer.
fn columns<const N: usize>(row: &[u8]) -> Option<[Column<'_>; N]> {
    let (header_length, _) = varint(row)?;
    let (header, mut values) = row.split_at_checked(usize::try_from(header_length).ok()?)?;
    let (_, mut kinds) = varint(header)?;
    let mut columns = [Column::default(); N];
    for column in &mut columns {
        let (kind, rest) = varint(kinds)?;
        kinds = rest;
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return None,
            _ => (kind - 12) / 2,
        };
        // The last value may be cut.
        let length = usize::try_from(length).ok()?.min(values.len());
        let (bytes, rest) = values.split_at_checked(length)?;
        values = rest;
        *column = Column { kind, bytes };
    }
    Some(columns)
}

/// A number of up to nine bytes: seven bits each, the most significant first, and eight of the ninth.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    for (index, &byte) in bytes.iter().enumerate().take(9) {
        if index == 8 {
            return Some((number << 8 | u64::from(byte), bytes.get(9..)?));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return Some((number, bytes.get(index + 1..)?));
        }
    }
    None
}
