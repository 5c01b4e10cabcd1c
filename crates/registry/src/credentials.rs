//! Credentials, from where `docker login`, `podman login` and their helpers keep them.
//!
//! Format: <https://docs.docker.com/reference/cli/docker/login/#credential-stores> and
//! <https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md>

use std::{collections::BTreeMap, ffi::OsString, io, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portcullis_errors::{Hint, Secret};
use serde::Deserialize;

use crate::{Reference, helper};

/// A config file is a few kilobytes; what is larger is not one.
const MAX_CONFIG_BYTES: u64 = 1 << 20;
/// The key that `docker login` uses for Docker Hub.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// What a registry is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// User and password.
    Basic {
        /// The user.
        user: String,
        /// The password, or an access token in its place.
        password: Secret,
    },
    /// A refresh token that the registry's token server exchanges.
    IdentityToken(Secret),
}

/// Where credentials come from.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// The same for every registry, before all else.
    fixed: Option<Credential>,
    /// Config files, the first that knows a registry wins.
    configs: Vec<Config>,
}

/// Why credentials cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not what `docker login` writes.
    #[error("{} is not a Docker config: {reason}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why, without what is in it.
        reason: String,
    },
    /// Some of three variables that belong together are not set.
    #[error("a registry's user and password need all of three variables")]
    Variables,
    /// An entry of the file does not hold `user:password` in base64.
    #[error("the entry for {registry} is not user:password in base64")]
    Entry {
        /// The key of the entry.
        registry: String,
    },
    /// A credential helper failed.
    #[error("docker-credential-{name} {reason}")]
    Helper {
        /// The helper's name.
        name: String,
        /// What happened.
        reason: String,
    },
}

impl Hint for CredentialsError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Read { .. } | Self::Parse { .. } => "check the file, or point DOCKER_CONFIG to another folder".into(),
            Self::Variables => "set PORTCULLIS_REGISTRY to the registry's host, PORTCULLIS_REGISTRY_USERNAME and \
                 PORTCULLIS_REGISTRY_PASSWORD"
                .into(),
            Self::Entry { registry } => format!("run `docker login {registry}` again"),
            Self::Helper { name, .. } => {
                format!(
                    "run `docker-credential-{name} list` to see whether the helper works, or remove it from the config"
                )
            }
        })
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Config {
    auths: BTreeMap<String, Entry>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Entry {
    auth: Option<SecretText>,
    username: Option<String>,
    password: Option<SecretText>,
    identitytoken: Option<SecretText>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(from = "String")]
struct SecretText(Secret);

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(Secret::new(text))
    }
}

impl Credentials {
    /// None at all: every registry is asked anonymously.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// The same credential for every registry.
    #[must_use]
    pub const fn fixed(credential: Credential) -> Self {
        Self { fixed: Some(credential), configs: Vec::new() }
    }

    /// From `PORTCULLIS_REGISTRY`, `…_USERNAME` and `…_PASSWORD`; from `DOCKER_AUTH_CONFIG`, which holds a whole config;
    /// and from the places that Docker and Podman use: `$DOCKER_CONFIG` or `~/.docker`, `$REGISTRY_AUTH_FILE`,
    /// `$XDG_RUNTIME_DIR/containers/auth.json` and `~/.config/containers/auth.json`. A missing file is no error.
    ///
    /// # Errors
    /// When a file that is there cannot be read or understood, or variables contradict themselves.
    pub fn from_environment() -> Result<Self, CredentialsError> {
        Self::from_variables(std::env::var_os)
    }

    fn from_variables(get: impl Fn(&'static str) -> Option<OsString>) -> Result<Self, CredentialsError> {
        let variable = |name| get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let text = |name| variable(name).map(|value| value.to_string_lossy().into_owned());
        let mut first = Vec::new();
        match (text("PORTCULLIS_REGISTRY"), text("PORTCULLIS_REGISTRY_USERNAME"), text("PORTCULLIS_REGISTRY_PASSWORD"))
        {
            (Some(registry), Some(user), Some(password)) => {
                let password = Some(SecretText::from(password));
                let entry = Entry { username: Some(user), password, ..Entry::default() };
                first.push(Config { auths: BTreeMap::from([(registry, entry)]), ..Config::default() });
            }
            // A password that is meant for one registry is not shown to others.
            (_, None, None) => {}
            _ => return Err(CredentialsError::Variables),
        }
        if let Some(config) = text("DOCKER_AUTH_CONFIG") {
            let config = parse(&PathBuf::from("DOCKER_AUTH_CONFIG"), &config)?;
            first.push(Config { creds_store: None, cred_helpers: BTreeMap::new(), ..config });
        }
        let home = variable("HOME");
        let docker = variable("DOCKER_CONFIG").or_else(|| home.as_ref().map(|home| home.join(".docker")));
        let files = [
            docker.map(|folder| folder.join("config.json")),
            variable("REGISTRY_AUTH_FILE"),
            variable("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json")),
            home.map(|home| home.join(".config/containers/auth.json")),
        ];
        let Self { fixed, configs } = Self::from_files(files.into_iter().flatten())?;
        first.extend(configs);
        Ok(Self { fixed, configs: first })
    }

