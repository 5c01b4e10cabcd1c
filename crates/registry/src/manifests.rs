//! Manifests: what a name means, their bytes checked against their digests, and pushing them.

use bytes::Bytes;
use portcullis_errors::printable;
use portcullis_model::Digest;
use reqwest::{Method, Response, header};
use serde::Deserialize;

use crate::{
    Client, Descriptor, Reference, RegistryError,
    client::hosted,
    descriptor::media_type,
    error::Hosted,
    referrers::next_page,
    transport::{Call, header_text, malformed},
};

/// The specification lets registries refuse larger ones, and most do.
pub const MAX_MANIFEST_BYTES: u64 = 4 << 20;

/// The most tags that are listed of one repository.
pub const MAX_TAGS: usize = 100_000;
const TAGS_PER_PAGE: usize = 1000;

const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

/// A manifest or index, its bytes as the registry keeps them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The bytes, which the digest is of.
    pub bytes: Bytes,
    /// Its media type.
    pub media_type: String,
    /// The digest of the bytes.
    pub digest: Digest,
}

impl Manifest {
    /// What names it.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor {
            media_type: self.media_type.clone(),
            digest: self.digest,
            size: self.bytes.len() as u64,
            artifact_type: None,
            platform: None,
            annotations: std::collections::BTreeMap::new(),
        }
    }
}

/// What a registry says of a pushed manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushAnswer {
    /// The digest of what was pushed.
    pub digest: Digest,
    /// Whether it will list the manifest among its subject's referrers (`OCI-Subject`). If not, the fallback tag is
    /// the client's to keep.
    pub subject_acknowledged: bool,
}

impl Client {
    /// What a reference means now: the media type, digest and size of its manifest, without fetching it. The answer
    /// is only the registry's word until the manifest is fetched by that digest.
    ///
    /// # Errors
    /// Every way in which a registry can fail to answer; see [`RegistryError`].
    pub async fn resolve(&self, reference: &Reference) -> Result<Descriptor, RegistryError> {
        let url = self.inner.url(reference, &format!("manifests/{}", reference.api_reference()))?;
        let call = Call::new(Method::HEAD, url, reference, what(reference)).header(header::ACCEPT, ACCEPTED);
        let response = match self.inner.send(&call).await {
            Ok(response) => response,
            // A registry that knows no HEAD is asked for the whole.
            Err(RegistryError::Refused { status: 405, .. }) => return Ok(self.manifest(reference).await?.descriptor()),
            Err(error) => return Err(error),
        };
        let digest = header_text(&response, "docker-content-digest").and_then(|text| text.parse::<Digest>().ok());
        let size = header_text(&response, "content-length").and_then(|text| text.parse::<u64>().ok());
        let media_type = content_type(&response).filter(|media_type| is_manifest(media_type));
        let (Some(digest), Some(size), Some(media_type)) = (digest, size, media_type) else {
            return Ok(self.manifest(reference).await?.descriptor());
        };
        require_digest(&call.subject, reference.digest(), digest)?;
        if size > MAX_MANIFEST_BYTES {
            return Err(RegistryError::TooLarge { subject: call.subject, limit: MAX_MANIFEST_BYTES });
        }
        Ok(Descriptor {
            media_type,
            digest,
            size,
            artifact_type: None,
            platform: None,
            annotations: std::collections::BTreeMap::new(),
        })
    }

    /// The manifest of a reference, at most [`MAX_MANIFEST_BYTES`], checked against the reference's digest, or else
    /// against the one that the registry names.
    ///
    /// # Errors
    /// Every way in which a registry can fail to answer; see [`RegistryError`].
    pub async fn manifest(&self, reference: &Reference) -> Result<Manifest, RegistryError> {
        let url = self.inner.url(reference, &format!("manifests/{}", reference.api_reference()))?;
        let call = Call::new(Method::GET, url, reference, what(reference)).header(header::ACCEPT, ACCEPTED);
        let (response, bytes) = self.inner.fetch(&call, MAX_MANIFEST_BYTES).await?;
        let digest = Digest::of(&bytes);
        require_digest(&call.subject, reference.digest(), digest)?;
        if let Some(promised) = header_text(&response, "docker-content-digest") {
            // A registry may name the digest with an algorithm that is not read here.
            require_digest(&call.subject, promised.parse().ok(), digest)?;
        }
        let media_type = manifest_type(&call.subject, &response, &bytes)?;
        Ok(Manifest { bytes, media_type, digest })
    }

