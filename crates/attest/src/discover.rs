//! Finding evidence at a registry. What is found is a candidate and proves nothing; what could not be read is told,
//! because then nobody knows what else there is.
//!
//! Where cosign puts what: <https://github.com/sigstore/cosign/blob/v3.0.6/specs/BUNDLE_SPEC.md> and, for the older
//! form, <https://github.com/sigstore/cosign/blob/v3.0.6/specs/ATTESTATION_SPEC.md>

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use portcullis_errors::Hint;
use portcullis_model::Digest;
use portcullis_registry::{Client, Descriptor, Manifest, Reference, RegistryError, media_type};

use crate::{
    artifact::{PREDICATE_TYPE, ReferrerManifest, is_bundle},
    legacy::{LEGACY_PREDICATE_TYPE, envelopes, legacy_tag},
};

/// The largest bundle that is read.
pub const MAX_BUNDLE_BYTES: u64 = 16 << 20;
/// What is read of all bundles of an image together.
pub const MAX_TOTAL_BYTES: u64 = 64 << 20;
/// Requests at once.
const CONCURRENCY: usize = 8;
/// The layers of one referrer that are looked at; cosign's older form keeps all attestations in one manifest.
const MAX_LAYERS: usize = 100;

/// The form of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// A Sigstore bundle.
    Bundle,
    /// A bare DSSE envelope, as cosign stored them under `sha256-<hex>.att`.
    Envelope,
}

/// Something that may be evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its JSON, checked against the digest that its manifest names.
    pub bytes: Bytes,
    /// Its form.
    pub format: Format,
    /// The manifest that it was found in.
    pub manifest: Digest,
    /// What its annotations say that it says. Anyone may have written that.
    pub claimed_type: Option<String>,
}

/// Something that could not be read.
#[derive(Debug)]
pub struct Problem {
    /// What it was, for people.
    pub what: String,
    /// Why.
    pub error: ProblemError,
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ProblemError {
    /// The registry does not give it.
    #[error(transparent)]
    Registry(Box<RegistryError>),
    /// The manifest is none.
    #[error("the manifest cannot be read: {0}")]
    Manifest(String),
    /// It refers to something else.
    #[error("the manifest says to refer to {0}")]
    Subject(Digest),
    /// More than is read.
    #[error("there are more than {limit} {unit}")]
    TooMuch {
        /// The limit.
        limit: u64,
        /// Of what.
        unit: &'static str,
    },
    /// A file of a layout cannot be read.
    #[error("cannot read the file")]
    File(#[from] std::io::Error),
}

impl Hint for Problem {
    fn hint(&self) -> Option<String> {
        match &self.error {
            ProblemError::Registry(error) => error.hint(),
            _ => None,
        }
    }
}

/// What was found. With a problem in it, missing evidence is *unknown*, not missing.
#[derive(Debug, Default)]
pub struct Discovery {
    /// Sorted by manifest and content.
    pub candidates: Vec<Candidate>,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

impl Discovery {
    /// Whether all that there is was read.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.problems.is_empty()
    }

    pub(crate) fn add(&mut self, found: Result<Vec<Candidate>, Problem>) {
        match found {
            Ok(candidates) => self.candidates.extend(candidates),
            Err(problem) => self.problems.push(problem),
        }
    }

    pub(crate) fn sorted(mut self) -> Self {
        self.candidates.sort_by(|one, other| {
            (one.manifest, one.format, &one.bytes).cmp(&(other.manifest, other.format, &other.bytes))
        });
        self.candidates.dedup();
        self.problems.sort_by(|one, other| one.what.cmp(&other.what));
        self
    }
}

/// Lists what may be evidence about `digest` in the repository of `image`.
///
/// `wanted` names predicate types; a candidate that says to be of another is not fetched. Whoever can write to the
/// repository could as well remove it, so this hides nothing more. Empty means all.
pub async fn discover(client: &Client, image: &Reference, digest: &Digest, wanted: &[&str]) -> Discovery {
    let search = Search { client, image, digest, wanted, bytes_left: Budget::new() };
    let (referrers, legacy) = tokio::join!(search.referrers(), search.legacy());
    let mut discovery = referrers;
    discovery.add(legacy);
    discovery.sorted()
}

/// How many bytes may still be read.
pub(crate) struct Budget(AtomicU64);

impl Budget {
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(MAX_TOTAL_BYTES))
    }

    /// Takes what a descriptor says that it needs.
    pub(crate) fn take(&self, size: u64) -> Result<(), ProblemError> {
        if size > MAX_BUNDLE_BYTES {
            return Err(ProblemError::TooMuch { limit: MAX_BUNDLE_BYTES, unit: "bytes in one bundle" });
        }
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(size));
        taken.map(|_| ()).map_err(|_left| ProblemError::TooMuch { limit: MAX_TOTAL_BYTES, unit: "bytes of evidence" })
    }
}

struct Search<'a> {
    client: &'a Client,
    image: &'a Reference,
    digest: &'a Digest,
    wanted: &'a [&'a str],
    bytes_left: Budget,
}

