//! Canonical image names: whatever people may leave out or write in another way is filled in before a name is
//! compared with anything.
//!
//! Format: <https://github.com/distribution/reference/blob/v0.6.0/reference.go>

use std::{fmt, str::FromStr};

use portcullis_errors::{Hint, printable};
use portcullis_model::Digest;
use serde::{Deserialize, Serialize, de};

use crate::grammar::{self, Parts, Wrong, is_host};

/// No name that a registry serves is longer; a longer text is not looked at.
const MAX_BYTES: usize = 1024;
/// The longest repository in its canonical form, in bytes.
const MAX_REPOSITORY: usize = 255;
const DOCKER_HUB: &str = "docker.io";
/// Other names of Docker Hub: a rule for one holds for all.
const DOCKER_HUB_ALIASES: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];

/// An image's name in its canonical form: `docker.io/library/nginx:latest`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text does not name an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` does not name an image: {reason}")]
pub struct ReferenceError {
    text: String,
    reason: &'static str,
    hint: Option<String>,
}

impl Hint for ReferenceError {
    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

impl Reference {
    /// The registry, lower case, with its port where it is not 443: `docker.io`, `localhost:5000`.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository inside the registry: `library/nginx`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Registry and repository: `docker.io/library/nginx`, the name that rules match.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The tag; `latest` where neither tag nor digest was written.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if the name carries one.
    #[must_use]
    pub const fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The same repository by digest, without a tag: `docker.io/library/nginx@sha256:…`.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The same name with its tag, held to a digest: `docker.io/library/nginx:1.29@sha256:…`.
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// The same repository by tag.
    ///
    /// # Errors
    /// When `tag` is not a tag.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        format!("{}:{tag}", self.name()).parse()
    }

    /// What stands for the manifest in the registry's API: the digest, else the tag.
    #[must_use]
    pub fn api_reference(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        }
    }

    /// The host (and port) that answers for the registry.
    #[must_use]
    pub fn api_host(&self) -> &str {
        if self.registry == DOCKER_HUB { "registry-1.docker.io" } else { &self.registry }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let refused = |reason, hint: Option<&str>| ReferenceError {
            text: printable(text, 200),
            reason,
            hint: hint.map(ToOwned::to_owned),
        };
        if text.len() > MAX_BYTES {
            return Err(refused("it is too long", None));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            let hint =
                format!("write the name without `{}://`, such as `{}`", printable(scheme, 20), printable(rest, 100));
            return Err(refused("it is an address", Some(&hint)));
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        let digest = digest.map(str::parse::<Digest>).transpose().map_err(|_error| {
            refused("its digest is not sha256:<64 lower-case hex digits>", Some("only SHA-256 digests are taken"))
        })?;
        let lowered = lower_host(name);
        let Parts { registry, repository, tag } =
            grammar::parse(&lowered).map_err(|wrong| explained(wrong, text, name))?;
        // A digest makes it meaningless to say which tag was left out.
        let tag = tag.or(if digest.is_none() { Some("latest") } else { None }).map(ToOwned::to_owned);
        if let Some((reason, hint)) = grammar::wrong_host(registry) {
            return Err(refused(reason, hint.as_deref()));
        }
        let (registry, repository) = canonical(registry, repository);
        if repository.len() > MAX_REPOSITORY {
            return Err(refused("its repository is longer than 255 characters", None));
        }
        if repository.bytes().any(|byte| byte.is_ascii_uppercase()) {
            // The grammar takes an upper-case first part for a host; it is read as a folder.
            let hint = format!("did you mean `{}`?", printable(&name.to_lowercase(), 200));
            return Err(refused("repositories have no upper-case letters", Some(&hint)));
        }
        Ok(Self { registry, repository, tag, digest })
    }
}

/// Hosts have no case. The first part is a host by the rule of Docker's parser.
fn lower_host(name: &str) -> String {
    match name.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host.eq_ignore_ascii_case("localhost") => {
            format!("{}/{rest}", host.to_ascii_lowercase())
        }
        _ => name.to_owned(),
    }
}

