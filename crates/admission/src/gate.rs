//! The gate: policies, a registry client, and the decision about an object.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::{FutureExt as _, StreamExt as _, stream};
use portcullis_attest::{Discovery, TrustRoot, discover};
use portcullis_errors::{Hint as _, chain};
use portcullis_model::{Digest, Outcome, Timestamp};
use portcullis_policy::{Judgement, Mode, Policy};
use portcullis_registry::{Client, Manifest, Reference, ReferenceError, RegistryError};
use serde_json::Value;

use crate::{
    Decision, GateError, ImageDecision, ImageUse, ObjectError, Pin, PolicyAnswer, Workload,
    authorities::ReadyPolicy,
    evidence::{Evidence, alone, judged, verified},
    images::{images_of, pod_spec_pointer},
    shared::{InFlight, Kept},
};

/// How long evidence that was enough is kept. It is judged again each time it is used, so that a limit of age, a grace
/// or an exception that ends in between counts at once.
const KEEP: Duration = Duration::from_secs(600);
/// Images of one object that are looked at together.
const IMAGES_AT_ONCE: usize = 8;

/// What becomes of images that no policy speaks of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unmatched {
    /// They are refused.
    #[default]
    Deny,
    /// They are let in, and nothing is asked of their registry.
    Allow,
}

/// How the gate works.
#[derive(Debug, Clone)]
pub struct Options {
    /// What becomes of images that no policy speaks of.
    pub unmatched: Unmatched,
    /// Whether Deployments and the like are refused, too; else they get warnings, and their Pods are refused.
    pub enforce_workloads: bool,
    /// How long the answer about one image may take; it is *unknown* then.
    pub time_limit: Duration,
    /// The authorities behind keyless signatures; those of the public Sigstore instance if left out.
    pub trust_root: Option<TrustRoot>,
    /// The moment of the decision; the clock's if left out.
    pub now: Option<Timestamp>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            unmatched: Unmatched::Deny,
            enforce_workloads: false,
            time_limit: Duration::from_secs(8),
            trust_root: None,
            now: None,
        }
    }
}

/// For whom a decision is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Tags are replaced by digests; other webhooks may still fill in images.
    Mutate,
    /// The object is what will be stored: a tag that is left is refused.
    Validate,
    /// A file before it is sent: both.
    Desk,
}

/// An object under review.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) object: &'a Value,
    pub(crate) old: Option<&'a Value>,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) stage: Stage,
}

/// An image in its repository.
type ImageKey = (String, Digest);
/// With the policy and the keys, identities and roots that it trusts.
type AnswerKey = (ImageKey, Digest, Digest);

#[derive(Default)]
struct Work {
    resolving: InFlight<Reference, Result<Digest, Arc<RegistryError>>>,
    discovering: InFlight<ImageKey, Arc<Discovery>>,
    passed: Kept<AnswerKey, Arc<Evidence>>,
}

/// Decides. Share one: reviews of the same image at the same time then share the work.
pub struct Gate {
    policies: Vec<ReadyPolicy>,
    client: Client,
    options: Options,
    work: Arc<Work>,
}

impl Gate {
    /// A gate of these policies.
    ///
    /// # Errors
    /// When there is no policy, or a key or identity of one cannot be used.
    pub fn new(policies: Vec<Policy>, client: Client, options: Options) -> Result<Self, GateError> {
        let policies = ready(policies, &options)?;
        Ok(Self { policies, client, options, work: Arc::default() })
    }

