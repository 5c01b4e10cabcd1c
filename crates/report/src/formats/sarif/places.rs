//! Where a finding is, in the words of SARIF: a path that stays the same from scan to scan, and a fingerprint.

use std::{collections::HashMap, fmt::Write as _};

use portcullis_model::{Digest, Finding, Report};
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

/// A path inside the image, with the package in it where several share the path.
fn path_in_image(finding: &Finding, path: &str) -> String {
    let package = &finding.package;
    let short = package.name.rsplit(['/', ':']).next().unwrap_or(&package.name);
    // `node_modules/lodash/package.json` names the package; `var/lib/dpkg/status` and `usr/bin/tool` do not. It
    // depends on this finding alone, so that a path does not change when another package comes along.
    if !short.is_empty() && path.contains(short) { path.to_owned() } else { format!("{path}/{}", package.name) }
}

/// A relative URI: <https://www.rfc-editor.org/rfc/rfc3986#section-4.2>.
fn relative_uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !matches!(*segment, "" | "." | "..")) {
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

/// The path of a finding as a relative URI: the image, and the path in it.
pub(crate) fn place(reference: &str, finding: &Finding, path: &str) -> String {
    relative_uri(&format!("{}/{}", image_name(reference), path_in_image(finding, path)))
}

/// The layer that a path of a finding is in.
pub(super) fn layer(finding: &Finding, path: &str) -> Option<Digest> {
    finding.package.locations.iter().find(|location| location.path == path)?.layer
}

/// The places of a report's findings.
pub(super) struct Places {
    reference: String,
    /// Of each layer, the lines that made it.
    in_dockerfile: HashMap<Digest, (String, Region)>,
}

impl Places {
    pub(super) fn of(report: &Report, options: &RenderOptions) -> Self {
        let mut in_dockerfile = HashMap::new();
        if let Some(dockerfile) = &options.dockerfile {
            for layer in &report.target.layers {
                if let Some(lines) = dockerfile.lines_of(layer) {
                    let region = region(*lines.start(), *lines.end(), dockerfile.line_length(*lines.end()));
                    in_dockerfile.insert(layer.diff_id, (relative_uri(&dockerfile.path), region));
                }
            }
        }
        Self { reference: report.target.reference.clone(), in_dockerfile }
    }

    /// Where a finding is: the line that brought its layer, or its path inside the image.
    pub(super) fn location(&self, finding: &Finding, path: &str) -> Location {
        let inside = path_in_image(finding, path);
        let layer = layer(finding, path);
        let line = layer.and_then(|layer| self.in_dockerfile.get(&layer)).cloned();
        let (uri, region) = line.unwrap_or_else(|| (place(&self.reference, finding, path), region(1, 1, 1)));
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
            ("dir:.", ""),
            ("dir:services/api", "services/api"),
            ("rootfs:/mnt/root", "root"),
            ("", "image"),
        ] {
            assert_eq!(image_name(reference), name, "{reference}");
        }
    }

    #[test]
    fn paths_are_relative_uris() {
        assert_eq!(relative_uri("localhost:5000/a b/../<x>|\n/ä"), "localhost%3A5000/a%20b/%3Cx%3E%7C%0A/%C3%A4");
        let long = relative_uri(&"ä".repeat(10_000));
        assert!(long.len() < 1_000 && !long.contains("%-") && !long.contains("%C-"), "{long}");
    }
}
