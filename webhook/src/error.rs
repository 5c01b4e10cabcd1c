//! What keeps the webhook from starting.

use std::{io, net::SocketAddr, path::PathBuf};

use portcullis_admission::GateError;
use portcullis_errors::Hint;
use portcullis_policy::PolicyError;
use portcullis_registry::{CredentialsError, RegistryError};

/// Why the webhook cannot start, or a reload is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge { path: PathBuf, limit: u64 },
    #[error("there is no policy in {}", .0.display())]
    EmptyFolder(PathBuf),
    #[error("two policies are called {0}")]
    TwoPolicies(String),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error(transparent)]
    Gate(#[from] GateError),
    #[error("cannot use the trusted root {}", path.display())]
    TrustRoot {
        path: PathBuf,
        #[source]
        source: portcullis_attest::TrustRootError,
    },
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("cannot read the registry credentials")]
    Credentials(#[from] CredentialsError),
    #[error("cannot issue a certificate")]
    Issue(#[from] rcgen::Error),
    #[error("cannot write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot use the certificate {}", path.display())]
    Certificate {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("cannot reach the cluster: {reason}")]
    Cluster { reason: String },
    #[error("Reports are of the look at running Pods, which is not asked for")]
    ReportsAlone,
    #[error("traces cannot be sent to the collector: {reason}")]
    Traces { reason: String },
    #[error("the server failed")]
    Serve(#[source] io::Error),
}

impl Hint for SetupError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Policy(error) => error.hint(),
            Self::Gate(error) => error.hint(),
            Self::Registry(error) => error.hint(),
            Self::Credentials(error) => error.hint(),
            Self::EmptyFolder(_) => Some("a folder of policies holds files that end in .yaml, .yml or .json".into()),
            Self::TwoPolicies(_) => Some("rename one of them".into()),
            Self::Certificate { .. } => {
                Some("both files are PEM: the certificate with its chain, and its private key".into())
            }
            Self::Cluster { .. } => {
                Some("name a file with `--kubeconfig`, or run where a service account's token is mounted".into())
            }
            Self::Traces { .. } => {
                Some("name it as `--otlp-endpoint http://collector:4318`; the environment's `OTEL_…` count, too".into())
            }
            Self::ReportsAlone => Some("say how often, such as `--recheck 1h`, or leave `--reports` out".into()),
            Self::Listen { .. } => Some("choose another address with `--listen`".into()),
            _ => None,
        }
    }
}
