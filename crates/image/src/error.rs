//! What can go wrong with an image as a whole.

use std::{io, path::PathBuf};

use portcullis_errors::{Hint, file_hint};
use portcullis_model::Digest;
use portcullis_registry::{Reference, ReferenceError, RegistryError};

use crate::LayerError;

/// What may be given.
const TARGETS: &str = "give an image (repo/name:tag), a path, or a scheme such as oci-dir:PATH";

/// Most names told of those that an archive has.
const MAX_NAMES: usize = 20;

/// Why an image cannot be scanned.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The target's text is not one.
    #[error("`{target}` is not something to scan: {why}")]
    Target {
        /// As given.
        target: String,
        /// What is wrong with it.
        why: String,
    },
    /// The target's text names an image in a registry, and something lies there, too.
    #[error("`{target}` is the name of an image in a registry, and of a file or folder here")]
    Ambiguous {
        /// As given.
        target: String,
    },
    /// A file or directory cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A document is not JSON of the expected form.
    #[error("{what} cannot be read")]
    Json {
        /// Which document.
        what: String,
        /// Why.
        #[source]
        cause: serde_json::Error,
    },
    /// A document is larger than any real one.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// Which document.
        what: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// A document's bytes are not those that were named.
    #[error("{what} has the digest {actual}, not {expected}: it was damaged, or replaced")]
    Digest {
        /// Which document.
        what: String,
        /// The digest that named it.
        expected: Digest,
        /// The digest of what was read.
        actual: Digest,
    },
    /// Something that an image must have is not there.
    #[error("{place} has no {what}")]
    Missing {
        /// Where.
        place: String,
        /// What.
        what: String,
    },
    /// A form that is not read.
    #[error("{what} cannot be scanned: {why}")]
    Unsupported {
        /// Which document or file.
        what: String,
        /// Why.
        why: String,
    },
    /// A pipe or a device where a file is needed.
    #[error("{} is neither a file nor a folder", .0.display())]
    Pipe(PathBuf),
    /// An archive that is not whole.
    #[error("{what} cannot be scanned: {why}")]
    Damaged {
        /// Which file.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The network may not be used, and the image lies in a registry.
    #[error("{0} lies in a registry, and this run is offline")]
    Offline(Reference),
    /// An index has no image for the platform.
    #[error("{what} has no image for {wanted}; it has {offered}")]
    Platform {
        /// The index.
        what: String,
        /// The platform asked for.
        wanted: String,
        /// Those that it has.
        offered: String,
    },
    /// A container engine on this machine.
    #[error("{engine}: {why}")]
    Engine {
        /// Which.
        engine: &'static str,
        /// What is wrong.
        why: String,
        /// What can be done; empty where nothing is known.
        hint: String,
    },
    /// A container engine that is not there, or not now.
    #[error("{engine}: it does not answer: {why}")]
    Silent {
        /// Which.
        engine: &'static str,
        /// What was heard in place of an answer.
        why: String,
        /// What can be done.
        hint: String,
    },
    /// A layer.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// The name of an image.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl ImageError {
    pub(crate) fn unsupported(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into(), why: why.into() }
    }

    /// Of several images, none has the name that was given.
    pub(crate) fn unnamed<'a>(place: &str, name: &str, names: impl Iterator<Item = &'a str>) -> Self {
        Self::missing(place, format!("image named `{name}`; it has {}", offered(names)))
    }

    pub(crate) fn missing(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Missing { place: place.into(), what: what.into() }
    }
}

/// The first of the names that there are, and how many more.
pub(crate) fn offered<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let told = names.get(..MAX_NAMES).unwrap_or(&names).join(", ");
    match names.len().saturating_sub(MAX_NAMES) {
        _ if names.is_empty() => "no names".to_owned(),
        0 => told,
        rest => format!("{told}, and {rest} more"),
    }
}

const MORE_TIME: &str = "allow more time with `--timeout`";

impl Hint for ImageError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Target { .. } => Some(TARGETS.into()),
            Self::Ambiguous { target } => {
                Some(format!("registry:{target} is the image in the registry, ./{target} what lies here"))
            }
            Self::File { cause, .. } if cause.kind() == io::ErrorKind::TimedOut => Some(MORE_TIME.into()),
            Self::File { cause, .. } => file_hint(cause).map(ToOwned::to_owned),
            Self::Damaged { .. } => {
                Some("save or copy the image again: a part of it is missing, or was changed".into())
            }
            Self::Pipe(path) => Some(format!(
                "give it on standard input, with `-` as the target; a bill of materials may be `sbom:{}`",
                path.display()
            )),
            Self::Digest { .. } | Self::Layer(LayerError::Digest { .. }) => {
                Some("fetch or export the image again; if it stays so, do not trust where it came from".into())
            }
            Self::Layer(LayerError::Late(_)) => Some(MORE_TIME.into()),
            Self::Offline(reference) => Some(format!(
                "leave out --offline; or save the image to a file and scan that: \
                 skopeo copy docker://{reference} oci-archive:image.tar"
            )),
            Self::Platform { .. } => Some("choose one with --platform os/architecture".into()),
            Self::Silent { hint, .. } | Self::Engine { hint, .. } => Some(hint.clone()).filter(|hint| !hint.is_empty()),
            Self::Registry(error) => error.hint(),
            Self::Reference(error) => error.hint().or_else(|| Some(TARGETS.into())),
            Self::Missing { .. } | Self::Unsupported { .. } | Self::Json { .. } => {
                Some("what can be scanned, and how it is named, is told by `portcullis scan --help`".into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_first_are_counted() {
        let told = |count: usize| {
            let names: Vec<String> = (0..count).map(|index| format!("n{index}")).collect();
            ImageError::unnamed("a.tar", "x", names.iter().map(String::as_str)).to_string()
        };
        assert!(told(20).ends_with(", n19"), "{}", told(20));
        assert!(told(23).ends_with(", n19, and 3 more"), "{}", told(23));
        assert!(told(0).ends_with("it has no names"), "{}", told(0));
    }
}
