//! An index stands for the images of several platforms, and nobody knows which of them a node will run: so where nobody
//! vouches for the index itself, somebody must vouch for every image in it that a node may run, or for those of the
//! platforms that the policy names.
//!
//! Format: <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md>. Builders add manifests that hold
//! attestations, of a platform that no node has.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use portcullis_errors::{Hint as _, chain};
use portcullis_model::{Digest, Outcome, Reason};
use portcullis_policy::Judgement;
use portcullis_registry::{Client, Descriptor, Manifest, Reference, RegistryError, media_type};
use serde::Deserialize;

use crate::{
    Gate,
    access::{Way, Ways, is_silence},
    authorities::ReadyPolicy,
    evidence::alone,
    judging::Judged,
};

/// The most images of an index that are looked at; real ones have a dozen.
const MAX_PLATFORMS: usize = 64;
/// A digest always means the same index: how long it is kept is a question of room.
const KEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// An image of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OfPlatform {
    digest: Digest,
    /// `linux/amd64`, as nodes read it; none where the index does not say, so that any node may run it.
    platform: Option<String>,
}

/// The images of an index, none where it is no index; and how many bytes it takes to keep them.
pub(crate) type OfManifest = (Option<Arc<Vec<OfPlatform>>>, usize);

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
        let refused = |message: String| Some((alone(Outcome::Fail, "evidence.platforms", message), None));
        if all.len() > MAX_PLATFORMS {
            return refused(format!("the index holds more than {MAX_PLATFORMS} images"));
        }
        let asked = asked(&all, wanted);
        if asked.is_empty() {
            return refused("the index holds no image of a platform that is asked for".to_owned());
        }
        let judging = asked.iter().map(|one| self.judgement_of(ready, one.digest, image, ways));
        let judged = futures_util::future::join_all(judging).await;
        let mut together = Judgement { result: Outcome::Pass, reasons: Vec::new() };
        let mut fix = None;
        for (one, Judged { judgement, fix: own_fix, .. }) in asked.iter().zip(judged) {
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
        // Policies that speak of the same image come by here together.
        let ask = |way: &Way| {
            let (client, at, turns) = (way.client.clone(), at.clone(), Arc::clone(&self.work.turns));
            let work = || {
                let reading = async move { turns.look(&at, read(&client, &at), is_silence).await.flatten() };
                async move { reading.await.map_err(Arc::new) }.boxed()
            };
            self.work.reading.run(key(way), work)
        };
        let ((found, bytes), way) = ways.first(image, ask).await?;
        self.work.platforms.keep(key(way), found.clone(), KEEP, bytes);
        Ok(found)
    }
}

/// The images of what has this digest, and how many bytes they take.
async fn read(client: &Client, at: &Reference) -> Result<OfManifest, RegistryError> {
    let found = runnable(&client.manifest(at).await?);
    let weight = weight(found.as_deref().unwrap_or_default());
    Ok((found.map(Arc::new), weight))
}

fn weight(images: &[OfPlatform]) -> usize {
    let texts = images.iter().map(|one| one.platform.as_ref().map_or(0, String::len)).sum::<usize>();
    texts + size_of_val(images) + 256
}

/// The images that nodes of the platforms `wanted` may run; of all nodes, where none is named.
fn asked<'a>(all: &'a [OfPlatform], wanted: &[String]) -> Vec<&'a OfPlatform> {
    let wanted = wanted.iter().map(|name| {
        let name = normal(name, false);
        let is_exact = all.iter().any(|one| one.platform.as_ref() == Some(&name));
        let stand_ins = if is_exact { Vec::new() } else { stand_ins(&name) };
        (name, stand_ins)
    });
    let wanted: Vec<(String, Vec<String>)> = wanted.collect();
    let is_asked = |one: &&OfPlatform| {
        let Some(platform) = &one.platform else { return true };
        let is_meant = |(wanted, stand_ins): &(String, Vec<String>)| {
            is_within(platform, wanted) || stand_ins.iter().any(|stand_in| is_within(platform, stand_in))
        };
        wanted.is_empty() || wanted.iter().any(is_meant)
    };
    all.iter().filter(is_asked).collect()
}

fn is_within(platform: &str, wanted: &str) -> bool {
    platform == wanted || platform.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('/'))
}

/// What a node of a platform runs where nothing of just that platform is there:
/// <https://github.com/containerd/platforms/blob/v1.0.0-rc.1/compare.go>.
fn stand_ins(platform: &str) -> Vec<String> {
    let mut parts = platform.split('/');
    let (os, architecture) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let others: &[&str] = match architecture {
        "amd64" => &["amd64", "386"],
        "arm64" => &["arm64", "arm"],
        "arm" => &["arm"],
        _ => &[],
    };
    others.iter().map(|other| format!("{os}/{other}")).collect()
}

