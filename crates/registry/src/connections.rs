//! Connections, with and without TLS. The certificates of a machine's authorities are read when TLS is first needed: that
//! takes milliseconds, a third of what the verification of an image costs otherwise.

use std::{env, sync::OnceLock, time::Duration};

use reqwest::{Certificate, Identity, Url, redirect};

use crate::{PlainHttp, RegistryError, addresses::Guarded, client::Options};

/// Where a proxy for plain HTTP is named; it may itself want TLS.
const PROXIES: [&str; 4] = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];

/// Clients for both schemes.
pub(crate) struct Connections {
    /// Trusts nobody, as it has no use for that.
    plain: reqwest::Client,
    secure: OnceLock<reqwest::Client>,
    authorities: Vec<Certificate>,
    identity: Option<Identity>,
    needs_no_authority: bool,
    user_agent: String,
    timeout: Duration,
    guard: Guarded,
}

impl Connections {
    /// Connections by these options.
    pub(crate) fn new(options: &Options, guard: Guarded) -> Result<Self, RegistryError> {
        let (user_agent, timeout) = (options.user_agent.clone(), options.timeout);
        let (authorities, identity) = (authorities(options)?, identity(options)?);
        let plain = builder(&user_agent, timeout, guard).tls_certs_only([]).build().map_err(not_set_up)?;
        // A machine without any certificates can still ask plain HTTP, or what the given file vouches for.
        let needs_no_authority = options.plain_http == PlainHttp::Always || !authorities.is_empty();
        let secure = OnceLock::new();
        Ok(Self { plain, secure, authorities, identity, needs_no_authority, user_agent, timeout, guard })
    }

    /// The client for this address.
    ///
    /// # Errors
    /// When TLS is wanted and cannot be set up.
    pub(crate) fn to(&self, url: &Url) -> Result<&reqwest::Client, RegistryError> {
        if url.scheme() == "http" && !PROXIES.iter().any(|name| env::var_os(name).is_some()) {
            return Ok(&self.plain);
        }
        self.secure()
    }

    /// The client for TLS, made where it is not there yet.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(crate) fn secure(&self) -> Result<&reqwest::Client, RegistryError> {
        match self.secure.get() {
            Some(client) => Ok(client),
            None => {
                let client = self.with_tls().map_err(not_set_up)?;
                Ok(self.secure.get_or_init(|| client))
            }
        }
    }

    fn with_tls(&self) -> reqwest::Result<reqwest::Client> {
        let builder = || {
            let builder = builder(&self.user_agent, self.timeout, self.guard);
            match &self.identity {
                Some(identity) => builder.identity(identity.clone()),
                None => builder,
            }
        };
        match builder().tls_certs_merge(self.authorities.clone()).build() {
            Err(_) if self.needs_no_authority => builder().tls_certs_only(self.authorities.clone()).build(),
            built => built,
        }
    }
}

fn builder(user_agent: &str, timeout: Duration, guard: Guarded) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(user_agent)
        // Redirects are followed by hand, so that credentials stay where they belong.
        .redirect(redirect::Policy::none())
        .connect_timeout(timeout.min(Duration::from_secs(10)))
        .read_timeout(timeout)
        .dns_resolver(guard)
}

fn not_set_up(error: reqwest::Error) -> RegistryError {
    RegistryError::Setup { what: "TLS".into(), source: Box::new(error) }
}

fn identity(options: &Options) -> Result<Option<Identity>, RegistryError> {
    let Some(path) = &options.client_certificate else { return Ok(None) };
    let what = format!("the client certificate of {}", path.display());
    let bytes =
        std::fs::read(path).map_err(|error| RegistryError::Setup { what: what.clone(), source: error.into() })?;
    Identity::from_pem(&bytes).map(Some).map_err(|error| RegistryError::Setup { what, source: error.into() })
}

fn authorities(options: &Options) -> Result<Vec<Certificate>, RegistryError> {
    let Some(path) = &options.ca_file else { return Ok(Vec::new()) };
    let what = format!("the certificates of {}", path.display());
    let bytes =
        std::fs::read(path).map_err(|error| RegistryError::Setup { what: what.clone(), source: error.into() })?;
    let found = Certificate::from_pem_bundle(&bytes)
        .map_err(|error| RegistryError::Setup { what: what.clone(), source: error.into() })?;
    if found.is_empty() {
        return Err(RegistryError::Setup { what, source: "there is no PEM certificate in the file".into() });
    }
    Ok(found)
}
