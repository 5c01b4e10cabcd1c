//! Registries that fail, lie, hang, or send others after our credentials. Nothing of it may look like "not there".

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use common::{client, image, quick_options};
use futures_util::{StreamExt as _, TryStreamExt as _};
use portcullis_errors::Secret;
use portcullis_model::Digest;
use portcullis_registry::{Client, Credential, Credentials, MAX_REFERRERS, Options, RegistryError, media_type};
use tokio::net::TcpListener;

/// A server that answers by a function; it ends with the test's runtime.
async fn serve(answer: impl Fn(Request) -> Response + Clone + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(move |request: Request| {
        let answer = answer(request);
        async move { answer }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn status(status: u16) -> Response {
    StatusCode::from_u16(status).unwrap().into_response()
}

fn manifest_answer(media_type: &'static str, body: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, media_type)], body.into()).into_response()
}

fn with_basic(options: Options) -> Client {
    let password = Secret::new("hunter2".into());
    Client::new(options, Credentials::fixed(Credential::Basic { user: "me".into(), password })).unwrap()
}

#[tokio::test]
async fn throttling_and_outages_are_never_an_empty_list() {
    for (code, wanted) in
        [(401, "unauthorized"), (403, "unauthorized"), (429, "throttled"), (500, "failing"), (503, "failing")]
    {
        // The API itself, and the fallback tag where the API is not there.
        for only_tag in [false, true] {
            let address = serve(move |request| {
                let is_tag = request.uri().path().contains("/manifests/");
                if only_tag && !is_tag { status(404) } else { status(code) }
            })
            .await;
            let error = client().referrers(&image(address, "app:v1"), &Digest::of(b"x")).await.unwrap_err();
            let found = match error {
                RegistryError::Unauthorized { .. } => "unauthorized",
                RegistryError::Throttled { .. } => "throttled",
                RegistryError::Failing { .. } => "failing",
                other => panic!("{other:?}"),
            };
            assert_eq!(found, wanted, "{code} {only_tag}");
        }
    }
}

#[tokio::test]
async fn a_login_page_is_no_answer() {
    let address = serve(|_| manifest_answer("text/html; charset=utf-8", "<html>please log in</html>")).await;
    let at = image(address, "app:v1");
    let client = client();
    for error in [
        client.resolve(&at).await.unwrap_err(),
        client.manifest(&at).await.unwrap_err(),
        client.referrers(&at, &Digest::of(b"x")).await.unwrap_err(),
    ] {
        assert!(matches!(error, RegistryError::Malformed { .. }), "{error:?}");
    }
    let error = client.blob(&at, &Digest::of(b"x"), 1000).await.unwrap_err();
    assert!(matches!(error, RegistryError::DigestMismatch { .. }), "{error:?}");
}

#[tokio::test]
async fn a_website_in_the_place_of_the_referrers_api_leaves_the_tag() {
    let entry = format!(r#"{{"mediaType":"m","digest":"{}","size":1}}"#, Digest::of(b"y"));
    for (tag_answer, wanted) in [(Some(format!(r#"{{"manifests":[{entry}]}}"#)), 1), (None, 0)] {
        let address = serve(move |request| match &tag_answer {
            _ if request.uri().path() == "/ui" => manifest_answer("text/html", "<html>welcome</html>"),
            Some(body) if request.uri().path().contains("/manifests/") => {
                manifest_answer(media_type::OCI_INDEX, body.clone())
            }
            None if request.uri().path().contains("/manifests/") => status(404),
            _ => (StatusCode::FOUND, [(header::LOCATION, "/ui")]).into_response(),
        })
        .await;
        let found = client().referrers(&image(address, "app:v1"), &Digest::of(b"x")).await.unwrap();
        assert_eq!(found.len(), wanted);
    }
}

#[tokio::test]
async fn an_outage_that_ends_is_waited_for() {
    let asked = Arc::new(AtomicU32::new(0));
    let counter = asked.clone();
    let address = serve(move |_| match counter.fetch_add(1, Ordering::SeqCst) {
        0 => status(503),
        1 => (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "0")]).into_response(),
        _ => manifest_answer(media_type::OCI_INDEX, r#"{"schemaVersion":2,"manifests":[]}"#),
    })
    .await;
    assert!(client().manifest(&image(address, "app:v1")).await.is_ok());
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_registry_that_asks_to_wait_long_is_not_asked_again() {
    let asked = Arc::new(AtomicU32::new(0));
    let counter = asked.clone();
    let address = serve(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "3600")]).into_response()
    })
    .await;
    let started = Instant::now();
    let error = client().manifest(&image(address, "app:v1")).await.unwrap_err();
    let RegistryError::Throttled { retry_after, .. } = error else { panic!("{error:?}") };
    assert_eq!(retry_after, Some(Duration::from_secs(3600)));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn silence_is_cut() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            kept.push(connection);
        }
    });
    let options = Options { timeout: Duration::from_millis(300), ..quick_options() };
    let client = Client::new(options, Credentials::anonymous()).unwrap();
    let started = Instant::now();
    let error = client.resolve(&image(address, "app:v1")).await.unwrap_err();
    assert!(matches!(error, RegistryError::TimedOut { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

/// However large the answers say to be: a request's own limit grows with that, the command's does not.
#[tokio::test]
async fn nothing_lasts_beyond_the_deadline() {
    const LARGE: u64 = 1 << 40;
    let address = serve(move |_| {
        let start = futures_util::stream::iter([Ok::<_, std::io::Error>(bytes::Bytes::from_static(b"{"))]);
        let body = futures_util::StreamExt::chain(start, futures_util::stream::pending());
        let mut answer = manifest_answer(media_type::OCI_MANIFEST, Body::from_stream(body));
        answer.headers_mut().insert("content-length", LARGE.into());
        answer
    })
    .await;
    let at = image(address, "app:v1");
    let deadline = Some(Instant::now() + Duration::from_millis(1500));
    let options = Options { timeout: Duration::from_secs(3600), deadline, ..quick_options() };
    let client = Client::new(options, Credentials::anonymous()).unwrap();
    let stream = client.blob_stream(&at, &Digest::of(b"x"), LARGE).await.unwrap();
    let error = stream.try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(error, RegistryError::Late { .. }), "{error:?}");
    // Nor does anything begin, nor is anything tried again.
    let error = client.blob(&at, &Digest::of(b"x"), LARGE).await.unwrap_err();
    assert!(matches!(error, RegistryError::Late { .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_never_ends_is_cut() {
    let endless = || {
        let drip = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Some((Ok::<_, std::io::Error>(bytes::Bytes::from_static(b" ")), ()))
        });
        manifest_answer(media_type::OCI_MANIFEST, Body::from_stream(drip))
    };
    let address = serve(move |_| endless()).await;
    let at = image(address, "app:v1");
    let options = Options { timeout: Duration::from_millis(400), ..quick_options() };
    let client = Client::new(options, Credentials::anonymous()).unwrap();
    let error = client.manifest(&at).await.unwrap_err();
    assert!(matches!(error, RegistryError::TimedOut { .. }), "{error:?}");
    let stream = client.blob_stream(&at, &Digest::of(b"x"), 100).await.unwrap();
    let error = stream.try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(error, RegistryError::TimedOut { .. }), "{error:?}");
}

#[tokio::test]
async fn endless_bytes_and_lists_are_capped() {
    let big = "x".repeat(5 << 20);
    let address = serve(move |_| manifest_answer(media_type::OCI_MANIFEST, big.clone())).await;
    let at = image(address, "app:v1");
    let error = client().manifest(&at).await.unwrap_err();
    assert!(matches!(error, RegistryError::TooLarge { .. }), "{error:?}");

    // A list whose every page names a next one.
    let address = serve(|request| {
        if request.uri().path().contains("/manifests/") {
            return status(404);
        }
        let page: u32 = request.uri().query().and_then(|query| query.strip_prefix("p=")?.parse().ok()).unwrap_or(0);
        let digest = Digest::of(&page.to_le_bytes());
        let body = format!(r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"m","digest":"{digest}","size":1}}]}}"#);
        let link = format!("<{}?p={}>; rel=\"next\"", request.uri().path(), page + 1);
        ([(header::CONTENT_TYPE, media_type::OCI_INDEX.to_owned()), (header::LINK, link)], body).into_response()
    })
    .await;
    let error = client().referrers(&image(address, "app:v1"), &Digest::of(b"x")).await.unwrap_err();
    assert!(matches!(error, RegistryError::TooMany { .. }), "{error:?}");

    let entries: Vec<String> = (0..=MAX_REFERRERS)
        .map(|n| format!(r#"{{"mediaType":"m","digest":"{}","size":1}}"#, Digest::of(&n.to_le_bytes())))
        .collect();
    let body = format!(r#"{{"manifests":[{}]}}"#, entries.join(","));
    let address = serve(move |_| manifest_answer(media_type::OCI_INDEX, body.clone())).await;
    let error = client().referrers(&image(address, "app:v1"), &Digest::of(b"x")).await.unwrap_err();
    assert!(matches!(error, RegistryError::TooMany { limit: MAX_REFERRERS, .. }), "{error:?}");
}

#[tokio::test]
async fn a_manifest_is_what_its_digest_says() {
    let address = serve(|_| manifest_answer(media_type::OCI_MANIFEST, r#"{"schemaVersion":2,"layers":[]}"#)).await;
    let error = client().manifest(&image(address, "app:v1").with_digest(Digest::of(b"x"))).await.unwrap_err();
    assert!(matches!(error, RegistryError::DigestMismatch { .. }), "{error:?}");
}

#[tokio::test]
async fn what_reads_as_two_things_is_refused() {
    for (header, body) in [
        (media_type::OCI_MANIFEST, r#"{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#),
        (media_type::OCI_INDEX, r#"{"manifests":[],"layers":[]}"#),
        (media_type::OCI_INDEX, r#"{"config":{},"layers":[]}"#),
        (media_type::OCI_MANIFEST, "[]"),
    ] {
        let address = serve(move |_| manifest_answer(header, body)).await;
        let error = client().manifest(&image(address, "app:v1")).await.unwrap_err();
        assert!(matches!(error, RegistryError::Malformed { .. }), "{body} {error:?}");
    }
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::<HeaderMap>::new()));
    let log = seen.clone();
    let storage = serve(move |request| {
        log.lock().unwrap().push(request.headers().clone());
        manifest_answer("application/octet-stream", "content")
    })
    .await;
    let address = serve(move |request| {
        if !request.headers().contains_key(header::AUTHORIZATION) {
            return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=x")]).into_response();
        }
        let location = format!("http://{storage}/blob?signature=1");
        (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response()
    })
    .await;
    let got = with_basic(quick_options()).blob(&image(address, "app:v1"), &Digest::of(b"content"), 100).await.unwrap();
    assert_eq!(got, &b"content"[..]);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 1);
    assert!(!seen[0].contains_key(header::AUTHORIZATION));
}

#[tokio::test]
async fn redirects_end_and_stay_http() {
    for target in ["/v2/app/manifests/v1", "file:///etc/passwd", "gopher://x/", ""] {
        let address = serve(move |_| (StatusCode::FOUND, [(header::LOCATION, target)]).into_response()).await;
        let error = client().manifest(&image(address, "app:v1")).await.unwrap_err();
        assert!(matches!(error, RegistryError::Malformed { .. }), "{target} {error:?}");
    }
}

#[tokio::test]
async fn tokens_are_fetched_kept_and_bound_to_the_repository() {
    let issued = Arc::new(AtomicU32::new(0));
    let counter = issued.clone();
    let tokens = serve(move |request| {
        counter.fetch_add(1, Ordering::SeqCst);
        let query = request.uri().query().unwrap_or_default().to_owned();
        assert!(query.contains("scope=repository%3Ateam%2Fapp%3Apull") && query.contains("service=s"), "{query}");
        assert_eq!(request.headers()[header::AUTHORIZATION], "Basic bWU6aHVudGVyMg==");
        r#"{"token":"t0ken","expires_in":300}"#.into_response()
    })
    .await;
    let address = serve(move |request| {
        if request.headers().get(header::AUTHORIZATION).is_some_and(|value| value == "Bearer t0ken") {
            return manifest_answer(media_type::OCI_INDEX, r#"{"manifests":[]}"#);
        }
        let challenge = format!(r#"Bearer realm="http://{tokens}/token",service="s",scope="evil""#);
        (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response()
    })
    .await;
    let client = with_basic(quick_options());
    for _ in 0..3 {
        client.manifest(&image(address, "team/app:v1")).await.unwrap();
    }
    assert_eq!(issued.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn credentials_are_not_sent_to_a_foreign_realm() {
    let asked = Arc::new(AtomicU32::new(0));
    let counter = asked.clone();
    let realm = serve(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        r#"{"token":"t"}"#.into_response()
    })
    .await;
    let port = realm.port();
    let address = serve(move |_| {
        // The same machine, by a name that is not the registry's.
        let challenge = format!(r#"Bearer realm="http://localhost:{port}/token""#);
        (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response()
    })
    .await;
    let error = with_basic(quick_options()).manifest(&image(address, "app:v1")).await.unwrap_err();
    assert!(matches!(error, RegistryError::Forbidden { .. }), "{error:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    let listed = Options { token_hosts: vec!["localhost".into()], ..quick_options() };
    let error = with_basic(listed).manifest(&image(address, "app:v1")).await.unwrap_err();
    assert!(matches!(error, RegistryError::Unauthorized { .. }), "{error:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_token_server_that_fails_says_nothing_of_the_image() {
    for (code, body) in [(404, ""), (429, ""), (500, ""), (200, "<html>"), (200, "{}"), (403, "")] {
        let tokens = serve(move |_| (StatusCode::from_u16(code).unwrap(), body).into_response()).await;
        let address = serve(move |_| {
            let challenge = format!(r#"Bearer realm="http://{tokens}/token""#);
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response()
        })
        .await;
        let at = image(address, "app:v1");
        let error = client().manifest(&at).await.unwrap_err();
        assert!(!error.is_not_found(), "{code} {error:?}");
        let error = client().referrers(&at, &Digest::of(b"x")).await.unwrap_err();
        assert!(!error.is_not_found(), "{code} {error:?}");
    }
}

#[tokio::test]
async fn private_addresses_are_not_asked_where_that_is_not_allowed() {
    let address = serve(|_| status(200)).await;
    let strict = Options { allow_private: false, ..quick_options() };
    let client = Client::new(strict, Credentials::anonymous()).unwrap();
    let by_name = format!("localhost:{}/app:v1", address.port()).parse().unwrap();
    for at in [image(address, "app:v1"), by_name] {
        let error = client.manifest(&at).await.unwrap_err();
        assert!(matches!(error, RegistryError::Forbidden { .. }), "{error:?}");
    }
    // Link-local addresses are not asked at all, not even after a redirect.
    let secret =
        serve(|_| (StatusCode::FOUND, [(header::LOCATION, "http://169.254.169.254/latest/")]).into_response()).await;
    let error = common::client().manifest(&image(secret, "app:v1")).await.unwrap_err();
    assert!(matches!(error, RegistryError::Forbidden { .. }), "{error:?}");
}

#[tokio::test]
async fn uploads_stay_at_the_registry() {
    let elsewhere = serve(|_| status(201)).await;
    let address = serve(move |request| {
        if request.method() == "HEAD" {
            return status(404);
        }
        (StatusCode::ACCEPTED, [(header::LOCATION, format!("http://{elsewhere}/upload"))]).into_response()
    })
    .await;
    let error = client().push_blob(&image(address, "app:v1"), bytes::Bytes::from_static(b"x")).await.unwrap_err();
    assert!(matches!(error, RegistryError::Forbidden { .. }), "{error:?}");
}

#[tokio::test]
async fn a_blob_that_breaks_off_is_read_on() {
    for gives_parts in [true, false] {
        let asked = Arc::new(AtomicU32::new(0));
        let counter = asked.clone();
        let address = serve(move |request| {
            let content = b"0123456789";
            let range = request.headers().get(header::RANGE).and_then(|range| range.to_str().ok()?.get(6..7));
            let start: usize = range.filter(|_| gives_parts).map_or(0, |digit| digit.parse().unwrap());
            // Three bytes at a time, then the connection breaks.
            let end = (start + 3).min(content.len());
            let pieces = [Ok(bytes::Bytes::copy_from_slice(&content[start..end])), Err(std::io::Error::other("cut"))];
            let rest = if end == content.len() { 1 } else { 2 };
            let pieces = futures_util::stream::iter(pieces.into_iter().take(rest)).then(|piece| async {
                // What was sent before the break must leave the server first.
                tokio::time::sleep(Duration::from_millis(30)).await;
                piece
            });
            let body = Body::from_stream(pieces);
            counter.fetch_add(1, Ordering::SeqCst);
            if start == 0 {
                return body.into_response();
            }
            let range = format!("bytes {start}-9/10");
            (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, range)], body).into_response()
        })
        .await;
        let options = Options { retries: 3, ..quick_options() };
        let client = Client::new(options, Credentials::anonymous()).unwrap();
        let stream = client.blob_stream(&image(address, "app:v1"), &Digest::of(b"x"), 10).await.unwrap();
        let read = stream.try_collect::<Vec<_>>().await.map(|pieces| pieces.concat());
        if gives_parts {
            assert_eq!(read.unwrap(), b"0123456789");
            assert_eq!(asked.load(Ordering::SeqCst), 4);
        } else {
            assert!(matches!(read, Err(RegistryError::Interrupted { .. })), "{read:?}");
        }
    }
}

#[tokio::test]
async fn tags_are_listed_over_pages_and_loops_end() {
    let address = serve(|request| {
        let body = match request.uri().query() {
            Some("n=1000") => r#"{"tags":["a","b"]}"#,
            Some("last=b") => r#"{"tags":["c"]}"#,
            _ => r#"{"tags":null}"#,
        };
        let next = if body.contains("\"b\"") { "last=b" } else { "last=c" };
        let link = format!("<{}?{next}>; rel=\"next\"", request.uri().path());
        ([(header::LINK, link)], body).into_response()
    })
    .await;
    assert_eq!(client().tags(&image(address, "app:v1")).await.unwrap(), ["a", "b", "c"]);

    let address = serve(|request| {
        let tags: Vec<String> = (0..5000).map(|n| n.to_string()).collect();
        let link = format!("<{}?again>; rel=\"next\"", request.uri().path());
        let body = format!("{{\"tags\":{tags:?}}}");
        ([(header::LINK, link)], body).into_response()
    })
    .await;
    let error = client().tags(&image(address, "app:v1")).await.unwrap_err();
    assert!(matches!(error, RegistryError::TooMany { .. }), "{error:?}");
}
