//! The cluster around the webhook: policies kept as custom resources, and namespaces with their labels. Without flags
//! that ask for it, nothing here runs and no API server is needed.

mod certificates;
mod events;
mod namespaces;
mod policies;
mod recheck;
mod reports;
mod secrets;
mod status;
mod surroundings;

use std::{path::PathBuf, sync::Arc, time::Duration};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

pub(crate) use certificates::Certificates;
pub(crate) use events::Events;
pub(crate) use namespaces::Namespaces;
pub(crate) use policies::watch as watch_policies;
pub(crate) use recheck::{Counts, Recheck};
pub(crate) use reports::Reports;
pub(crate) use secrets::Secrets;
pub(crate) use surroundings::Around;

use crate::error::SetupError;

/// No request to the API server that is not a watch takes longer.
const REQUEST: Duration = Duration::from_secs(5);
/// The API server ends a watch after five minutes at most, as it is asked to; one that says nothing for longer is lost.
const SILENCE: Duration = Duration::from_secs(330);

/// A client of the API server: of the file, of `KUBECONFIG`, or of the Pod's own service account.
pub(crate) async fn connect(kubeconfig: Option<&PathBuf>) -> Result<Client, SetupError> {
    let refused = |reason: String| SetupError::Cluster { reason };
    let mut config = match kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path).map_err(|error| refused(error.to_string()))?;
            let options = KubeConfigOptions::default();
            Config::from_custom_kubeconfig(file, &options).await.map_err(|error| refused(error.to_string()))?
        }
        None => Config::infer().await.map_err(|error| refused(error.to_string()))?,
    };
    config.connect_timeout = Some(REQUEST);
    config.read_timeout = Some(SILENCE);
    Client::try_from(config).map_err(|error| refused(error.to_string()))
}

/// Why the API server gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    /// It refuses, or cannot be reached.
    #[error("{}", told(.0))]
    Error(kube::Error),
    /// It says nothing.
    #[error("the API server does not answer")]
    Silent,
}

impl Unanswered {
    /// Whether somebody else was faster.
    pub(crate) fn is_outrun(&self) -> bool {
        matches!(self, Self::Error(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists())
    }

    /// Where a list that has grown too old goes on, if the API server says so: with what is there by now.
    pub(crate) fn remainder(&self) -> Option<&str> {
        let Self::Error(kube::Error::Api(status)) = self else { return None };
        let next = status.metadata.as_ref()?.continue_.as_deref();
        next.filter(|token| status.code == 410 && !token.is_empty())
    }

    /// Whether what it is about is not there: the object, or its whole kind, of which the API server says so in a text
    /// without a reason.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Error(kube::Error::Api(status)) if status.code == 404)
    }
}

/// Waits for a single request, for a while.
pub(crate) async fn asked<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Unanswered> {
    match tokio::time::timeout(REQUEST, request).await {
        Ok(answered) => answered.map_err(Unanswered::Error),
        Err(_elapsed) => Err(Unanswered::Silent),
    }
}

/// What went wrong with a request, in one line.
fn told(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} ({})", status.message, status.code),
        other => portcullis_errors::chain(other),
    }
}

/// Namespaces that are watched, as the gate asks for them.
pub(crate) fn namespaces(client: &Client) -> Arc<Namespaces> {
    Arc::new(Namespaces::new(client.clone()))
}
