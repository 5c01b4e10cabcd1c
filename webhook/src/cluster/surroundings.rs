//! What the gate may ask of the cluster: as much as flags allow.

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;
use portcullis_admission::{FoundSecrets, PullIdentity, Surroundings};
use serde_json::Value;

use super::{Namespaces, secrets::Secrets};

/// The cluster around the gate.
pub(crate) struct Around {
    pub(crate) namespaces: Option<Arc<Namespaces>>,
    pub(crate) secrets: Option<Secrets>,
}

impl Surroundings for Around {
    fn namespace<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Option<Arc<Value>>> {
        Box::pin(async move {
            match &self.namespaces {
                Some(namespaces) => namespaces.get(name).await,
                None => None,
            }
        })
    }

    fn pull_secrets<'a>(&'a self, identity: PullIdentity<'a>) -> BoxFuture<'a, FoundSecrets> {
        Box::pin(async move {
            match &self.secrets {
                Some(secrets) => secrets.of(identity).await,
                None => FoundSecrets::default(),
            }
        })
    }
}

impl fmt::Debug for Around {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Around").finish_non_exhaustive()
    }
}
