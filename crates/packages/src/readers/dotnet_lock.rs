//! .NET packages that a project asks for: NuGet's lockfiles and lists, and MSBuild's project files.
//!
//! Formats: <https://learn.microsoft.com/nuget/consume-packages/package-references-in-project-files>,
//! <https://learn.microsoft.com/nuget/reference/packages-config>,
//! <https://learn.microsoft.com/nuget/consume-packages/central-package-management>. A lockfile and
//! `obj/project.assets.json` name everything; a project file names direct packages alone.

use std::collections::{BTreeMap, HashMap};

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Reading};

use crate::{
    PackageReader, Scope, Selection, limits,
    lockfile::{Listing, is_of_others, reasons},
    tree::{self, Node},
    xml,
};

/// Reads them.
pub(crate) struct DotnetLock;

/// What a file is, by its name.
enum Format {
    Lock,
    Assets,
    Config,
    Project,
}

impl Format {
    fn of(name: &str) -> Option<Self> {
        let (_, ending) = name.rsplit_once('.')?;
        match name {
            "project.assets.json" => Some(Self::Assets),
            "packages.config" => Some(Self::Config),
            "packages.lock.json" => Some(Self::Lock),
            // One for each of several projects in a folder.
            _ if name.starts_with("packages.") && name.ends_with(".lock.json") => Some(Self::Lock),
            "Directory.Packages.props" | "Directory.Build.props" | "Directory.Build.targets" => Some(Self::Project),
            _ => matches!(ending, "csproj" | "fsproj" | "vbproj").then_some(Self::Project),
        }
    }
}

impl PackageReader for DotnetLock {
    fn name(&self) -> &'static str {
        "dotnet-lock"
    }

    fn reads(&self) -> &'static str {
        "`**/packages.lock.json`, `**/packages.*.lock.json`, `**/project.assets.json`, `**/packages.config`, \
         `**/*.csproj`, `**/*.fsproj`, `**/*.vbproj`, `**/Directory.Packages.props`, `**/Directory.Build.props`, \
         `**/Directory.Build.targets`"
    }

    fn scope(&self) -> Scope {
        Scope::Declared
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let is_wanted = Format::of(file.file_name()).is_some() && !is_of_others(file.path);
        is_wanted.then_some(Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let mut listing = Listing::new(PackageType::Nuget, file);
        let json = |contents| tree::json(contents);
        match Format::of(file.file_name()) {
            Some(Format::Lock) => match json(contents) {
                Ok(document) => lock(&document, &mut listing),
                Err(why) => return Listing::unreadable(file, why),
            },
            Some(Format::Assets) => match json(contents) {
                Ok(document) => assets(&document, &mut listing),
                Err(why) => return Listing::unreadable(file, why),
            },
            Some(Format::Config) => config(contents, &mut listing),
            Some(Format::Project) => project(contents, &mut listing),
            None => {}
        }
        listing.finish()
    }
}

/// `dependencies` → framework → name → `{type, resolved, dependencies}`.
fn lock(document: &Node, listing: &mut Listing<'_>) {
    for (_, packages) in document.get("dependencies").entries() {
        let chosen: HashMap<String, String> = packages
            .entries()
            .iter()
            .filter_map(|(name, package)| {
                Some((name.to_lowercase(), format!("{name}@{}", package.text_of("resolved")?)))
            })
            .collect();
        for (name, package) in packages.entries() {
            if package.text_of("type") == Some("Project") {
                continue;
            }
            match package.text_of("resolved") {
                Some(version) => listing.add(name, version, needs(package, &chosen)),
                None => listing.gap(format!("{name} has no version")),
            }
        }
    }
}

/// What a package needs, in the versions that were chosen: the file names the lowest that would do.
fn needs<'a>(package: &'a Node, chosen: &'a HashMap<String, String>) -> impl Iterator<Item = String> + 'a {
    package.get("dependencies").keys().filter_map(|name| chosen.get(&name.to_lowercase()).cloned())
}

/// `libraries` → `name/version` → `{type}`; `targets` → framework → `name/version` → `{dependencies}`.
fn assets(document: &Node, listing: &mut Listing<'_>) {
    let is_package: HashMap<&str, bool> = document
        .get("libraries")
        .entries()
        .iter()
        .map(|(id, library)| (id.as_str(), library.text_of("type") == Some("package")))
        .collect();
    for (id, _) in
        document.get("libraries").entries().iter().filter(|(id, _)| is_package.get(id.as_str()) == Some(&true))
    {
        match id.split_once('/') {
            Some((name, version)) => listing.add(name, version, []),
            None => listing.gap(format!("{id} has no version")),
        }
    }
    for (_, target) in document.get("targets").entries() {
        let ids = || target.entries().iter().filter_map(|(id, package)| Some((id.split_once('/')?, id, package)));
        let chosen: HashMap<String, String> =
            ids().map(|((name, version), ..)| (name.to_lowercase(), format!("{name}@{version}"))).collect();
        for ((name, version), id, package) in ids() {
            if is_package.get(id.as_str()) == Some(&true) {
                listing.add(name, version, needs(package, &chosen));
            }
        }
    }
}

