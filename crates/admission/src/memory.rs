//! What is remembered of evidence: for minutes to save requests, and for longer against a registry that is away.
//!
//! For minutes, what was verified is kept by image, policy, keys and roots. Against an outage, what the registry gave is
//! kept as it came, by image alone, and verified and judged anew when it is used: so a policy or a key that has changed
//! since counts. That is also what a file holds between two starts. Whoever can write to it can bring in nothing that
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
    found::WayName,
};

/// The largest memory that is read.
pub const MAX_MEMORY_BYTES: usize = 128 << 20;
const VERSION: u32 = 1;

/// What a registry gave of an image, and when.
#[derive(Debug, Clone)]
pub(crate) struct Remembered {
    pub(crate) found: Arc<[Candidate]>,
    pub(crate) at: Timestamp,
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
        candidates: Vec<Candidate>,
    ) {
        let found: Arc<[Candidate]> = candidates.into();
        let weight = weight(&found);
        let remembered = Remembered { found, at: self.now() };
        let (key, lifetime) = (((image.name(), digest), way), self.options.evidence_lifetime);
        self.work.rooms(ready).remembered.keep(key, remembered, lifetime, weight);
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
        known.find_map(|Remembered { found, at }| {
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
            .filter(|((_, way), _)| way.is_none())
            .map(|(((repository, digest), _), Remembered { found, at })| {
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
            self.work.shared.remembered.keep(((repository, digest), None), Remembered { found, at }, left, weight);
            taken += 1;
        }
        Ok(taken)
    }
}

pub(crate) fn weight(found: &[Candidate]) -> usize {
    found.iter().map(|candidate| candidate.bytes.len()).sum::<usize>() + 512
}

#[cfg(test)]
mod tests {
    use portcullis_policy::Policy;
    use portcullis_registry::{Client, Credentials};

    use super::*;
    use crate::{Options, PolicySet};

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
            vec![Candidate { bytes, format: Format::Bundle, manifest: digest, claimed_type: None }]
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
}
