//! Manifests, tags and referrers.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests-with-subject>

use axum::{
    body::Bytes,
    http::{Method, StatusCode, header},
};
use portcullis_model::Digest;
use serde_json::{Value, json};

use crate::{
    answer::{Answer, CONTENT_DIGEST, FILTERS_APPLIED, Refusal, SUBJECT, content, empty, set},
    routes::{Call, is_tag, located},
    store::{Manifest, Repository},
};

/// The specification asks registries to take manifests of 4 MiB; this one takes no larger ones.
const MAX_MANIFEST: usize = 4 << 20;
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

enum Name<'a> {
    Tag(&'a str),
    Digest(Digest),
}

fn name(reference: &str) -> Result<Name<'_>, Refusal> {
    if reference.contains(':') {
        return reference.parse().map(Name::Digest).map_err(|_error| Refusal::DigestInvalid);
    }
    if is_tag(reference) { Ok(Name::Tag(reference)) } else { Err(Refusal::TagInvalid) }
}

pub(crate) async fn manifest(call: Call<'_>, repository: &str, reference: &str) -> Result<Answer, Refusal> {
    let name = name(reference)?;
    match call.parts.method {
        Method::GET | Method::HEAD => get(&call, repository, &name),
        Method::PUT => put(call, repository, &name).await,
        Method::DELETE => {
            let mut store = call.registry.store();
            match name {
                Name::Tag(tag) => store.remove_tag(repository, tag)?,
                Name::Digest(digest) => store.remove_manifest(repository, &digest)?,
            }
            Ok(empty(StatusCode::ACCEPTED))
        }
        _ => Err(Refusal::Unsupported),
    }
}

fn get(call: &Call<'_>, repository: &str, name: &Name<'_>) -> Result<Answer, Refusal> {
    let store = call.registry.store();
    let known = store.repository(repository)?;
    let digest = match name {
        Name::Tag(tag) => known.tags.get(*tag).ok_or(Refusal::ManifestUnknown)?,
        Name::Digest(digest) => digest,
    };
    let manifest = known.manifests.get(digest).ok_or(Refusal::ManifestUnknown)?;
    let mut answer = content(StatusCode::OK, &manifest.media_type, manifest.bytes.clone());
    set(&mut answer, CONTENT_DIGEST, &digest.to_string());
    Ok(answer)
}

async fn put(call: Call<'_>, repository: &str, name: &Name<'_>) -> Result<Answer, Refusal> {
    let registry = call.registry;
    let declared = call.parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let declared = declared.map(ToOwned::to_owned);
    let bytes = call.bytes(MAX_MANIFEST, Refusal::TooLarge).await?;
    let digest = Digest::of(&bytes);
    let tag = match name {
        Name::Tag(tag) => Some(*tag),
        Name::Digest(wanted) if *wanted != digest => return Err(Refusal::DigestInvalid),
        Name::Digest(_) => None,
    };
    let value: Value = serde_json::from_slice(&bytes).map_err(|_error| Refusal::ManifestInvalid)?;
    let manifest = read(&value, declared, bytes)?;
    let subject = manifest.subject;
    let mut store = registry.store();
    require_blobs(&value, store.repository(repository).ok())?;
    store.add_manifest(repository, digest, tag, manifest)?;
    drop(store);
    let mut answer = located(StatusCode::CREATED, &format!("/v2/{repository}/manifests/{digest}"));
    set(&mut answer, CONTENT_DIGEST, &digest.to_string());
    if let Some(subject) = subject.filter(|_| registry.options().referrers) {
        set(&mut answer, SUBJECT, &subject.to_string());
    }
    Ok(answer)
}

fn read(value: &Value, declared: Option<String>, bytes: Bytes) -> Result<Manifest, Refusal> {
    if !value.is_object() {
        return Err(Refusal::ManifestInvalid);
    }
    let own = value.get("mediaType").and_then(Value::as_str);
    let media_type = declared.or_else(|| own.map(ToOwned::to_owned)).ok_or(Refusal::ManifestInvalid)?;
    if own.is_some_and(|own| own != media_type) {
        return Err(Refusal::ManifestInvalid);
    }
    let subject = match value.get("subject") {
        None | Some(Value::Null) => None,
        Some(subject) => Some(digest_of(subject).ok_or(Refusal::ManifestInvalid)?),
    };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let artifact_type = text(value.get("artifactType"))
        .or_else(|| text(value.get("config").and_then(|config| config.get("mediaType"))));
    let annotations = value.get("annotations").filter(|annotations| annotations.is_object()).cloned();
    Ok(Manifest { media_type, bytes, subject, artifact_type, annotations })
}

