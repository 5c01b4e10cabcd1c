//! What waits for its scan: each image once, those first that a job waits for, then who came first.

use std::{
    collections::HashSet,
    sync::{Condvar, Mutex, PoisonError},
    time::Instant,
};

/// An image that asks for a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    /// `sha256:…`
    pub(crate) id: String,
    /// When it was seen to ask.
    pub(crate) seen: Instant,
    /// The tags that asked.
    pub(crate) tags: Vec<String>,
}

#[derive(Default)]
struct State {
    waiting: Vec<Job>,
    running: HashSet<String>,
    is_closed: bool,
}

/// The queue.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

impl Queue {
    /// Adds an image, unless it is here already.
    pub(crate) fn offer(&self, job: Job) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.running.contains(&job.id) || state.waiting.iter().any(|known| known.id == job.id) {
            return false;
        }
        state.waiting.push(job);
        self.changed.notify_one();
        true
    }

    /// The next image, as soon as there is one; none once the queue is closed and empty.
    pub(crate) fn take(&self, is_awaited: &dyn Fn(&str) -> bool) -> Option<Job> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if !state.waiting.is_empty() {
                let index = state.waiting.iter().position(|job| is_awaited(&job.id)).unwrap_or(0);
                let job = state.waiting.remove(index);
                state.running.insert(job.id.clone());
                return Some(job);
            }
            if state.is_closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes an image that is not here, so that nobody else does anything with it until it is done.
    pub(crate) fn claim(&self, id: &str) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        !state.waiting.iter().any(|job| job.id == id) && state.running.insert(id.to_owned())
    }

    /// The image is done, and may ask again.
    pub(crate) fn done(&self, id: &str) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).running.remove(id);
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).waiting.len()
    }

    /// Nothing comes any more.
    pub(crate) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).is_closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_image_once_and_those_that_a_job_waits_for_first() {
        let queue = Queue::default();
        let job = |id: &str| Job { id: id.to_owned(), seen: Instant::now(), tags: Vec::new() };
        assert!(queue.offer(job("a")) && queue.offer(job("b")) && queue.offer(job("c")));
        assert!(!queue.offer(job("a")));
        assert_eq!(queue.take(&|id| id == "c").unwrap().id, "c");
        // It is being scanned.
        assert!(!queue.offer(job("c")));
        assert!(!queue.claim("c") && !queue.claim("a"));
        queue.done("c");
        assert!(queue.claim("c") && !queue.offer(job("c")));
        queue.done("c");
        assert!(queue.offer(job("c")));
        queue.close();
        let rest: Vec<String> = std::iter::from_fn(|| queue.take(&|_| false)).map(|job| job.id).collect();
        assert_eq!(rest, ["a", "b", "c"]);
    }
}
