//! Kubernetes' pull secrets, and which of their credentials the kubelet would show for an image.
//!
//! Format: <https://kubernetes.io/docs/concepts/containers/images/#specifying-imagepullsecrets-on-a-pod>; the keys may
//! hold `*` inside a part of the host's name, and a path that repositories begin with.

use portcullis_model::Hasher;

use crate::{
    Credential, CredentialsError, Reference,
    credentials::{Config, Entry, parse_auths, parse_config},
};

/// The most credentials that are tried for an image.
const MAX_TRIED: usize = 4;

/// The form of a pull secret, as its `type` and its one key say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullSecretForm {
    /// `kubernetes.io/dockerconfigjson`: a Docker config.
    DockerConfigJson,
    /// `kubernetes.io/dockercfg`: the older form, which is the `auths` alone.
    DockerCfg,
}

/// The credentials of one or more pull secrets.
#[derive(Debug, Clone, Default)]
pub struct PullSecrets {
    configs: Vec<Config>,
}

/// A credential, and a name for it that does not give it away: for keys of caches in this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedCredential {
    /// What the registry is shown.
    pub credential: Credential,
    /// The same for the same credential.
    pub name: portcullis_model::Digest,
}

impl PullSecrets {
    /// Adds the text of a secret. Helpers that it names are not run: the text comes from a tenant.
    ///
    /// # Errors
    /// When it is not what its form says.
    pub fn add(&mut self, form: PullSecretForm, text: &str) -> Result<(), CredentialsError> {
        self.configs.push(match form {
            PullSecretForm::DockerConfigJson => parse_config("the pull secret", text)?,
            PullSecretForm::DockerCfg => parse_auths("the pull secret", text)?,
        });
        Ok(())
    }

    /// The credentials that hold for an image, in the order in which the kubelet tries them: the most specific key
    /// first; and what is wrong with entries that hold and cannot be used.
    #[must_use]
    pub fn for_image(&self, reference: &Reference) -> (Vec<NamedCredential>, Vec<CredentialsError>) {
        let name = reference.name();
        let entries = self.configs.iter().flat_map(Config::auths);
        let mut holding: Vec<(String, &str, &Entry)> = entries
            .filter_map(|(key, entry)| {
                let plain = plain_key(key);
                (entry.has_content() && covers(&plain, &name)).then_some((plain, key, entry))
            })
            .collect();
        holding.sort_by(|(one, ..), (other, ..)| other.cmp(one));
        let (mut found, mut damaged) = (Vec::<NamedCredential>::new(), Vec::new());
        for (_, key, entry) in holding {
            match entry.credential(key) {
                Ok(None) => {}
                Ok(Some(credential)) => {
                    let name = name_of(&credential);
                    if !found.iter().any(|other| other.name == name) {
                        found.push(NamedCredential { credential, name });
                    }
                }
                Err(error) => damaged.push(error),
            }
        }
        found.truncate(MAX_TRIED);
        damaged.truncate(MAX_TRIED);
        (found, damaged)
    }
}

fn name_of(credential: &Credential) -> portcullis_model::Digest {
    let mut hasher = Hasher::new();
    let parts: [&str; 3] = match credential {
        Credential::Basic { user, password } => ["basic", user, password.reveal()],
        Credential::IdentityToken(token) => ["token", "", token.reveal()],
    };
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finish()
}

/// A key as a host with its port and a path: without scheme and the API's version, Docker Hub under its one name.
fn plain_key(key: &str) -> String {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let (host, path) = key.split_once('/').unwrap_or((key, ""));
    let path = path.strip_prefix("v1/").or_else(|| path.strip_prefix("v2/")).unwrap_or(path);
    let path = if matches!(path, "v1" | "v2") { "" } else { path.trim_end_matches('/') };
    let host = match host.to_ascii_lowercase().as_str() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        other => other.to_owned(),
    };
    if path.is_empty() { host } else { format!("{host}/{path}") }
}

/// Whether a key holds for a repository: part by part of the host's name, the same port, and the start of the path,
/// which need not end at a slash.
fn covers(key: &str, name: &str) -> bool {
    let (key_host, key_path) = key.split_once('/').unwrap_or((key, ""));
    let (host, path) = name.split_once('/').unwrap_or((name, ""));
    let port = |host: &str| host.rsplit_once(':').map_or("", |(_, port)| port).to_owned();
    let parts = |host: &str| -> Vec<String> {
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        host.split('.').map(ToOwned::to_owned).collect()
    };
    let (key_parts, parts_) = (parts(key_host), parts(host));
    port(key_host) == port(host)
        && key_parts.len() == parts_.len()
        && key_parts.iter().zip(&parts_).all(|(pattern, part)| matches_part(pattern, part))
        && path.starts_with(key_path)
}

