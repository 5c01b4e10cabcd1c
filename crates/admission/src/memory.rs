//! What is remembered of evidence: for minutes to save requests, and for longer against a registry that is away.
//!
//! For minutes, what was verified is kept by image, policy, keys and roots. Against an outage, what the registry gave is
//! kept as it came, by image alone, and verified and judged anew when it is used: so a policy or a key that has changed
//! since counts, and brought up to what each later look saw, whatever came of that: so a failure that was seen counts, too.
//! It is also what a file holds between two starts. Whoever can write to it can bring in nothing that
//! nobody signed; what they can do is what a registry can: hide what is newer. `maxAge` bounds both.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use portcullis_attest::{Candidate, Format};
use portcullis_errors::Hint;
use portcullis_model::{Digest, Outcome, Reason, Timestamp};
use portcullis_policy::Judgement;
use portcullis_registry::Reference;
use serde::{Deserialize, Serialize};

use crate::{
    Gate,
    authorities::ReadyPolicy,
    evidence::{judged, verified},
    found::{Found, WayName, content},
    gate::{FoundKey, Rooms},
};

/// The largest memory that is read.
pub const MAX_MEMORY_BYTES: usize = 128 << 20;
const VERSION: u32 = 1;
/// The most pieces of evidence that are remembered of one image where several looks add to them.
const MAX_ADDED: usize = 2048;

/// What a registry gave of an image, and when.
#[derive(Debug, Clone)]
pub(crate) struct Remembered {
    pub(crate) found: Arc<[Candidate]>,
    pub(crate) at: Timestamp,
    /// Whether credentials of others than the key's opened nothing of it.
    is_own: bool,
}

impl Remembered {
    pub(crate) const fn of(found: Arc<[Candidate]>, at: Timestamp) -> Self {
        Self { found, at, is_own: true }
    }

    /// Whether nobody whom a policy trusts says anything in it.
    pub(crate) fn is_silent(&self, ready: &ReadyPolicy, digest: &Digest, now: Timestamp) -> bool {
        let verifier = ready.verifier.as_ref();
        verifier.is_some_and(|verifier| verified(&self.found, &[], verifier, digest, now).is_silent())
    }

    /// What this becomes when that was seen; none where it becomes too much.
    fn renewed(&self, way: WayName, seen: &Found, is_newest: bool, now: Timestamp) -> Option<Self> {
        if is_newest && seen.complete.contains(&way) {
            return Some(Self { found: Arc::clone(&seen.candidates), at: now, is_own: seen.is_own });
        }
        // Who has not seen all of it, or not the newest, cannot say that what was there is gone.
        let found = with(&self.found, &seen.candidates);
        (found.len() <= MAX_ADDED).then_some(Self { found, at: self.at, is_own: seen.is_own && self.is_own })
    }
}

/// Why a memory cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// Too large.
    #[error("the memory has {0} bytes; the limit is {MAX_MEMORY_BYTES}")]
    TooLarge(usize),
    /// Not one, or of another version.
    #[error("the memory cannot be read: {0}")]
    Malformed(String),
}

