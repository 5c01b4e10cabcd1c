//! Portcullis looks at itself: its own locked dependencies against the advisories for Rust crates.

use std::{cmp::Ordering, path::Path};

use portcullis_advisories::{Builder, Database, add_directory};
use portcullis_model::{AdvisoryLookup as _, lookup_name};
use portcullis_versions::Scheme;

use crate::support::data;

/// Advisories that apply and are borne, each with the reason.
const BORNE: [(&str, &str); 0] = [];

/// Name and version of every package of a lock file, as cargo writes it.
fn locked() -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
    let text = std::fs::read_to_string(path).unwrap();
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""))?;
        Some(line.trim_end_matches('"').to_owned())
    };
    let blocks = text.split("[[package]]").skip(1);
    blocks.filter_map(|block| Some((field(block, "name")?, field(block, "version")?))).collect()
}

#[test]
fn our_own_dependencies_have_no_known_vulnerability() {
    let Some(data) = data() else { return };
    let mut builder = Builder::new();
    add_directory(&mut builder, &data.join("osv/crates.io")).unwrap();
    let database = Database::from_bytes(builder.build().unwrap().0).unwrap();
    let locked = locked();
    assert!(locked.len() > 100, "{}", locked.len());
    let mut found = Vec::new();
    for (name, version) in locked {
        for affected in database.affected("crates.io", &lookup_name("crates.io", &name)).unwrap() {
            let at = |bound: &str| Scheme::Semver.compare(&version, bound).unwrap_or(Ordering::Equal);
            let is_affected = affected.intervals.iter().any(|interval| {
                interval.introduced.is_none_or(|bound| at(bound).is_ge())
                    && interval.fixed.is_none_or(|bound| at(bound).is_lt())
                    && interval.last_affected.is_none_or(|bound| at(bound).is_le())
            });
            let id = database.advisory(affected.advisory, false).unwrap().id;
            if is_affected && !BORNE.iter().any(|(borne, _)| id == *borne) {
                found.push(format!("{id}: {name} {version}"));
            }
        }
    }
    assert_eq!(found, [""; 0]);
}
