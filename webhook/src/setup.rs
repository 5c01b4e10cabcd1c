//! From arguments to a running server.

use std::{
    collections::BTreeSet,
    net::TcpListener,
    path::PathBuf,
    sync::{Arc, Mutex, RwLock, atomic::AtomicBool},
    time::Duration,
};

use axum_server::{Handle, tls_rustls::RustlsConfig};
use portcullis_admission::{Gate, Options, PolicySet, Surroundings};
use portcullis_attest::TrustRoot;
use portcullis_registry::{Client, Credentials};
use tokio::sync::Notify;

use crate::{
    args::{Args, ClusterArgs, EvidenceArgs, ServerArgs},
    authority::{self, Wanted},
    certs::{self, Pair},
    cluster::{self, Around, Certificates, Events, Namespaces, Recheck, Reports, Secrets},
    error::SetupError,
    memory,
    metrics::Metrics,
    policies::{self, PolicyFiles, read_bounded},
    reload::{Files, reload},
    server::{Bodies, end, router},
    state::{Server, Sources},
    traces::Spans,
};

/// A connection that asks nothing is closed.
const FIRST_REQUEST: Duration = Duration::from_secs(10);
/// Requests of one connection at the same time.
const STREAMS: u32 = 128;
/// What may come of a body before it is read. A connection takes as much of all its requests together: so those that
/// wait for their turn leave room for those whose turn it is.
const STREAM_WINDOW: u32 = 64 << 10;
const MAX_TRUSTED_ROOT_BYTES: u64 = 4 << 20;

/// Runs until SIGTERM or SIGINT. `spans`: what becomes of those that are sent.
pub(crate) async fn serve(args: Args, spans: Option<Arc<Spans>>) -> Result<(), SetupError> {
    let Args { policy, exemption, unmatched, enforce_workloads, trusted_root, .. } = &args;
    let EvidenceArgs { evidence_lifetime, cache_file } = &args.evidence;
    let (policy, exemption, server) = (policy.clone(), exemption.clone(), &args.server);
    let PolicyFiles { policies, exemptions, digest } = policies::read(&policy, &exemption)?;
    let files = PolicySet { policies, exemptions, ..PolicySet::default() };
    let around = Connected::new(&args.cluster, server.certificate_secret.is_some()).await?;
    let trust_root = trusted_root.clone().map(read_trust_root).transpose()?;
    let timeout = server.timeout();
    let options = Options {
        unmatched: (*unmatched).into(),
        enforce_workloads: *enforce_workloads,
        time_limit: timeout,
        trust_root: trust_root.clone(),
        now: None,
        surroundings: around.surroundings(args.cluster.pull_secrets),
        allowed_registries: args.registry.allow_registry.clone(),
        evidence_lifetime: Duration::from_secs(evidence_lifetime.seconds().unsigned_abs()),
        max_looks: usize::from(server.max_reviews),
    };
    let client = Client::new(args.registry.options(timeout), Credentials::from_environment()?)?.with_tls_ready()?;
    let gate = Gate::new(files, client, options)?;
    for policy in gate.policies() {
        tracing::info!(policy = policy.name, digest = %policy.digest, audit = policy.audit, "asks");
    }
    let keeper = cache_file.clone().map(|path| {
        memory::load(&path, &gate);
        memory::Keeper::new(path)
    });
    let (tls, pair) = match (&server.certificate_secret, &around.client) {
        (Some(secret), Some(client)) => shared_certificate(client.clone(), secret.clone(), server).await?,
        _ => certs::config(server).await?,
    };
    let shared = Arc::new(Server {
        sources: Mutex::new(Sources { files: gate.set().clone(), ..Sources::default() }),
        gate: RwLock::new(Arc::new(gate)),
        waits_for_policies: AtomicBool::new(args.cluster.policies_from_cluster),
        namespaces: around.namespaces.clone(),
        events: around.client.clone().filter(|_| args.cluster.events).map(Events::start),
        reports: around.client.clone().filter(|_| args.cluster.reports).map(Reports::new),
        bodies: Bodies::default(),
        limit: timeout + Duration::from_secs(1),
        metrics: Metrics::with(spans),
        is_ending: AtomicBool::new(false),
        changed: Notify::new(),
    });
    let recheck = around
        .client
        .clone()
        .zip(args.cluster.recheck)
        .map(|(client, every)| Arc::new(Recheck::new(client, Duration::from_secs(every.seconds().unsigned_abs()))));
    around.start(&shared, &args.cluster, recheck.as_ref(), trust_root);
    let files = Files { policy, exemption, digest, certificate: certs::files(server), pair };
    tokio::spawn(reload(Arc::clone(&shared), files, tls.clone()));
    let served = listen(server, shared, tls, keeper).await;
    if let Some(recheck) = recheck {
        recheck.release().await;
    }
    served
}

