//! The honest server: the first time everything, afterwards what has changed.

use std::fs;

use portcullis_advisories::{Builder, add_directory};
use portcullis_updates::{Change, Event, Sources, UpdateError, origin};

use crate::support::{Bucket, Desk, data, record, sources};

#[tokio::test]
async fn the_first_update_builds_what_db_build_builds() {
    let ecosystems = ["Hackage", "CRAN", "NuGet", "Hex", "Packagist-drupal", "crates.io"];
    let Some(bucket) = Bucket::real(&ecosystems) else { return };
    let desk = Desk::new();
    let installed = desk.run(&bucket).await.unwrap();
    assert!(installed.has_changed && installed.advisories > 1000, "{installed:?}");
    let mut builder = Builder::new().as_of(desk.update.now);
    for ecosystem in ecosystems {
        add_directory(&mut builder, &data().unwrap().join("osv").join(ecosystem)).unwrap();
    }
    assert_eq!(builder.build().unwrap().1.digest, installed.digest);
    assert_eq!(desk.database().digest(), installed.digest);
    desk.is_clean();
    let origin = origin(&desk.update.path, installed.digest).unwrap();
    assert_eq!(origin.from, bucket.server.url(""));
    // One archive and one list for each, and no single record.
    let asked = bucket.asked();
    assert_eq!(asked.len(), 1 + 2 * ecosystems.len(), "{asked:?}");
}

#[tokio::test]
async fn without_changes_no_body_is_fetched_and_nothing_is_built() {
    let bucket = Bucket::small(3);
    let desk = Desk::new();
    let first = desk.run(&bucket).await.unwrap();
    bucket.asked();
    desk.events();
    let second = desk.run(&bucket).await.unwrap();
    assert_eq!((second.digest, second.has_changed), (first.digest, false));
    let asked = bucket.asked();
    assert_eq!(asked[1..], [("/npm/modified_id.csv".to_owned(), 304, 0)]);
    assert!(!desk.events().contains(&Event::Building));
}

#[tokio::test]
async fn one_newer_record_is_one_fetch() {
    let bucket = Bucket::small(50);
    let desk = Desk::new();
    desk.run(&bucket).await.unwrap();
    bucket.asked();
    bucket.set("npm", "GHSA-7", record("GHSA-7", "2026-05-01T00:00:00Z", "right-pad", "2.0.0"));
    bucket.list("npm");
    desk.events();
    let installed = desk.run(&bucket).await.unwrap();
    assert!(installed.has_changed);
    let asked: Vec<String> = bucket.asked().into_iter().map(|(path, ..)| path).collect();
    assert_eq!(asked, ["/ecosystems.txt", "/npm/GHSA-7.json", "/npm/modified_id.csv"]);
    let Event::Synced(synced) = &desk.events()[0] else { panic!() };
    assert_eq!((synced.change, synced.records), (Change::Records { fetched: 1, removed: 0 }, 50));
    // The same as a build of the whole new archive.
    bucket.export("npm");
    let other = Desk::new();
    assert_eq!(other.run(&bucket).await.unwrap().digest, installed.digest);
}