    /// From config files; those that are not there are passed over.
    ///
    /// # Errors
    /// When a file that is there cannot be read or understood.
    pub fn from_files(files: impl IntoIterator<Item = PathBuf>) -> Result<Self, CredentialsError> {
        let mut configs = Vec::new();
        for path in files {
            match read(&path) {
                Ok(text) => configs.push(parse(&path, &text)?),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(CredentialsError::Read { path, source }),
            }
        }
        Ok(Self { fixed: None, configs })
    }

    /// From the text of one config, such as a Kubernetes pull secret (`.dockerconfigjson`). Helpers that it names
    /// are not run: the text comes from elsewhere.
    ///
    /// # Errors
    /// When it is not a Docker config.
    pub fn from_docker_config(text: &str) -> Result<Self, CredentialsError> {
        let config = parse(&PathBuf::from("the given text"), text)?;
        Ok(Self { fixed: None, configs: vec![Config { creds_store: None, cred_helpers: BTreeMap::new(), ..config }] })
    }

    /// The credential for a reference's registry; none means anonymous.
    ///
    /// # Errors
    /// When a helper fails or an entry is damaged. Asking anonymously instead would only hide that.
    pub async fn lookup(&self, reference: &Reference) -> Result<Option<Credential>, CredentialsError> {
        if let Some(fixed) = &self.fixed {
            return Ok(Some(fixed.clone()));
        }
        for config in &self.configs {
            if let Some(found) = config.lookup(reference).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

impl Config {
    pub(crate) fn auths(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.auths.iter().map(|(key, entry)| (key.as_str(), entry))
    }

    async fn lookup(&self, reference: &Reference) -> Result<Option<Credential>, CredentialsError> {
        let registry = reference.registry();
        let is_hub = registry == "docker.io";
        let server = if is_hub { DOCKER_HUB_KEY } else { registry };
        let named = self.cred_helpers.iter().find(|(key, _)| host_of(key) == registry || **key == server);
        if let Some((key, name)) = named
            && let Some(found) = helper::get(name, key).await?
        {
            return Ok(Some(found));
        }
        if let Some(store) = &self.creds_store
            && let Some(found) = helper::get(store, server).await?
        {
            return Ok(Some(found));
        }
        // The longest key wins: containers' auth.json may name a repository or a part of its path.
        let name = reference.name();
        let best = self
            .auths
            .iter()
            .filter(|(key, entry)| entry.has_content() && covers(key, &name))
            .max_by_key(|(key, _)| host_and_path(key).len());
        best.map_or(Ok(None), |(key, entry)| entry.credential(key))
    }
}

impl Entry {
    /// A credential store leaves empty entries behind.
    pub(crate) const fn has_content(&self) -> bool {
        self.auth.is_some() || self.username.is_some() || self.identitytoken.is_some()
    }

    pub(crate) fn credential(&self, key: &str) -> Result<Option<Credential>, CredentialsError> {
        if let Some(SecretText(token)) = self.identitytoken.as_ref().filter(|token| !token.0.reveal().is_empty()) {
            return Ok(Some(Credential::IdentityToken(token.clone())));
        }
        if let Some(SecretText(auth)) = self.auth.as_ref().filter(|auth| !auth.0.reveal().is_empty()) {
            let refused = || CredentialsError::Entry { registry: key.to_owned() };
            let decoded = STANDARD.decode(auth.reveal().trim()).map_err(|_error| refused())?;
            let decoded = String::from_utf8(decoded).map_err(|_error| refused())?;
            let (user, password) = decoded.split_once(':').ok_or_else(refused)?;
            // Old versions of Docker pad with NUL.
            let password = Secret::new(password.trim_end_matches('\0').to_owned());
            return Ok(Some(Credential::Basic { user: user.to_owned(), password }));
        }
        Ok(self
            .username
            .as_ref()
            .zip(self.password.as_ref())
            .map(|(user, SecretText(password))| Credential::Basic { user: user.clone(), password: password.clone() }))
    }
}

/// Whether an `auths` key holds for a repository.
fn covers(key: &str, name: &str) -> bool {
    let key = host_and_path(key);
    name.strip_prefix(key.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A key without scheme and API version, Docker Hub under its one name.
fn host_and_path(key: &str) -> String {
    let key = key.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    let key = key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")).unwrap_or(key);
    let (host, path) = key.split_once('/').unwrap_or((key, ""));
    let host = host.to_ascii_lowercase();
    let host = match host.strip_suffix(":443").unwrap_or(&host) {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        other => other,
    };
    if path.is_empty() { host.to_owned() } else { format!("{host}/{path}") }
}

fn host_of(key: &str) -> String {
    let mut key = host_and_path(key);
    key.truncate(key.find('/').unwrap_or(key.len()));
    key
}

fn read(path: &std::path::Path) -> io::Result<String> {
    use io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_CONFIG_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// A whole config; `name` is what errors call it.
pub(crate) fn parse_config(name: &str, text: &str) -> Result<Config, CredentialsError> {
    parse(name.as_ref(), text)
}

/// The entries of a config alone.
pub(crate) fn parse_auths(name: &str, text: &str) -> Result<Config, CredentialsError> {
    Ok(Config { auths: from_json(name.as_ref(), text)?, ..Config::default() })
}

fn parse(path: &std::path::Path, text: &str) -> Result<Config, CredentialsError> {
    from_json(path, text)
}

fn from_json<T: serde::de::DeserializeOwned>(path: &std::path::Path, text: &str) -> Result<T, CredentialsError> {
    // serde's text may quote the offending value: only the place is told.
    serde_json::from_str(text).map_err(|error| CredentialsError::Parse {
        path: path.to_owned(),
        reason: format!("line {}, column {}", error.line(), error.column()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lookup(config: &str, name: &str) -> Option<Credential> {
        Credentials::from_docker_config(config).unwrap().lookup(&name.parse().unwrap()).await.unwrap()
    }

    fn basic(user: &str, password: &str) -> Option<Credential> {
        Some(Credential::Basic { user: user.into(), password: Secret::new(password.into()) })
    }

    #[tokio::test]
    async fn variables_come_first_and_hold_for_their_registry_alone() {
        let set = |pairs: &'static [(&'static str, &'static str)]| {
            Credentials::from_variables(move |name| {
                pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
            })
        };
        let known = set(&[
            ("PORTCULLIS_REGISTRY", "one.example"),
            ("PORTCULLIS_REGISTRY_USERNAME", "me"),
            ("PORTCULLIS_REGISTRY_PASSWORD", "secret"),
            (
                "DOCKER_AUTH_CONFIG",
                r#"{"auths": {"one.example": {"auth": "eDp5"}, "two.example": {"auth": "eDp5"}}, "credsStore": "none"}"#,
            ),
        ])
        .unwrap();
        let of = async |name: &str| known.lookup(&name.parse().unwrap()).await.unwrap();
        assert_eq!(of("one.example/app").await, basic("me", "secret"));
        assert_eq!(of("two.example/app").await, basic("x", "y"));
        assert_eq!(of("three.example/app").await, None);
        let incomplete = set(&[("PORTCULLIS_REGISTRY_USERNAME", "me"), ("PORTCULLIS_REGISTRY_PASSWORD", "secret")]);
        assert!(matches!(incomplete, Err(CredentialsError::Variables)));
        assert!(matches!(set(&[("DOCKER_AUTH_CONFIG", "{")]), Err(CredentialsError::Parse { .. })));
    }

    #[tokio::test]
    async fn entries_are_found_by_host_and_longest_path() {
        let config = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "aHViOmE6Yg=="},
            "registry.example": {"username": "u", "password": "p"},
            "registry.example/team": {"username": "team", "password": "p"},
            "quay.example": {"auth": "PHRva2VuPjo=", "identitytoken": "refresh"},
            "empty.example": {}
        }, "HttpHeaders": {"X": "y"}}"#;
        assert_eq!(lookup(config, "nginx").await, basic("hub", "a:b"));
        assert_eq!(lookup(config, "registry.example/x").await, basic("u", "p"));
        assert_eq!(lookup(config, "registry.example/team/x").await, basic("team", "p"));
        assert_eq!(lookup(config, "registry.example/teams/x").await, basic("u", "p"));
        let token = Some(Credential::IdentityToken(Secret::new("refresh".into())));
        assert_eq!(lookup(config, "quay.example/x").await, token);
        assert_eq!(lookup(config, "empty.example/x").await, None);
        assert_eq!(lookup(config, "registry.example.evil/x").await, None);
    }

    #[tokio::test]
    async fn damage_is_told_without_the_secret() {
        let credentials = Credentials::from_docker_config(r#"{"auths": {"a.b": {"auth": "c2VjcmV0"}}}"#).unwrap();
        let error = credentials.lookup(&"a.b/x".parse().unwrap()).await.unwrap_err();
        assert!(matches!(&error, CredentialsError::Entry { registry } if registry == "a.b"));
        let error = Credentials::from_docker_config(r#"{"auths": {"a.b": {"auth": 77}}}"#).unwrap_err();
        assert!(!error.to_string().contains("77"), "{error}");
        let config = Credentials::from_docker_config(r#"{"auths": {"a.b": {"auth": "c2VjcmV0"}}}"#).unwrap();
        assert!(!format!("{config:?}").contains("c2VjcmV0"));
    }

    #[tokio::test]
    async fn missing_files_mean_anonymous() {
        let none = Credentials::from_files([PathBuf::from("/nonexistent/config.json")]).unwrap();
        assert_eq!(none.lookup(&"nginx".parse().unwrap()).await.unwrap(), None);
    }
}