    /// The tags of a repository, in the registry's order; none where it does not know the repository.
    ///
    /// # Errors
    /// More than [`MAX_TAGS`], and every way in which a registry can fail to answer; see [`RegistryError`].
    pub async fn tags(&self, reference: &Reference) -> Result<Vec<String>, RegistryError> {
        #[derive(Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let mut found = Vec::new();
        let mut url = self.inner.url(reference, &format!("tags/list?n={TAGS_PER_PAGE}"))?;
        loop {
            let call = Call::new(Method::GET, url, reference, format!("tags of {}", reference.repository()));
            let (response, body) = match self.inner.fetch(&call, MAX_MANIFEST_BYTES).await {
                Ok(answer) => answer,
                Err(RegistryError::NotFound(_)) if found.is_empty() => return Ok(found),
                Err(error) => return Err(error),
            };
            let page: Page = serde_json::from_slice(&body)
                .map_err(|error| malformed(&call.subject, format!("it is no list of tags: {error}")))?;
            let tags = page.tags.unwrap_or_default();
            let is_last = tags.is_empty();
            found.extend(tags);
            if found.len() > MAX_TAGS {
                return Err(RegistryError::TooMany { subject: call.subject, limit: MAX_TAGS });
            }
            match next_page(&call, header_text(&response, "link"))?.filter(|_| !is_last) {
                Some(next) => url = next,
                None => return Ok(found),
            }
        }
    }

    /// Stores a manifest under the reference's digest or tag.
    ///
    /// # Errors
    /// When the reference has a digest that is not the manifest's, and every way in which a registry can fail to
    /// answer; see [`RegistryError`].
    pub async fn push_manifest(
        &self,
        reference: &Reference,
        bytes: Bytes,
        media_type: &str,
    ) -> Result<PushAnswer, RegistryError> {
        let digest = Digest::of(&bytes);
        let subject = hosted(reference, what(reference));
        require_digest(&subject, reference.digest(), digest)?;
        let url = self.inner.url(reference, &format!("manifests/{}", reference.api_reference()))?;
        let call = Call::new(Method::PUT, url, reference, what(reference));
        let call = call.header(header::CONTENT_TYPE, media_type).body(bytes);
        let response = self.inner.send(&call).await?;
        if let Some(stored) = header_text(&response, "docker-content-digest") {
            require_digest(&subject, Some(digest), stored.parse().unwrap_or(digest))?;
        }
        Ok(PushAnswer { digest, subject_acknowledged: response.headers().contains_key("oci-subject") })
    }

    /// Removes a manifest, with every tag that names it. One that is gone already is no error.
    ///
    /// # Errors
    /// When the registry does not allow it, and every way in which one can fail to answer; see [`RegistryError`].
    pub async fn delete_manifest(&self, reference: &Reference, digest: &Digest) -> Result<(), RegistryError> {
        let reference = reference.with_digest(*digest);
        let url = self.inner.url(&reference, &format!("manifests/{digest}"))?;
        let call = Call::new(Method::DELETE, url, &reference, what(&reference));
        match self.inner.send(&call).await {
            Ok(_) | Err(RegistryError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn what(reference: &Reference) -> String {
    let separator = if reference.digest().is_some() { '@' } else { ':' };
    format!("manifest {}{separator}{}", reference.repository(), reference.api_reference())
}

fn require_digest(subject: &Hosted, expected: Option<Digest>, actual: Digest) -> Result<(), RegistryError> {
    match expected {
        Some(expected) if expected != actual => {
            Err(RegistryError::DigestMismatch { subject: subject.clone(), expected, actual })
        }
        _ => Ok(()),
    }
}

/// `Content-Type` without its parameters.
pub(crate) fn content_type(response: &Response) -> Option<String> {
    let text = header_text(response, "content-type")?;
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    (!essence.is_empty()).then_some(essence)
}

fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST) || media_type::is_index(media_type)
}

/// The type of a manifest, where header and content agree. What could be read as two things is refused:
/// <https://github.com/opencontainers/image-spec/security/advisories/GHSA-77vh-xpmg-72qh>.
fn manifest_type(subject: &Hosted, response: &Response, bytes: &[u8]) -> Result<String, RegistryError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Own {
        media_type: Option<String>,
        config: Option<serde::de::IgnoredAny>,
        layers: Option<serde::de::IgnoredAny>,
        manifests: Option<serde::de::IgnoredAny>,
    }
    let declared = content_type(response);
    let own: Own = serde_json::from_slice(bytes).map_err(|_error| {
        let declared = declared.clone().unwrap_or_else(|| "nothing".into());
        malformed(subject, format!("it is no manifest, and says to be {}", printable(&declared, 60)))
    })?;
    let looks_like = match (own.config.is_some() || own.layers.is_some(), own.manifests.is_some()) {
        (true, true) => return Err(malformed(subject, "it is a manifest and an index at once".into())),
        (false, true) => media_type::OCI_INDEX,
        _ => media_type::OCI_MANIFEST,
    };
    let declared = declared.filter(|declared| {
        !matches!(declared.as_str(), "application/json" | "application/octet-stream" | "text/plain")
    });
    let found = match (own.media_type.filter(|own| !own.is_empty()), declared) {
        (Some(own), Some(declared)) if own != declared => {
            let (own, declared) = (printable(&own, 60), printable(&declared, 60));
            return Err(malformed(subject, format!("it says to be {own}, its header {declared}")));
        }
        (Some(own), _) => own,
        (None, Some(declared)) => declared,
        (None, None) => looks_like.to_owned(),
    };
    if is_manifest(&found) && media_type::is_index(&found) != media_type::is_index(looks_like) {
        return Err(malformed(subject, format!("it says to be {found}, and does not look like it")));
    }
    Ok(found)
}
