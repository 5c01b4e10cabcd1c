//! Conda's packages: a file of JSON for each, in `conda-meta` of its environment.
//!
//! Format: <https://docs.conda.io/projects/conda/en/stable/dev-guide/api/conda/models/records/index.html>

use std::borrow::Cow;

use portcullis_filetree::FileHeader;
use portcullis_model::{OwnedPaths, Package, PackageType, PathHash, Purl, Reading, Warning};
use serde::Deserialize;

use crate::{PackageReader, Selection, complete::language_package, limits};

/// Reads the records of Conda's environments.
pub(crate) struct Conda;

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    version: Cow<'a, str>,
    #[serde(borrow, default)]
    build: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    channel: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    subdir: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    license: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    depends: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    files: Vec<Cow<'a, str>>,
}

/// The folder of the environment.
fn environment<'a>(file: &FileHeader<'a>) -> Option<&'a str> {
    let (parent, name) = file.path.rsplit_once('/')?;
    let environment = if parent == "conda-meta" { Some("") } else { parent.strip_suffix("/conda-meta") };
    environment.filter(|_| name.ends_with(".json"))
}

impl PackageReader for Conda {
    fn name(&self) -> &'static str {
        "conda"
    }

    fn reads(&self) -> &'static str {
        "`**/conda-meta/*.json`"
    }

    /// What a package owns lies in its environment's folder.
    fn path_parts(&self) -> usize {
        usize::MAX
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        environment(file).map(|_| Selection::Whole { limit: limits::DATABASE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let Some(environment) = environment(file) else { return Reading::default() };
        match serde_json::from_slice::<Record<'_>>(contents) {
            Ok(record) => {
                let owned = owned(environment, &record, contents.len());
                Reading {
                    packages: vec![package(file.path, record)],
                    owned: owned.into_iter().collect(),
                    ..Reading::default()
                }
            }
            Err(error) => {
                let warning = Warning::gap(file.path, format!("not a record of a package: {error}"));
                Reading { warnings: vec![warning], ..Reading::default() }
            }
        }
    }
}

/// The files of a record, as paths of the image.
fn owned(environment: &str, record: &Record<'_>, size: usize) -> Option<OwnedPaths> {
    let mut path = if environment.is_empty() { String::new() } else { format!("{environment}/") };
    let start = path.len();
    // One long path of an environment before each of many short ones costs more than the file is worth.
    let most = size.saturating_mul(64) / (start + 1);
    let paths = record.files.iter().take(most).map(|file| {
        path.truncate(start);
        path.push_str(file);
        PathHash::of(&path)
    });
    let paths: Vec<PathHash> = paths.collect();
    (!paths.is_empty()).then(|| OwnedPaths {
        kind: PackageType::Conda,
        package: record.name.clone().into_owned(),
        paths,
    })
}

fn package(path: &str, record: Record<'_>) -> Package {
    let Record { name, version, build, channel, subdir, license, depends, .. } = record;
    let text = |value: &Option<Cow<'_, str>>| value.as_deref().unwrap_or_default().to_owned();
    let (subdir, channel) = (text(&subdir), text(&channel));
    let purl = Purl::new(PackageType::Conda, "", &name, &version)
        .qualifier("build", &text(&build))
        .qualifier("channel", last_segment(&channel, &subdir))
        .qualifier("subdir", &subdir);
    // `python >=3.8,<4.0a0`
    let words = depends.iter().filter_map(|depends| depends.split_ascii_whitespace().next());
    let mut depends_on: Vec<String> = words.map(str::to_owned).collect();
    depends_on.sort();
    depends_on.dedup();
    let license = license.filter(|license| !license.is_empty()).map(Cow::into_owned);
    let package = language_package(PackageType::Conda, purl, (name.into_owned(), version.into_owned()), license, path);
    Package { depends_on, ..package }
}

/// `https://host/t/token/conda-forge/linux-64` is `conda-forge`: what else an address holds may be secret.
fn last_segment<'a>(channel: &'a str, subdir: &str) -> &'a str {
    let channel = channel.trim_end_matches('/');
    let channel = channel.strip_suffix(subdir).unwrap_or(channel).trim_end_matches('/');
    channel.rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{self, check};

    const PATH: &str = "opt/conda/conda-meta/numpy-1.26.4-py311h64a7726_0.json";

    #[test]
    fn records_are_read() {
        let json = r#"{"name": "numpy", "version": "1.26.4", "build": "py311h64a7726_0", "build_number": 0,
            "channel": "https://conda.example/t/secret/conda-forge/linux-64", "subdir": "linux-64", "license": "BSD-3-Clause",
            "depends": ["python >=3.11,<3.12.0a0", "libblas >=3.9.0,<4.0a0", "python_abi 3.11.* *_cp311"],
            "files": ["bin/f2py", "lib/python3.11/site-packages/numpy/__init__.py"], "paths_data": {"paths": []}}"#;
        check(
            &Conda,
            PATH,
            json,
            expect![[r#"
            conda numpy 1.26.4, under BSD-3-Clause, purl pkg:conda/numpy@1.26.4?build=py311h64a7726_0&channel=conda-forge&subdir=linux-64, needs libblas python python_abi
            numpy owns 2 paths
        "#]],
        );
        let reading = testing::read(&Conda, PATH, json.as_bytes()).unwrap();
        assert_eq!(reading.owned[0].paths[0], PathHash::of("opt/conda/bin/f2py"));
        check(
            &Conda,
            "conda-meta/a-1-0.json",
            r#"{"name": "a", "version": "1", "channel": "defaults"}"#,
            expect![[r#"
            conda a 1, purl pkg:conda/a@1?channel=defaults
        "#]],
        );
        check(
            &Conda,
            PATH,
            "{",
            expect![[r#"
            gap in opt/conda/conda-meta/numpy-1.26.4-py311h64a7726_0.json: not a record of a package: EOF while parsing an object at line 1 column 1
        "#]],
        );
        assert!(testing::read(&Conda, "opt/conda/conda-meta/history", b"").is_none());
    }

    proptest! {
        #[test]
        fn nothing_panics(contents: Vec<u8>, text in "[{}\\[\\]\":,a-z]{0,20}") {
            testing::read(&Conda, PATH, &contents);
            testing::read(&Conda, PATH, text.as_bytes());
        }
    }
}
