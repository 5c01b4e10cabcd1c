//! From what an archive says to the packages that it is and holds.
//!
//! The archive's own project is the one that its file name names. Others are shaded: packed into it. Where Maven left
//! nothing, the manifest and the file name tell, and a table of well-known artifacts helps with the group, which
//! advisories go by.

use portcullis_model::{Package, PackageType, Purl, Warning};

use super::{
    facts::{Facts, Manifest, Project},
    groups,
    limits::Shared,
};
use crate::complete::language_package;

/// Longest file name that is looked at for a version, in bytes.
const MAX_STEM: usize = 256;

/// Group, artifact, version; any may be empty.
struct Coordinates {
    group: String,
    artifact: String,
    version: String,
}

/// Adds the packages of the archive at `place`. Where Maven's own files do not say all that is to be known, its `digest` is
/// the evidence.
pub(super) fn packages(facts: &Facts, place: &str, digest: Option<String>, shared: &mut Shared) {
    facts.projects.iter().filter_map(|project| project.damage(place)).for_each(|warning| shared.warn(warning));
    let stem = stem(place);
    let named = FileName::parse(stem, &facts.manifest);
    let own = own_project(&facts.projects, stem, &named, &facts.manifest);
    for (index, project) in facts.projects.iter().enumerate() {
        if own != Some(index) {
            shaded(project, place, shared);
        }
    }
    let own_project = own.and_then(|own| facts.projects.get(own));
    let is_whole = |project: &Project| {
        let Project { group, artifact, version, .. } = project;
        ![group, artifact, version].into_iter().any(String::is_empty)
    };
    let evidence = digest.filter(|_| !own_project.is_some_and(is_whole));
    let coordinates = match own_project {
        Some(project) => of_project(project, &named, &facts.manifest),
        None => of_manifest(facts, &named),
    };
    let (licenses, needs) =
        own_project.map(|project| (project.licenses.clone(), project.needs.clone())).unwrap_or_default();
    let Coordinates { group, artifact, version } = coordinates;
    if version.is_empty() && (own.is_none() && group.is_empty()) {
        // A mere container, or the application itself, is no package that anyone published.
        if facts.has_classes && !facts.has_nested && facts.projects.is_empty() && !shared.is_exhausted() {
            shared.warn(Warning::note(place, "a Java archive that does not say what it is: no advisory is looked up"));
        }
        if evidence.is_some() {
            add(
                Coordinates { group, artifact, version },
                Said { evidence, ..Said::default() },
                place.to_owned(),
                shared,
            );
            // No package, unless its digest is known.
            if let Some(package) = shared.packages.last_mut() {
                package.purl.clear();
            }
        }
        return;
    }
    let licenses = if licenses.is_empty() { license(&facts.manifest) } else { licenses };
    if group.is_empty() {
        let what = format!("{artifact} {version}: its group is not known, and advisories go by it: none is looked up");
        shared.warn(Warning::note(place, what));
    }
    add(Coordinates { group, artifact, version }, Said { licenses, needs, evidence }, place.to_owned(), shared);
}

/// What to say of a project that Maven's files do not name in full.
const NOT_WHOLE: &str = "a project whose group, name and version are not all here: not counted";

/// A project that was packed into another's archive.
fn shaded(project: &Project, place: &str, shared: &mut Shared) {
    let Project { folder, group, artifact, version, licenses, needs, .. } = project;
    if artifact.is_empty() || version.is_empty() || group.is_empty() {
        // The model alone, which its own parent completes: a template, or what a build left by mistake.
        shared.warn(Warning::note(format!("{place}!/{folder}"), NOT_WHOLE));
        return;
    }
    let coordinates = Coordinates { group: group.clone(), artifact: artifact.clone(), version: version.clone() };
    let said = Said { licenses: licenses.clone(), needs: needs.clone(), evidence: None };
    add(coordinates, said, format!("{place}!/{folder}"), shared);
}

/// The package of a project whose archive was unpacked, if the file that lies at `place` tells all of its name; else what to
/// say of it.
pub(super) fn unpacked_package(project: Project, place: &str) -> Result<Package, Warning> {
    let Project { group, artifact, version, licenses, needs, .. } = project;
    if artifact.is_empty() || version.is_empty() || group.is_empty() {
        return Err(Warning::note(place, NOT_WHOLE));
    }
    Ok(package(Coordinates { group, artifact, version }, Said { licenses, needs, evidence: None }, place))
}