/// A platform by the names that nodes know it by, whatever the index calls it:
/// <https://github.com/containerd/platforms/blob/v1.0.0-rc.1/database.go>. `is_image`: that of an image, where an Arm
/// without variant is the seventh; in a policy it means them all.
fn normal(platform: &str, is_image: bool) -> String {
    let lower = platform.to_lowercase();
    let mut parts = lower.splitn(3, '/');
    let mut part = || parts.next().unwrap_or_default();
    let (os, architecture, variant) = (part(), part(), part());
    let os = if os == "macos" { "darwin" } else { os };
    let (architecture, variant) = match (architecture, variant) {
        ("i386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64", variant) => ("amd64", variant),
        ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
        ("aarch64", variant) => ("arm64", variant),
        ("armhf", _) | ("arm", "7") => ("arm", "v7"),
        ("arm", "") if is_image => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "8") => ("arm", "v8"),
        as_it_is => as_it_is,
    };
    [os, architecture, variant].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
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
    let mut found: Vec<OfPlatform> = manifests
        .into_iter()
        // No node is of this platform: so builders mark what is no image.
        .filter(|one| one.platform.as_ref().is_none_or(|platform| platform.to_string() != "unknown/unknown"))
        .map(|Descriptor { digest, platform, .. }| {
            // A node takes what is left open for its own.
            let told = platform.filter(|platform| !platform.os.is_empty() && !platform.architecture.is_empty());
            OfPlatform { digest, platform: told.map(|platform| normal(&platform.to_string(), true)) }
        })
        .collect();
    found.sort_by(|one, other| (&one.platform, one.digest).cmp(&(&other.platform, other.digest)));
    found.dedup();
    // One more than may be shows that there are too many.
    found.truncate(MAX_PLATFORMS + 1);
    found.shrink_to_fit();
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
        let wanted = |names: &[&str]| asked(&found, &owned(names)).len();
        assert_eq!([wanted(&[]), wanted(&["linux/amd64"]), wanted(&["linux"]), wanted(&["linux/amd"])], [3, 2, 3, 1]);
    }

    #[test]
    fn of_too_many_images_only_so_many_are_kept_that_it_can_be_told() {
        let entry = |number: u32| {
            let content = number.to_string();
            serde_json::to_value(Descriptor::of(media_type::OCI_MANIFEST, content.as_bytes())).unwrap()
        };
        let all: Vec<_> = (0..5000).map(entry).collect();
        let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": all});
        let found = runnable(&manifest(media_type::OCI_INDEX, &index)).unwrap();
        assert_eq!(found.len(), MAX_PLATFORMS + 1);
        assert!((1000..20_000).contains(&weight(&found)), "{}", weight(&found));
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Whether an image of `platform` is asked for where a policy wants `wanted`.
    fn is_asked(platform: &str, wanted: &str) -> bool {
        let mut parts = platform.split('/');
        let [os, architecture] = [(); 2].map(|()| parts.next().unwrap());
        let mut entry = serde_json::to_value(Descriptor::of(media_type::OCI_MANIFEST, b"a")).unwrap();
        entry["platform"] = json!({"os": os, "architecture": architecture, "variant": parts.next()});
        let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [entry]});
        let found = runnable(&manifest(media_type::OCI_INDEX, &index)).unwrap();
        !asked(&found, &owned(&[wanted])).is_empty()
    }

    #[test]
    fn platforms_are_read_as_nodes_read_them() {
        for (platform, wanted) in [
            ("linux/x86_64", "linux/amd64"),
            ("linux/x86-64", "linux/amd64"),
            ("Linux/AMD64", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/amd64", "linux/amd64/v1"),
            ("linux/amd64", "linux/x86_64"),
            ("linux/amd64/v3", "linux/amd64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm64", "linux/arm64/v8"),
            ("linux/i386", "linux/386"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/7", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/arm/v6", "linux/arm"),
            ("/amd64", "windows/arm64"),
            ("linux/", "windows/arm64"),
            ("macos/arm64", "darwin"),
            // What runs where there is nothing better.
            ("linux/386", "linux/amd64"),
            ("linux/amd64", "linux/amd64/v2"),
            ("linux/arm/v5", "linux/arm64"),
            ("linux/arm/v6", "linux/arm/v7"),
        ] {
            assert!(is_asked(platform, wanted), "{platform} for {wanted}");
        }
        for (platform, wanted) in [
            ("linux/arm64", "linux/amd64"),
            ("windows/amd64", "linux/amd64"),
            ("linux/amd64", "linux/386"),
            ("unknown/unknown", "linux/amd64"),
            ("unknown/unknown", "unknown"),
        ] {
            assert!(!is_asked(platform, wanted), "{platform} for {wanted}");
        }
        assert!(is_asked("Unknown/unknown", "unknown"), "only the very word is what builders write");
    }

    #[test]
    fn a_stand_in_is_not_asked_for_where_nobody_needs_it() {
        let of =
            |platform: &str| OfPlatform { digest: Digest::of(platform.as_bytes()), platform: Some(platform.into()) };
        let all = ["linux/386", "linux/amd64", "linux/arm/v7", "linux/arm64"].map(of);
        let names = |wanted: &[&str]| {
            asked(&all, &owned(wanted)).iter().map(|one| one.platform.clone().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(names(&["linux/amd64"]), ["linux/amd64"]);
        assert_eq!(names(&["linux/arm64"]), ["linux/arm64"]);
        assert_eq!(names(&["linux/arm"]), ["linux/arm/v7"]);
        let all = ["linux/386", "linux/amd64/v3"].map(of);
        assert_eq!(asked(&all, &owned(&["linux/amd64"])).len(), 2, "older nodes run the other one");
    }
}
