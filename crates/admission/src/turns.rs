//! Turns at registries: so many looks at once, of which one host gets a part. Whoever may name an image may have any
//! registry asked, and one that never answers must not use up what others need.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use portcullis_registry::{Hosted, Reference, RegistryError};
use tokio::sync::Semaphore;

use crate::shared::locked;

/// How long a host that let a look wait counts as silent.
const SILENT: Duration = Duration::from_secs(10);
/// So many hosts are kept before those of which nothing is to be known are left out.
const MAX_HOSTS: usize = 1024;

/// Who may look at a registry, and who waits.
pub(crate) struct Turns {
    all: Semaphore,
    max: usize,
    /// What is left unanswered for so long shows that a host is silent.
    patience: Duration,
    hosts: Mutex<HashMap<String, Host>>,
}

struct Host {
    turns: Arc<Semaphore>,
    /// Since when it is known to be silent.
    silent: Option<Instant>,
    /// When it answered last.
    answered: Option<Instant>,
}

impl Turns {
    /// At most `max` looks at once, each of which is given up after about `limit`.
    pub(crate) fn new(max: usize, limit: Duration) -> Self {
        let max = max.clamp(1, Semaphore::MAX_PERMITS);
        Self { all: Semaphore::new(max), max, patience: limit / 4, hosts: Mutex::default() }
    }

    /// The looks under way.
    pub(crate) fn taken(&self) -> usize {
        self.max.saturating_sub(self.all.available_permits())
    }

    /// The most looks at one host.
    fn share(&self) -> usize {
        (self.max / 2).max(1)
    }

    /// The most at one that is silent: to hear when it speaks again.
    fn few(&self) -> usize {
        (self.max / 16).max(1)
    }

    /// Looks at the registry of `image` when it is its turn. `is_silence`: whether the answer is that there was none.
    ///
    /// # Errors
    /// Where the host is silent, and enough others wait for it.
    pub(crate) async fn look<T>(
        &self,
        image: &Reference,
        look: impl Future<Output = T>,
        is_silence: impl FnOnce(&T) -> bool,
    ) -> Result<T, RegistryError> {
        let host = host(image);
        let ending = |_closed| refused(image);
        let turns = self.turns_at(host).ok_or_else(|| refused(image))?;
        let _own = turns.acquire().await.map_err(ending)?;
        let _any = self.all.acquire().await.map_err(ending)?;
        // It may have fallen silent while this look waited.
        if self.is_silent(host) && self.share() - turns.available_permits() > self.few() {
            return Err(refused(image));
        }
        let mut waiting = Waiting { turns: self, host, since: Some(Instant::now()) };
        let answer = look.await;
        waiting.since = None;
        self.heard(host, is_silence(&answer));
        Ok(answer)
    }

    /// The turns at a host; none where it is silent and enough looks wait for it.
    fn turns_at(&self, host: &str) -> Option<Arc<Semaphore>> {
        let mut hosts = locked(&self.hosts);
        if !hosts.contains_key(host) {
            if hosts.len() >= MAX_HOSTS {
                // Who waits for a turn holds the semaphore.
                hosts.retain(|_, host| Arc::strong_count(&host.turns) > 1 || host.is_silent());
            }
            hosts.insert(
                host.to_owned(),
                Host { turns: Arc::new(Semaphore::new(self.share())), silent: None, answered: None },
            );
        }
        let found = hosts.get(host)?;
        let taken = self.share() - found.turns.available_permits();
        (!found.is_silent() || taken < self.few()).then(|| Arc::clone(&found.turns))
    }

    fn is_silent(&self, host: &str) -> bool {
        locked(&self.hosts).get(host).is_some_and(Host::is_silent)
    }

    /// Any answer shows that a host is not silent.
    fn heard(&self, host: &str, is_silence: bool) {
        if let Some(host) = locked(&self.hosts).get_mut(host) {
            let now = Instant::now();
            host.silent = is_silence.then_some(now);
            host.answered = if is_silence { host.answered } else { Some(now) };
        }
    }

    /// A look that began at `since` was given up. A host that answered others meanwhile is slow with this image alone.
    fn given_up(&self, host: &str, since: Instant) {
        let has_answered = |host: &Host| host.answered.is_some_and(|answered| answered >= since);
        if since.elapsed() >= self.patience && !locked(&self.hosts).get(host).is_some_and(has_answered) {
            self.heard(host, true);
        }
    }
}

