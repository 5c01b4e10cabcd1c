//! Work that is shared and answers that are kept: one Deployment makes several reviews of the same image, often at the
//! same time.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared, WeakShared},
};

/// The most answers that are kept.
const MAX_KEPT: usize = 4096;

/// Runs the same work once for all that ask while it runs. Nothing outlives those who wait: when the last one gives
/// up, the work stops.
pub(crate) struct InFlight<K, V: Clone>(Mutex<HashMap<K, WeakShared<BoxFuture<'static, V>>>>);

impl<K: Eq + Hash, V: Clone> Default for InFlight<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> InFlight<K, V> {
    pub(crate) async fn run(&self, key: K, work: impl FnOnce() -> BoxFuture<'static, V>) -> V {
        let running = self.join(key, work);
        let answer = running.await;
        locked(&self.0).retain(|_, work| work.upgrade().is_some());
        answer
    }

    fn join(&self, key: K, work: impl FnOnce() -> BoxFuture<'static, V>) -> Shared<BoxFuture<'static, V>> {
        let mut all = locked(&self.0);
        if let Some(running) = all.get(&key).and_then(WeakShared::upgrade) {
            return running;
        }
        let running = work().shared();
        if let Some(weak) = running.downgrade() {
            all.insert(key, weak);
        }
        running
    }
}

/// Keeps answers for a while.
pub(crate) struct Kept<K, V>(Mutex<HashMap<K, (Instant, V)>>);

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Kept<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let all = locked(&self.0);
        all.get(key).filter(|(end, _)| *end > Instant::now()).map(|(_, value)| value.clone())
    }

    pub(crate) fn keep(&self, key: K, value: V, lifetime: Duration) {
        let now = Instant::now();
        let mut all = locked(&self.0);
        if all.len() >= MAX_KEPT {
            all.retain(|_, (end, _)| *end > now);
        }
        if all.len() >= MAX_KEPT
            && let Some(first) = all.iter().min_by_key(|(_, (end, _))| *end).map(|(key, _)| key.clone())
        {
            all.remove(&first);
        }
        all.insert(key, (now + lifetime, value));
    }
}

/// No one panics while holding a lock here, and the maps are whole at every moment.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[tokio::test]
    async fn work_runs_once_for_all_who_ask_at_the_same_time() {
        let (all, runs) = (InFlight::<u8, usize>::default(), Arc::new(AtomicUsize::new(0)));
        let ask = || {
            let runs = Arc::clone(&runs);
            all.run(7, move || {
                async move {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    runs.fetch_add(1, Ordering::SeqCst)
                }
                .boxed()
            })
        };
        assert_eq!(tokio::join!(ask(), ask(), ask()), (0, 0, 0));
        assert_eq!(ask().await, 1, "an answer is shared, not kept");
        assert!(locked(&all.0).is_empty());
    }

    #[test]
    fn kept_answers_end_and_are_bounded() {
        let kept = Kept::<usize, usize>::default();
        kept.keep(1, 1, Duration::ZERO);
        assert_eq!(kept.get(&1), None);
        for number in 0..=MAX_KEPT {
            kept.keep(number, number, Duration::from_secs(60));
        }
        assert_eq!((kept.get(&0), kept.get(&MAX_KEPT)), (None, Some(MAX_KEPT)));
        assert!(locked(&kept.0).len() <= MAX_KEPT);
    }
}