/// What is known of a package beside its coordinates.
#[derive(Default)]
struct Said {
    licenses: Vec<String>,
    needs: Vec<String>,
    evidence: Option<String>,
}

fn add(coordinates: Coordinates, said: Said, place: String, shared: &mut Shared) {
    let Coordinates { group, artifact, version } = &coordinates;
    shared.count_kept(place.len() + 4 * (group.len() + artifact.len() + version.len()) + size_of::<Package>());
    shared.packages.push(package(coordinates, said, &place));
}

fn package(coordinates: Coordinates, said: Said, place: &str) -> Package {
    let Said { licenses, needs: depends_on, evidence } = said;
    let Coordinates { group, artifact, version } = coordinates;
    let purl = Purl::new(PackageType::Maven, &group, &artifact, &version);
    let name = if group.is_empty() { artifact } else { format!("{group}:{artifact}") };
    let package = language_package(PackageType::Maven, purl, (name, version), None, place);
    Package { licenses, depends_on, evidence, ..package }
}

/// The archive's file name without its ending.
fn stem(place: &str) -> &str {
    let name = place.rsplit_once('/').map_or(place, |(_, name)| name);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// What a file name says: `artifact-version`, as Maven's repositories name files.
struct FileName<'a> {
    artifact: &'a str,
    /// Empty where the name has none.
    version: &'a str,
}

impl<'a> FileName<'a> {
    fn parse(stem: &'a str, manifest: &Manifest) -> Self {
        if stem.len() > MAX_STEM {
            return Self { artifact: stem, version: "" };
        }
        let splits = || {
            stem.match_indices(['-', '_'])
                .filter(|(at, _)| *at > 0)
                .filter_map(|(at, _)| Some((stem.get(..at)?, stem.get(at + 1..)?)))
                .filter(|(_, rest)| rest.starts_with(|first: char| first.is_ascii_digit()))
        };
        // The manifest knows best where the version begins, and that a classifier follows it.
        let known = [&manifest.implementation_version, &manifest.bundle_version, &manifest.specification_version];
        for (artifact, rest) in splits() {
            for version in known.into_iter().filter(|version| !version.is_empty()) {
                let is_classifier = |rest: &str| rest.strip_prefix('-').is_some_and(|rest| !rest.contains('.'));
                if rest == version || rest.strip_prefix(version.as_str()).is_some_and(is_classifier) {
                    return Self { artifact, version: rest.get(..version.len()).unwrap_or(rest) };
                }
            }
        }
        // `kafka_2.12-2.4.0`: the hyphen, if there is one. `log4j-1.2-api-2.14.1`: the last, if words lie between.
        let mut found: Option<(&str, &str)> = None;
        for (artifact, rest) in splits().filter(|(artifact, _)| stem.as_bytes().get(artifact.len()) == Some(&b'-')) {
            if found.is_none_or(|(_, earlier)| has_word(earlier.get(..earlier.len() - rest.len()).unwrap_or(""))) {
                found = Some((artifact, rest));
            }
        }
        // OSGi's form: `com.google.guava_30.1.0`.
        let found = found.or_else(|| splits().find(|(artifact, _)| artifact.contains('.')));
        let (artifact, version) = found.unwrap_or((stem, ""));
        Self { artifact, version }
    }
}

/// Whether a word that belongs to no version lies in `text`: `1.2-api-` has one, `1.4.4-`, `1.0-beta-` have none.
fn has_word(text: &str) -> bool {
    const QUALIFIERS: [&str; 16] = [
        "alpha",
        "beta",
        "milestone",
        "m",
        "rc",
        "cr",
        "b",
        "snapshot",
        "final",
        "ga",
        "sp",
        "jre",
        "android",
        "build",
        "incubating",
        "release",
    ];
    text.split('-').filter(|word| word.starts_with(|first: char| first.is_ascii_alphabetic())).any(|word| {
        let letters = word.trim_end_matches(|last: char| last.is_ascii_digit() || last == '.').to_ascii_lowercase();
        !QUALIFIERS.contains(&letters.as_str())
    })
}

