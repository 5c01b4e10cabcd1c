//! An inventory of packages of which the records speak: a Debian with applications in many languages on it. One in
//! twenty has a version that is affected, the others the latest that a record calls fixed.

use std::{cmp::Ordering, collections::BTreeMap, fs::File, io::BufReader, path::Path};

use anyhow::Context as _;
use portcullis_model::{Distribution, Package, PackageType};
use portcullis_versions::Scheme;
use serde_json::{Value, json};

use super::Inventory;

/// The ecosystems that packages are taken from.
const KINDS: &[(&str, PackageType)] = &[
    ("Debian:11", PackageType::Deb),
    ("PyPI", PackageType::Pypi),
    ("npm", PackageType::Npm),
    ("Go", PackageType::Golang),
    ("Maven", PackageType::Maven),
    ("RubyGems", PackageType::Gem),
    ("crates.io", PackageType::Cargo),
    ("Packagist", PackageType::Composer),
    ("Julia", PackageType::Julia),
    ("Hex", PackageType::Hex),
];

/// A version that is affected, and one that is not, as far as they are known.
#[derive(Default)]
struct Versions {
    affected: Option<String>,
    fixed: Option<String>,
}

type Names = BTreeMap<(usize, String), Versions>;

/// Writes `count` packages to `output`.
pub(super) fn run(from: &Path, output: &Path, count: usize) -> anyhow::Result<()> {
    let mut names = Names::new();
    let mut folders: Vec<_> = std::fs::read_dir(from)
        .with_context(|| from.display().to_string())?
        .filter_map(|entry| Some(entry.ok()?.path().join("all.zip")))
        .filter(|path| path.is_file())
        .collect();
    folders.sort();
    for path in folders {
        let mut archive = zip::ZipArchive::new(BufReader::new(File::open(path)?))?;
        for index in 0..archive.len() {
            if let Ok(record) = serde_json::from_reader::<_, Value>(BufReader::new(archive.by_index(index)?)) {
                gather(&record, &mut names);
            }
        }
    }
    let usable: Vec<_> = names.iter().filter(|(_, versions)| versions.fixed.is_some()).collect();
    let step = usable.len() as f64 / count as f64;
    let picked = (0..count).filter_map(|number| usable.get((number as f64 * step) as usize));
    let packages = picked.enumerate().filter_map(|(number, ((kind, name), versions))| {
        let (_, kind) = KINDS.get(*kind)?;
        let fixed = versions.fixed.as_ref();
        let version = if number.is_multiple_of(20) { versions.affected.as_ref().or(fixed) } else { fixed };
        package(*kind, name, version?)
    });
    let distribution = Distribution {
        id: "debian".into(),
        version_id: "11".into(),
        name: "Debian 11".into(),
        ..Distribution::default()
    };
    let inventory = Inventory { distribution, packages: packages.collect() };
    std::fs::write(output, serde_json::to_vec(&inventory)?)?;
    Ok(())
}

fn gather(record: &Value, names: &mut Names) {
    for affected in record["affected"].as_array().into_iter().flatten() {
        let ecosystem = affected["package"]["ecosystem"].as_str().unwrap_or_default();
        let Some(kind) = KINDS.iter().position(|(name, _)| *name == ecosystem) else { continue };
        let name = affected["package"]["name"].as_str().unwrap_or_default().to_owned();
        let versions = names.entry((kind, name)).or_default();
        let ranges = affected["ranges"].as_array().into_iter().flatten().filter(|range| range["type"] != "GIT");
        for event in ranges.flat_map(|range| range["events"].as_array().into_iter().flatten()) {
            match (event["introduced"].as_str(), event["fixed"].as_str()) {
                (Some("0"), _) => versions.affected = Some("0.0.1".into()),
                (Some(introduced), _) => versions.affected = Some(introduced.into()),
                (_, Some(fixed)) if versions.fixed.as_deref().is_none_or(|known| is_later(ecosystem, fixed, known)) => {
                    versions.fixed = Some(fixed.into());
                }
                _ => {}
            }
        }
    }
}

fn is_later(ecosystem: &str, version: &str, known: &str) -> bool {
    let scheme = Scheme::of_ecosystem(ecosystem);
    scheme.is_some_and(|scheme| scheme.compare(version, known).is_ok_and(Ordering::is_gt))
}

/// A package with these fields; those that it lacks are what their types say.
fn package(kind: PackageType, name: &str, version: &str) -> Option<Package> {
    let mut fields = json!({
        "type": kind,
        "name": name,
        "version": version,
        "purl": format!("pkg:{kind}/{name}@{version}"),
        "locations": [],
    });
    if kind == PackageType::Deb {
        fields["source"] = json!({"name": name, "version": version});
    }
    serde_json::from_value(fields).ok()
}