#[tokio::test]
async fn what_was_withdrawn_or_is_gone_is_not_in_the_database() {
    let bucket = Bucket::small(50);
    let desk = Desk::new();
    desk.run(&bucket).await.unwrap();
    let withdrawn = String::from_utf8(record("GHSA-1", "2026-05-01T00:00:00Z", "left-pad", "1.0.0")).unwrap();
    let withdrawn = withdrawn.replacen('{', r#"{"withdrawn":"2026-05-01T00:00:00Z","#, 1);
    bucket.set("npm", "GHSA-1", withdrawn.into_bytes());
    bucket.remove("npm", "GHSA-2");
    bucket.list("npm");
    desk.run(&bucket).await.unwrap();
    let database = desk.database();
    assert!(database.search("GHSA-1").unwrap().is_empty());
    assert!(database.search("GHSA-2").unwrap().is_empty());
    assert_eq!(database.advisory_count(), 48);
}

#[tokio::test]
async fn many_changes_are_one_archive() {
    let bucket = Bucket::small(500);
    let desk = Desk::new();
    desk.run(&bucket).await.unwrap();
    bucket.asked();
    for number in 0..300 {
        let id = format!("GHSA-{number}");
        bucket.set("npm", &id, record(&id, "2026-05-01T00:00:00Z", "left-pad", "3.0.0"));
    }
    bucket.export("npm");
    desk.run(&bucket).await.unwrap();
    let asked: Vec<String> = bucket.asked().into_iter().map(|(path, ..)| path).collect();
    assert_eq!(asked, ["/ecosystems.txt", "/npm/all.zip", "/npm/modified_id.csv"]);
}

#[tokio::test]
async fn an_archive_that_lags_behind_its_list_is_completed() {
    let bucket = Bucket::small(5);
    bucket.set("npm", "GHSA-9", record("GHSA-9", "2026-05-01T00:00:00Z", "late", "1.0.0"));
    bucket.list("npm");
    let desk = Desk::new();
    desk.run(&bucket).await.unwrap();
    assert_eq!(desk.database().search("GHSA-9").unwrap().len(), 1);
}

#[tokio::test]
async fn a_record_that_is_older_than_its_list_is_asked_for_again() {
    let bucket = Bucket::small(5);
    let desk = Desk::new();
    desk.run(&bucket).await.unwrap();
    // The list is new, the record still the old one, as a cache between may have it.
    bucket.set("npm", "GHSA-1", record("GHSA-1", "2026-05-01T00:00:00Z", "left-pad", "9.0.0"));
    bucket.list("npm");
    let new = record("GHSA-1", "2026-05-01T00:00:00Z", "left-pad", "9.0.0");
    bucket.server.put("/npm/GHSA-1.json", record("GHSA-1", "2026-01-01T00:00:00Z", "left-pad", "1.0.0"));
    desk.run(&bucket).await.unwrap();
    bucket.server.put("/npm/GHSA-1.json", new);
    bucket.asked();
    desk.run(&bucket).await.unwrap();
    let asked = bucket.asked();
    assert!(asked.iter().any(|(path, status, _)| path == "/npm/GHSA-1.json" && *status == 200), "{asked:?}");
    let hits = desk.database().search("GHSA-1").unwrap();
    assert_eq!(hits[0].advisory.modified, Some("2026-05-01T00:00:00Z".parse().unwrap()));
}

#[tokio::test]
async fn catalogues_come_with_it_and_an_outage_leaves_the_old_copy() {
    let Some(data) = data() else { return };
    let bucket = Bucket::small(3);
    let kev = fs::read(data.join("kev/known_exploited_vulnerabilities.json")).unwrap();
    bucket.server.put("/kev.json", kev);
    bucket.server.put("/epss.csv.gz", fs::read(data.join("epss/epss_scores-2026-08-16.csv.gz")).unwrap());
    let with_both = Sources {
        kev: Some(bucket.server.url("kev.json")),
        epss: Some(bucket.server.url("epss.csv.gz")),
        ..sources(&bucket)
    };
    let desk = Desk::new();
    desk.run_with(&with_both).await.unwrap();
    let names = |desk: &Desk| desk.database().info().sources.into_iter().map(|source| source.name).collect::<Vec<_>>();
    assert_eq!(names(&desk), ["epss", "kev", "osv/npm"]);
    bucket.asked();
    desk.run_with(&with_both).await.unwrap();
    assert!(bucket.asked().iter().all(|(path, status, _)| path == "/ecosystems.txt" || *status == 304));
    // Gone, or something else: the copy stays, and that is told.
    bucket.server.remove("/kev.json");
    bucket.server.put("/epss.csv.gz", "<html>");
    desk.events();
    assert!(!desk.run_with(&with_both).await.unwrap().has_changed);
    assert_eq!(desk.events().iter().filter(|event| matches!(event, Event::Warning(_))).count(), 2);
    assert_eq!(names(&desk), ["epss", "kev", "osv/npm"]);
    // Nothing at hand is an error.
    let other = Desk::new();
    assert!(matches!(other.run_with(&with_both).await, Err(UpdateError::Fetch(_))));
}

#[tokio::test]
async fn ecosystems_are_chosen_and_an_unknown_one_is_told() {
    let bucket = Bucket::small(3);
    bucket.set("Rocky Linux", "RLSA-1", record("RLSA-1", "2026-01-01T00:00:00Z", "x", "1.0.0"));
    bucket.export("Rocky Linux");
    // As a server gets the path: with its space escaped.
    for file in ["all.zip", "modified_id.csv"] {
        let content =
            if file == "all.zip" { bucket.archive("Rocky Linux") } else { b"2026-01-01T00:00:00Z,RLSA-1".to_vec() };
        bucket.server.put(&format!("/Rocky%20Linux/{file}"), content);
    }
    let desk = Desk::new();
    let chosen = |names: &[&str]| Sources {
        ecosystems: names.iter().map(|name| (*name).to_owned()).collect(),
        ..sources(&bucket)
    };
    let one = desk.run_with(&chosen(&["NPM"])).await.unwrap();
    assert_eq!(desk.database().info().sources.len(), 1);
    let two = desk.run_with(&chosen(&["npm", "Rocky Linux"])).await.unwrap();
    assert_eq!(desk.database().info().sources.len(), 2);
    assert_ne!(one.digest, two.digest);
    let Err(UpdateError::Ecosystem { name, known }) = desk.run_with(&chosen(&["nmp"])).await else { panic!() };
    assert_eq!((name.as_str(), known.len()), ("nmp", 2));
    assert_eq!(desk.database().digest(), two.digest);
    // Nor is one left out because the copy has no list.
    bucket.server.remove("/ecosystems.txt");
    assert!(desk.run_with(&chosen(&["npm"])).await.is_ok());
    let error = desk.run_with(&chosen(&["npm", "Debian:12"])).await;
    assert!(matches!(error, Err(UpdateError::Ecosystem { .. })), "{error:?}");
}

#[tokio::test]
async fn a_rebuild_needs_no_network() {
    let bucket = Bucket::small(3);
    let desk = Desk::new();
    let Err(UpdateError::NothingCached { .. }) = desk.update.from_cache(&sources(&bucket), &desk.tell()).await else {
        panic!()
    };
    let first = desk.run(&bucket).await.unwrap();
    fs::remove_file(&desk.update.path).unwrap();
    bucket.asked();
    let again = desk.update.from_cache(&sources(&bucket), &desk.tell()).await.unwrap();
    assert_eq!((again.digest, bucket.asked().len()), (first.digest, 0));
    // A catalogue that no update has fetched is missed aloud.
    desk.events();
    let with_kev = Sources { kev: Some(bucket.server.url("kev.json")), ..sources(&bucket) };
    desk.update.from_cache(&with_kev, &desk.tell()).await.unwrap();
    assert!(matches!(&desk.events()[..], [Event::Warning(text)] if text.contains("known_exploited")));
}

#[tokio::test]
async fn a_cache_that_was_changed_by_hand_is_read_again() {
    let bucket = Bucket::small(3);
    let desk = Desk::new();
    let first = desk.run(&bucket).await.unwrap();
    let archive = desk.update.cache.join("osv/npm/all.zip");
    fs::write(&archive, b"PK").unwrap();
    fs::remove_file(&desk.update.path).unwrap();
    bucket.asked();
    assert_eq!(desk.run(&bucket).await.unwrap().digest, first.digest);
    assert!(bucket.asked().iter().any(|(path, status, _)| path == "/npm/all.zip" && *status == 200));
}