/// The project that the archive is built from, among those in it.
fn own_project(projects: &[Project], stem: &str, named: &FileName<'_>, manifest: &Manifest) -> Option<usize> {
    let is_named = |project: &Project| {
        let Project { group, artifact, version, .. } = project;
        let ends = |rest: &str| {
            let Some(rest) = rest.strip_prefix(['-', '_']) else { return rest.is_empty() };
            let is_version = rest.starts_with(|first: char| first.is_ascii_digit());
            !version.is_empty() && rest.starts_with(version.as_str())
                || is_version && named.artifact.ends_with(artifact.as_str())
        };
        let with_group = || stem.strip_prefix(group.as_str())?.strip_prefix('.')?.strip_prefix(artifact.as_str());
        !artifact.is_empty() && stem.strip_prefix(artifact.as_str()).or_else(with_group).is_some_and(ends)
    };
    let by_name = projects.iter().enumerate().filter(|(_, project)| is_named(project));
    let by_name = by_name.max_by_key(|(index, project)| (project.artifact.len(), std::cmp::Reverse(*index)));
    if let Some((index, _)) = by_name {
        return Some(index);
    }
    // A file that was renamed: the only project in it, unless the name says another version.
    let [project] = projects else { return None };
    let agrees = |version: &str| version.is_empty() || project.version.is_empty() || version == project.version;
    let is_own = agrees(named.version) && (agrees(&manifest.implementation_version) || !named.version.is_empty());
    is_own.then_some(0)
}

/// The coordinates of the archive's own project, completed.
fn of_project(project: &Project, named: &FileName<'_>, manifest: &Manifest) -> Coordinates {
    let mut coordinates = Coordinates {
        group: project.group.clone(),
        artifact: project.artifact.clone(),
        version: project.version.clone(),
    };
    if coordinates.version.is_empty() {
        coordinates.version = version(named, manifest).to_owned();
    }
    if coordinates.artifact.is_empty() {
        named.artifact.clone_into(&mut coordinates.artifact);
    }
    if coordinates.group.is_empty() {
        coordinates.group = group(&coordinates.artifact, &coordinates.version, manifest);
    }
    coordinates
}

/// The coordinates of an archive that Maven left nothing in.
fn of_manifest(facts: &Facts, named: &FileName<'_>) -> Coordinates {
    let manifest = &facts.manifest;
    let artifact = if manifest.short_name.is_empty() || manifest.plugin_version.is_empty() {
        named.artifact
    } else {
        &manifest.short_name
    };
    // `catalina.jar` is Tomcat's `tomcat-catalina`, by its bundle's name.
    let symbolic = symbolic_name(manifest).rsplit('.').next().unwrap_or("");
    let is_better =
        named.version.is_empty() && groups::of(artifact, "").is_none() && groups::of(symbolic, "").is_some();
    let artifact = if is_better { symbolic } else { artifact };
    let version = version(named, manifest).to_owned();
    // Gradle's plugins write `group#artifact;version`.
    if let Some((group, rest)) = manifest.implementation_title.split_once('#')
        && let Some((title, _)) = rest.split_once(';')
        && title == artifact
    {
        return Coordinates { group: group.to_owned(), artifact: artifact.to_owned(), version };
    }
    // `org.scala-lang.scala-library-2.12.10.jar`: the group stands before the artifact.
    let dotted = artifact.rsplit_once('.').filter(|(group, _)| is_group(group));
    if let Some((group, artifact)) = dotted {
        let known = groups::of(artifact, &version).filter(|known| *known == group);
        if known.is_some() || manifest.bundle_symbolic_name.is_empty() {
            return Coordinates { group: group.to_owned(), artifact: artifact.to_owned(), version };
        }
    }
    Coordinates { group: group(artifact, &version, manifest), artifact: artifact.to_owned(), version }
}

/// The version by file name, else by manifest.
fn version<'a>(named: &FileName<'a>, manifest: &'a Manifest) -> &'a str {
    let Manifest { plugin_version, implementation_version, bundle_version, specification_version, .. } = manifest;
    let candidates = [named.version, plugin_version, implementation_version, bundle_version, specification_version];
    // `1.2.3 (build 7)`.
    let first_word = |text: &'a str| text.split_whitespace().next().unwrap_or("");
    let is_version = |text: &&str| text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, 'v' | 'r'));
    candidates.into_iter().map(first_word).find(is_version).unwrap_or("")
}