impl Host {
    fn is_silent(&self) -> bool {
        self.silent.is_some_and(|since| since.elapsed() < SILENT)
    }
}

/// A look without an answer yet. Whoever gives it up after long enough has met silence.
struct Waiting<'a> {
    turns: &'a Turns,
    host: &'a str,
    since: Option<Instant>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(since) = self.since {
            self.turns.given_up(self.host, since);
        }
    }
}

/// The host without its port: one machine has many of those.
fn host(image: &Reference) -> &str {
    image.registry().split(':').next().unwrap_or_default()
}

fn refused(image: &Reference) -> RegistryError {
    let subject = Hosted { host: image.registry().to_owned(), what: image.repository().to_owned() };
    let source = "the registry did not answer others a moment ago, and is asked again in some seconds";
    RegistryError::Unreachable { subject, source: source.into() }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures_util::FutureExt as _;

    use super::*;

    fn image(host: &str) -> Reference {
        format!("{host}/x:v1").parse().unwrap()
    }

    #[tokio::test]
    async fn a_host_that_hangs_takes_no_more_than_its_share() {
        let turns = Turns::new(8, Duration::from_secs(3600));
        let hanging: Vec<Reference> = (1..=100).map(|port| image(&format!("hanging.example:{port}"))).collect();
        let mut waiting: Vec<_> =
            hanging.iter().map(|image| Box::pin(turns.look(image, pending::<()>(), |()| true))).collect();
        for look in &mut waiting {
            assert!(look.now_or_never().is_none());
        }
        assert_eq!(turns.taken(), 4);
        let other = image("registry.example");
        assert_eq!(turns.look(&other, ready(7), |_| false).now_or_never().unwrap().unwrap(), 7);
        // Nobody was silent for long: who waits is not sent away.
        let last = image("hanging.example");
        assert!(turns.look(&last, ready(7), |_| false).now_or_never().is_none());
        drop(waiting);
        assert_eq!(turns.look(&last, ready(7), |_| false).now_or_never().unwrap().unwrap(), 7);
        assert_eq!(turns.taken(), 0);
    }

    #[tokio::test]
    async fn of_a_silent_host_most_hear_so_at_once() {
        let turns = Turns::new(32, Duration::ZERO);
        let silent = image("silent.example");
        let hang = || Box::pin(turns.look(&silent, pending::<()>(), |()| true));
        let (mut first, mut second, mut third) = (hang(), hang(), hang());
        assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
        // One is given up.
        assert!((&mut third).now_or_never().is_none());
        drop(third);
        let error = turns.look(&silent, ready(()), |()| false).now_or_never().unwrap().unwrap_err();
        assert!(error.is_temporary() && error.to_string().contains("silent.example"), "{error}");
        // Somebody still asks, and hears when it speaks again.
        drop(second);
        assert!(turns.look(&silent, ready(()), |()| false).now_or_never().unwrap().is_ok());
        let mut more = [hang(), hang(), hang()];
        assert!(more.iter_mut().all(|look| look.now_or_never().is_none()));
        // It says itself that there was no answer.
        assert!(turns.look(&silent, ready(()), |()| true).now_or_never().unwrap().is_ok());
        assert!(turns.look(&silent, ready(()), |()| false).now_or_never().unwrap().is_err());
    }

    #[tokio::test]
    async fn a_host_that_answers_others_is_not_silent() {
        let turns = Turns::new(32, Duration::ZERO);
        let shared = image("shared.example");
        let mut slow = Box::pin(turns.look(&shared, pending::<()>(), |()| true));
        assert!((&mut slow).now_or_never().is_none());
        turns.look(&shared, ready(()), |()| false).await.unwrap();
        drop(slow);
        assert!(!turns.is_silent("shared.example"));
        let mut slow = Box::pin(turns.look(&shared, pending::<()>(), |()| true));
        assert!((&mut slow).now_or_never().is_none());
        drop(slow);
        assert!(turns.is_silent("shared.example"), "nobody was answered since");
    }

    #[tokio::test]
    async fn hosts_of_which_nothing_is_known_are_forgotten() {
        let turns = Turns::new(4, Duration::ZERO);
        for number in 0..3 * MAX_HOSTS {
            turns.look(&image(&format!("host{number}.example")), ready(()), |()| false).await.unwrap();
        }
        assert!(locked(&turns.hosts).len() <= MAX_HOSTS);
    }
}