/// `*` stands for any run of characters. The pattern comes from a tenant: linear in both by never going back further
/// than the last star.
fn matches_part(pattern: &str, part: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| part.strip_prefix(first)) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = rest.get(at + piece.len()..).unwrap_or_default();
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn users(config: &str, image: &str) -> Vec<String> {
        let mut secrets = PullSecrets::default();
        secrets.add(PullSecretForm::DockerConfigJson, config).unwrap();
        let (found, _) = secrets.for_image(&image.parse().unwrap());
        let user = |one: NamedCredential| match one.credential {
            Credential::Basic { user, .. } => user,
            Credential::IdentityToken(_) => "token".to_owned(),
        };
        found.into_iter().map(user).collect()
    }

    fn config(keys: &[&str]) -> String {
        let entries: Vec<String> =
            keys.iter().map(|key| format!(r#""{key}": {{"username": "{key}", "password": "p"}}"#)).collect();
        format!(r#"{{"auths": {{{}}}}}"#, entries.join(","))
    }

    #[test]
    fn credentials_are_chosen_as_the_kubelet_does() {
        let keys = config(&[
            "registry.example",
            "registry.example/team",
            "https://registry.example:5000/v2/",
            "*.registry.example",
            "https://index.docker.io/v1/",
        ]);
        let none: [&str; 0] = [];
        assert_eq!(users(&keys, "registry.example/team/app"), ["registry.example/team", "registry.example"]);
        // The kubelet compares the start of the path, not whole parts of it.
        assert_eq!(users(&keys, "registry.example/teams/app"), ["registry.example/team", "registry.example"]);
        assert_eq!(users(&keys, "registry.example/other"), ["registry.example"]);
        assert_eq!(users(&keys, "registry.example:5000/app"), ["https://registry.example:5000/v2/"]);
        assert_eq!(users(&keys, "eu.registry.example/app"), ["*.registry.example"]);
        assert_eq!(users(&keys, "a.b.registry.example/app"), none);
        assert_eq!(users(&keys, "nginx"), ["https://index.docker.io/v1/"]);
        assert_eq!(users(&keys, "registry.example.evil.test/app"), none);
        assert_eq!(users(&keys, "other.example/registry.example/app"), none);
    }

    #[test]
    fn the_older_form_is_the_entries_alone() {
        let mut secrets = PullSecrets::default();
        secrets.add(PullSecretForm::DockerCfg, r#"{"registry.example": {"auth": "dTpw"}}"#).unwrap();
        assert_eq!(secrets.for_image(&"registry.example/app".parse().unwrap()).0.len(), 1);
        assert!(secrets.add(PullSecretForm::DockerConfigJson, "7").is_err());
        assert!(!format!("{secrets:?}").contains("dTpw"));
    }

    #[test]
    fn a_damaged_entry_takes_no_good_one_with_it() {
        let mut secrets = PullSecrets::default();
        let text = r#"{"r.example/team": {"auth": "damaged"}, "r.example": {"auth": "dTpw"}}"#;
        secrets.add(PullSecretForm::DockerCfg, text).unwrap();
        let (found, damaged) = secrets.for_image(&"r.example/team/app".parse().unwrap());
        assert_eq!(found.len(), 1);
        let told: Vec<String> = damaged.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["the entry for r.example/team is not user:password in base64"]);
    }

    #[test]
    fn the_same_credential_has_one_name() {
        let name = |password: &str| {
            let mut secrets = PullSecrets::default();
            let text = format!(r#"{{"r.example": {{"username": "u", "password": "{password}"}}}}"#);
            secrets.add(PullSecretForm::DockerCfg, &text).unwrap();
            secrets.for_image(&"r.example/app".parse().unwrap()).0.remove(0).name
        };
        assert_eq!(name("a"), name("a"));
        assert_ne!(name("a"), name("b"));
    }

    proptest! {
        #[test]
        fn stars_match_as_defined(pattern in "[ab*]{0,6}", part in "[ab]{0,8}") {
            fn defined(pattern: &[u8], part: &[u8]) -> bool {
                match pattern {
                    [] => part.is_empty(),
                    [b'*', rest @ ..] => (0..=part.len()).any(|n| defined(rest, &part[n..])),
                    [byte, rest @ ..] => part.first() == Some(byte) && defined(rest, &part[1..]),
                }
            }
            prop_assert_eq!(matches_part(&pattern, &part), defined(pattern.as_bytes(), part.as_bytes()));
        }

        #[test]
        fn no_text_panics(text in ".{0,200}", image in "[a-z.]{1,20}/[a-z]{1,10}") {
            let mut secrets = PullSecrets::default();
            for form in [PullSecretForm::DockerConfigJson, PullSecretForm::DockerCfg] {
                _ = secrets.add(form, &text);
            }
            if let Ok(reference) = image.parse::<Reference>() {
                _ = secrets.for_image(&reference);
            }
        }
    }
}
