//! The order of looks at what is attached to images. Ways have time limits of their own, so that a look which ends later may
//! have seen earlier: what it saw is answered, and not kept over what is newer.

use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    gate::{ImageKey, KEEP},
    shared::{Kept, MAX_KEPT, locked},
};

/// Looks, in the order in which they began.
#[derive(Default)]
pub(crate) struct Looks {
    begun: AtomicU64,
    /// The last to begin of those that have ended with something seen. No look takes as long as these are kept.
    ended: Kept<ImageKey, u64>,
    order: Mutex<()>,
}

impl Looks {
    /// The number of a look that begins now.
    pub(crate) fn begin(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::SeqCst)
    }

    /// While this is held no other look ends: so that what is kept of one is kept before the next.
    pub(crate) fn ordered(&self) -> MutexGuard<'_, ()> {
        locked(&self.order)
    }

    /// Ends a look in which something was seen; false where one that began later has ended before it.
    pub(crate) fn end(&self, image: ImageKey, began: u64, ordered: &MutexGuard<'_, ()>) -> bool {
        let is_last = self.is_last(&image, began, ordered);
        if is_last {
            self.ended.keep(image, began, KEEP, 1);
        }
        is_last
    }

    /// Whether no look that began later than this one has ended since.
    pub(crate) fn is_last(&self, image: &ImageKey, began: u64, _ordered: &MutexGuard<'_, ()>) -> bool {
        // So many later ones may have driven out what is newer.
        let later = self.begun.load(Ordering::SeqCst).saturating_sub(began);
        later <= MAX_KEPT as u64 / 2 && self.ended.get(image).is_none_or(|last| last <= began)
    }
}

#[cfg(test)]
mod tests {
    use portcullis_model::Digest;

    use super::*;

    #[test]
    fn a_look_is_overtaken_by_one_that_began_later_at_the_same_image() {
        let (looks, image) = (Looks::default(), |name: &str| (name.to_owned(), Digest::of(b"image")));
        let (first, second, third) = (looks.begin(), looks.begin(), looks.begin());
        let ordered = looks.ordered();
        let end = |name: &str, began| looks.end(image(name), began, &ordered);
        assert!(end("a", second));
        assert!(end("a", second), "policies share a look");
        assert!(!end("a", first));
        assert!(looks.is_last(&image("a"), second, &ordered) && !looks.is_last(&image("a"), first, &ordered));
        assert!(end("b", first) && end("a", third));
        assert!(!looks.is_last(&image("a"), second, &ordered), "another one has ended since");
    }

    #[test]
    fn a_look_that_very_many_have_begun_after_is_overtaken_for_all_that_is_known() {
        let (looks, image) = (Looks::default(), ("a".to_owned(), Digest::of(b"image")));
        let first = looks.begin();
        (0..MAX_KEPT).for_each(|_| _ = looks.begin());
        assert!(!looks.end(image.clone(), first, &looks.ordered()));
        assert!(looks.end(image, looks.begin(), &looks.ordered()));
    }
}
