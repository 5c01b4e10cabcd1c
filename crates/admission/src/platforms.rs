//! An index stands for the images of several platforms, and nobody knows which of them a node will run: so where nobody
//! vouches for the index itself, somebody must vouch for every image in it that a node may run, or for those of the
//! platforms that the policy names.
//!
//! Format: <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md>. Builders add manifests that hold
//! attestations, of a platform that no node has.

use std::{sync::Arc, time::Duration};

use portcullis_errors::{Hint as _, chain};
use portcullis_model::{Digest, Outcome, Reason};
use portcullis_policy::Judgement;
use portcullis_registry::{Descriptor, Manifest, Reference, RegistryError, media_type};
use serde::Deserialize;

use crate::{
    Gate,
    access::{Way, Ways},
    authorities::ReadyPolicy,
    evidence::alone,
};

/// The most images of an index that are looked at; real ones have a dozen.
const MAX_PLATFORMS: usize = 64;
/// A digest always means the same index: how long it is kept is a question of room.
const KEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// An image of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OfPlatform {
    digest: Digest,
    /// `linux/amd64`; none where the index does not say.
    platform: Option<String>,
}

impl Gate {
    /// The answer about an index by the evidence about its images; none where it is no index.
    pub(crate) async fn by_platforms(
        &self,
        ready: &ReadyPolicy,
        image: &Reference,
        digest: Digest,
        ways: &Ways,
    ) -> Option<(Judgement, Option<String>)> {
        let all = match self.platforms(image, digest, ways).await {
            Ok(found) => found?,
            Err(error) => {
                let message = format!("it cannot be told whether it is an index: {}", chain(error.as_ref()));
                return Some((alone(Outcome::Unknown, "registry", message), error.hint()));
            }
        };
        let wanted = ready.policy.spec.evidence.as_ref().map(|rules| rules.platforms.as_slice()).unwrap_or_default();
        let asked: Vec<&OfPlatform> = all.iter().filter(|one| one.is_wanted(wanted)).collect();
        if asked.is_empty() || all.len() > MAX_PLATFORMS {
            let message = if asked.is_empty() {
                "the index holds no image of a platform that is asked for".to_owned()
            } else {
                format!("the index holds more than {MAX_PLATFORMS} images")
            };
            return Some((alone(Outcome::Fail, "evidence.platforms", message), None));
        }
        let judging = asked.iter().map(|one| self.judgement_of(ready, one.digest, image, ways));
        let judged = futures_util::future::join_all(judging).await;
        let mut together = Judgement { result: Outcome::Pass, reasons: Vec::new() };
        let mut fix = None;
        for (one, (judgement, own_fix, _)) in asked.iter().zip(judged) {
            let name = one.platform.as_deref().unwrap_or("a platform that is not told");
            if judgement.result > together.result {
                fix = own_fix;
            }
            let told = |reason: Reason| Reason { message: format!("{name}: {}", reason.message), ..reason };
            let reasons = judgement.reasons.into_iter().map(told).collect();
            together = together.and(Judgement { result: judgement.result, reasons });
        }
        Some((together, fix))
    }

    /// The images of an index; none where the digest is that of one image.
    async fn platforms(
        &self,
        image: &Reference,
        digest: Digest,
        ways: &Ways,
    ) -> Result<Option<Arc<Vec<OfPlatform>>>, Arc<RegistryError>> {
        let key = |way: &Way| ((image.name(), digest), way.name);
        if let Some(known) = ways.iter().find_map(|way| self.work.platforms.get(&key(way))) {
            return Ok(known);
        }
        let at = image.with_digest(digest);
        let ask = async |way: &Way| way.client.manifest(&at).await.map_err(Arc::new);
        let (manifest, way) = ways.first(image, ask).await?;
        let found = runnable(&manifest).map(Arc::new);
        self.work.platforms.keep(key(way), found.clone(), KEEP, manifest.bytes.len());
        Ok(found)
    }
}

impl OfPlatform {
    /// Whether it counts. What does not say its platform may run anywhere.
    fn is_wanted(&self, wanted: &[String]) -> bool {
        let Some(platform) = &self.platform else { return true };
        let is_of = |wanted: &String| {
            platform == wanted || platform.strip_prefix(wanted.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        wanted.is_empty() || wanted.iter().any(is_of)
    }
}

/// The images of an index that a node may run. One within another stays: nothing is attested of it.
fn runnable(manifest: &Manifest) -> Option<Vec<OfPlatform>> {
    #[derive(Deserialize)]
    struct Index {
        #[serde(default)]
        manifests: Vec<Descriptor>,
    }
    if !media_type::is_index(&manifest.media_type) {
        return None;
    }
    // An index that cannot be read holds nothing that anybody vouches for.
    let Index { manifests } = serde_json::from_slice(&manifest.bytes).ok()?;
    let of_platform = manifests.into_iter().map(|Descriptor { digest, platform, .. }| OfPlatform {
        digest,
        platform: platform.map(|platform| platform.to_string()),
    });
    let mut found: Vec<OfPlatform> = of_platform
        // No node is of this platform: so builders mark what is no image.
        .filter(|one| one.platform.as_deref() != Some("unknown/unknown"))
        .collect();
    found.sort_by(|one, other| (&one.platform, one.digest).cmp(&(&other.platform, other.digest)));
    found.dedup();
    Some(found)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    fn manifest(media_type: &str, value: &serde_json::Value) -> Manifest {
        let bytes = Bytes::from(value.to_string());
        Manifest { digest: Digest::of(&bytes), media_type: media_type.to_owned(), bytes }
    }

    #[test]
    fn only_what_no_node_can_run_is_left_out() {
        let entry = |content: &str, platform: Option<(&str, &str)>| {
            let mut entry = serde_json::to_value(Descriptor::of(media_type::OCI_MANIFEST, content.as_bytes())).unwrap();
            if let Some((os, architecture)) = platform {
                entry["platform"] = json!({"os": os, "architecture": architecture});
            }
            entry
        };
        let mut disguised = entry("d", Some(("linux", "arm64")));
        disguised["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
        let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [
            entry("a", Some(("linux", "amd64"))), entry("b", Some(("unknown", "unknown"))), entry("c", None), disguised,
        ]});
        let found = runnable(&manifest(media_type::OCI_INDEX, &index)).unwrap();
        let names: Vec<_> = found.iter().map(|one| one.platform.as_deref()).collect();
        assert_eq!(names, [None, Some("linux/amd64"), Some("linux/arm64")]);
        assert_eq!(runnable(&manifest(media_type::OCI_MANIFEST, &index)), None);
        let wanted = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            found.iter().filter(|one| one.is_wanted(&names)).count()
        };
        assert_eq!([wanted(&[]), wanted(&["linux/amd64"]), wanted(&["linux"]), wanted(&["linux/amd"])], [3, 2, 3, 1]);
    }
}