/// `<package id="…" version="…" developmentDependency="true"/>`.
fn config(contents: &[u8], listing: &mut Listing<'_>) {
    let read = xml::elements(contents, &mut |element| {
        if element.path != "packages/package" {
            return;
        }
        let is_for_development = element.attribute("developmentDependency") == Some("true");
        match (element.attribute("id"), element.attribute("version")) {
            _ if is_for_development => listing.leave_out(reasons::DEVELOPMENT),
            (Some(name), Some(version)) => listing.add(name, version, Vec::new()),
            _ => listing.gap("a package has no name or no version"),
        }
    });
    if let Err(error) = read {
        listing.gap(format!("not read to its end: {error}"));
    }
}

/// A package that a project file names.
struct Reference {
    name: String,
    version: String,
}

/// `<PackageReference Include="…" Version="…"/>`, and what central management says of versions.
fn project(contents: &[u8], listing: &mut Listing<'_>) {
    /// Most properties and packages kept.
    const MAX_ITEMS: usize = 20_000;
    let mut properties: BTreeMap<String, String> = BTreeMap::new();
    let mut references: Vec<Reference> = Vec::new();
    let mut version = String::new();
    let mut more = 0_usize;
    let read = xml::elements(contents, &mut |element| {
        let Some((group, name)) = element.path.rsplit_once('/') else { return };
        match (group.rsplit('/').next().unwrap_or(group), name) {
            ("PropertyGroup", name) if properties.len() < MAX_ITEMS => {
                properties.insert(name.to_ascii_lowercase(), element.text.to_owned());
            }
            ("PackageReference" | "PackageVersion" | "GlobalPackageReference", "Version") => {
                element.text.clone_into(&mut version);
            }
            ("ItemGroup", "PackageReference" | "PackageVersion" | "GlobalPackageReference") => {
                let written = element.attribute("Version").or_else(|| element.attribute("VersionOverride"));
                let inner = std::mem::take(&mut version);
                let name = element.attribute("Include").or_else(|| element.attribute("Update"));
                if let Some(name) = name.filter(|name| !name.is_empty()) {
                    if references.len() >= MAX_ITEMS {
                        more += 1;
                        return;
                    }
                    let version = written.map_or(inner, str::to_owned);
                    references.push(Reference { name: name.to_owned(), version });
                }
            }
            _ => {}
        }
    });
    if let Err(error) = read {
        listing.gap(format!("not read to its end: {error}"));
    }
    if more > 0 {
        listing.gap(format!("it names more than {MAX_ITEMS} packages: {more} were not read"));
    }
    for Reference { name, version } in references {
        match resolve(&version, &properties).as_deref().map(exact) {
            Some(Some(version)) if !name.contains("$(") => listing.add(&name, version, Vec::new()),
            Some(None) => listing.leave_out(reasons::RANGE),
            _ => listing.leave_out("the version is written in another file, such as Directory.Packages.props"),
        }
    }
}

/// `text` with its `$(…)` filled in; none where this file does not tell, or nothing is there.
fn resolve(text: &str, properties: &BTreeMap<String, String>) -> Option<String> {
    /// Longest value that properties may make, in bytes.
    const MAX_VALUE: usize = 512;
    if text.len() > MAX_VALUE {
        return None;
    }
    let mut value = text.to_owned();
    for _ in 0..16 {
        let Some(start) = value.find("$(") else { return Some(value).filter(|value| !value.is_empty()) };
        let length = value.get(start..)?.find(')')?;
        let name = value.get(start + 2..start + length)?.trim().to_ascii_lowercase();
        value.replace_range(start..=start + length, properties.get(&name).filter(|filled| filled.len() <= MAX_VALUE)?);
        if value.len() > MAX_VALUE {
            return None;
        }
    }
    None
}

