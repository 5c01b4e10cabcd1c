//! Whether an image may run: its evidence is found at the registry, verified, judged by the policies, and told as
//! Kubernetes reads it.
//!
//! The admission webhook and `portcullis admit` both ask the [`Gate`], so that they give the same answer in the same
//! words. Objects are read as JSON values, never as typed Pods: a field that this version does not know is not lost.
//!
//! Three answers exist for an image. *Unknown* (a registry that is out of reach, evidence that cannot be read) admits
//! nothing under an enforcing policy.

mod images;
mod policy_review;
mod review;

mod access;
mod authorities;
mod evidence;
mod found;
mod looks;
mod memory;
mod platforms;
mod set;
mod shared;
mod surroundings;
mod told;
mod turns;

pub mod spans;

mod gate;
mod judging;
mod manifests;
mod skipped;

mod decision;
mod workloads;

pub use access::{FoundSecrets, PullIdentity};
pub use authorities::{GateError, ReadyPolicy, verifier_of};
pub use decision::{Annotations, Decision, Granted, ImageDecision, ObjectDecision, Pin, PolicyAnswer};
pub use gate::{Gate, Options, Unmatched};
pub use images::{ImageUse, MAX_IMAGES, ObjectError, Workload, images_of};
pub use manifests::{MAX_MANIFEST_FILE_BYTES, ManifestAnswer, ManifestDecision, ManifestError, Unasked};
pub use memory::{MAX_MEMORY_BYTES, MemoryError};
pub use review::{Path, ReviewError};
pub use set::{BrokenPolicy, PolicySet, ReadySet};
pub use skipped::Skipped;
pub use surroundings::Surroundings;
pub use told::Told;
