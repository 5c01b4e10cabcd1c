//! The gate: policies, a registry client, and the decision about an object.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::{StreamExt as _, stream};
use portcullis_attest::{Discovery, TrustRoot};
use portcullis_model::{Digest, Timestamp};
use portcullis_policy::{Exemption, Pattern};
use portcullis_registry::{Client, Reference, RegistryError};
use serde_json::Value;

use crate::{
    Decision, GateError, ImageDecision, ImageUse, ObjectError, Pin, PolicySet, Surroundings, Workload,
    access::{FoundSecrets, PullIdentity, named_in},
    authorities::ReadyPolicy,
    decision::ObjectDecision,
    evidence::Evidence,
    images::{images_of, pod_spec_pointer},
    looks::Looks,
    memory::Remembered,
    platforms::{OfManifest, OfPlatform},
    set::{Place, ReadySet},
    shared::{InFlight, Kept},
    surroundings::labels_of,
    turns::Turns,
};

/// How long evidence that was enough is kept. It is judged again each time it is used, so that a limit of age, a grace
/// or an exception that ends in between counts at once.
pub(crate) const KEEP: Duration = Duration::from_secs(600);
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
    /// The cluster around; with none, nothing is known of namespaces but their names.
    pub surroundings: Option<Arc<dyn Surroundings>>,
    /// The registries that may be asked, as patterns over their hosts; all if empty.
    pub allowed_registries: Vec<Pattern>,
    /// How long evidence counts while its registry cannot be asked. A policy's `maxAge` counts all the same.
    pub evidence_lifetime: Duration,
    /// Looks at registries at once; others wait. Of one host, at most half as many.
    pub max_looks: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            unmatched: Unmatched::Deny,
            enforce_workloads: false,
            time_limit: Duration::from_secs(8),
            trust_root: None,
            now: None,
            surroundings: None,
            allowed_registries: Vec::new(),
            evidence_lifetime: Duration::from_secs(86_400),
            max_looks: 512,
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
    /// What is asked of namespaces in place of the gate's own surroundings.
    pub(crate) surroundings: Option<&'a dyn Surroundings>,
    /// What the API server says of the request, without the objects.
    pub(crate) request: Option<&'a Value>,
}

/// An image in its repository.
pub(crate) type ImageKey = (String, Digest);
/// With the credential that opened it; none for the gate's own.
pub(crate) type FoundKey = (ImageKey, Option<Digest>);
/// With the policy and the keys, identities and roots that it trusts.
pub(crate) type AnswerKey = (FoundKey, Digest, Digest);

/// The room of what policies of all namespaces together found enough: so that they drive out nothing that policies of the
/// cluster need.
const NAMESPACES_ROOM: usize = 4 << 20;
/// So many of their indexes.
const NAMESPACES_INDEXES: usize = 512;

/// Where evidence is kept that was enough for a policy.
#[derive(Default)]
pub(crate) struct Rooms {
    pub(crate) passed: Kept<AnswerKey, Arc<Evidence>>,
    pub(crate) remembered: Kept<FoundKey, Remembered>,
    /// What there was of indexes of which nobody says anything, and all whose images passed.
    pub(crate) indexes: Kept<AnswerKey, Remembered>,
    /// That it is so, for as long as what passed is kept.
    pub(crate) silent: Kept<AnswerKey, ()>,
}

pub(crate) struct Work {
    pub(crate) turns: Arc<Turns>,
    pub(crate) resolving: InFlight<(Reference, Option<Digest>), Result<Digest, Arc<RegistryError>>>,
    /// With the number of the look.
    pub(crate) discovering: InFlight<FoundKey, (u64, Arc<Discovery>)>,
    pub(crate) looks: Looks,
    pub(crate) reading: InFlight<FoundKey, Result<OfManifest, Arc<RegistryError>>>,
    /// For policies that anybody's images may need.
    pub(crate) shared: Rooms,
    /// For policies of namespaces.
    pub(crate) of_namespaces: Rooms,
    pub(crate) clients: Kept<(String, Digest), Client>,
    pub(crate) platforms: Kept<FoundKey, Option<Arc<Vec<OfPlatform>>>>,
}

impl Work {
    fn new(options: &Options) -> Self {
        let room = NAMESPACES_ROOM;
        let of_namespaces = Rooms {
            passed: Kept::with_room(room),
            remembered: Kept::with_room(room),
            indexes: Kept::with_room(room),
            silent: Kept::with_room(NAMESPACES_INDEXES),
        };
        Self {
            turns: Arc::new(Turns::new(options.max_looks, options.time_limit)),
            resolving: InFlight::default(),
            discovering: InFlight::default(),
            looks: Looks::default(),
            reading: InFlight::default(),
            shared: Rooms::default(),
            of_namespaces,
            clients: Kept::default(),
            platforms: Kept::default(),
        }
    }