fn digest_of(descriptor: &Value) -> Option<Digest> {
    descriptor.get("digest")?.as_str()?.parse().ok()
}

/// An image's config and layers must be there before its manifest. What an index names may be missing: an index
/// with only some of its platforms is useful.
fn require_blobs(manifest: &Value, known: Option<&Repository>) -> Result<(), Refusal> {
    let layers = manifest.get("layers").and_then(Value::as_array);
    let local = layers.into_iter().flatten().filter(|layer| layer.get("urls").is_none());
    for descriptor in manifest.get("config").into_iter().chain(local) {
        let digest = digest_of(descriptor).ok_or(Refusal::ManifestInvalid)?;
        if !known.is_some_and(|known| known.blobs.contains_key(&digest)) {
            return Err(Refusal::ManifestBlobUnknown);
        }
    }
    Ok(())
}

/// `GET …/tags/list?n=&last=`.
pub(crate) fn tags(call: &Call<'_>, repository: &str) -> Result<Answer, Refusal> {
    let limit = call.query("n").and_then(|n| n.parse::<usize>().ok()).unwrap_or(usize::MAX);
    let last = call.query("last").unwrap_or_default();
    let store = call.registry.store();
    let mut rest = store.repository(repository)?.tags.keys().filter(|tag| **tag > last).peekable();
    let page: Vec<&String> = rest.by_ref().take(limit).collect();
    let link = page.last().filter(|_| rest.peek().is_some());
    let link = link.map(|last| format!("</v2/{repository}/tags/list?n={limit}&last={last}>; rel=\"next\""));
    let body = json!({"name": repository, "tags": page});
    let mut answer = content(StatusCode::OK, "application/json", Bytes::from(body.to_string()));
    if let Some(link) = link {
        set(&mut answer, header::LINK, &link);
    }
    Ok(answer)
}

/// `GET …/referrers/<digest>?artifactType=`: an index, empty where nothing refers.
pub(crate) fn referrers(call: &Call<'_>, repository: &str, digest: &str) -> Result<Answer, Refusal> {
    let subject: Digest = digest.parse().map_err(|_error| Refusal::DigestInvalid)?;
    let wanted = call.query("artifactType");
    let after: Option<Digest> = call.query("after").and_then(|after| after.parse().ok());
    let page = call.registry.options().referrers_page.max(1);
    let store = call.registry.store();
    let matching = store.repository(repository).ok().into_iter().flat_map(|known| &known.manifests);
    let mut matching = matching
        .filter(|(digest, manifest)| {
            manifest.subject == Some(subject)
                && after.is_none_or(|after| **digest > after)
                && (wanted.is_none() || manifest.artifact_type == wanted)
        })
        .peekable();
    let mut manifests = Vec::new();
    let mut last = None;
    for (digest, manifest) in matching.by_ref().take(page) {
        manifests.push(descriptor(digest, manifest));
        last = Some(digest);
    }
    let more = matching.peek().is_some();
    let body = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
    let mut answer = content(StatusCode::OK, INDEX, Bytes::from(body.to_string()));
    if wanted.is_some() {
        set(&mut answer, FILTERS_APPLIED, "artifactType");
    }
    if let Some(last) = last.filter(|_| more) {
        let filter = wanted.map(|wanted| format!("&artifactType={wanted}")).unwrap_or_default();
        let next = format!("</v2/{repository}/referrers/{subject}?after={last}{filter}>; rel=\"next\"");
        set(&mut answer, header::LINK, &next);
    }
    Ok(answer)
}

fn descriptor(digest: &Digest, manifest: &Manifest) -> Value {
    let mut descriptor = json!({"mediaType": manifest.media_type, "digest": digest, "size": manifest.bytes.len()});
    if let Some(artifact_type) = &manifest.artifact_type {
        descriptor["artifactType"] = json!(artifact_type);
    }
    if let Some(annotations) = &manifest.annotations {
        descriptor["annotations"] = annotations.clone();
    }
    descriptor
}