/// The group that an artifact is published under.
fn group(artifact: &str, version: &str, manifest: &Manifest) -> String {
    if let Some(known) = groups::of(artifact, version) {
        return known.to_owned();
    }
    if is_group(&manifest.group_id) {
        return manifest.group_id.clone();
    }
    // Maven's own tools write the group there; others write the vendor's domain.
    let vendor = manifest.implementation_vendor_id.as_str();
    for name in [symbolic_name(manifest), manifest.automatic_module_name.as_str()] {
        if let Some(group) = group_of_name(name, artifact) {
            // Of two that agree, the longer says more.
            let is_refined = vendor.strip_prefix(group).is_some_and(|rest| rest.starts_with('.'));
            return if is_refined { vendor } else { group }.to_owned();
        }
    }
    if is_group(vendor) { vendor.to_owned() } else { String::new() }
}

/// The bundle's name, without what follows it.
fn symbolic_name(manifest: &Manifest) -> &str {
    manifest.bundle_symbolic_name.split(';').next().unwrap_or("").trim()
}

/// The group in a bundle's or module's name, which is made of group and artifact: what both share stands there once.
fn group_of_name<'a>(name: &'a str, artifact: &str) -> Option<&'a str> {
    let is_end =
        |end: &str| name.strip_suffix(end).and_then(|rest| rest.strip_suffix('.')).filter(|rest| is_group(rest));
    // `com.fasterxml.jackson.core.jackson-databind`, with the artifact `jackson-databind`.
    if let Some(group) = is_end(artifact) {
        return Some(group);
    }
    // `org.apache.commons.compress`, with `commons-compress`: the group ends with the artifact's first word.
    let (first, rest) = artifact.split_once('-')?;
    let group = is_end(rest).or_else(|| is_end(&rest.replace('-', ".")))?;
    group.rsplit_once('.').is_some_and(|(_, last)| last == first).then_some(group)
}

/// Whether `text` looks like a group: a domain, backwards.
fn is_group(text: &str) -> bool {
    text.contains('.')
        && text.split('.').all(|part| {
            part.starts_with(|first: char| first.is_ascii_alphabetic())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
}

fn license(manifest: &Manifest) -> Vec<String> {
    let text = manifest.bundle_license.split(';').next().unwrap_or("").trim().trim_matches('"');
    if text.is_empty() || text.len() > 100 { Vec::new() } else { vec![text.to_owned()] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_split_before_the_version() {
        for (stem, artifact, version) in [
            ("log4j-core-2.14.1", "log4j-core", "2.14.1"),
            ("log4j-1.2-api-2.14.1", "log4j-1.2-api", "2.14.1"),
            ("kafka_2.12-2.4.0", "kafka_2.12", "2.4.0"),
            ("zstd-jni-1.4.4-3", "zstd-jni", "1.4.4-3"),
            ("guava-30.1-jre", "guava", "30.1-jre"),
            ("joda-time-2.0-beta-1", "joda-time", "2.0-beta-1"),
            ("com.google.guava_30.1.0", "com.google.guava", "30.1.0"),
            ("app", "app", ""),
            ("h2", "h2", ""),
            ("-1", "-1", ""),
        ] {
            let named = FileName::parse(stem, &Manifest::default());
            assert_eq!((named.artifact, named.version), (artifact, version), "{stem}");
        }
        let manifest = Manifest { bundle_version: "4.1.42.Final".to_owned(), ..Manifest::default() };
        let named = FileName::parse("netty-epoll-4.1.42.Final-linux-x86_64", &manifest);
        assert_eq!((named.artifact, named.version), ("netty-epoll", "4.1.42.Final"));
    }

    #[test]
    fn groups_are_found_in_names_of_bundles() {
        assert_eq!(
            group_of_name("com.fasterxml.jackson.core.jackson-databind", "jackson-databind"),
            Some("com.fasterxml.jackson.core")
        );
        assert_eq!(group_of_name("org.apache.commons.compress", "commons-compress"), Some("org.apache.commons"));
        assert_eq!(group_of_name("org.apache.commons.compress", "x-compress"), None);
        assert_eq!(group_of_name("lz4-java", "lz4-java"), None);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(stem: String, text in "[a-c_.0-9é-]{0,12}", version in "[0-9.]{0,3}") {
            let manifest = Manifest { bundle_version: version, ..Manifest::default() };
            let _name = FileName::parse(&stem, &manifest);
            let _name = FileName::parse(&text, &manifest);
            let _group = group_of_name(&text, &stem);
        }
    }
}
