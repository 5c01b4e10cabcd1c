//! Many packages: they are matched in parts, at the same time, and the database gives its memory back meanwhile.
#![allow(clippy::unwrap_used, reason = "helpers of a test stop where the test must")]

use std::sync::atomic::{AtomicUsize, Ordering};

use portcullis_advisories::{Builder, Database};
use portcullis_matching::match_all;
use portcullis_model::{Advisory, AdvisoryKey, AdvisoryLookup, Affected, LookupError, Package, PackageType};
use portcullis_testkit::AdvisoryRecord;
use serde_json::json;

/// A database that counts how often it rests.
struct Counted {
    database: Database,
    rests: AtomicUsize,
}

impl AdvisoryLookup for Counted {
    fn affected(&self, ecosystem: &str, name: &str) -> Result<Vec<Affected<'_>>, LookupError> {
        self.database.affected(ecosystem, name)
    }

    fn covers(&self, ecosystem: &str) -> bool {
        self.database.covers(ecosystem)
    }

    fn family(&self, base: &str) -> Vec<String> {
        self.database.family(base)
    }

    fn advisory(&self, key: AdvisoryKey, with_details: bool) -> Result<Advisory, LookupError> {
        self.database.advisory(key, with_details)
    }

    fn rest(&self) {
        self.rests.fetch_add(1, Ordering::Relaxed);
        self.database.rest();
    }
}

#[test]
fn the_database_rests_while_many_packages_are_matched() {
    const PACKAGES: usize = 4_500;
    let name = |number: usize| format!("package-{}", number % 100);
    let mut builder = Builder::new();
    for number in 0..50 {
        let range = json!({"ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "2.0.0"}]}]});
        let record = AdvisoryRecord::new(&format!("GHSA-{number}")).affected("npm", &name(number), range);
        builder.add_record("osv/test", "a place", record.json().as_bytes());
    }
    let database = Database::from_bytes(builder.build().unwrap().0).unwrap();
    let lookup = Counted { database, rests: AtomicUsize::new(0) };
    let package = |number: usize| {
        let version = format!("1.0.{number}");
        let purl = format!("pkg:npm/{}@{version}", name(number));
        Package { purl, ..Package::new(PackageType::Npm, name(number), version) }
    };
    let packages: Vec<Package> = (0..PACKAGES).map(package).collect();
    let found = match_all(&packages, None, &lookup).unwrap().findings;
    assert_eq!(found.len(), PACKAGES / 2);
    // Every two thousand, over all parts.
    assert_eq!(lookup.rests.load(Ordering::Relaxed), 2);
    let one_by_one =
        packages.iter().flat_map(|package| match_all(std::slice::from_ref(package), None, &lookup).unwrap().findings);
    let sorted = |mut purls: Vec<String>| {
        purls.sort();
        purls
    };
    assert_eq!(
        sorted(found.iter().map(|finding| finding.package.purl.clone()).collect()),
        sorted(one_by_one.map(|finding| finding.package.purl.clone()).collect())
    );
}
