//! What a registry was asked, for tests that count it.

use std::sync::{Arc, Mutex, PoisonError};

/// The most requests that are listed.
const MAX_REQUESTS: usize = 10_000;

/// The requests to a registry, in the order in which they came. Clones share one list.
#[derive(Debug, Clone, Default)]
pub struct Requests(Arc<Mutex<Vec<String>>>);

impl Requests {
    /// All since this was last called, as `GET /v2/app/manifests/v1`; of more than ten thousand, the first.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn add(&self, request: String) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < MAX_REQUESTS {
            all.push(request);
        }
    }
}
