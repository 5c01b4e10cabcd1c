//! From a request to what it asks for. A repository's name holds slashes, so that paths are taken apart here from
//! the end.

use std::sync::{Arc, Mutex, MutexGuard};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    Options,
    answer::{Answer, Refusal, content, empty, set},
    blobs, manifests,
    store::Store,
};

pub(crate) struct Registry {
    options: Options,
    store: Mutex<Store>,
    /// What `Authorization` must say.
    authorization: Option<String>,
}

impl Registry {
    pub(crate) const fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        // A poisoned lock means that a handler panicked; what the store holds is checked by digest anyway.
        self.store.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        self.authorization.as_ref().is_none_or(|wanted| {
            headers.get(header::AUTHORIZATION).is_some_and(|given| given.as_bytes() == wanted.as_bytes())
        })
    }
}

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    Root,
    Blob { repository: &'a str, digest: &'a str },
    Uploads { repository: &'a str },
    Upload { repository: &'a str, id: &'a str },
    Manifest { repository: &'a str, reference: &'a str },
    Tags { repository: &'a str },
    Referrers { repository: &'a str, digest: &'a str },
}

/// One request, its body not yet read.
pub(crate) struct Call<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) parts: &'a Parts,
    pub(crate) body: Body,
}

impl Call<'_> {
    /// The whole body, of at most `limit` bytes.
    pub(crate) async fn bytes(self, limit: usize, refusal: Refusal) -> Result<Bytes, Refusal> {
        axum::body::to_bytes(self.body, limit).await.map_err(|_error| refusal)
    }

    /// The first value of a query parameter.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let query = self.parts.uri.query()?;
        let raw = query.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key == name).then_some(value)
        })?;
        Some(percent_decoded(raw))
    }
}

pub(crate) fn router(options: Options) -> Router {
    let authorization = options
        .credentials
        .as_ref()
        .map(|(user, password)| format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))));
    let store = Mutex::new(Store::new(options.max_bytes));
    Router::new().fallback(handle).with_state(Arc::new(Registry { options, store, authorization }))
}

async fn handle(State(registry): State<Arc<Registry>>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    if let Some(requests) = &registry.options.requests {
        requests.add(format!("{} {}", parts.method, parts.uri));
    }
    let is_head = parts.method == Method::HEAD;
    let mut answer = if registry.admits(&parts.headers) {
        dispatch(&registry, &parts, body).await.unwrap_or_else(Refusal::answer)
    } else {
        Refusal::Unauthorized.answer()
    };
    if is_head {
        *answer.body_mut() = Body::empty();
    }
    set(&mut answer, header::HeaderName::from_static("docker-distribution-api-version"), "registry/2.0");
    answer
}

async fn dispatch(registry: &Registry, parts: &Parts, body: Body) -> Result<Answer, Refusal> {
    let call = Call { registry, parts, body };
    let read = matches!(parts.method, Method::GET | Method::HEAD);
    match place(parts.uri.path())? {
        Place::Root if read => Ok(content(StatusCode::OK, "application/json", Bytes::from_static(b"{}"))),
        Place::Blob { repository, digest } => blobs::blob(&call, repository, digest),
        Place::Uploads { repository } if parts.method == Method::POST => blobs::start(call, repository).await,
        Place::Upload { repository, id } => blobs::upload(call, repository, id).await,
        Place::Manifest { repository, reference } => manifests::manifest(call, repository, reference).await,
        Place::Tags { repository } if read => manifests::tags(&call, repository),
        Place::Referrers { repository, digest } if read && registry.options.referrers => {
            manifests::referrers(&call, repository, digest)
        }
        Place::Referrers { .. } => Err(Refusal::NotFound),
        Place::Root | Place::Uploads { .. } | Place::Tags { .. } => Err(Refusal::Unsupported),
    }
}