    /// The same gate with other policies.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_policies(&self, policies: Vec<Policy>) -> Result<Self, GateError> {
        let policies = ready(policies, &self.options)?;
        let (client, options, work) = (self.client.clone(), self.options.clone(), Arc::clone(&self.work));
        Ok(Self { policies, client, options, work })
    }

    /// The names and digests of its policies.
    pub fn policies(&self) -> impl Iterator<Item = &portcullis_model::PolicyRef> {
        self.policies.iter().map(|ready| &ready.reference)
    }

    /// What would become of one image in a namespace: `portcullis verify`.
    pub async fn image(&self, image: &str, namespace: Option<&str>) -> ImageDecision {
        self.decide_image(image, namespace, Stage::Mutate).await
    }

    /// What becomes of an object.
    pub(crate) async fn decide(&self, subject: Subject<'_>) -> Result<Decision, ObjectError> {
        let Subject { object, old, namespace, stage } = subject;
        let uses = images_of(object, old)?;
        let workload = pod_spec_pointer(object).map_or(Workload::Pod, |(workload, _)| workload);
        let mut changed: Vec<ImageUse> = uses.into_iter().filter(ImageUse::is_changed).collect();
        if stage == Stage::Mutate {
            // Another webhook may fill it in; validation comes after all of them.
            changed.retain(|found| !found.image.is_empty());
        }
        if changed.is_empty() {
            return Ok(Decision::untouched("no image is changed"));
        }
        // A template's tags may stay: its Pods come by here, too.
        let stage = if workload == Workload::Template { Stage::Mutate } else { stage };
        let decided = self.decide_images(&changed, namespace, stage).await;
        let pins = if workload == Workload::Pod && stage != Stage::Validate {
            changed.iter().filter_map(|found| pin(found, decided.get(found.image.as_str())?)).collect()
        } else {
            Vec::new()
        };
        let images = decided.into_values().collect();
        Ok(Decision::of(images, pins, workload, self.options.enforce_workloads))
    }

    /// Each image once, however often the object names it: so that all its places get the same digest.
    async fn decide_images(
        &self,
        uses: &[ImageUse],
        namespace: Option<&str>,
        stage: Stage,
    ) -> BTreeMap<String, ImageDecision> {
        let mut names: Vec<String> = uses.iter().map(|found| found.image.clone()).collect();
        names.sort_unstable();
        names.dedup();
        stream::iter(names)
            .map(|name| async move {
                let decision = self.decide_image(&name, namespace, stage).await;
                (name, decision)
            })
            .buffer_unordered(IMAGES_AT_ONCE)
            .collect()
            .await
    }

    async fn decide_image(&self, image: &str, namespace: Option<&str>, stage: Stage) -> ImageDecision {
        let decision =
            |reference, digest, answers| ImageDecision { image: image.to_owned(), reference, digest, answers };
        let reference: Reference = match image.parse() {
            Ok(reference) => reference,
            Err(error) => return decision(None, None, vec![self.nameless(image, &error)]),
        };
        let name = reference.name();
        let asked: Vec<&ReadyPolicy> = self.policies.iter().filter(|ready| applies(ready, &name, namespace)).collect();
        if asked.is_empty() {
            let answers = match self.options.unmatched {
                Unmatched::Allow => Vec::new(),
                Unmatched::Deny => vec![unmatched(&name)],
            };
            let digest = reference.digest();
            return decision(Some(reference), digest, answers);
        }
        let is_enforced = asked.iter().any(|ready| !ready.reference.audit);
        if stage == Stage::Validate && is_enforced && reference.digest().is_none() {
            return decision(Some(reference), None, vec![unpinned()]);
        }
        let limit = self.options.time_limit;
        let (digest, answers) = match tokio::time::timeout(limit, self.answers(&reference, &asked)).await {
            Ok(answered) => answered,
            Err(_elapsed) => {
                let message = format!("the registry gave no complete answer within {} s", limit.as_secs_f32());
                let fix = Some("try again; if it lasts, look at the registry".to_owned());
                let unknown = alone(Outcome::Unknown, "registry", message);
                (reference.digest(), asked.iter().map(|ready| answer(ready, unknown.clone(), fix.clone())).collect())
            }
        };
        decision(Some(reference), digest, answers)
    }

    /// The digest, and the answers of `asked` about it.
    async fn answers(&self, reference: &Reference, asked: &[&ReadyPolicy]) -> (Option<Digest>, Vec<PolicyAnswer>) {
        let digest = match self.resolve(reference).await {
            Ok(digest) => digest,
            Err(error) => {
                let result = if error.is_not_found() { Outcome::Fail } else { Outcome::Unknown };
                let judgement = alone(result, "registry", chain(error.as_ref()));
                let answers = asked.iter().map(|ready| answer(ready, judgement.clone(), error.hint()));
                return (None, answers.collect());
            }
        };
        let image = reference.with_digest(digest);
        let answers = asked.iter().map(|ready| self.answer(ready, &image, digest));
        (Some(digest), futures_util::future::join_all(answers).await)
    }

    /// Asks the registry once what a tag means; the bytes that it gives make the digest. A digest needs no asking.
    async fn resolve(&self, reference: &Reference) -> Result<Digest, Arc<RegistryError>> {
        if let Some(digest) = reference.digest() {
            return Ok(digest);
        }
        let (client, at) = (self.client.clone(), reference.clone());
        let work = || {
            async move {
                let Manifest { bytes, .. } = client.manifest(&at).await.map_err(Arc::new)?;
                Ok(Digest::of(&bytes))
            }
            .boxed()
        };
        self.work.resolving.run(reference.clone(), work).await
    }

    async fn answer(&self, ready: &ReadyPolicy, image: &Reference, digest: Digest) -> PolicyAnswer {
        let Some(verifier) = &ready.verifier else {
            let message = "the policy trusts nobody, so that nothing can be known of an image";
            let fix = "name who may vouch for it in `spec.evidence.authorities`".to_owned();
            return answer(ready, alone(Outcome::Unknown, "evidence.authorities", message.to_owned()), Some(fix));
        };
        let now = self.now();
        let key: AnswerKey = ((image.name(), digest), ready.reference.digest, ready.authorities);
        if let Some(evidence) = self.work.passed.get(&key) {
            let (judgement, fix) = judged(ready, image, &evidence, now);
            if judgement.result == Outcome::Pass {
                return answer(ready, judgement, fix);
            }
            // There may be newer evidence.
        }
        let discovery = self.discover(image, digest).await;
        let evidence = verified(&discovery, verifier, &digest, now);
        let (judgement, fix) = judged(ready, image, &evidence, now);
        if judgement.result == Outcome::Pass {
            self.work.passed.keep(key, Arc::new(evidence), KEEP);
        }
        answer(ready, judgement, fix)
    }

    async fn discover(&self, image: &Reference, digest: Digest) -> Arc<Discovery> {
        let (client, at) = (self.client.clone(), image.clone());
        let work = || async move { Arc::new(discover(&client, &at, &digest, &[]).await) }.boxed();
        self.work.discovering.run((image.name(), digest), work).await
    }

    /// Nobody can tell which policies speak of what names no image; so it is enforced if any policy is.
    fn nameless(&self, image: &str, error: &ReferenceError) -> PolicyAnswer {
        let (message, fix) = if image.is_empty() {
            ("no image is named".to_owned(), Some("name an image".to_owned()))
        } else {
            (error.to_string(), error.hint())
        };
        let is_audit = self.policies.iter().all(|ready| ready.policy.spec.mode == Mode::Audit);
        let audit = is_audit && self.options.unmatched == Unmatched::Allow;
        PolicyAnswer { audit, fix, ..own(alone(Outcome::Fail, "image", message)) }
    }

    fn now(&self) -> Timestamp {
        self.options.now.unwrap_or_else(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Timestamp::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
        })
    }
}

