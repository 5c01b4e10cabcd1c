//! The command line. Each flag can be set as `PORTCULLIS_<FLAG>` too; those of OpenTelemetry by its own variables.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, Parser, ValueEnum, builder::FalseyValueParser};
use portcullis_admission::Unmatched;
use portcullis_policy::{Age, Pattern};
use portcullis_registry::{Options, PlainHttp};
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{FilterExt as _, LevelFilter, filter_fn},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::traces::{Traces, is_told_already};

/// Admits only images with passing, fresh, trusted attestations.
#[derive(Debug, Parser)]
#[command(name = "portcullis-webhook", version, about, max_term_width = 100)]
pub(crate) struct Args {
    /// A policy, or a folder of them; may be repeated. Read again when a file changes, and on SIGHUP.
    #[arg(
        long,
        env = "PORTCULLIS_POLICY",
        value_name = "FILE",
        required_unless_present = "policies_from_cluster",
        value_delimiter = ','
    )]
    pub(crate) policy: Vec<PathBuf>,
    /// Exemptions from policies, or a folder of them; may be repeated. Read again as policies are.
    #[arg(long, env = "PORTCULLIS_EXEMPTION", value_name = "FILE", value_delimiter = ',')]
    pub(crate) exemption: Vec<PathBuf>,
    /// What becomes of images that no policy speaks of.
    #[arg(long, env = "PORTCULLIS_UNMATCHED", value_enum, default_value_t = UnmatchedArg::Deny)]
    pub(crate) unmatched: UnmatchedArg,
    /// Refuse Deployments and the like, too; else they get warnings, and their Pods are refused.
    #[arg(long, env = "PORTCULLIS_ENFORCE_WORKLOADS", value_parser = FalseyValueParser::new())]
    pub(crate) enforce_workloads: bool,
    /// The authorities behind keyless signatures, a trusted_root.json; the public Sigstore instance if left out.
    #[arg(long, env = "PORTCULLIS_TRUSTED_ROOT", value_name = "FILE")]
    pub(crate) trusted_root: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) evidence: EvidenceArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(flatten)]
    pub(crate) traces: TraceArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum UnmatchedArg {
    /// They are refused.
    Deny,
    /// They are let in.
    Allow,
}

impl From<UnmatchedArg> for Unmatched {
    fn from(argument: UnmatchedArg) -> Self {
        match argument {
            UnmatchedArg::Deny => Self::Deny,
            UnmatchedArg::Allow => Self::Allow,
        }
    }
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Kubernetes")]
pub(crate) struct ClusterArgs {
    /// Watch the cluster's ImagePolicies, ClusterImagePolicies and PolicyExemptions, beside the files. Namespaces are
    /// watched too, for `namespaceSelector`.
    #[arg(long, env = "PORTCULLIS_POLICIES_FROM_CLUSTER", value_parser = FalseyValueParser::new())]
    pub(crate) policies_from_cluster: bool,
    /// Ask registries with the pull secrets of the Pod or of its service account, as the kubelet does, and with
    /// the webhook's own credentials.
    #[arg(long, env = "PORTCULLIS_PULL_SECRETS", value_parser = FalseyValueParser::new())]
    pub(crate) pull_secrets: bool,
    /// Send an Event to the owner of what is refused, or is let in by an exemption.
    #[arg(long, env = "PORTCULLIS_EVENTS", value_parser = FalseyValueParser::new())]
    pub(crate) events: bool,
    /// Look at running Pods again every so often, and tell of those that would be refused now.
    #[arg(long, env = "PORTCULLIS_RECHECK", value_name = "TIME")]
    pub(crate) recheck: Option<Age>,
    /// Write what that look finds as Reports of openreports.io, one for each owner of Pods. Needs --recheck.
    #[arg(long, env = "PORTCULLIS_REPORTS", value_parser = FalseyValueParser::new())]
    pub(crate) reports: bool,
    /// How to reach the API server; `KUBECONFIG` or the Pod's service account if left out.
    #[arg(long, env = "PORTCULLIS_KUBECONFIG", value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArgs {
    /// Where to listen, with TLS.
    #[arg(long, env = "PORTCULLIS_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    pub(crate) listen: SocketAddr,
    /// The certificate with its chain, PEM. Read again when it changes.
    #[arg(long, env = "PORTCULLIS_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's private key, PEM.
    #[arg(long, env = "PORTCULLIS_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Without --tls-cert a certificate is issued at the start: its authority is written here, for `caBundle`.
    #[arg(long, env = "PORTCULLIS_CA_OUT", value_name = "FILE", conflicts_with = "tls_cert")]
    pub(crate) ca_out: Option<PathBuf>,
    /// Keep the certificate and its authority in this Secret, made and renewed as needed, for all replicas.
    #[arg(
        long,
        env = "PORTCULLIS_CERTIFICATE_SECRET",
        value_name = "NAMESPACE/NAME",
        conflicts_with_all = ["tls_cert", "ca_out"],
        value_parser = namespace_and_name
    )]
    pub(crate) certificate_secret: Option<(String, String)>,
    /// A webhook configuration whose `caBundle` fields are kept in step with that authority; may be repeated.
    #[arg(
        long,
        env = "PORTCULLIS_WEBHOOK_CONFIGURATION",
        value_name = "NAME",
        value_delimiter = ',',
        default_value = "portcullis-webhook"
    )]
    pub(crate) webhook_configuration: Vec<String>,
    /// How long the certificate in the Secret lives; it is renewed when a third of that is left.
    #[arg(long, env = "PORTCULLIS_CERTIFICATE_LIFETIME", value_name = "TIME", default_value = "90d")]
    pub(crate) certificate_lifetime: Age,
    /// Names in the issued certificate, beside localhost and the address.
    #[arg(
        long,
        env = "PORTCULLIS_TLS_NAME",
        value_name = "NAME",
        value_delimiter = ',',
        default_value = "portcullis-webhook.portcullis.svc"
    )]
    pub(crate) tls_name: Vec<String>,
    /// How long one image's answer may take: less than the webhook's timeoutSeconds.
    #[arg(long, env = "PORTCULLIS_WEBHOOK_TIMEOUT", value_name = "TIME", default_value = "8s")]
    pub(crate) timeout: Age,
    /// Looks at registries at the same time, half of them at one host; others wait.
    #[arg(long, env = "PORTCULLIS_MAX_REVIEWS", value_name = "N", default_value_t = 64,
          value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) max_reviews: u16,
}

