//! Servers and connections that fail: what can be had is had, and the old database stays.

use std::fs;

use portcullis_errors::Hint as _;
use portcullis_testkit::Fault;
use portcullis_updates::{Event, FetchError, FetchOptions, Fetcher, Sources, UpdateError, origin};

use crate::support::{Bucket, Desk, options, record, sources};

/// A bucket whose archive has some 100 KB that do not pack.
fn large() -> Bucket {
    let bucket = Bucket::start();
    for number in 0..40 {
        let id = format!("GHSA-{number}");
        let noise: String = (0..1500_u32)
            .map(|step| {
                let digest = portcullis_model::Digest::of(&[number as u8, (step >> 8) as u8, step as u8]);
                char::from(b'a' + digest.as_bytes()[0] % 26)
            })
            .collect();
        let mut json = String::from_utf8(record(&id, "2026-01-01T00:00:00Z", "left-pad", "1.0.0")).unwrap();
        json = json.replacen('{', &format!(r#"{{"details":"{noise}","#), 1);
        bucket.set("npm", &id, json.into_bytes());
    }
    bucket.export("npm");
    bucket
}

#[tokio::test]
async fn a_cut_download_is_taken_up_where_it_ended() {
    let bucket = large();
    let size = bucket.archive("npm").len();
    bucket.server.fail("all.zip", [Fault::Cut(10_000), Fault::Cut(15_000), Fault::Cut(1)]);
    let desk = Desk::new();
    desk.run(&bucket).await.unwrap();
    let parts: Vec<(u16, usize)> = bucket
        .server
        .requests()
        .into_iter()
        .filter(|request| request.path.ends_with("all.zip"))
        .map(|request| (request.status, request.sent))
        .collect();
    assert_eq!(parts, [(200, 10_000), (206, 15_000), (206, 1), (206, size - 25_001)]);
}

#[tokio::test]
async fn a_later_run_takes_up_what_an_earlier_one_began() {
    let bucket = large();
    let size = bucket.archive("npm").len();
    bucket.server.fail("all.zip", std::iter::once(Fault::Cut(20_000)).chain((0..4).map(|_| Fault::Cut(0))));
    let desk = Desk::new();
    let error = desk.run(&bucket).await.unwrap_err();
    assert!(matches!(error, UpdateError::Fetch(FetchError::Interrupted { .. })), "{error:?}");
    assert!(!desk.update.path.exists());
    bucket.asked();
    desk.run(&bucket).await.unwrap();
    let asked = bucket.asked();
    assert!(asked.contains(&("/npm/all.zip".to_owned(), 206, size - 20_000)), "{asked:?}");
}

#[tokio::test]
async fn a_version_that_changed_in_between_is_fetched_whole() {
    let bucket = large();
    bucket.server.fail("all.zip", (0..5).map(|_| Fault::Cut(8_000)));
    let desk = Desk::new();
    desk.run(&bucket).await.unwrap_err();
    bucket.set("npm", "GHSA-0", record("GHSA-0", "2026-06-01T00:00:00Z", "left-pad", "7.0.0"));
    bucket.export("npm");
    let size = bucket.archive("npm").len();
    bucket.asked();
    desk.run(&bucket).await.unwrap();
    assert!(bucket.asked().contains(&("/npm/all.zip".to_owned(), 200, size)));
    assert_eq!(desk.database().advisory_count(), 40);
}

#[tokio::test]
async fn throttling_and_outages_are_waited_for() {
    let bucket = Bucket::small(3);
    let busy = |wait: &str| Fault::Status(429, vec![format!("retry-after: {wait}")]);
    bucket.server.fail("all.zip", [busy("0"), Fault::Status(500, vec![]), Fault::Status(503, vec![])]);
    bucket.server.fail("modified_id.csv", [busy("Wed, 21 Oct 2015 07:28:00 GMT"), Fault::Status(502, vec![])]);
    let desk = Desk::new();
    desk.run(&bucket).await.unwrap();
    let statuses: Vec<u16> = bucket.asked().into_iter().map(|(_, status, _)| status).collect();
    assert_eq!(statuses, [200, 200, 429, 500, 503, 200, 429, 502]);
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_told_instead() {
    let bucket = Bucket::small(3);
    let desk = Desk::new();
    let first = desk.run(&bucket).await.unwrap();
    bucket.server.fail("modified_id.csv", [Fault::Status(429, vec!["retry-after: 3600".into()])]);
    bucket.set("npm", "GHSA-1", record("GHSA-1", "2026-06-01T00:00:00Z", "left-pad", "7.0.0"));
    bucket.list("npm");
    let error = desk.run(&bucket).await.unwrap_err();
    assert!(error.hint().unwrap().contains("3600 s"), "{error:?}");
    assert_eq!(desk.database().digest(), first.digest);
    desk.is_clean();
}

#[tokio::test]
async fn an_outage_that_lasts_leaves_the_old_database() {
    let bucket = Bucket::small(3);
    let desk = Desk::new();
    let first = desk.run(&bucket).await.unwrap();
    for status in [500, 403, 404] {
        bucket.set("npm", "GHSA-1", record("GHSA-1", "2026-06-01T00:00:00Z", "left-pad", "7.0.0"));
        bucket.list("npm");
        bucket.server.fail("/", (0..50).map(|_| Fault::Status(status, vec![])));
        let error = desk.run(&bucket).await.unwrap_err();
        assert!(matches!(error, UpdateError::Fetch(_)), "{status}: {error:?}");
        bucket.server.heal();
        assert_eq!(desk.database().digest(), first.digest);
        desk.is_clean();
    }
    assert!(desk.run(&bucket).await.unwrap().has_changed);
}

#[tokio::test]
async fn a_wrong_length_is_no_whole_file() {
    let bucket = large();
    let size = bucket.archive("npm").len();
    let desk = Desk::new();
    // Too much is promised: the connection ends early. Too little: the archive is cut, which its check finds.
    bucket.server.fail("all.zip", [Fault::Length(size + 100)]);
    desk.run(&bucket).await.unwrap();
    let other = Desk::new();
    bucket.server.fail("all.zip", [Fault::Length(size - 100)]);
    other.run(&bucket).await.unwrap();
    assert_eq!(other.database().digest(), desk.database().digest());
}

#[tokio::test]
async fn a_damaged_archive_is_fetched_again_and_never_used() {
    let bucket = large();
    let whole = bucket.archive("npm");
    let mut flipped = whole.clone();
    flipped[5_000] ^= 0x40;
    for bad in [flipped, whole[..whole.len() / 2].to_vec(), b"<html>login</html>".to_vec(), Vec::new()] {
        let desk = Desk::new();
        bucket.server.fail("all.zip", [Fault::Body(bad.clone())]);
        desk.run(&bucket).await.unwrap();
        let other = Desk::new();
        bucket.server.fail("all.zip", [Fault::Body(bad.clone()), Fault::Body(bad)]);
        let error = other.run(&bucket).await.unwrap_err();
        assert!(matches!(error, UpdateError::Export { .. }), "{error:?}");
        assert!(!other.update.path.exists() && !other.update.cache.join("osv/npm/all.zip").exists());
    }
}

#[tokio::test]
async fn a_redirect_without_end_or_to_nowhere_is_an_error() {
    let bucket = Bucket::small(3);
    let place = bucket.server.url("ecosystems.txt");
    bucket.server.fail("ecosystems.txt", (0..20).map(|_| Fault::Status(302, vec![format!("location: {place}")])));
    let error = Desk::new().run(&bucket).await.unwrap_err();
    assert!(matches!(error, UpdateError::Fetch(FetchError::Refused { status: 302, .. })), "{error:?}");
}

#[tokio::test]
async fn plain_http_and_other_addresses_are_refused() {
    let bucket = Bucket::small(3);
    let desk = Desk::new();
    let strict = Fetcher::new(FetchOptions { plain_http: false, ..options() }).unwrap();
    let error = desk.update.from_export(&strict, &sources(&bucket), &desk.tell()).await.unwrap_err();
    assert!(matches!(error, UpdateError::Fetch(FetchError::Plain { .. })), "{error:?}");
    for export in ["ftp://a/", "nonsense", "file:///etc", ""] {
        let other = portcullis_updates::Sources { export: export.into(), ..sources(&bucket) };
        assert!(matches!(desk.run_with(&other).await, Err(UpdateError::Address { .. })), "{export}");
    }
    assert!(bucket.asked().is_empty());
}

#[tokio::test]
async fn two_updates_at_once_do_each_other_no_harm() {
    let bucket = large();
    let desk = Desk::new();
    let fetcher = Fetcher::new(options()).unwrap();
    let (update, sources, tell) = (desk.update.clone(), sources(&bucket), desk.tell());
    // The lock is between processes and between updates alike; waiting for it holds up its thread.
    let other = {
        let (update, sources) = (update.clone(), sources.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let fetcher = Fetcher::new(options()).unwrap();
            runtime.block_on(update.from_export(&fetcher, &sources, &|_| ())).unwrap()
        })
    };
    let mine = update.from_export(&fetcher, &sources, &tell).await.unwrap();
    let other = other.join().unwrap();
    assert_eq!(mine.digest, other.digest);
    assert!(mine.has_changed != other.has_changed);
    desk.database();
    desk.is_clean();
    let archives = bucket.asked().into_iter().filter(|(path, status, _)| path.ends_with("all.zip") && *status == 200);
    assert_eq!(archives.count(), 1);
}

#[tokio::test]
async fn what_a_killed_update_left_is_removed() {
    let bucket = Bucket::small(3);
    let desk = Desk::new();
    desk.run(&bucket).await.unwrap();
    let staging = desk.update.path.with_file_name(".portcullis.db.new");
    fs::create_dir(&staging).unwrap();
    fs::write(staging.join(".tmp123"), "half").unwrap();
    bucket.set("npm", "GHSA-1", record("GHSA-1", "2026-06-01T00:00:00Z", "left-pad", "7.0.0"));
    bucket.list("npm");
    desk.run(&bucket).await.unwrap();
    desk.is_clean();
}

#[tokio::test]
async fn a_copy_that_is_emptied_or_old_is_not_taken_without_a_word() {
    let bucket = Bucket::small(500);
    bucket.set("PyPI", "PYSEC-1", record("PYSEC-1", "2026-01-02T00:00:00Z", "x", "1.0.0"));
    bucket.export("PyPI");
    let desk = Desk::new();
    let first = desk.run(&bucket).await.unwrap();
    let accepted = Sources { allow_rollback: true, ..sources(&bucket) };
    // Most records are gone; an ecosystem is gone; everything is older.
    let emptied = Bucket::small(5);
    emptied.set("PyPI", "PYSEC-1", record("PYSEC-1", "2026-01-02T00:00:00Z", "x", "1.0.0"));
    emptied.export("PyPI");
    let vanished = Bucket::small(500);
    vanished.list("npm");
    for (bad, said) in [(&emptied, "osv/npm has 5 records, and 500 before"), (&vanished, "osv/PyPI with 1 records")] {
        let error = desk.run(bad).await.unwrap_err();
        assert!(error.to_string().contains(said) && error.hint().unwrap().contains("--allow-rollback"), "{error}");
        assert_eq!(desk.database().digest(), first.digest);
        desk.is_clean();
        // Without a network it is the same cache, and the same answer.
        if said.contains("npm") {
            assert!(desk.update.from_cache(&sources(bad), &desk.tell()).await.is_err());
        }
    }
    desk.run(&bucket).await.unwrap();
    assert_eq!(desk.database().advisory_count(), 501);
    let old = Bucket::start();
    for number in 0..500 {
        let id = format!("GHSA-{number}");
        old.set("npm", &id, record(&id, "2025-01-01T00:00:00Z", "left-pad", "1.0.0"));
    }
    old.set("PyPI", "PYSEC-1", record("PYSEC-1", "2025-01-02T00:00:00Z", "x", "1.0.0"));
    old.export("npm");
    old.export("PyPI");
    fs::remove_dir_all(&desk.update.cache).unwrap();
    let error = desk.run(&old).await.unwrap_err();
    assert!(matches!(error, UpdateError::Rollback { .. }), "{error:?}");
    let taken = Sources { export: emptied.server.url(""), ..accepted };
    let installed = desk.run_with(&taken).await.unwrap();
    assert!(installed.has_changed && installed.warnings.iter().any(|warning| warning.message.contains("500 before")));
}

#[tokio::test]
async fn what_a_list_promises_and_nobody_has_is_told_and_kept() {
    let bucket = Bucket::small(50);
    let desk = Desk::new();
    desk.run(&bucket).await.unwrap();
    bucket.set("npm", "GHSA-1", record("GHSA-1", "2026-06-01T00:00:00Z", "left-pad", "7.0.0"));
    bucket.list("npm");
    bucket.server.remove("/npm/GHSA-1.json");
    desk.events();
    desk.run(&bucket).await.unwrap();
    let warned = |desk: &Desk| {
        let synced = desk.events().into_iter().find_map(|event| match event {
            Event::Synced(synced) => Some(synced.warnings),
            _ => None,
        });
        synced.unwrap().join("\n")
    };
    let said = warned(&desk);
    assert!(said.contains("1 listed records are not there") && said.contains("GHSA-1"), "{said}");
    assert_eq!(desk.database().search("GHSA-1").unwrap().len(), 1);
    // A list that is half nonsense removes nothing.
    bucket.server.put("/npm/modified_id.csv", "2026-01-01T00:00:00Z,GHSA-2\nyesterday,GHSA-3\n");
    desk.run(&bucket).await.unwrap();
    assert!(warned(&desk).contains("1 lines of its list cannot be read"));
    assert_eq!(desk.database().advisory_count(), 50);
}

#[tokio::test]
async fn a_password_in_an_address_is_kept_nowhere() {
    let bucket = Bucket::small(3);
    let desk = Desk::new();
    let export = bucket.server.url("").replace("http://", "http://user:secret@");
    let installed = desk.run_with(&Sources { export, ..sources(&bucket) }).await.unwrap();
    let origin = origin(&desk.update.path, installed.digest).unwrap();
    assert!(origin.from.starts_with("http://127.0.0.1:"), "{}", origin.from);
    assert!(!format!("{:?}", desk.events()).contains("secret"));
}