/// Takes connections until the end, and keeps what is remembered.
async fn listen(
    args: &ServerArgs,
    shared: Arc<Server>,
    tls: RustlsConfig,
    mut keeper: Option<memory::Keeper>,
) -> Result<(), SetupError> {
    let failed = |source| SetupError::Listen { address: args.listen, source };
    let listener = TcpListener::bind(args.listen).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let handle = Handle::new();
    tokio::spawn(end(Arc::clone(&shared), handle.clone(), args.timeout()));
    tracing::info!(%address, "listening");
    let mut serving = axum_server::from_tcp_rustls(listener, tls)
        .map_err(failed)?
        .handle(handle)
        .first_request_timeout(FIRST_REQUEST);
    let mut http2 = serving.http_builder().http2();
    http2.max_concurrent_streams(STREAMS).initial_stream_window_size(STREAM_WINDOW);
    http2.initial_connection_window_size(STREAMS * STREAM_WINDOW);
    let mut serving = std::pin::pin!(serving.serve(router(Arc::clone(&shared)).into_make_service()));
    let mut ticks = tokio::time::interval(memory::WRITE);
    let served = loop {
        tokio::select! {
            served = &mut serving => break served,
            _ = ticks.tick() => keeper.iter_mut().for_each(|keeper| keeper.write(&shared.gate())),
        }
    };
    keeper.iter_mut().for_each(|keeper| keeper.write(&shared.gate()));
    served.map_err(SetupError::Serve)?;
    tracing::info!("ended");
    Ok(())
}

/// The cluster, as far as flags ask for it.
struct Connected {
    client: Option<kube::Client>,
    namespaces: Option<Arc<Namespaces>>,
}

impl Connected {
    async fn new(args: &ClusterArgs, needs_secret: bool) -> Result<Self, SetupError> {
        let ClusterArgs { policies_from_cluster, pull_secrets, events, recheck, reports, kubeconfig } = args;
        if *reports && recheck.is_none() {
            return Err(SetupError::ReportsAlone);
        }
        let is_needed = *policies_from_cluster || *pull_secrets || *events || recheck.is_some() || needs_secret;
        let client = match is_needed {
            true => Some(cluster::connect(kubeconfig.as_ref()).await?),
            false => None,
        };
        let namespaces = client.as_ref().filter(|_| *policies_from_cluster).map(cluster::namespaces);
        Ok(Self { client, namespaces })
    }

    fn surroundings(&self, pull_secrets: bool) -> Option<Arc<dyn Surroundings>> {
        let client = self.client.clone()?;
        let secrets = pull_secrets.then(|| Secrets::new(client));
        Some(Arc::new(Around { namespaces: self.namespaces.clone(), secrets }))
    }

    /// Watches what is to be watched.
    fn start(
        self,
        shared: &Arc<Server>,
        args: &ClusterArgs,
        recheck: Option<&Arc<Recheck>>,
        trust_root: Option<TrustRoot>,
    ) {
        if let Some(namespaces) = self.namespaces {
            tokio::spawn(namespaces.watch());
        }
        let Some(client) = self.client else { return };
        if let Some(recheck) = recheck.cloned() {
            let server = Arc::clone(shared);
            tokio::spawn(async move { recheck.keep(&server).await });
        }
        if args.policies_from_cluster {
            tokio::spawn(cluster::watch_policies(Arc::clone(shared), client, trust_root));
        }
    }
}

/// The certificate of a Secret that all replicas share, looked after from here on.
async fn shared_certificate(
    client: kube::Client,
    secret: (String, String),
    args: &ServerArgs,
) -> Result<(RustlsConfig, Pair), SetupError> {
    let lifetime = Duration::from_secs(args.certificate_lifetime.seconds().unsigned_abs());
    let wanted = Wanted { names: certs::names(args), lifetime };
    let configurations = args.webhook_configuration.clone();
    let mut certificates = Certificates { client, secret, configurations, wanted, missing: BTreeSet::new() };
    let held = certificates.current().await?;
    let tls = authority::tls(&held.pair).await?;
    certificates.publish(&held.authorities).await;
    tokio::spawn(certificates.keep(held.pair.clone(), tls.clone()));
    Ok((tls, held.pair))
}

fn read_trust_root(path: PathBuf) -> Result<TrustRoot, SetupError> {
    let text = read_bounded(&path, MAX_TRUSTED_ROOT_BYTES)?;
    TrustRoot::from_json(&text).map_err(|source| SetupError::TrustRoot { path, source })
}
