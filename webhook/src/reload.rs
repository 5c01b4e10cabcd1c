//! Reading again what files hold: policies, exemptions and the certificate. What cannot be used never replaces what works.

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum_server::tls_rustls::RustlsConfig;
use portcullis_admission::PolicySet;
use portcullis_errors::{Hint as _, chain};
use portcullis_model::Digest;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    certs::{self, Pair},
    error::SetupError,
    metrics::add,
    policies::{self, PolicyFiles},
    state::Server,
};

/// How often files are looked at for changes. Kubernetes itself takes up to a minute to renew a mounted ConfigMap.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// The files that are looked at again, and what they held.
pub(crate) struct Files {
    pub(crate) policy: Vec<PathBuf>,
    pub(crate) exemption: Vec<PathBuf>,
    pub(crate) digest: Digest,
    pub(crate) certificate: Option<(PathBuf, PathBuf)>,
    pub(crate) pair: Pair,
}

/// Reads files again on SIGHUP and when they change. What cannot be used is told, and what worked goes on.
pub(crate) async fn reload(server: Arc<Server>, mut files: Files, tls: RustlsConfig) {
    let mut hangups = match signal(SignalKind::hangup()) {
        Ok(hangups) => hangups,
        Err(error) => {
            tracing::error!(%error, "cannot wait for SIGHUP: files are not read again");
            return;
        }
    };
    let mut ticks = tokio::time::interval(LOOK_AGAIN);
    ticks.tick().await;
    loop {
        let is_asked = tokio::select! {
            _ = hangups.recv() => true,
            _ = ticks.tick() => false,
        };
        let outcomes = [reload_policies(&server, &mut files, is_asked), reload_certificate(&mut files, &tls).await];
        for outcome in outcomes {
            match outcome {
                Ok(false) => {}
                Ok(true) => add(&server.metrics.reloads),
                Err(error) => {
                    let (hint, error) = (error.hint(), chain(&error));
                    tracing::error!(error, hint, "cannot use what was read again: what worked goes on");
                    add(&server.metrics.failed_reloads);
                }
            }
        }
    }
}

/// Whether policies were replaced. On demand they always are: the key files that they name may have changed.
fn reload_policies(server: &Server, files: &mut Files, is_asked: bool) -> Result<bool, SetupError> {
    let PolicyFiles { policies, exemptions, digest } = policies::read(&files.policy, &files.exemption)?;
    if digest == files.digest && !is_asked {
        return Ok(false);
    }
    let names: Vec<String> = policies.iter().map(|policy| policy.name.clone()).collect();
    server.use_files(PolicySet { policies, exemptions, ..PolicySet::default() })?;
    files.digest = digest;
    tracing::info!(policies = ?names, "policies were read again");
    Ok(true)
}

async fn reload_certificate(files: &mut Files, tls: &RustlsConfig) -> Result<bool, SetupError> {
    let Some(paths) = &files.certificate else { return Ok(false) };
    let pair = certs::read(paths)?;
    if pair == files.pair {
        return Ok(false);
    }
    let reloaded = tls.reload_from_pem(pair.certificate.clone(), pair.key.clone()).await;
    reloaded.map_err(|source| SetupError::Certificate { path: paths.0.clone(), source })?;
    files.pair = pair;
    tracing::info!("the certificate was read again");
    Ok(true)
}
