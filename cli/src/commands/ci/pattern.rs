//! Tags by which a job asks for a scan: `portcullis-target:*`.

/// A pattern of names; `*` stands for any characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<String>);

impl Pattern {
    /// Reads one as users write it.
    ///
    /// # Errors
    /// When it would match every name.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<String> = text.split('*').map(ToOwned::to_owned).collect();
        let fixed: usize = parts.iter().map(String::len).sum();
        // The sensor removes these tags, so a pattern must name something of its own.
        if !text.contains(':') || fixed < 4 {
            return Err(format!("`{text}` is not a pattern of tags such as portcullis-target:*"));
        }
        Ok(Self(parts))
    }

    fn matches_exactly(&self, name: &str) -> bool {
        let Some((first, rest)) = self.0.split_first() else { return false };
        let Some(mut left) = name.strip_prefix(first.as_str()) else { return false };
        let Some((last, middle)) = rest.split_last() else { return left.is_empty() };
        for part in middle {
            match left.find(part.as_str()) {
                Some(at) => left = &left[at + part.len()..],
                None => return false,
            }
        }
        left.len() >= last.len() && left.ends_with(last.as_str())
    }

    /// Whether an engine's name is meant. Podman puts names without a registry under `localhost`.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let short = name.strip_prefix("localhost/").or_else(|| name.strip_prefix("docker.io/library/"));
        self.matches_exactly(name) || short.is_some_and(|short| self.matches_exactly(short))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_its_own_tags_and_no_other() {
        for (pattern, name, is_meant) in [
            ("portcullis-target:*", "portcullis-target:0123abcd", true),
            ("portcullis-target:*", "localhost/portcullis-target:0123abcd", true),
            ("portcullis-target:*", "docker.io/library/portcullis-target:x", true),
            ("portcullis-target:*", "team/portcullis-target:x", false),
            ("portcullis-target:*", "portcullis-targets:x", false),
            ("portcullis-target:*", "nginx:latest", false),
            ("*/scan-me:*", "registry.example/team/scan-me:1", true),
            ("*/scan-me:*", "scan-me:1", false),
            ("a:b*c*d", "a:b1c2d", true),
            ("a:b*c*d", "a:bcd", true),
            ("a:b*c*d", "a:bdc", false),
            ("scan:me", "scan:me", true),
            ("scan:me", "scan:me2", false),
            ("ab:*ba", "ab:a", false),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(name), is_meant, "{pattern} {name}");
        }
        for wrong in ["*", "*:*", "", "name", ":*"] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
    }
}