/// A version that is one alone: `1.0` means this one or, for want of it, the next; `[1.0]` this one; `1.*` any.
fn exact(version: &str) -> Option<&str> {
    let one = version.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(version).trim();
    (!one.is_empty() && !one.contains([',', '[', ']', '(', ')', '*'])).then_some(one)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{check, read};

    #[test]
    fn lockfiles_name_what_was_resolved() {
        check(
            &DotnetLock,
            "app/packages.lock.json",
            r#"{"version": 1, "dependencies": {"net8.0": {
                "Newtonsoft.Json": {"type": "Direct", "requested": "[12.0.1, )", "resolved": "12.0.1", "contentHash": "x"},
                "Serilog.Sinks.File": {"type": "Transitive", "resolved": "5.0.0", "dependencies": {"Serilog": "2.10.0"}},
                "Serilog": {"type": "Transitive", "resolved": "2.12.0"},
                "mine": {"type": "Project"}, "odd": {"type": "Direct"}}}}"#,
            expect![[r#"
                nuget Newtonsoft.Json 12.0.1, purl pkg:nuget/Newtonsoft.Json@12.0.1
                nuget Serilog.Sinks.File 5.0.0, purl pkg:nuget/Serilog.Sinks.File@5.0.0, needs Serilog@2.12.0
                nuget Serilog 2.12.0, purl pkg:nuget/Serilog@2.12.0
                gap in app/packages.lock.json: odd has no version
            "#]],
        );
        check(
            &DotnetLock,
            "obj/project.assets.json",
            r#"{"version": 3, "targets": {"net8.0": {"A/1.0.0": {"type": "package", "dependencies": {"b": "1.5.0"}},
                "B/2.0.0": {"type": "package"}}}, "libraries": {"A/1.0.0": {"type": "package"}, "B/2.0.0": {"type": "package"}, "mine/1.0.0": {"type": "project"}}}"#,
            expect![[r#"
                nuget A 1.0.0, purl pkg:nuget/A@1.0.0, needs B@2.0.0
                nuget B 2.0.0, purl pkg:nuget/B@2.0.0
            "#]],
        );
        check(
            &DotnetLock,
            "packages.lock.json",
            "{",
            expect![[r#"
            gap in packages.lock.json: its packages were not read: EOF while parsing an object at line 1 column 1
        "#]],
        );
    }

    #[test]
    fn lists_and_projects_are_xml() {
        check(
            &DotnetLock,
            "packages.config",
            "\u{feff}<?xml version=\"1.0\"?><packages><package id='jQuery' version='3.1.1' targetFramework='net46' />\
             <package id='StyleCop' version='1' developmentDependency='true'/></packages>",
            expect![[r#"
                nuget jQuery 3.1.1, purl pkg:nuget/jQuery@3.1.1
                note in packages.config: 1 package left out: needed for development alone
            "#]],
        );
        check(
            &DotnetLock,
            "src/App.csproj",
            "<Project Sdk='Microsoft.NET.Sdk'><PropertyGroup><JsonVersion>12.0.1</JsonVersion></PropertyGroup><ItemGroup>\
             <PackageReference Include='Newtonsoft.Json' Version='$(JsonVersion)' />\
             <PackageReference Include='Serilog'><Version>2.10.0</Version></PackageReference>\
             <PackageReference Include='Float' Version='1.*' /><PackageReference Include='Central' />\
             <PackageReference Include='One' Version='[3.0]'/></ItemGroup></Project>",
            expect![[r#"
                nuget Newtonsoft.Json 12.0.1, purl pkg:nuget/Newtonsoft.Json@12.0.1
                nuget Serilog 2.10.0, purl pkg:nuget/Serilog@2.10.0
                nuget One 3.0, purl pkg:nuget/One@3.0
                note in src/App.csproj: 1 package left out: a range of versions, and not one, is asked for
                note in src/App.csproj: 1 package left out: the version is written in another file, such as Directory.Packages.props
            "#]],
        );
        check(
            &DotnetLock,
            "Directory.Packages.props",
            "<Project><ItemGroup><PackageVersion Include='Central' Version='4.1.0'/></ItemGroup>",
            expect![[r#"
                nuget Central 4.1.0, purl pkg:nuget/Central@4.1.0
                gap in Directory.Packages.props: not read to its end: no end of 1 elements
            "#]],
        );
    }

    proptest! {
        #[test]
        fn never_panics(contents: Vec<u8>, text in "[a$(),\\[\\]{}<>\"=/ ]{0,60}") {
            for path in ["packages.lock.json", "project.assets.json", "packages.config", "a.csproj"] {
                let _reading = read(&DotnetLock, path, &contents);
                let _reading = read(&DotnetLock, path, text.as_bytes());
            }
            let _version = resolve(&text, &BTreeMap::from([("a".to_owned(), text.clone())]));
        }
    }
}
