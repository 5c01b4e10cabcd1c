//! Names, each kept once and spoken of by a number: ids of records, and packages.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;

/// Names in the order in which they came.
#[derive(Default)]
pub(super) struct Names {
    bytes: Vec<u8>,
    /// Where each name ends.
    ends: Vec<usize>,
    table: HashTable<u32>,
    hasher: RandomState,
}

impl Names {
    /// The number of `name`, which is new or known.
    pub(super) fn number(&mut self, name: &str) -> u32 {
        let Self { bytes, ends, table, hasher } = self;
        let hash = hasher.hash_one(name.as_bytes());
        if let Some(&number) = table.find(hash, |&number| slice(bytes, ends, number) == name.as_bytes()) {
            return number;
        }
        // A name takes more than a byte of memory: there are never as many as that.
        let number = u32::try_from(ends.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(name.as_bytes());
        ends.push(bytes.len());
        table.insert_unique(hash, number, |&number| hasher.hash_one(slice(bytes, ends, number)));
        number
    }

    pub(super) const fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, number: u32) -> &str {
        std::str::from_utf8(slice(&self.bytes, &self.ends, number)).unwrap_or_default()
    }

    pub(super) fn bytes(&self, number: u32) -> &[u8] {
        slice(&self.bytes, &self.ends, number)
    }

    /// Gives back the memory that only adding needs.
    pub(super) fn freeze(&mut self) {
        self.table = HashTable::new();
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// The numbers in the order of their names, and the place of each number in it.
    pub(super) fn sorted(&self) -> Sorted {
        // Most names differ in their first bytes: comparing those needs no second look into memory.
        let start = |number: u32| {
            let mut first = [0; 16];
            let name = self.bytes(number);
            let length = name.len().min(16);
            first[..length].copy_from_slice(&name[..length]);
            u128::from_be_bytes(first)
        };
        let count = u32::try_from(self.len()).unwrap_or(u32::MAX);
        let mut keyed: Vec<(u128, u32)> = (0..count).map(|number| (start(number), number)).collect();
        keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| self.bytes(a.1).cmp(self.bytes(b.1))));
        let order: Vec<u32> = keyed.iter().map(|(_, number)| *number).collect();
        let mut places = vec![0; order.len()];
        for (place, &number) in order.iter().enumerate() {
            places[number as usize] = place as u32;
        }
        Sorted { order, places }
    }
}

/// The order of names.
pub(super) struct Sorted {
    pub(super) order: Vec<u32>,
    pub(super) places: Vec<u32>,
}

fn slice<'a>(bytes: &'a [u8], ends: &[usize], number: u32) -> &'a [u8] {
    let number = number as usize;
    let start = number.checked_sub(1).map_or(0, |before| ends[before]);
    &bytes[start..ends[number]]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn names_come_out_as_they_went_in_and_sort_as_texts(
            names in proptest::collection::vec("[ab\0é-]{0,20}", 0..60),
        ) {
            let mut all = Names::default();
            let numbers: Vec<u32> = names.iter().map(|name| all.number(name)).collect();
            for (name, &number) in names.iter().zip(&numbers) {
                prop_assert_eq!(all.get(number), name);
            }
            let mut expected = names;
            expected.sort();
            expected.dedup();
            let sorted = all.sorted();
            let texts: Vec<&str> = sorted.order.iter().map(|&number| all.get(number)).collect();
            prop_assert_eq!(&texts, &expected);
            prop_assert!(numbers.iter().all(|&number| sorted.order[sorted.places[number as usize] as usize] == number));
        }
    }
}
