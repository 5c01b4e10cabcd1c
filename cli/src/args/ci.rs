//! Arguments of what runs in pipelines.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum, builder::BoolishValueParser};

use portcullis_image::EngineKind;

use super::{BaselineArgs, CacheArgs, JudgeArgs, OutputArgs, parse_duration};

/// How a report is told to a forge.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Forge")]
pub(crate) struct ForgeArgs {
    #[command(flatten)]
    pub(crate) baseline: BaselineArgs,
    /// The name of the check or status, and which comment is edited.
    #[arg(long, value_name = "TEXT", default_value = "portcullis")]
    pub(crate) name: String,
    /// Further certificate authorities, in PEM.
    #[arg(long, env = "PORTCULLIS_CA_FILE", value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// How long the whole command may take, such as 90s or 10m.
    #[arg(long, env = "PORTCULLIS_TIMEOUT", value_name = "TIME", default_value = "15m", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
    /// Exit with the verdict of the report once everything is published.
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub(crate) gate: bool,
}

/// What GitHub is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GithubPart {
    /// The summary of the job.
    Summary,
    /// Annotations on the Dockerfile's lines.
    Annotations,
    /// The outputs of the step.
    Outputs,
    /// Code scanning.
    Sarif,
    /// The comment on the pull request.
    Comment,
    /// A check run.
    Check,
    /// A commit status.
    Status,
}

#[derive(Debug, Clone, Args)]
#[command(after_help = "The token is read from GITHUB_TOKEN, everything else as GitHub Actions sets it.")]
pub(crate) struct GithubArgs {
    /// A report that `scan -o json` wrote.
    pub(crate) report: PathBuf,
    /// What to publish.
    #[arg(
        long,
        env = "PORTCULLIS_PUBLISH",
        value_enum,
        value_delimiter = ',',
        value_name = "LIST",
        default_value = "summary,annotations,sarif"
    )]
    pub(crate) publish: Vec<GithubPart>,
    /// The SARIF file to upload; by default it is made from the report.
    #[arg(long, value_name = "FILE")]
    pub(crate) sarif: Option<PathBuf>,
    /// The category of the SARIF upload; by default the one that the file names.
    #[arg(long, value_name = "TEXT")]
    pub(crate) category: Option<String>,
    /// The Dockerfile of the image: annotations then point to its lines.
    #[arg(long, env = "PORTCULLIS_DOCKERFILE", value_name = "FILE")]
    pub(crate) dockerfile: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) forge: ForgeArgs,
}

/// What GitLab is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GitlabPart {
    /// The note on the merge request.
    Note,
    /// A commit status.
    Status,
    /// A generic package with the report.
    Package,
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "The token is read from PORTCULLIS_GITLAB_TOKEN, else CI_JOB_TOKEN, which may upload packages and nothing more.\n\
                  Without --ca-file, the authorities are those of CI_SERVER_TLS_CA_FILE."
)]
pub(crate) struct GitlabArgs {
    /// A report that `scan -o json` wrote.
    pub(crate) report: PathBuf,
    /// What to publish.
    #[arg(
        long,
        env = "PORTCULLIS_PUBLISH",
        value_enum,
        value_delimiter = ',',
        value_name = "LIST",
        default_value = "note,status"
    )]
    pub(crate) publish: Vec<GitlabPart>,
    /// The generic package that is uploaded to; `portcullis` in the version of the commit by default.
    #[arg(long, value_name = "NAME[/VERSION]")]
    pub(crate) package: Option<String>,
    /// A further file for the package. May be given several times.
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    pub(crate) package_file: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) forge: ForgeArgs,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum CiCommand {
    /// Scan the images of this machine's engine that are tagged for it, as they appear: the CI/CD sensor.
    Watch(WatchArgs),
    /// Wait for the sensor's result of an image, and exit with its verdict.
    Wait(WaitArgs),
    /// Say why a report's verdict is what it is, and exit with it.
    Gate(GateArgs),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct GateArgs {
    /// A report that `scan -o json` wrote.
    pub(crate) report: PathBuf,
    #[command(flatten)]
    pub(crate) baseline: BaselineArgs,
}

/// Whose images, which of them, and where their results are.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sensor")]
pub(crate) struct CiPlaceArgs {
    /// The engine, found as its own command line finds it.
    #[arg(long, env = "PORTCULLIS_CI_ENGINE", value_enum, default_value = "docker")]
    pub(crate) engine: CiEngine,
    /// Tags that ask for a scan; * stands for the id. May be given several times.
    #[arg(
        long,
        env = "PORTCULLIS_CI_PATTERN",
        value_name = "PATTERN",
        value_delimiter = ',',
        default_values = ["portcullis-target:*", "qualys_scan_target:*"]
    )]
    pub(crate) pattern: Vec<String>,
    /// The folder of results.
    #[arg(long, env = "PORTCULLIS_CI_RESULTS", value_name = "DIR", default_value = "/var/lib/portcullis/ci")]
    pub(crate) results: PathBuf,
}

/// An engine whose events are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CiEngine {
    /// Docker.
    Docker,
    /// Podman, through its socket.
    Podman,
    /// containerd: the namespace of CONTAINERD_NAMESPACE, else `default`.
    Containerd,
}

impl From<CiEngine> for EngineKind {
    fn from(engine: CiEngine) -> Self {
        match engine {
            CiEngine::Docker => Self::Docker,
            CiEngine::Podman => Self::Podman,
            CiEngine::Containerd => Self::Containerd,
        }
    }
}

#[derive(Debug, Clone, Args)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    pub(crate) place: CiPlaceArgs,
    /// Images scanned at a time; as many as there are processors by default.
    #[arg(long, env = "PORTCULLIS_CI_WORKERS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) workers: Option<u16>,
    /// How long one image may take; what takes longer is incomplete.
    #[arg(long, env = "PORTCULLIS_CI_DEADLINE", value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
    pub(crate) deadline: Duration,
    /// Leave the tag on the image when it is done.
    #[arg(long, env = "PORTCULLIS_CI_KEEP_TAG", value_parser = BoolishValueParser::new())]
    pub(crate) keep_tag: bool,
    /// Scan what is tagged now, and end.
    #[arg(long)]
    pub(crate) once: bool,
    #[command(flatten)]
    pub(crate) scan: CiScanArgs,
}

/// How the sensor scans.
#[derive(Debug, Clone, Args)]
pub(crate) struct CiScanArgs {
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
    /// A table of Java archives, for those that do not say what they are: lines of `SHA1 group:artifact:version`, sorted.
    #[arg(long, env = "PORTCULLIS_JAVA_INDEX", value_name = "FILE", help_heading = "Source")]
    pub(crate) java_index: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct WaitArgs {
    /// The image: a name, or an id (sha256:…).
    pub(crate) image: String,
    #[command(flatten)]
    pub(crate) place: CiPlaceArgs,
    /// How long to wait; beyond it the result is incomplete (44).
    #[arg(long, env = "PORTCULLIS_TIMEOUT", value_name = "TIME", default_value = "15m", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
    /// The oldest result that counts.
    #[arg(long, env = "PORTCULLIS_MAX_AGE", value_name = "AGE", default_value = "1h", value_parser = parse_duration)]
    pub(crate) max_age: Duration,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