/// Takes a path apart.
pub(crate) fn place(path: &str) -> Result<Place<'_>, Refusal> {
    let rest = path.strip_prefix("/v2").ok_or(Refusal::NotFound)?;
    if rest.is_empty() || rest == "/" {
        return Ok(Place::Root);
    }
    let rest = rest.strip_prefix('/').ok_or(Refusal::NotFound)?;
    let place = if let Some(repository) = rest.strip_suffix("/tags/list") {
        Place::Tags { repository }
    } else if let Some(repository) =
        rest.strip_suffix("/blobs/uploads/").or_else(|| rest.strip_suffix("/blobs/uploads"))
    {
        Place::Uploads { repository }
    } else {
        let (front, last) = rest.rsplit_once('/').ok_or(Refusal::NotFound)?;
        if let Some(repository) = front.strip_suffix("/blobs/uploads") {
            Place::Upload { repository, id: last }
        } else if let Some(repository) = front.strip_suffix("/blobs") {
            Place::Blob { repository, digest: last }
        } else if let Some(repository) = front.strip_suffix("/manifests") {
            Place::Manifest { repository, reference: last }
        } else if let Some(repository) = front.strip_suffix("/referrers") {
            Place::Referrers { repository, digest: last }
        } else {
            return Err(Refusal::NotFound);
        }
    };
    let (Place::Blob { repository, .. }
    | Place::Uploads { repository }
    | Place::Upload { repository, .. }
    | Place::Manifest { repository, .. }
    | Place::Tags { repository }
    | Place::Referrers { repository, .. }) = place
    else {
        return Ok(place);
    };
    if is_repository(repository) { Ok(place) } else { Err(Refusal::NameInvalid) }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` between slashes, 255 characters at most.
fn is_repository(name: &str) -> bool {
    name.len() <= 255
        && name.split('/').all(|part| {
            let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            let bytes = part.as_bytes();
            bytes.first().is_some_and(alphanumeric)
                && bytes.last().is_some_and(alphanumeric)
                && part
                    .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                    .all(|separator| matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-'))
        })
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
pub(crate) fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

pub(crate) fn accepted(location: &str) -> Answer {
    located(StatusCode::ACCEPTED, location)
}

pub(crate) fn located(status: StatusCode, location: &str) -> Answer {
    let mut answer = empty(status);
    set(&mut answer, header::LOCATION, location);
    set(&mut answer, header::CONTENT_LENGTH, "0");
    answer
}

fn percent_decoded(raw: &str) -> String {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        let hex = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16));
        if byte == b'%' {
            let mut ahead = rest.clone();
            if let (Some(high), Some(low)) = (hex(ahead.next()), hex(ahead.next())) {
                bytes.push(u8::try_from(high << 4 | low).unwrap_or(b'?'));
                rest = ahead;
                continue;
            }
        }
        bytes.push(if byte == b'+' { b' ' } else { byte });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_taken_apart_from_the_end() {
        assert_eq!(place("/v2/"), Ok(Place::Root));
        let named = Place::Manifest { repository: "a/blobs/manifests", reference: "latest" };
        assert_eq!(place("/v2/a/blobs/manifests/manifests/latest"), Ok(named));
        assert_eq!(place("/v2/a/blobs/uploads/"), Ok(Place::Uploads { repository: "a" }));
        assert_eq!(place("/v2/a/blobs/uploads/7"), Ok(Place::Upload { repository: "a", id: "7" }));
        for bad in ["/v2/A/tags/list", "/v2/a//b/tags/list", "/v2/a._b/tags/list", "/v2/../tags/list"] {
            assert_eq!(place(bad), Err(Refusal::NameInvalid), "{bad}");
        }
        assert!(place("/v2/a__b/c--d/e.f/tags/list").is_ok());
    }

    proptest! {
        #[test]
        fn no_path_or_query_panics(path in "\\PC*", query in "[%+a-f0-9=&é]*") {
            _ = place(&path);
            _ = place(&format!("/v2/{path}"));
            _ = percent_decoded(&query);
            _ = is_tag(&path);
        }
    }
}