    /// Both.
    pub(crate) const fn all_rooms(&self) -> [&Rooms; 2] {
        [&self.shared, &self.of_namespaces]
    }

    pub(crate) const fn rooms(&self, ready: &ReadyPolicy) -> &Rooms {
        if ready.policy.namespace.is_some() { &self.of_namespaces } else { &self.shared }
    }
}

/// Decides. Share one: reviews of the same image at the same time then share the work.
pub struct Gate {
    pub(crate) set: ReadySet,
    pub(crate) client: Client,
    pub(crate) options: Options,
    pub(crate) work: Arc<Work>,
}

impl Gate {
    /// A gate of these policies. With none of them, every image is one that no policy speaks of.
    ///
    /// # Errors
    /// When a key or identity of a policy cannot be used.
    pub fn new(set: impl Into<PolicySet>, client: Client, options: Options) -> Result<Self, GateError> {
        let set = ReadySet::new(set.into(), options.trust_root.as_ref())?;
        let work = Arc::new(Work::new(&options));
        Ok(Self { set, client, options, work })
    }

    /// The same gate with other policies.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_policies(&self, set: impl Into<PolicySet>) -> Result<Self, GateError> {
        Ok(self.with_ready(self.ready(set.into())?))
    }

    /// Policies made ready for [`Self::with_ready`].
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn ready(&self, set: PolicySet) -> Result<ReadySet, GateError> {
        ReadySet::new(set, self.options.trust_root.as_ref())
    }

    /// The same gate with other policies, which are ready.
    #[must_use]
    pub fn with_ready(&self, set: ReadySet) -> Self {
        let (client, options, work) = (self.client.clone(), self.options.clone(), Arc::clone(&self.work));
        Self { set, client, options, work }
    }

    /// What it asks.
    #[must_use]
    pub const fn set(&self) -> &ReadySet {
        &self.set
    }

    /// The names and digests of its policies.
    pub fn policies(&self) -> impl Iterator<Item = &portcullis_model::PolicyRef> {
        self.set.policies.iter().map(|ready| &ready.reference)
    }

    /// How many looks at registries are under way.
    #[must_use]
    pub fn looks_under_way(&self) -> usize {
        self.work.turns.taken()
    }

    pub(crate) fn policies_with_rules(&self) -> impl Iterator<Item = &Arc<ReadyPolicy>> {
        self.set.policies.iter().filter(|ready| ready.policy.spec.workloads.is_some())
    }

    pub(crate) fn exemptions(&self) -> &[Exemption] {
        &self.set.exemptions
    }

    pub(crate) fn has_surroundings(&self) -> bool {
        self.options.surroundings.is_some()
    }

    /// The authorities behind keyless signatures, where they are not the public ones.
    pub(crate) fn trust_root(&self) -> Option<&TrustRoot> {
        self.options.trust_root.as_ref()
    }

    /// What would become of one image in a namespace: `portcullis verify`.
    pub async fn image(&self, image: &str, namespace: Option<&str>) -> ImageDecision {
        let place = self.place(namespace, self.options.surroundings.as_deref()).await;
        self.decide_image(image, &place, Stage::Mutate).await
    }

    /// The place with the pull secrets that a Pod names there, where the surroundings give them.
    async fn with_secrets(&self, place: Place, spec: Option<&Value>, given: Option<&dyn Surroundings>) -> Place {
        let surroundings = given.or(self.options.surroundings.as_deref());
        let (Some(namespace), Some(surroundings), Some(spec)) = (&place.namespace, surroundings, spec) else {
            return place;
        };
        let (account, secrets) = named_in(spec);
        let identity = PullIdentity { namespace, service_account: &account, secrets: &secrets };
        let found = tokio::time::timeout(self.options.time_limit, surroundings.pull_secrets(identity)).await;
        let secrets = found.unwrap_or_else(|_elapsed| FoundSecrets {
            problems: vec!["the pull secrets could not be read in time".to_owned()],
            ..FoundSecrets::default()
        });
        Place { secrets, ..place }
    }

    /// What would become of a Pod that runs already. Where its image is named by tag, the digest that the node pulled
    /// counts.
    ///
    /// # Errors
    /// When the object's images cannot be told.
    pub async fn look_again(&self, pod: &Value) -> Result<Decision, ObjectError> {
        let object = with_pulled_digests(pod.clone());
        let namespace = pod.pointer("/metadata/namespace").and_then(Value::as_str);
        let subject =
            Subject { object: &object, old: None, namespace, stage: Stage::Desk, surroundings: None, request: None };
        self.decide(subject).await
    }

    /// What is known of a namespace. Asked only where a policy needs it.
    async fn place(&self, namespace: Option<&str>, surroundings: Option<&dyn Surroundings>) -> Place {
        let namespace = namespace.map(ToOwned::to_owned);
        let (Some(name), Some(surroundings)) = (&namespace, surroundings.filter(|_| self.set.needs_namespaces()))
        else {
            return Place { namespace, ..Place::default() };
        };
        let object = surroundings.namespace(name).await;
        let labels = object.as_deref().map(labels_of);
        Place { namespace, labels, object, ..Place::default() }
    }

    /// What becomes of an object.
    pub(crate) async fn decide(&self, subject: Subject<'_>) -> Result<Decision, ObjectError> {
        let Subject { object, old, namespace, stage, surroundings, request: _ } = subject;
        let uses = images_of(object, old)?;
        let (workload, pod_spec) = pod_spec_pointer(object).unwrap_or((Workload::Pod, "/spec"));
        let place = self.place(namespace, surroundings.or(self.options.surroundings.as_deref())).await;
        // What other webhooks still change is looked at when they are through.
        let whole = match stage {
            Stage::Mutate => ObjectDecision::default(),
            Stage::Validate | Stage::Desk => self.decide_object(&subject, pod_spec, &uses, &place),
        };
        let mut changed: Vec<ImageUse> = uses.into_iter().filter(ImageUse::is_changed).collect();
        if stage == Stage::Mutate {
            // Another webhook may fill it in; validation comes after all of them.
            changed.retain(|found| !found.image.is_empty());
        }
        if changed.is_empty() && whole.answers.is_empty() {
            return Ok(Decision::untouched("no image is changed"));
        }
        // A template's tags may stay: its Pods come by here, too.
        let stage = if workload == Workload::Template { Stage::Mutate } else { stage };
        // Nobody's secrets are read before somebody needs them.
        let is_needed = changed.iter().any(|found| self.needs_registry(&found.image, &place));
        let spec = object.pointer(pod_spec).filter(|_| is_needed);
        let place = self.with_secrets(place, spec, surroundings).await;
        let decided = self.decide_images(&changed, &place, stage).await;
        let pins = if workload == Workload::Pod && stage != Stage::Validate {
            changed.iter().filter_map(|found| pin(found, decided.get(found.image.as_str())?)).collect()
        } else {
            Vec::new()
        };
        let images = decided.into_values().collect();
        Ok(Decision::of(images, whole, pins, workload, self.options.enforce_workloads))
    }

    /// Each image once, however often the object names it: so that all its places get the same digest.
    async fn decide_images(&self, uses: &[ImageUse], place: &Place, stage: Stage) -> BTreeMap<String, ImageDecision> {
        let mut names: Vec<String> = uses.iter().map(|found| found.image.clone()).collect();
        names.sort_unstable();
        names.dedup();
        stream::iter(names)
            .map(|name| async move {
                let decision = self.decide_image(&name, place, stage).await;
                (name, decision)
            })
            .buffer_unordered(IMAGES_AT_ONCE)
            .collect()
            .await
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.options.now.unwrap_or_else(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Timestamp::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
        })
    }
}

