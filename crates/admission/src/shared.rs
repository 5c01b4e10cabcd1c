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
pub(crate) const MAX_KEPT: usize = 4096;
/// The most bytes that are kept in one room, as far as their keepers know them.
const MAX_KEPT_BYTES: usize = 24 << 20;

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
pub(crate) struct Kept<K, V> {
    keeping: Mutex<Keeping<K, V>>,
    /// For so many bytes.
    room: usize,
}

struct Keeping<K, V> {
    all: HashMap<K, Entry<V>>,
    bytes: usize,
}

struct Entry<V> {
    end: Instant,
    value: V,
    bytes: usize,
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self::with_room(MAX_KEPT_BYTES)
    }
}

impl<K, V> Kept<K, V> {
    pub(crate) fn with_room(room: usize) -> Self {
        Self { keeping: Mutex::new(Keeping { all: HashMap::new(), bytes: 0 }), room }
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Kept<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        let keeping = locked(&self.keeping);
        keeping.all.get(key).filter(|entry| entry.end > Instant::now()).map(|entry| entry.value.clone())
    }

    /// All that has not ended.
    pub(crate) fn all(&self) -> Vec<(K, V)> {
        let now = Instant::now();
        let keeping = locked(&self.keeping);
        let living = keeping.all.iter().filter(|(_, entry)| entry.end > now);
        living.map(|(key, entry)| (key.clone(), entry.value.clone())).collect()
    }

    /// Keeps an answer of so many bytes. What ends first makes room.
    pub(crate) fn keep(&self, key: K, value: V, lifetime: Duration, bytes: usize) {
        if lifetime.is_zero() || bytes > self.room {
            return;
        }
        let mut keeping = locked(&self.keeping);
        keeping.remove(&key);
        self.insert(&mut keeping, key, Entry { end: Instant::now() + lifetime, value, bytes });
    }

    /// Changes the answers of these keys into others of so many bytes, or takes them away. They end when they would have
    /// ended; one for which there is no room any more is gone.
    pub(crate) fn change(&self, is_meant: impl Fn(&K) -> bool, change: impl Fn(&K, &V) -> Option<(V, usize)>) {
        let mut keeping = locked(&self.keeping);
        let meant: Vec<K> = keeping.all.keys().filter(|key| is_meant(key)).cloned().collect();
        for key in meant {
            let Some(Entry { end, value, .. }) = keeping.remove(&key) else { continue };
            if let Some((value, bytes)) = change(&key, &value)
                && bytes <= self.room
            {
                self.insert(&mut keeping, key, Entry { end, value, bytes });
            }
        }
    }

    /// Forgets the answers of these keys.
    pub(crate) fn forget(&self, is_meant: impl Fn(&K) -> bool) {
        let mut keeping = locked(&self.keeping);
        let meant: Vec<K> = keeping.all.keys().filter(|key| is_meant(key)).cloned().collect();
        meant.iter().for_each(|key| _ = keeping.remove(key));
    }

    /// Keeps an answer that is not there, and may need all of the room.
    fn insert(&self, keeping: &mut Keeping<K, V>, key: K, entry: Entry<V>) {
        let (now, bytes) = (Instant::now(), entry.bytes);
        let is_full =
            |keeping: &Keeping<K, V>| keeping.all.len() >= MAX_KEPT || keeping.bytes.saturating_add(bytes) > self.room;
        if is_full(keeping) {
            let ended: Vec<K> =
                keeping.all.iter().filter(|(_, entry)| entry.end <= now).map(|(key, _)| key.clone()).collect();
            ended.iter().for_each(|key| _ = keeping.remove(key));
        }
        while is_full(keeping)
            && let Some(first) = keeping.all.iter().min_by_key(|(_, entry)| entry.end).map(|(key, _)| key.clone())
        {
            keeping.remove(&first);
        }
        keeping.bytes += bytes;
        keeping.all.insert(key, entry);
    }
}

impl<K: Eq + Hash, V> Keeping<K, V> {
    fn remove(&mut self, key: &K) -> Option<Entry<V>> {
        let entry = self.all.remove(key)?;
        self.bytes -= entry.bytes;
        Some(entry)
    }
}

/// No one panics while holding a lock here, and the maps are whole at every moment.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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
        kept.keep(1, 1, Duration::ZERO, 1);
        assert_eq!(kept.get(&1), None);
        for number in 0..=MAX_KEPT {
            kept.keep(number, number, Duration::from_secs(60), 1);
        }
        assert_eq!((kept.get(&0), kept.get(&MAX_KEPT)), (None, Some(MAX_KEPT)));
        assert!(locked(&kept.keeping).all.len() <= MAX_KEPT);
        let large = MAX_KEPT_BYTES / 2;
        for number in 0..3 {
            kept.keep(number, number, Duration::from_secs(120), large);
        }
        assert_eq!((kept.get(&0), kept.get(&1), kept.get(&2)), (None, Some(1), Some(2)));
        assert_eq!((kept.all().len(), locked(&kept.keeping).bytes), (2, 2 * large));
    }

    #[test]
    fn kept_answers_are_changed_and_forgotten() {
        let kept = Kept::<usize, usize>::with_room(100);
        for number in 1..=4 {
            kept.keep(number, number, Duration::from_secs(60 * number as u64), 20);
        }
        let end = |key: usize| locked(&kept.keeping).all.get(&key).map(|entry| entry.end);
        let before = end(3);
        kept.change(|key| *key == 3, |key, value| Some((key * 100 + value, 50)));
        assert_eq!((kept.get(&1), kept.get(&2), kept.get(&3), end(3)), (None, Some(2), Some(303), before));
        kept.change(|key| *key == 3, |_, value| Some((*value, 101)));
        assert_eq!((kept.get(&3), locked(&kept.keeping).bytes), (None, 40), "there is no room for it");
        kept.change(|key| *key == 7, |_, _| Some((7, 1)));
        kept.forget(|key| *key == 2);
        assert_eq!((kept.get(&7), kept.get(&2), kept.get(&4), locked(&kept.keeping).bytes), (None, None, Some(4), 20));
    }
}