fn ready(policies: Vec<Policy>, options: &Options) -> Result<Vec<ReadyPolicy>, GateError> {
    if policies.is_empty() {
        return Err(GateError::NoPolicy);
    }
    policies.into_iter().map(|policy| ReadyPolicy::new(policy, options.trust_root.as_ref())).collect()
}

/// A policy of a namespace speaks of that one alone; one without, and a cluster's, of all.
fn applies(ready: &ReadyPolicy, name: &str, namespace: Option<&str>) -> bool {
    let policy = &ready.policy;
    policy.applies_to(name) && policy.namespace.as_deref().is_none_or(|own| namespace == Some(own))
}

fn answer(ready: &ReadyPolicy, judgement: Judgement, fix: Option<String>) -> PolicyAnswer {
    let reference = &ready.reference;
    PolicyAnswer {
        policy: reference.name.clone(),
        policy_digest: Some(reference.digest),
        audit: reference.audit,
        judgement,
        fix,
    }
}

/// An answer of the gate itself.
fn own(judgement: Judgement) -> PolicyAnswer {
    PolicyAnswer { policy: "portcullis".to_owned(), policy_digest: None, audit: false, judgement, fix: None }
}

fn unmatched(name: &str) -> PolicyAnswer {
    let judgement = alone(Outcome::Fail, "images", "no policy speaks of this image".to_owned());
    PolicyAnswer { fix: Some(format!("name `{name}` in `spec.images` of a policy")), ..own(judgement) }
}

fn unpinned() -> PolicyAnswer {
    let message = "it is named by a tag, which can move, and not by a digest".to_owned();
    let fix = "name it by digest, or let Portcullis' mutating webhook do so".to_owned();
    PolicyAnswer { fix: Some(fix), ..own(alone(Outcome::Fail, "image", message)) }
}

/// The field's image by the digest that was judged. An audit changes nothing, and a digest is not written again.
fn pin(found: &ImageUse, decision: &ImageDecision) -> Option<Pin> {
    let reference = decision.reference.as_ref().filter(|reference| reference.digest().is_none())?;
    let value = reference.with_digest(decision.digest?).to_string();
    decision.is_enforced().then(|| Pin { op: "replace", path: found.pointer.clone(), value })
}
