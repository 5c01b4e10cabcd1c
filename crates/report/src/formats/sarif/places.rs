//! Where a finding is, in the words of SARIF: a path that stays the same from scan to scan, and a fingerprint.
//!
//! A file of a directory is one of the repository that the directory lies in: its path is the directory as it was typed
//! and the path in it. A file of an image is none; its path begins with the image's name.

use std::{collections::HashMap, fmt::Write as _, ops::RangeInclusive};

use portcullis_model::{Digest, Finding, Report, Target};
use serde_sarif::sarif::{ArtifactLocation, Location, LogicalLocation, Message, PhysicalLocation, Region};

use crate::{
    RenderOptions,
    text::{head, limited},
    view::known_id,
};

/// The longest path; a longer one is cut, and its hash added.
const MAX_PATH: usize = 800;

/// The schemes of targets that are no registry references.
const SCHEMES: [&str; 11] = [
    "registry:",
    "docker:",
    "podman:",
    "containerd:",
    "docker-archive:",
    "oci-archive:",
    "oci-dir:",
    "dir:",
    "rootfs:",
    "sbom:",
    "file:",
];

/// A target's name without scheme, tag and digest: `registry.example/team/app`.
pub(super) fn image_name(reference: &str) -> String {
    let reference = head(reference, 4096);
    let scheme = SCHEMES.iter().find(|scheme| reference.starts_with(**scheme)).copied().unwrap_or_default();
    let name = reference.strip_prefix(scheme).unwrap_or(reference);
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    let is_path = matches!(scheme, "dir:" | "rootfs:" | "sbom:" | "file:");
    let name = match name.rsplit_once(':') {
        Some((before, tag)) if !is_path && !tag.contains('/') => before,
        _ => name,
    };
    // Absolute paths differ from machine to machine: only the last part is a name.
    let name =
        if name.starts_with('/') { name.rsplit('/').find(|part| !part.is_empty()).unwrap_or("root") } else { name };
    let parts: Vec<_> = name.split('/').filter(|part| !matches!(*part, "" | "." | "..")).collect();
    if parts.is_empty() && !is_path { "image".to_owned() } else { parts.join("/") }
}

/// Whether a target is a directory: nothing else has neither a digest nor a config.
const fn is_directory(target: &Target) -> bool {
    target.digest.is_none() && target.config_digest.is_none()
}

/// A directory as it was typed, relative to the folder that it was typed in, without `.` and `..`: empty for that folder
/// itself. Of an absolute path, and of one that leads out of the folder, it is not known where in a repository they lie:
/// empty, too, so that places are relative to the directory.
fn folder(reference: &str) -> String {
    let mut parts = Vec::new();
    for part in head(reference, 4096).split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => return String::new(),
            ".." => {}
            part => parts.push(part),
        }
    }
    if reference.starts_with('/') { String::new() } else { parts.join("/") }
}

/// What a target is filed under: the same for every tag of a repository, another one for each directory.
pub(super) fn target_name(target: &Target) -> String {
    if !is_directory(target) {
        return image_name(&target.reference);
    }
    let name = folder(&target.reference);
    // The last part of an absolute path, which differs from machine to machine.
    let name = if name.is_empty() { image_name(&format!("dir:{}", target.reference)) } else { name };
    if name.is_empty() { "directory".to_owned() } else { name }
}

/// Where a finding's package lies: each path once, the first first. A package without a place has an empty one.
pub(crate) fn paths(finding: &Finding) -> Vec<&str> {
    let mut paths: Vec<&str> = Vec::new();
    for location in &finding.package.locations {
        if !paths.contains(&location.path.as_str()) {
            paths.push(&location.path);
        }
    }
    if paths.is_empty() { vec![""] } else { paths }
}

/// A path inside the target. Alerts of an image have the package in it where several share the path.
fn path_in_target(target: &Target, finding: &Finding, path: &str) -> String {
    if is_directory(target) && !path.is_empty() { path.to_owned() } else { path_in_image(finding, path) }
}

