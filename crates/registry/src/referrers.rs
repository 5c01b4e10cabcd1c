//! What refers to a manifest: by the referrers API, and by the fallback tag that older registries are left with.
//!
//! Spec: <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers>

use std::collections::HashSet;

use bytes::Bytes;
use portcullis_model::Digest;
use reqwest::{Method, Url, header};
use serde::Deserialize;

use crate::{
    Client, Descriptor, MAX_MANIFEST_BYTES, Reference, RegistryError,
    client::hosted,
    descriptor::media_type,
    error::Hosted,
    manifests::content_type,
    transport::{Call, header_text, malformed, same_origin},
};

/// The most referrers that are read; where there are more, none are trusted to be all.
pub const MAX_REFERRERS: usize = 1000;
/// Pages of the API. An honest registry serves a hundred or more at once.
const MAX_PAGES: usize = 100;
/// Bytes of all pages together.
const MAX_LIST_BYTES: u64 = 16 << 20;

/// The tag that holds the referrers of `subject` where a registry has no referrers API: `sha256-<hex>`.
#[must_use]
pub fn fallback_tag(subject: &Digest) -> String {
    format!("sha256-{}", subject.hex())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    #[serde(default)]
    media_type: Option<String>,
    /// Some registries write null for none.
    manifests: Option<Vec<Descriptor>>,
}

impl Client {
    /// Everything in the reference's repository that refers to `subject`: the API's answer and the fallback tag's
    /// together, sorted by digest, not filtered by type. An empty list means that the registry said *none*; whatever
    /// keeps it from saying so is an error.
    ///
    /// # Errors
    /// More than [`MAX_REFERRERS`], and every way in which a registry can fail to answer; see [`RegistryError`].
    pub async fn referrers(&self, reference: &Reference, subject: &Digest) -> Result<Vec<Descriptor>, RegistryError> {
        // Both at once: a registry may have learned the API after evidence was stored under the tag.
        let (listed, tagged) =
            tokio::try_join!(self.listed_referrers(reference, subject), self.tagged_referrers(reference, subject))?;
        let mut found = listed.unwrap_or_default();
        found.extend(tagged);
        let mut seen = HashSet::new();
        found.retain(|descriptor| seen.insert(descriptor.digest));
        if found.len() > MAX_REFERRERS {
            let subject = hosted(reference, what(reference, subject));
            return Err(RegistryError::TooMany { subject, limit: MAX_REFERRERS });
        }
        found.sort_by_key(|descriptor| descriptor.digest);
        Ok(found)
    }

    /// The referrers API's answer; none where the registry has no such API.
    async fn listed_referrers(
        &self,
        reference: &Reference,
        subject: &Digest,
    ) -> Result<Option<Vec<Descriptor>>, RegistryError> {
        let mut found = Vec::new();
        let mut bytes_left = MAX_LIST_BYTES;
        let mut url = self.inner.url(reference, &format!("referrers/{subject}"))?;
        for page in 0..MAX_PAGES {
            let call = Call::new(Method::GET, url, reference, what(reference, subject));
            let call = call.header(header::ACCEPT, media_type::OCI_INDEX);
            let limit = MAX_MANIFEST_BYTES.min(bytes_left);
            let (response, body) = match self.inner.fetch(&call, limit).await {
                Ok(answer) => answer,
                Err(error) if page == 0 && has_no_api(&error) => return Ok(None),
                Err(error) => return Err(error),
            };
            bytes_left -= body.len() as u64;
            match content_type(&response).as_deref() {
                // The specification asks for the first.
                Some(media_type::OCI_INDEX | "application/json") => {}
                // Some registries show their website where they know no API. A login page that stands before all of
                // the registry is found out by the request for the tag.
                Some("text/html") if page == 0 => return Ok(None),
                _ => return Err(malformed(&call.subject, "it is no list of referrers".into())),
            }
            found.extend(descriptors(&call.subject, &body)?);
            if found.len() > MAX_REFERRERS {
                return Err(RegistryError::TooMany { subject: call.subject, limit: MAX_REFERRERS });
            }
            match next_page(&call, header_text(&response, "link"))? {
                Some(next) => url = next,
                None => return Ok(Some(found)),
            }
        }
        Err(RegistryError::TooMany { subject: hosted(reference, what(reference, subject)), limit: MAX_PAGES })
    }

