//! The client: its options, and what it is made of. The operations are in `manifests`, `blobs` and `referrers`.

use std::{
    fmt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use portcullis_errors::printable;
use reqwest::Url;

use crate::{
    Credentials, Reference, RegistryError, addresses::Guarded, auth::Authenticator, connections::Connections,
    error::Hosted,
};

/// Which registries are asked without TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PlainHttp {
    /// None, loopback addresses neither.
    #[default]
    Never,
    /// These, as they stand in image names: `localhost:5000`.
    Hosts(Vec<String>),
    /// All.
    Always,
}

/// How registries are asked.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which registries are asked without TLS.
    pub plain_http: PlainHttp,
    /// PEM certificates of further authorities.
    pub ca_file: Option<PathBuf>,
    /// What this client shows of itself where TLS asks for it: a PEM file with a certificate and its private key.
    pub client_certificate: Option<PathBuf>,
    /// How long one request may take, and how long a stream may stay silent.
    pub timeout: Duration,
    /// The moment after which nothing is asked, waited for or read any more, however large it is.
    pub deadline: Option<Instant>,
    /// How often a request is repeated after 429, 5xx and broken connections.
    pub retries: u32,
    /// The most that is waited before one repetition, whatever the registry asks.
    pub max_wait: Duration,
    /// Whether private and loopback addresses may be asked. Link-local ones never are.
    pub allow_private: bool,
    /// Further hosts that may issue tokens, beside a registry's own host, its subdomains and its parent domain.
    pub token_hosts: Vec<String>,
    /// What the client calls itself.
    pub user_agent: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            plain_http: PlainHttp::Never,
            ca_file: None,
            client_certificate: None,
            timeout: Duration::from_secs(30),
            deadline: None,
            retries: 3,
            max_wait: Duration::from_secs(20),
            allow_private: true,
            token_hosts: Vec::new(),
            user_agent: concat!("portcullis/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Asks registries. Cheap to clone; clones share connections and tokens.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) http: Arc<Connections>,
    pub(crate) options: Options,
    pub(crate) guard: Guarded,
    pub(crate) authenticator: Authenticator,
}

impl Client {
    /// A client with these options and credentials.
    ///
    /// # Errors
    /// When the files of certificates cannot be read. TLS is set up when it is first needed: [`Self::with_tls_ready`].
    pub fn new(options: Options, credentials: Credentials) -> Result<Self, RegistryError> {
        let guard = Guarded { allow_private: options.allow_private };
        let http = Arc::new(Connections::new(&options, guard)?);
        let authenticator = Authenticator::new(credentials);
        Ok(Self { inner: Arc::new(Inner { http, options, guard, authenticator }) })
    }

    /// Sets up TLS now rather than at the first request that needs it, so that a machine which cannot is told at once.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn with_tls_ready(self) -> Result<Self, RegistryError> {
        self.inner.http.secure()?;
        Ok(self)
    }

    /// The same client with other credentials. Connections are shared; tokens are not, so that nobody is let in by
    /// what another's credentials opened.
    #[must_use]
    pub fn with_credentials(&self, credentials: Credentials) -> Self {
        let Inner { http, options, guard, authenticator: _ } = &*self.inner;
        let (http, options, guard) = (Arc::clone(http), options.clone(), *guard);
        let authenticator = Authenticator::new(credentials);
        Self { inner: Arc::new(Inner { http, options, guard, authenticator }) }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

impl Inner {
    /// `https://<host>/v2/<repository>/<rest>`. `rest` is ours and needs no escaping; names have no special signs.
    pub(crate) fn url(&self, reference: &Reference, rest: &str) -> Result<Url, RegistryError> {
        let scheme = if self.is_plain(reference.registry()) { "http" } else { "https" };
        let text = format!("{scheme}://{}/v2/{}/{rest}", reference.api_host(), reference.repository());
        text.parse().map_err(|_error| RegistryError::Malformed {
            subject: hosted(reference, "repository".into()),
            reason: format!("`{}` is not an address", printable(&text, 200)),
        })
    }

    pub(crate) fn is_plain(&self, registry: &str) -> bool {
        match &self.options.plain_http {
            PlainHttp::Never => false,
            PlainHttp::Hosts(hosts) => hosts.iter().any(|host| host.eq_ignore_ascii_case(registry)),
            PlainHttp::Always => true,
        }
    }
}

/// What is asked for, at the registry of `reference`.
pub(crate) fn hosted(reference: &Reference, what: String) -> Hosted {
    Hosted { host: reference.registry().to_owned(), what }
}
