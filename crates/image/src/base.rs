//! The image that an image was built on: named by annotations, known by its layers, or guessed from the history.
//!
//! Annotations: <https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md>,
//! `org.opencontainers.image.base.name` and `…base.digest`; many builders write them as labels.

use std::collections::BTreeMap;

use portcullis_model::{BaseEvidence, BaseImage, Target};

use crate::{Image, manifest::History};

const NAME: &str = "org.opencontainers.image.base.name";
const DIGEST: &str = "org.opencontainers.image.base.digest";

/// What labels name, and where the history says that the base image ended.
///
/// A base image nearly always ends with a command. So the last command that layers follow was the base image's; an
/// image whose own build has a command in the middle is guessed wrongly, and the report says that it is a guess.
pub(crate) fn guess(history: &[History], labels: &BTreeMap<String, String>) -> Option<BaseImage> {
    let layers = history
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.empty_layer && is_command(entry.created_by.as_deref().unwrap_or_default()))
        .map(|(index, _)| index)
        .rfind(|&index| history[index + 1..].iter().any(|entry| !entry.empty_layer))
        .map_or(0, |index| history[..index].iter().filter(|entry| !entry.empty_layer).count());
    let base = BaseImage { reference: None, digest: None, layers, known_by: BaseEvidence::History };
    named(base, labels)
}

/// Adds what annotations or labels name; none where nothing is known at all.
///
/// Labels come down from the base image, and may name the base of that; a manifest's annotations do not, so they are
/// asked last and take the place of what labels say, name and digest together.
fn named(mut base: BaseImage, names: &BTreeMap<String, String>) -> Option<BaseImage> {
    let reference = names.get(NAME).filter(|name| !name.is_empty()).cloned();
    let digest = names.get(DIGEST).and_then(|digest| digest.parse().ok());
    if reference.is_some() || digest.is_some() {
        base = BaseImage { reference, digest, ..base };
    }
    (base.layers > 0 || base.reference.is_some() || base.digest.is_some()).then_some(base)
}

/// Adds what the annotations of a manifest name.
pub(crate) fn annotate(target: &mut Target, annotations: Option<&BTreeMap<String, String>>) {
    if let Some(annotations) = annotations {
        let unknown = BaseImage { reference: None, digest: None, layers: 0, known_by: BaseEvidence::History };
        target.base = named(target.base.take().unwrap_or(unknown), annotations);
    }
}

/// `CMD` or `ENTRYPOINT`, as classic builders and BuildKit write them into the history.
fn is_command(instruction: &str) -> bool {
    let instruction = instruction.strip_prefix("/bin/sh -c #(nop)").unwrap_or(instruction).trim_start();
    ["CMD", "ENTRYPOINT"]
        .iter()
        .any(|word| instruction.strip_prefix(word).is_some_and(|rest| rest.starts_with([' ', '\t', '['])))
}

impl Image {
    /// Says that this image was built on `base`; false where the layers say that it was not.
    pub fn built_on(&mut self, base: &Self) -> bool {
        let (own, of_base) = (&self.target.layers, &base.target.layers);
        let is_base = !of_base.is_empty()
            && of_base.len() <= own.len()
            && own.iter().zip(of_base).all(|(own, of_base)| own.diff_id == of_base.diff_id);
        if is_base {
            self.target.base = Some(BaseImage {
                reference: Some(base.target.reference.clone()),
                digest: base.target.digest,
                layers: of_base.len(),
                known_by: BaseEvidence::Layers,
            });
        }
        is_base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(history: &[(&str, bool)]) -> usize {
        let history: Vec<_> = history
            .iter()
            .map(|&(created_by, empty_layer)| History { created_by: Some(created_by.to_owned()), empty_layer })
            .collect();
        guess(&history, &BTreeMap::new()).map_or(0, |base| base.layers)
    }

    #[test]
    fn base_ends_at_the_last_command_that_layers_follow() {
        let classic = [
            ("/bin/sh -c #(nop) ADD file:1 in / ", false),
            ("/bin/sh -c #(nop)  CMD [\"bash\"]", true),
            ("/bin/sh -c #(nop) COPY dir:2 in /app ", false),
            ("/bin/sh -c #(nop)  ENTRYPOINT [\"/app/run\"]", true),
            ("/bin/sh -c #(nop)  CMD [\"serve\"]", true),
        ];
        assert_eq!(layers(&classic), 1);
        let of_of = [
            ("RUN debootstrap # buildkit", false),
            ("CMD [\"bash\"]", true),
            ("RUN apt-get install python # buildkit", false),
            ("CMD [\"python3\"]", true),
            ("COPY . . # buildkit", false),
            ("RUN pip install -r requirements.txt # buildkit", false),
            ("CMD [\"python3\" \"app.py\"]", true),
        ];
        assert_eq!(layers(&of_of), 2);
        assert_eq!(layers(&[("RUN CMD build", false), ("CMDER", true), ("COPY x y", false)]), 0);
        assert_eq!(layers(&[]), 0);
    }

    #[test]
    fn labels_name_it() {
        let digest = portcullis_model::Digest::of(b"base");
        let labels = BTreeMap::from([
            (NAME.to_owned(), "docker.io/library/debian:12".to_owned()),
            (DIGEST.to_owned(), digest.to_string()),
        ]);
        let base = guess(&[], &labels).unwrap();
        assert_eq!(
            (base.reference.as_deref(), base.digest, base.layers),
            (Some("docker.io/library/debian:12"), Some(digest), 0)
        );
        assert_eq!(guess(&[], &BTreeMap::from([(DIGEST.to_owned(), "sha256:x".to_owned())])), None);
        // The label was the base image's own.
        let mut target = Target { base: Some(base), ..Target::named("app") };
        annotate(&mut target, Some(&BTreeMap::from([(NAME.to_owned(), "registry.example/python:3".to_owned())])));
        let base = target.base.unwrap();
        assert_eq!((base.reference.as_deref(), base.digest), (Some("registry.example/python:3"), None));
    }
}
