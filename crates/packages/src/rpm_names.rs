//! What rpm's own names say, in databases and in bills of materials alike.
//!
//! Formats: <https://rpm-software-management.github.io/rpm/manual/tags.html> for the name of a source's file, and
//! <https://docs.fedoraproject.org/en-US/modularity/core-concepts/nsvca/> for the label of a module.

/// Name and version, with its release, in the name of a source's file: `bind-9.11-1.el8.src.rpm`.
pub(crate) fn source_rpm(file: &str) -> Option<(&str, &str)> {
    let (stem, _) = file.strip_suffix(".rpm")?.rsplit_once('.')?;
    let (before, _) = stem.rsplit_once('-')?;
    let (name, _) = before.rsplit_once('-').filter(|(name, _)| !name.is_empty())?;
    Some((name, stem.get(name.len() + 1..)?))
}

/// `nodejs:18:8090020231019152822:a75119d5` belongs to the stream `nodejs:18`.
pub(crate) fn module_stream(label: &str) -> &str {
    label.match_indices(':').nth(1).map_or(label, |(end, _)| label.get(..end).unwrap_or(label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        assert_eq!(source_rpm("bind-9.11-1.el8.src.rpm"), Some(("bind", "9.11-1.el8")));
        assert_eq!(source_rpm("java-1.8.0-openjdk-1.8.0.1-2.nosrc.rpm"), Some(("java-1.8.0-openjdk", "1.8.0.1-2")));
        for none in ["x.rpm", "(none)", "", "a-1.src.rpm", "-1-2.src.rpm", "bind-9.11-1.el8"] {
            assert_eq!(source_rpm(none), None, "{none}");
        }
        assert_eq!(module_stream("nodejs:12:8030020201:abc"), "nodejs:12");
        assert_eq!(module_stream("idm:DL1"), "idm:DL1");
    }
}