    /// The entries of the fallback tag's index; none where there is no such tag.
    ///
    /// # Errors
    /// When the tag names something that is no index, and every way in which a registry can fail to answer.
    pub async fn tagged_referrers(
        &self,
        reference: &Reference,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        Ok(self.fallback_index(reference, subject).await?.map(|(_, found)| found).unwrap_or_default())
    }

    /// The fallback tag's index: its bytes, and its entries.
    ///
    /// # Errors
    /// As [`Self::tagged_referrers`].
    pub async fn fallback_index(
        &self,
        reference: &Reference,
        subject: &Digest,
    ) -> Result<Option<(Bytes, Vec<Descriptor>)>, RegistryError> {
        let tag = reference.with_tag(&fallback_tag(subject));
        let tag =
            tag.map_err(|error| RegistryError::Setup { what: "the fallback tag".into(), source: error.into() })?;
        let manifest = match self.manifest(&tag).await {
            Ok(manifest) => manifest,
            Err(RegistryError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let asked = hosted(reference, what(reference, subject));
        if !media_type::is_index(&manifest.media_type) {
            return Err(malformed(&asked, "the fallback tag does not name an index".into()));
        }
        let found = descriptors(&asked, &manifest.bytes)?;
        if found.len() > MAX_REFERRERS {
            return Err(RegistryError::TooMany { subject: asked, limit: MAX_REFERRERS });
        }
        Ok(Some((manifest.bytes, found)))
    }
}

/// Whether a registry says that it does not know the API. Refused access and outages are something else.
const fn has_no_api(error: &RegistryError) -> bool {
    matches!(
        error,
        RegistryError::NotFound(_)
            | RegistryError::Refused { status: 400 | 405 | 406 | 415, .. }
            | RegistryError::Failing { status: 501, .. }
    )
}

fn descriptors(subject: &Hosted, body: &[u8]) -> Result<Vec<Descriptor>, RegistryError> {
    let index: Index = serde_json::from_slice(body)
        .map_err(|error| malformed(subject, format!("it is no list of referrers: {error}")))?;
    if index.media_type.as_deref().is_some_and(|own| !own.is_empty() && !media_type::is_index(own)) {
        return Err(malformed(subject, "it is no list of referrers".into()));
    }
    Ok(index.manifests.unwrap_or_default())
}

/// The next page, by `Link: <…>; rel="next"`, which must be the registry's own.
pub(crate) fn next_page(call: &Call<'_>, link: Option<&str>) -> Result<Option<Url>, RegistryError> {
    let Some(target) = link.and_then(next_link) else { return Ok(None) };
    let next = call.url.join(target).ok().filter(|next| same_origin(next, &call.url));
    next.map(Some).ok_or_else(|| malformed(&call.subject, "its next page is elsewhere".into()))
}

fn next_link(header: &str) -> Option<&str> {
    header.split(',').find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            name.trim().eq_ignore_ascii_case("rel") && value.trim().trim_matches('"').eq_ignore_ascii_case("next")
        });
        is_next.then_some(target)
    })
}

fn what(reference: &Reference, subject: &Digest) -> String {
    format!("referrers of {}@{subject}", reference.repository())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn links_are_read() {
        assert_eq!(next_link(r#"</v2/a/referrers/x?n=1>; rel="next""#), Some("/v2/a/referrers/x?n=1"));
        assert_eq!(next_link(r#"</p>; rel="prev", </n>; title="x"; rel=next"#), Some("/n"));
        assert_eq!(next_link("</p>"), None);
        assert_eq!(next_link("rel=next"), None);
    }

    proptest! {
        #[test]
        fn no_list_or_link_panics(text in "\\PC*", body in proptest::collection::vec(any::<u8>(), 0..200)) {
            _ = next_link(&text);
            let subject = Hosted { host: String::new(), what: String::new() };
            _ = descriptors(&subject, &body);
        }
    }
}
