//! The order of looks at what is attached to images. Ways have time limits of their own, so that a look which ends later may
//! have seen earlier: what it saw is answered, and not kept over what is newer.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    gate::{ImageKey, KEEP},
    shared::Kept,
};

/// Looks, in the order in which they began.
#[derive(Default)]
pub(crate) struct Looks {
    begun: AtomicU64,
    /// The last to begin of those that have ended with something seen. No look takes as long as these are kept.
    ended: Kept<ImageKey, u64>,
}

impl Looks {
    /// The number of a look that begins now.
    pub(crate) fn begin(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::SeqCst)
    }

    /// Ends a look in which something was seen; false where one that began later has ended before it.
    pub(crate) fn end(&self, image: ImageKey, began: u64) -> bool {
        if self.ended.get(&image).is_some_and(|last| last > began) {
            return false;
        }
        self.ended.keep(image, began, KEEP, 1);
        true
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
        assert!(looks.end(image("a"), second));
        assert!(looks.end(image("a"), second), "policies share a look");
        assert!(!looks.end(image("a"), first));
        assert!(looks.end(image("b"), first) && looks.end(image("a"), third));
    }
}