/// A path inside the image, with the package in it where several share the path.
fn path_in_image(finding: &Finding, path: &str) -> String {
    let package = &finding.package;
    let short = package.name.rsplit(['/', ':']).next().unwrap_or(&package.name);
    // `node_modules/lodash/package.json` names the package; `var/lib/dpkg/status` and `usr/bin/tool` do not. It
    // depends on this finding alone, so that a path does not change when another package comes along.
    if !short.is_empty() && path.contains(short) { path.to_owned() } else { format!("{path}/{}", package.name) }
}

/// A path without what leads out of its folder.
fn relative_path(path: &str) -> String {
    let parts: Vec<_> = path.split('/').filter(|part| !matches!(*part, "" | "." | "..")).collect();
    parts.join("/")
}

/// A relative URI: <https://www.rfc-editor.org/rfc/rfc3986#section-4.2>.
fn relative_uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for segment in relative_path(path).split('/') {
        if !out.is_empty() {
            out.push('/');
        }
        for byte in segment.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' | b'+' => {
                    out.push(char::from(byte))
                }
                // Writing to a String cannot fail.
                _ => _ = write!(out, "%{byte:02X}"),
            }
        }
    }
    if out.len() > MAX_PATH {
        let hash = Digest::of(path.as_bytes()).hex();
        let cut = out.get(..MAX_PATH).unwrap_or_default().trim_end_matches(['%']);
        // A cut escape would be no escape.
        let cut = cut.rfind('%').filter(|at| at + 3 > cut.len()).and_then(|at| cut.get(..at)).unwrap_or(cut);
        return format!("{cut}-{}", hash.get(..16).unwrap_or_default());
    }
    out
}

/// What names an alert across scans: the vulnerability, the package and its place, but neither version nor layer.
pub(crate) fn fingerprint(finding: &Finding, path: &str) -> String {
    let package = &finding.package;
    let text = [known_id(finding), package.kind.as_str(), &package.name, path].join("\0");
    Digest::of(text.as_bytes()).hex().chars().take(16).collect()
}

/// The path of a finding as a relative URI: the image or the directory, and the path in it.
pub(crate) fn place(target: &Target, finding: &Finding, path: &str) -> String {
    relative_uri(&full_path(target, &path_in_target(target, finding, path)))
}

fn full_path(target: &Target, path: &str) -> String {
    let name = if is_directory(target) { folder(&target.reference) } else { image_name(&target.reference) };
    format!("{name}/{path}")
}

/// The layer that a path of a finding is in.
pub(super) fn layer(finding: &Finding, path: &str) -> Option<Digest> {
    finding.package.locations.iter().find(|location| location.path == path)?.layer
}

/// The places of a report's findings.
pub(crate) struct Places<'a> {
    target: &'a Target,
    /// The Dockerfile's path, and of each layer the lines that made it.
    dockerfile: Option<(&'a str, HashMap<Digest, Lines>)>,
}

/// Lines of a file.
#[derive(Clone, Copy)]
struct Lines {
    first: usize,
    last: usize,
    /// The length of the last, in characters.
    length: usize,
}

impl<'a> Places<'a> {
    pub(crate) fn of(report: &'a Report, options: &'a RenderOptions) -> Self {
        let dockerfile = options.dockerfile.as_ref().map(|dockerfile| {
            let lines = |layer| {
                let lines = dockerfile.lines_of(layer)?;
                let (first, last) = (*lines.start(), *lines.end());
                Some((layer.diff_id, Lines { first, last, length: dockerfile.line_length(last) }))
            };
            (dockerfile.path.as_str(), report.target.layers.iter().filter_map(lines).collect())
        });
        Self { target: &report.target, dockerfile }
    }

    /// The line of the Dockerfile that brought a finding's layer.
    fn line(&self, finding: &Finding, path: &str) -> Option<(&'a str, Lines)> {
        let (file, lines) = self.dockerfile.as_ref()?;
        Some((file, *lines.get(&layer(finding, path)?)?))
    }

    /// The file of the repository that a finding is in, and the lines in it: those of the Dockerfile which brought the
    /// layer, or a file of a directory. None for an image's files without one.
    pub(crate) fn in_repository(&self, finding: &Finding, path: &str) -> Option<(String, RangeInclusive<usize>)> {
        let lines = self.line(finding, path).map(|(file, lines)| (file.to_owned(), lines.first..=lines.last));
        lines.or_else(|| Some((self.file(path)?, 1..=1)))
    }