impl Search<'_> {
    async fn referrers(&self) -> Discovery {
        let mut discovery = Discovery::default();
        let referrers = match self.client.referrers(self.image, self.digest).await {
            Ok(referrers) => referrers,
            Err(error) => {
                discovery.problems.push(problem(format!("referrers of {}", self.digest), error));
                return discovery;
            }
        };
        let wanted = referrers.into_iter().filter(|referrer| {
            let claimed = referrer.annotations.get(PREDICATE_TYPE).map(String::as_str);
            !media_type::is_index(&referrer.media_type) && is_wanted(self.wanted, claimed)
        });
        let mut found = stream::iter(wanted).map(|referrer| self.referrer(referrer)).buffer_unordered(CONCURRENCY);
        while let Some(found) = found.next().await {
            discovery.add(found);
        }
        discovery
    }

    /// The candidates in one referrer. What is of another kind has none.
    async fn referrer(&self, referrer: Descriptor) -> Result<Vec<Candidate>, Problem> {
        let what = format!("referrer {}", referrer.digest);
        let manifest = self.client.manifest(&self.image.with_digest(referrer.digest)).await;
        let manifest = manifest.map_err(|error| problem(what.clone(), error))?;
        let layers = evidence_layers(&manifest.bytes, self.digest, self.wanted);
        let layers = layers.map_err(|error| Problem { what: what.clone(), error })?;
        self.fetch(&what, &manifest, layers).await
    }

    /// The candidates under cosign's older tag. It is a registry's plain "not there" that means none.
    async fn legacy(&self) -> Result<Vec<Candidate>, Problem> {
        let tag = legacy_tag(self.digest);
        let Ok(at) = self.image.with_tag(&tag) else { return Ok(Vec::new()) };
        let manifest = match self.client.manifest(&at).await {
            Ok(manifest) => manifest,
            Err(RegistryError::NotFound(_)) => return Ok(Vec::new()),
            Err(error) => return Err(problem(tag, error)),
        };
        let layers = legacy_layers(&manifest.bytes, self.wanted);
        let layers = layers.map_err(|error| Problem { what: tag.clone(), error })?;
        self.fetch(&tag, &manifest, layers).await
    }

    async fn fetch(&self, what: &str, manifest: &Manifest, layers: Vec<Layer>) -> Result<Vec<Candidate>, Problem> {
        let take = |size| self.bytes_left.take(size).map_err(|error| Problem { what: what.to_owned(), error });
        take(manifest.bytes.len() as u64)?;
        let mut candidates = Vec::new();
        for Layer { descriptor, format, claimed_type } in layers {
            take(descriptor.size)?;
            let bytes = self.client.blob(self.image, &descriptor.digest, descriptor.size).await;
            let bytes = bytes.map_err(|error| problem(what.to_owned(), error))?;
            candidates.push(Candidate { bytes, format, manifest: manifest.digest, claimed_type });
        }
        Ok(candidates)
    }
}

/// A layer that is to be fetched.
pub(crate) struct Layer {
    pub(crate) descriptor: Descriptor,
    pub(crate) format: Format,
    pub(crate) claimed_type: Option<String>,
}

/// The layers of a referrer that hold bundles. Its type is not asked: some registries show another.
pub(crate) fn evidence_layers(manifest: &[u8], subject: &Digest, wanted: &[&str]) -> Result<Vec<Layer>, ProblemError> {
    let manifest: ReferrerManifest =
        serde_json::from_slice(manifest).map_err(|error| ProblemError::Manifest(error.to_string()))?;
    if let Some(other) = manifest.subject.filter(|found| found.digest != *subject) {
        return Err(ProblemError::Subject(other.digest));
    }
    let claimed_type = manifest.annotations.unwrap_or_default().remove(PREDICATE_TYPE);
    if !is_wanted(wanted, claimed_type.as_deref()) {
        return Ok(Vec::new());
    }
    let layers = manifest.layers.unwrap_or_default().into_iter().filter(|layer| is_bundle(&layer.media_type));
    capped(layers.map(|descriptor| Layer { descriptor, format: Format::Bundle, claimed_type: claimed_type.clone() }))
}

fn legacy_layers(manifest: &[u8], wanted: &[&str]) -> Result<Vec<Layer>, ProblemError> {
    let layers = envelopes(manifest).map_err(|error| ProblemError::Manifest(error.to_string()))?;
    capped(layers.into_iter().filter_map(|descriptor| {
        let claimed_type = descriptor.annotations.get(LEGACY_PREDICATE_TYPE).cloned();
        is_wanted(wanted, claimed_type.as_deref()).then_some(Layer {
            descriptor,
            format: Format::Envelope,
            claimed_type,
        })
    }))
}

fn capped(layers: impl Iterator<Item = Layer>) -> Result<Vec<Layer>, ProblemError> {
    let layers: Vec<Layer> = layers.take(MAX_LAYERS + 1).collect();
    if layers.len() > MAX_LAYERS {
        return Err(ProblemError::TooMuch { limit: MAX_LAYERS as u64, unit: "layers" });
    }
    Ok(layers)
}

/// Without a claim it may be anything.
fn is_wanted(wanted: &[&str], claimed: Option<&str>) -> bool {
    wanted.is_empty() || claimed.is_none_or(|claimed| wanted.contains(&claimed))
}

fn problem(what: String, error: RegistryError) -> Problem {
    Problem { what, error: ProblemError::Registry(Box::new(error)) }
}