/// A Pod whose containers name what runs: `status` has the digest of each, as the node gave it.
fn with_pulled_digests(mut pod: Value) -> Value {
    let lists = [
        ("containers", "containerStatuses"),
        ("initContainers", "initContainerStatuses"),
        ("ephemeralContainers", "ephemeralContainerStatuses"),
    ];
    for (list, statuses) in lists {
        let statuses =
            pod.pointer(&format!("/status/{statuses}")).and_then(Value::as_array).cloned().unwrap_or_default();
        let containers = pod.pointer_mut(&format!("/spec/{list}")).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let status = statuses.iter().find(|status| status.get("name") == container.get("name"));
            let pulled = status.and_then(|status| status.get("imageID")?.as_str());
            let named =
                container.get("image").and_then(Value::as_str).and_then(|image| image.parse::<Reference>().ok());
            let Some((pulled, named)) = pulled.zip(named.filter(|named| named.digest().is_none())) else { continue };
            // Of another repository it is another image's mirror, or an id of this node alone: the tag counts then.
            let digest = pulled.parse::<Reference>().ok().filter(|pulled| pulled.name() == named.name());
            if let Some(digest) = digest.and_then(|pulled| pulled.digest()) {
                container["image"] = named.with_digest(digest).to_string().into();
            }
        }
    }
    pod
}

/// The field's image by the digest that was judged. An audit changes nothing, and a digest is not written again.
fn pin(found: &ImageUse, decision: &ImageDecision) -> Option<Pin> {
    let reference = decision.reference.as_ref().filter(|reference| reference.digest().is_none())?;
    let value = reference.with_digest(decision.digest?).to_string();
    decision.is_enforced().then(|| Pin { op: "replace", path: found.pointer.clone(), value })
}