impl Hint for MemoryError {
    fn hint(&self) -> Option<String> {
        Some("delete the file: it is written anew".to_owned())
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Memory {
    version: u32,
    images: Vec<Image>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Image {
    repository: String,
    digest: Digest,
    found: Timestamp,
    candidates: Vec<Stored>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Stored {
    manifest: Digest,
    is_bundle: bool,
    content: String,
}

impl Gate {
    /// Keeps what a registry gave one way, where it was enough for a policy.
    pub(crate) fn remember(
        &self,
        ready: &ReadyPolicy,
        image: &Reference,
        digest: Digest,
        way: WayName,
        found: Arc<[Candidate]>,
    ) {
        let weight = weight(&found);
        let remembered = Remembered::of(found, self.now());
        let (key, lifetime) = (((image.name(), digest), way), self.options.evidence_lifetime);
        self.work.rooms(ready).remembered.keep(key, remembered, lifetime, weight);
    }

    /// Brings what is remembered of an image, by whatever way, up to what was seen now, whatever came of that: else an outage
    /// would bring back what has been refused since. Nothing is remembered anew by that, and nothing for longer.
    pub(crate) fn renew(&self, image: &Reference, digest: Digest, seen: &Found, is_newest: bool) {
        let (name, now) = (image.name(), self.now());
        let is_meant = |((repository, of), _): &FoundKey| *of == digest && *repository == name;
        let change = |(_, way): &FoundKey, old: &Remembered| {
            let renewed = old.renewed(*way, seen, is_newest, now)?;
            let weight = weight(&renewed.found);
            Some((renewed, weight))
        };
        for Rooms { remembered, indexes, .. } in self.work.all_rooms() {
            remembered.change(is_meant, change);
            indexes.change(|(key, ..)| is_meant(key), |(key, ..), old| change(key, old));
        }
    }

    /// A pass by what was found before, on ways where the registry is away now.
    pub(crate) fn by_memory(
        &self,
        ready: &ReadyPolicy,
        image: &Reference,
        digest: Digest,
        away: &[WayName],
    ) -> Option<Judgement> {
        let verifier = ready.verifier.as_ref()?;
        let now = self.now();
        let rooms = [self.work.rooms(ready), &self.work.shared];
        let keys: Vec<_> = away.iter().map(|way| ((image.name(), digest), *way)).collect();
        let mut known = rooms.iter().flat_map(|room| keys.iter().filter_map(|key| room.remembered.get(key)));
        known.find_map(|Remembered { found, at, is_own: _ }| {
            let evidence = verified(&found, &[], verifier, &digest, now);
            let (judgement, _) = judged(ready, image, &evidence, now);
            (judgement.result == Outcome::Pass).then(|| {
                let message = format!("the registry is out of reach; what it gave at {at} still counts");
                let note = Reason { result: Outcome::Pass, rule: "registry".to_owned(), message };
                judgement.and(Judgement { result: Outcome::Pass, reasons: vec![note] })
            })
        })
    }

    /// What is remembered against an outage, to be kept in a file: of what the gate's own credentials opened. What a
    /// tenant's opened is not written down.
    #[must_use]
    pub fn memory(&self) -> Vec<u8> {
        let mut images: Vec<Image> = self
            .work
            .shared
            .remembered
            .all()
            .into_iter()
            .filter(|((_, way), remembered)| way.is_none() && remembered.is_own)
            .map(|(((repository, digest), _), Remembered { found, at, is_own: _ })| {
                let candidates = found.iter().map(|candidate| Stored {
                    manifest: candidate.manifest,
                    is_bundle: candidate.format == Format::Bundle,
                    content: STANDARD.encode(&candidate.bytes),
                });
                Image { repository, digest, found: at, candidates: candidates.collect() }
            })
            .collect();
        images.sort_by(|one, other| (&one.repository, one.digest).cmp(&(&other.repository, other.digest)));
        serde_json::to_vec(&Memory { version: VERSION, images }).unwrap_or_default()
    }

    /// Takes up a memory: how many images it holds that are not too old.
    ///
    /// # Errors
    /// When it is none.
    pub fn take_up(&self, memory: &[u8]) -> Result<usize, MemoryError> {
        if memory.len() > MAX_MEMORY_BYTES {
            return Err(MemoryError::TooLarge(memory.len()));
        }
        let malformed = |error: String| MemoryError::Malformed(error);
        let Memory { version, images } =
            serde_json::from_slice(memory).map_err(|error| malformed(error.to_string()))?;
        if version != VERSION {
            return Err(malformed(format!("it is of version {version}, not {VERSION}")));
        }
        let (now, lifetime) = (self.now(), self.options.evidence_lifetime);
        let mut taken = 0;
        for Image { repository, digest, found: at, candidates } in images {
            let age = now.seconds_since(at);
            let left = u64::try_from(age).ok().and_then(|age| lifetime.checked_sub(Duration::from_secs(age)));
            // One from the future is as good as none: its age is not known.
            let Some(left) = left.filter(|left| !left.is_zero()) else { continue };
            let candidates = candidates.into_iter().map(|Stored { manifest, is_bundle, content }| {
                let bytes = Bytes::from(STANDARD.decode(content).map_err(|error| malformed(error.to_string()))?);
                let format = if is_bundle { Format::Bundle } else { Format::Envelope };
                Ok(Candidate { bytes, format, manifest, claimed_type: None })
            });
            let found: Arc<[Candidate]> = candidates.collect::<Result<_, MemoryError>>()?;
            let weight = weight(&found);
            let remembered = Remembered::of(found, at);
            self.work.shared.remembered.keep(((repository, digest), None), remembered, left, weight);
            taken += 1;
        }
        Ok(taken)
    }
}

/// What was there, and what is new.
fn with(old: &Arc<[Candidate]>, new: &[Candidate]) -> Arc<[Candidate]> {
    let is_new = |candidate: &&Candidate| !old.iter().any(|one| content(one) == content(candidate));
    let more: Vec<&Candidate> = new.iter().filter(is_new).collect();
    if more.is_empty() { Arc::clone(old) } else { old.iter().chain(more).cloned().collect() }
}

pub(crate) fn weight(found: &[Candidate]) -> usize {
    found.iter().map(|candidate| candidate.bytes.len()).sum::<usize>() + 512
}

#[cfg(test)]
mod tests {
    use portcullis_attest::{Discovery, Problem, ProblemError};
    use portcullis_policy::Policy;
    use portcullis_registry::{Client, Credentials};

    use super::*;
    use crate::{Options, PolicySet, found::Answer};

    #[test]
    fn a_policy_of_a_namespace_drives_out_nothing_that_others_need() {
        let client = Client::new(portcullis_registry::Options::default(), Credentials::anonymous()).unwrap();
        let gate = Gate::new(PolicySet::default(), client, Options::default()).unwrap();
        let ready = |metadata: &str| {
            let text = format!(
                "apiVersion: portcullis.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: p{metadata}}}\nspec:\n  \
                 vulnerabilities: {{failOn: high}}\n"
            );
            let policy = Policy::parse(&text, "policy.yaml", gate.now()).unwrap().remove(0);
            ReadyPolicy::new(policy, None).unwrap()
        };
        let (everywhere, of_team) = (ready(""), ready(", namespace: team"));
        let image: Reference = "registry.example/app".parse().unwrap();
        let candidates = |bytes: usize| {
            let digest = Digest::of(b"m");
            let bytes = Bytes::from(vec![0; bytes]);
            [Candidate { bytes, format: Format::Bundle, manifest: digest, claimed_type: None }].into()
        };
        gate.remember(&everywhere, &image, Digest::of(b"first"), None, candidates(10));
        for number in 0..40_u8 {
            gate.remember(&of_team, &image, Digest::of(&[number]), None, candidates(1 << 20));
        }
        let key = |digest: Digest| ((image.name(), digest), None);
        assert!(gate.work.shared.remembered.get(&key(Digest::of(b"first"))).is_some());
        assert_eq!(gate.work.shared.remembered.all().len(), 1);
        let of_namespaces = gate.work.of_namespaces.remembered.all().len();
        assert!((1..=4).contains(&of_namespaces), "{of_namespaces}");
    }

    fn candidate(content: &str) -> Candidate {
        let bytes = Bytes::copy_from_slice(content.as_bytes());
        Candidate { manifest: Digest::of(&bytes), bytes, format: Format::Bundle, claimed_type: None }
    }

    /// What a way gave, all that there is or with something that cannot be read.
    fn answer(name: &str, contents: &[&str], is_complete: bool) -> Answer {
        let error = ProblemError::Manifest("no JSON".to_owned());
        let problems = if is_complete { Vec::new() } else { vec![Problem { what: name.to_owned(), error }] };
        let found = Discovery { candidates: contents.iter().map(|content| candidate(content)).collect(), problems };
        Answer { name: way(name), began: 0, found: Arc::new(found) }
    }

    fn way(name: &str) -> WayName {
        (name != "own").then(|| Digest::of(name.as_bytes()))
    }

    #[test]
    fn who_saw_all_replaces_and_who_did_not_adds() {
        let (before, now) = (Timestamp::from_unix(1000), Timestamp::from_unix(2000));
        let old = Remembered::of([candidate("old")].into(), before);
        let check = |name: &str, named: &[Answer], own: &Answer, expected: (&[&str], i64, bool)| {
            let Remembered { found, at, is_own } = old.renewed(way(name), &Found::of(named, own), true, now).unwrap();
            let mut contents: Vec<_> = found.iter().map(|one| str::from_utf8(&one.bytes).unwrap()).collect();
            contents.sort_unstable();
            assert_eq!((contents.as_slice(), at.unix(), is_own), expected);
        };
        let (own, damaged) = (answer("own", &["new"], true), answer("own", &["new"], false));
        check("own", &[], &own, (&["new"], 2000, true));
        check("own", &[], &answer("own", &[], true), (&[], 2000, true));
        check("own", &[], &damaged, (&["new", "old"], 1000, true));
        check("own", &[], &answer("own", &["old"], false), (&["old"], 1000, true));
        check("a", &[], &own, (&["new", "old"], 1000, true));
        // What a tenant's credentials opened counts, but is not written down.
        let of_tenant = [answer("a", &["theirs"], true)];
        check("own", &of_tenant, &own, (&["new", "theirs"], 2000, false));
        check("own", &of_tenant, &damaged, (&["new", "old", "theirs"], 1000, false));
        check("a", &of_tenant, &own, (&["new", "theirs"], 2000, false));
        check("b", &of_tenant, &own, (&["new", "old", "theirs"], 1000, false));
        let many: Vec<String> = (0..MAX_ADDED).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(old.renewed(None, &Found::of(&[], &answer("own", &many, false)), true, now).is_none());
        let overtaken = old.renewed(None, &Found::of(&[], &own), false, now).unwrap();
        assert_eq!((overtaken.found.len(), overtaken.at), (2, before), "what is newer than that stays");
    }

    /// A file does not hold what a registry claims of the type.
    #[test]
    fn evidence_from_a_file_is_the_same_read_anew() {
        let of_file = [candidate("a"), candidate("b")].into();
        let claimed = Candidate { claimed_type: Some("https://slsa.dev/provenance/v1".to_owned()), ..candidate("a") };
        assert!(Arc::ptr_eq(&of_file, &with(&of_file, &[claimed])));
        assert_eq!(with(&of_file, &[candidate("c")]).len(), 3);
        let envelope = Candidate { format: Format::Envelope, ..candidate("a") };
        assert_eq!(with(&of_file, &[envelope]).len(), 3);
    }

    #[test]
    fn what_a_tenants_credentials_opened_is_not_written() {
        let client = Client::new(portcullis_registry::Options::default(), Credentials::anonymous()).unwrap();
        let gate = Gate::new(PolicySet::default(), client, Options::default()).unwrap();
        let (image, digest): (Reference, _) = ("registry.example/app".parse().unwrap(), Digest::of(b"image"));
        let key = ((image.name(), digest), None);
        let old = Remembered::of([candidate("old")].into(), gate.now());
        gate.work.shared.remembered.keep(key.clone(), old, Duration::from_secs(60), 1);
        let written = || serde_json::from_slice::<Memory>(&gate.memory()).unwrap().images.len();
        gate.renew(&image, Digest::of(b"other"), &Found::of(&[], &answer("own", &[], true)), true);
        assert_eq!((written(), gate.work.shared.remembered.get(&key).unwrap().found.len()), (1, 1));
        let of_tenant = Found::of(&[answer("a", &["theirs"], true)], &answer("own", &["new"], true));
        gate.renew(&image, digest, &of_tenant, true);
        assert_eq!((written(), gate.work.shared.remembered.get(&key).unwrap().found.len()), (0, 2));
        gate.renew(&image, digest, &Found::of(&[], &answer("own", &["new"], true)), true);
        assert_eq!((written(), gate.work.shared.remembered.get(&key).unwrap().found.len()), (1, 1));
    }
}