    /// The directory as it was typed; empty for the folder itself, and for an image.
    pub(crate) fn folder(&self) -> String {
        if is_directory(self.target) { folder(&self.target.reference) } else { String::new() }
    }

    /// The file of the repository that a path inside the target is: one of a directory.
    pub(crate) fn file(&self, path: &str) -> Option<String> {
        let file = relative_path(&full_path(self.target, path));
        (is_directory(self.target) && !relative_path(path).is_empty()).then_some(file)
    }

    /// Where a finding is: the line that brought its layer, or its path inside the target.
    pub(super) fn location(&self, finding: &Finding, path: &str) -> Location {
        let inside = path_in_target(self.target, finding, path);
        let line = self.line(finding, path).map(|(file, lines)| {
            let Lines { first, last, length } = lines;
            (relative_uri(file), region(first, last, length))
        });
        let (uri, region) = line.unwrap_or_else(|| (place(self.target, finding, path), region(1, 1, 1)));
        let artifact = ArtifactLocation::builder().uri(uri).build();
        let package = &finding.package;
        let logical = LogicalLocation::builder()
            .name(limited(&package.name, 500))
            .fully_qualified_name(limited(&package.purl, 1_000))
            .kind("module")
            .build();
        Location::builder()
            .physical_location(PhysicalLocation::builder().artifact_location(artifact).region(region).build())
            .logical_locations(vec![logical])
            .message(Message::builder().text(limited(&inside, 1_000)).build())
            .build()
    }
}

/// Where something was that is gone.
pub(super) fn former_location(uri: &str) -> Location {
    let artifact = ArtifactLocation::builder().uri(uri).build();
    let place = PhysicalLocation::builder().artifact_location(artifact).region(region(1, 1, 1)).build();
    Location::builder().physical_location(place).build()
}

fn region(start_line: usize, end_line: usize, end_column: usize) -> Region {
    let number = |value: usize| i64::try_from(value.max(1)).unwrap_or(1);
    Region::builder()
        .start_line(number(start_line))
        .start_column(1_i64)
        .end_line(number(end_line))
        .end_column(number(end_column + 1))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_changes() {
        for (reference, name) in [
            ("registry.example/team/app:1.2", "registry.example/team/app"),
            ("registry.example:5000/app@sha256:00", "registry.example:5000/app"),
            ("registry.example:5000/app:1@sha256:00", "registry.example:5000/app"),
            ("docker:nginx:latest", "nginx"),
            ("oci-archive:/tmp/build/app.tar", "app.tar"),
            ("dir:/srv/app", "app"),
            ("", "image"),
        ] {
            assert_eq!(image_name(reference), name, "{reference}");
        }
    }

    #[test]
    fn directories_are_known_as_they_were_typed() {
        for (reference, name, place) in [
            (".", "directory", "package-lock.json"),
            ("./", "directory", "package-lock.json"),
            ("services/a", "services/a", "services/a/package-lock.json"),
            ("./services/x/../b/", "services/b", "services/b/package-lock.json"),
            ("app:1", "app:1", "app%3A1/package-lock.json"),
            ("..", "directory", "package-lock.json"),
            ("../other/app", "other/app", "package-lock.json"),
            ("/srv/app", "app", "package-lock.json"),
            ("/", "root", "package-lock.json"),
        ] {
            let target = Target::named(reference);
            assert_eq!(target_name(&target), name, "{reference}");
            assert_eq!(relative_uri(&full_path(&target, "package-lock.json")), place, "{reference}");
        }
        let image = Target { config_digest: Some(Digest::of(b"")), ..Target::named("services/a:1") };
        assert_eq!((target_name(&image), full_path(&image, "x")), ("services/a".to_owned(), "services/a/x".to_owned()));
    }

    #[test]
    fn paths_are_relative_uris() {
        assert_eq!(relative_uri("localhost:5000/a b/../<x>|\n/ä"), "localhost%3A5000/a%20b/%3Cx%3E%7C%0A/%C3%A4");
        let long = relative_uri(&"ä".repeat(10_000));
        assert!(long.len() < 1_000 && !long.contains("%-") && !long.contains("%C-"), "{long}");
    }
}