fn namespace_and_name(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok((namespace.to_owned(), name.to_owned()))
        }
        _ => Err("write it as NAMESPACE/NAME".to_owned()),
    }
}

impl ServerArgs {
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout.seconds().unsigned_abs())
    }
}

#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Registries")]
pub(crate) struct RegistryArgs {
    /// A registry that is asked without TLS, as it stands in image names; may be repeated.
    #[arg(long, env = "PORTCULLIS_WEBHOOK_PLAIN_HTTP", value_name = "HOST", value_delimiter = ',')]
    pub(crate) plain_http: Vec<String>,
    /// Certificates of further authorities of registries, PEM.
    #[arg(long, env = "PORTCULLIS_REGISTRY_CA", value_name = "FILE")]
    pub(crate) registry_ca: Option<PathBuf>,
    /// A registry that may be asked, as its host stands in image names, or with `*`; all if left out. May be repeated.
    #[arg(long, env = "PORTCULLIS_ALLOW_REGISTRY", value_name = "HOST", value_delimiter = ',')]
    pub(crate) allow_registry: Vec<Pattern>,
    /// Ask no registry at a private or loopback address.
    #[arg(long, env = "PORTCULLIS_PUBLIC_REGISTRIES_ONLY", value_parser = FalseyValueParser::new())]
    pub(crate) public_registries_only: bool,
}

impl RegistryArgs {
    /// The client's options. It repeats little: the API server waits.
    pub(crate) fn options(&self, timeout: Duration) -> Options {
        let Self { plain_http, registry_ca, allow_registry: _, public_registries_only } = self.clone();
        Options {
            plain_http: if plain_http.is_empty() { PlainHttp::Never } else { PlainHttp::Hosts(plain_http) },
            ca_file: registry_ca,
            timeout,
            retries: 2,
            max_wait: Duration::from_secs(1),
            allow_private: !public_registries_only,
            user_agent: concat!("portcullis-webhook/", env!("CARGO_PKG_VERSION")).to_owned(),
            ..Options::default()
        }
    }
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Evidence")]
pub(crate) struct EvidenceArgs {
    /// How long evidence counts while its registry cannot be asked; a policy's `maxAge` counts all the same.
    #[arg(long, env = "PORTCULLIS_EVIDENCE_LIFETIME", value_name = "TIME", default_value = "24h")]
    pub(crate) evidence_lifetime: Age,
    /// A file that keeps evidence from one start to the next. It is verified anew whenever it is used.
    #[arg(long, env = "PORTCULLIS_CACHE_FILE", value_name = "FILE")]
    pub(crate) cache_file: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Logs")]
pub(crate) struct LogArgs {
    /// How log lines are written.
    #[arg(long, env = "PORTCULLIS_LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub(crate) log_format: LogFormat,
    /// What is logged: `error`, `warn`, `info`, `debug`, or a filter such as `info,portcullis_registry=debug`.
    #[arg(long, env = "PORTCULLIS_LOG", value_name = "FILTER", default_value = "info")]
    pub(crate) log: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl LogArgs {
    /// Sends log lines to stderr from here on, and spans to where traces go.
    pub(crate) fn start(&self, traces: Option<&Traces>) {
        let filter = EnvFilter::try_new(&self.log).unwrap_or_else(|_| EnvFilter::new("info"));
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let lines = match self.log_format {
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
            LogFormat::Text => lines.with_ansi(false).boxed(),
        };
        let news = filter_fn(|line| !is_told_already(line)).with_max_level_hint(LevelFilter::TRACE);
        let spans = traces.map(Traces::layer);
        tracing_subscriber::registry().with(lines.with_filter(filter.and(news))).with(spans).init();
        if let Some(traces) = traces {
            traces.tell();
        }
    }
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Traces")]
pub(crate) struct TraceArgs {
    /// Send traces to a collector of OpenTelemetry, by OTLP over HTTP in protobuf: its address, without `/v1/traces`.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub(crate) otlp_endpoint: Option<String>,
    /// Certificates of further authorities of the collector, PEM.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_CERTIFICATE", value_name = "FILE")]
    pub(crate) otlp_ca: Option<PathBuf>,
}
