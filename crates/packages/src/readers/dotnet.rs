//! .NET packages: what an application's `*.deps.json` says it runs with, in a file or in a single-file program.
//!
//! Format: <https://github.com/dotnet/sdk/blob/v9.0.100/documentation/specs/runtime-configuration-file.md#appnamedepsjson-optional>.
//! The shared frameworks have such files too, and name themselves as advisories do:
//! `Microsoft.NETCore.App.Runtime.linux-x64`.

mod bundle;

use std::collections::BTreeMap;

use portcullis_filetree::FileHeader;
use portcullis_model::{Package, PackageType, Purl, Reading, Warning};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

use crate::{PackageReader, Selection, complete::language_package, executable::is_executable};
use bundle::Bundle;

/// Reads `*.deps.json`.
pub(crate) struct Dotnet;

/// Those of the software development kit have some hundred kilobytes.
const LIMIT: usize = 32 << 20;

/// No host program has fewer bytes than this.
const MIN_HOST: u64 = 32 << 10;

impl PackageReader for Dotnet {
    fn name(&self) -> &'static str {
        "dotnet"
    }

    fn reads(&self) -> &'static str {
        "`**/*.deps.json`, and single-file programs: ELF, Mach-O and PE, by their bundle's signature"
    }

    fn path_parts(&self) -> usize {
        4
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        if file.path.ends_with(".deps.json") {
            return Some(Selection::Whole { limit: LIMIT });
        }
        let is_program = is_executable(file) && file.size >= MIN_HOST;
        is_program.then(|| Selection::Stream(Box::new(Bundle::new(file))))
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        dependencies(contents, file.path)
    }
}

/// What is read of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DepsJson {
    #[serde(default)]
    runtime_target: Value,
    #[serde(default)]
    targets: BTreeMap<String, BTreeMap<String, Assets>>,
    #[serde(default)]
    libraries: BTreeMap<String, Library>,
}

/// The files of a library that are used.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Assets {
    runtime: BTreeMap<String, IgnoredAny>,
    native: BTreeMap<String, IgnoredAny>,
    runtime_targets: BTreeMap<String, IgnoredAny>,
    resources: BTreeMap<String, IgnoredAny>,
    /// Exact versions by name.
    dependencies: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Library {
    #[serde(rename = "type", default)]
    kind: String,
}

impl Assets {
    /// The packages that it needs, as `name@version`.
    fn needs(&self) -> Vec<String> {
        let needs = self.dependencies.iter().filter_map(|(name, version)| Some((name, version.as_str()?)));
        needs.map(|(name, version)| format!("{name}@{version}")).collect()
    }

    fn is_empty(&self) -> bool {
        let Self { runtime, native, runtime_targets, resources, dependencies: _ } = self;
        runtime.is_empty() && native.is_empty() && runtime_targets.is_empty() && resources.is_empty()
    }
}

/// Reads a `*.deps.json`.
fn dependencies(contents: &[u8], path: &str) -> Reading {
    let contents = contents.strip_prefix(b"\xef\xbb\xbf").unwrap_or(contents);
    let gap = |why: &str| {
        let warning = Warning::gap(path, format!("not the JSON of a .NET application's dependencies{why}"));
        Reading { warnings: vec![warning], ..Reading::default() }
    };
    if !contents.trim_ascii_start().starts_with(b"{") {
        return gap("");
    }
    let file: DepsJson = match serde_json::from_slice(contents) {
        Ok(file) => file,
        Err(error) => return gap(&format!(": {error}")),
    };
    let DepsJson { runtime_target, targets, libraries } = &file;
    let target = runtime_target.get("name").unwrap_or(runtime_target).as_str().unwrap_or("");
    let assets = targets.get(target).or_else(|| targets.values().next());
    let mut reading = Reading::default();
    for (id, library) in libraries {
        let name = match library.kind.as_str() {
            "package" => id.as_str(),
            // The runtime that a self-contained application brings along.
            "runtimepack" => id.strip_prefix("runtimepack.").unwrap_or(id),
            _ => continue,
        };
        // A package whose files the framework has newer ones of, or that only names others, brings nothing.
        let assets = assets.and_then(|assets| assets.get(id));
        let is_used = library.kind == "runtimepack" || assets.is_none_or(|assets| !assets.is_empty());
        match name.split_once('/') {
            Some((name, version)) if is_used => {
                let depends_on = assets.map(Assets::needs).unwrap_or_default();
                reading.packages.push(Package { depends_on, ..nuget(name, version, path) });
            }
            Some(_) => {}
            None => reading.warnings.push(Warning::gap(path, format!("{name} has no version"))),
        }
    }
    if let Some((framework, version)) = shared_framework(path) {
        let runtime = format!("{framework}.Runtime.");
        if !reading.packages.iter().any(|package| package.name.starts_with(&runtime)) {
            let platform = target.rsplit_once('/').map_or("", |(_, platform)| platform);
            let name = if platform.is_empty() { framework.to_owned() } else { format!("{runtime}{platform}") };
            reading.packages.push(nuget(&name, version, path));
        }
    }
    reading
}

/// The framework whose own file `path` is: `…/shared/Microsoft.NETCore.App/8.0.1/Microsoft.NETCore.App.deps.json`.
fn shared_framework(path: &str) -> Option<(&str, &str)> {
    let mut parts = path.rsplit('/');
    let framework = parts.next()?.strip_suffix(".deps.json")?;
    let version = parts.next()?;
    let is_one = parts.next() == Some(framework) && parts.next() == Some("shared");
    is_one.then_some((framework, version))
}

/// A package of NuGet.
fn nuget(name: &str, version: &str, path: &str) -> Package {
    let purl = Purl::new(PackageType::Nuget, "", name, version);
    language_package(PackageType::Nuget, purl, (name.to_owned(), version.to_owned()), None, path)
}

#[cfg(test)]
mod tests;