/// One spelling for each registry: HTTPS has its own port, and Docker Hub several hosts.
fn canonical(registry: &str, repository: &str) -> (String, String) {
    // Without its port, `registry:443` would read as a folder at Docker Hub.
    let registry = registry.strip_suffix(":443").filter(|host| is_host(host)).unwrap_or(registry);
    if registry != DOCKER_HUB && !DOCKER_HUB_ALIASES.contains(&registry) {
        return (registry.to_owned(), repository.to_owned());
    }
    let official = if repository.contains('/') { String::new() } else { "library/".to_owned() };
    (DOCKER_HUB.to_owned(), official + repository)
}

fn explained(wrong: Wrong, text: &str, name: &str) -> ReferenceError {
    let has_upper_case = name.chars().any(char::is_uppercase);
    let (reason, hint) = match wrong {
        Wrong::Empty => ("it is empty", None),
        Wrong::Form if has_upper_case && grammar::parse(&name.to_lowercase()).is_ok() => {
            let lower = printable(&name.to_lowercase(), 200);
            ("repositories have no upper-case letters", Some(format!("did you mean `{lower}`?")))
        }
        Wrong::Form => ("it is not of the form [host[:port]/]repository[:tag][@sha256:…]", None),
    };
    ReferenceError { text: printable(text, 200), reason, hint }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Reference {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    #[test]
    fn names_become_canonical() {
        for (text, canonical) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("nginx:1.29", "docker.io/library/nginx:1.29"),
            ("docker.io/nginx", "docker.io/library/nginx:latest"),
            ("index.docker.io/library/nginx", "docker.io/library/nginx:latest"),
            ("registry-1.docker.io/nginx", "docker.io/library/nginx:latest"),
            ("Docker.IO:443/nginx", "docker.io/library/nginx:latest"),
            ("team/app", "docker.io/team/app:latest"),
            ("localhost/app", "localhost/app:latest"),
            ("LOCALHOST:5000/app:v1", "localhost:5000/app:v1"),
            ("127.0.0.1:5000/a/b/c", "127.0.0.1:5000/a/b/c:latest"),
            ("Registry.Example/Team".to_lowercase().as_str(), "registry.example/team:latest"),
            ("registry.example:443/x", "registry.example/x:latest"),
            ("registry.example:65535/x", "registry.example:65535/x:latest"),
            ("10.0.0.1:443/x", "10.0.0.1/x:latest"),
            ("xn--rgistry-bya.example/x", "xn--rgistry-bya.example/x:latest"),
            ("5000.example/x", "5000.example/x:latest"),
            ("registry.example:5000", "docker.io/library/registry.example:5000"),
            ("registry.example:0443", "docker.io/library/registry.example:0443"),
        ] {
            let parsed: Reference = text.parse().unwrap();
            assert_eq!(parsed.to_string(), canonical, "{text}");
            assert_eq!(canonical.parse(), Ok(parsed), "{canonical}");
        }
    }

    #[test]
    fn digests_are_kept_and_given() {
        let digest: Digest = DIGEST.parse().unwrap();
        let plain: Reference = format!("nginx@{DIGEST}").parse().unwrap();
        assert_eq!((plain.tag(), plain.digest()), (None, Some(digest)));
        assert_eq!(plain.to_string(), format!("docker.io/library/nginx@{DIGEST}"));
        let both: Reference = format!("nginx:latest@{DIGEST}").parse().unwrap();
        assert_eq!((both.tag(), both.digest()), (Some("latest"), Some(digest)));
        assert_eq!(both.to_string(), format!("docker.io/library/nginx:latest@{DIGEST}"));
        let tagged: Reference = "nginx:1".parse().unwrap();
        assert_eq!(tagged.with_digest(digest), plain);
        assert_eq!(tagged.pinned(digest).to_string(), format!("docker.io/library/nginx:1@{DIGEST}"));
        assert_eq!(tagged.pinned(digest).api_reference(), DIGEST);
        let ported: Reference = format!("localhost:5000/a@{DIGEST}").parse().unwrap();
        assert_eq!(ported.tag(), None);
    }

    #[test]
    fn what_does_not_parse_is_refused() {
        for text in [
            "",
            "/",
            "a b",
            "nginx:",
            "nginx@",
            "nginx@sha256:00",
            "nginx@sha512:00",
            "https://registry.example/x",
            "docker.io./library/x",
            "[::1]:5000/x",
            "[::1]/x",
            "registry.example:0443/x",
            "registry.example:00443/x",
            "registry.example:0/x",
            "registry.example:65536/x",
            "registry.example:65979/x",
            "registry.example:18446744073709552059/x",
            "registry.example:+443/x",
            "registry.example:-443/x",
            "registry.example:/x",
            "registry.example:443:443/x",
            "registry:0443/x",
            "localhost:05000/x",
            "docker.io:0443/nginx",
            "registry.example./x",
            "registry.example.:443/x",
            "régistry.example/x",
            "registry。example/x",
            "127.1/x",
            "127.1:5000/x",
            "0177.0.0.1/x",
            "127.0.0.01:5000/x",
            "0x7f.0.0.1/x",
            "0x7f000001:5000/x",
            "2130706433:5000/x",
            "1.2.3.256/x",
            "xn--abc.example/x",
            "nginx:1:2",
            "../x",
            "a//b",
            "nginx\n",
            "A/0",
            "Registry/x",
            "nginx@sha256:44136FA355B3678A1146AD16F7E8649E94FB4FC21FE77E8310C060F61CAAFF8A",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
        }
        let upper = "registry.example/Team/App:V1".parse::<Reference>().unwrap_err();
        assert!(upper.hint().unwrap().contains("registry.example/team/app:v1"), "{upper:?}");
        assert!("https://a.b/x".parse::<Reference>().unwrap_err().hint().unwrap().contains("`a.b/x`"));
        assert!("é".repeat(3000).parse::<Reference>().is_err());
    }

    #[test]
    fn a_port_is_kept_where_the_host_would_read_as_a_folder() {
        assert_eq!("registry:443/x".parse::<Reference>().unwrap().to_string(), "registry:443/x:latest");
        assert_eq!("registry.example:443/x".parse::<Reference>().unwrap().to_string(), "registry.example/x:latest");
    }

    #[test]
    fn another_spelling_of_a_host_is_refused_with_the_usual_one() {
        for (text, hint) in [
            ("registry.example:0443/x", "write the port as `443`"),
            ("localhost:005000/x", "write the port as `5000`"),
            ("2130706433:5000/x", "write the host as `127.0.0.1`"),
            ("0x7f.1/x", "write the host as `127.0.0.1`"),
        ] {
            let error = text.parse::<Reference>().unwrap_err();
            assert_eq!(error.hint().as_deref(), Some(hint), "{error}");
        }
    }

    /// By its canonical form: what is said of it can be said again.
    #[test]
    fn repositories_have_an_end() {
        for (host, rest) in
            [("", 247), ("docker.io/", 247), ("index.docker.io/", 247), ("docker.io:443/", 247), ("a.b/", 255)]
        {
            let name = |count: usize| format!("{host}{}", "a".repeat(count));
            let longest: Reference = name(rest).parse().unwrap();
            assert_eq!(longest.to_string().parse(), Ok(longest), "{host}");
            assert!(name(rest + 1).parse::<Reference>().unwrap_err().to_string().contains("255"), "{host}");
        }
    }

    proptest! {
        /// Two names of which one is not the other's reach different places.
        #[test]
        fn who_is_asked_is_whose_name_it_is(host in "[0-9a-fA-Fx.-]{1,12}|(xn--)?[a-c]{1,3}(\\.(xn--)?[0-9a-c-]{1,6}){0,3}",
            port in "(:[0-9]{0,6})?") {
            if let Ok(parsed) = format!("{host}{port}/x").parse::<Reference>()
                && parsed.registry() != DOCKER_HUB {
                let url: reqwest::Url = format!("https://{}/", parsed.api_host()).parse().unwrap();
                let port = url.port_or_known_default().unwrap();
                let asked = format!("{}:{port}", url.host_str().unwrap());
                let named = parsed.registry();
                let named = if named.contains(':') { named.to_owned() } else { format!("{named}:443") };
                prop_assert_eq!(named, asked);
            }
        }

        #[test]
        fn canonical_is_a_fixed_point(text in "[a-zA-Z0-9./:@_-]{0,60}|\\PC{0,60}") {
            if let Ok(parsed) = text.parse::<Reference>() {
                prop_assert_eq!(parsed.to_string().parse::<Reference>(), Ok(parsed));
            }
        }
    }
}
