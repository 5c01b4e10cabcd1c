//! The arguments, as users type them. The doc comments are the help texts.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, builder::BoolishValueParser};

mod ci;
mod db;
mod evidence;
mod shared;
mod typed;

pub(crate) use ci::{
    CiCommand, CiPlaceArgs, CiScanArgs, ForgeArgs, GateArgs, GithubArgs, GithubPart, GitlabArgs, GitlabPart, WaitArgs,
    WatchArgs,
};
pub(crate) use db::{DbCommand, DbExportArgs, DbImportArgs, DbPublishArgs, DbUpdateArgs, NetworkArgs, TrustArgs};
pub(crate) use evidence::{
    AttestArgs, AttestedVexArgs, AuthorityArgs, EvidenceCommand, EvidenceListArgs, EvidenceType, Shape, SignArgs,
    SignBlobArgs, SignerArgs, VerifyArgs, VerifyBundleArgs,
};
pub(crate) use shared::{BaselineArgs, CacheArgs, CachePlaceArgs, JudgeArgs, OutputArgs, SourceArgs, parse_duration};

/// Guards container images through their whole life: scans them, judges them by policy, signs the verdict, and
/// admits only what passes.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, propagate_version = true, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 pass, 1 error, 2 usage, 42 deny, 43 would deny (audit mode), 44 incomplete.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Global {
    /// Say nothing but errors on stderr.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Say more on stderr: what was tried, and what was left out of use.
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// When to use colour; `NO_COLOR` is honoured.
    #[arg(long, global = true, value_enum, default_value = "auto", env = "PORTCULLIS_COLOR", value_name = "WHEN")]
    pub(crate) color: When,
}

/// When to do something that depends on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Scan an image: what is in it, what is wrong with it, and whether the policy takes it.
    Scan(ScanArgs),
    /// List what is in an image.
    Sbom(SbomArgs),
    /// Sign evidence of a scan and store it beside the image.
    Attest(AttestArgs),
    /// Find the evidence of an image, check it and judge it: what the admission webhook would do.
    Verify(VerifyArgs),
    /// List, fetch and remove the evidence beside an image.
    #[command(subcommand)]
    Evidence(EvidenceCommand),
    /// Decide on a Kubernetes manifest as the admission webhook would.
    Admit(AdmitArgs),
    /// Recompute a recorded verdict: the same bytes, or the input that changed.
    Replay(ReplayArgs),
    /// Say why an advisory does, or does not, apply to a package.
    Explain(ExplainArgs),
    /// Compare two reports.
    Diff(DiffArgs),
    /// Tell GitHub what a report says: code scanning, a comment, a check, a status, the summary of the job.
    Github(GithubArgs),
    /// Tell GitLab what a report says: a note on the merge request, a commit status, a package.
    Gitlab(GitlabArgs),
    /// Run as part of a pipeline.
    #[command(subcommand)]
    Ci(CiCommand),
    /// Update, build, share and look into advisory databases.
    #[command(subcommand)]
    Db(DbCommand),
    /// Check policies.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Make signing keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Sign a file: its content, or the in-toto statement that it holds.
    SignBlob(SignBlobArgs),
    /// Verify one Sigstore bundle: the client protocol of the public conformance suite.
    VerifyBundle(VerifyBundleArgs),
    /// Say what this machine can do.
    Doctor(DoctorArgs),
    /// Look into the layer cache, or empty it.
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Walk the whole chain on this machine, with no network.
    Demo(DemoArgs),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write manual pages.
    Man {
        /// The folder.
        directory: PathBuf,
    },
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ScanArgs {
    /// An image in a registry (repo/name:tag), a path, - for an archive on standard input, or a scheme: registry:,
    /// docker:, podman:, containerd:, cri:, oci-dir:, oci-archive:, docker-archive:, rootfs:, dir:, sbom:.
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
    #[command(flatten)]
    pub(crate) vex: AttestedVexArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Sign the inventory, the findings and the verdict, and store them beside the image.
    #[arg(long, env = "PORTCULLIS_ATTEST", help_heading = "Evidence", value_parser = BoolishValueParser::new())]
    pub(crate) attest: bool,
    #[command(flatten)]
    pub(crate) sign: SignArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct SbomArgs {
    /// As in `scan`.
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct AdmitArgs {
    /// The manifest: YAML or JSON, several documents allowed; - for standard input.
    #[arg(short, long, value_name = "MANIFEST")]
    pub(crate) filename: PathBuf,
    /// The policies.
    #[arg(long, env = "PORTCULLIS_POLICY", value_name = "FILE", required = true)]
    pub(crate) policy: Vec<PathBuf>,
    /// Exemptions from them.
    #[arg(long, env = "PORTCULLIS_EXEMPTION", value_name = "FILE")]
    pub(crate) exemption: Vec<PathBuf>,
    /// The namespace of objects that name none.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// The trust root behind certificates; the public good instance's by default.
    #[arg(long, env = "PORTCULLIS_TRUSTED_ROOT", value_name = "FILE")]
    pub(crate) trusted_root: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ReplayArgs {
    /// A report that `scan -o json` wrote.
    pub(crate) verdict: PathBuf,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ExplainArgs {
    /// An advisory or CVE.
    pub(crate) id: String,
    /// A package URL; or, with --report or --ecosystem, a name or NAME@VERSION.
    pub(crate) package: String,
    /// The report that holds the package, as `scan -o json` wrote it.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// The ecosystem of NAME@VERSION as OSV writes it, such as npm or Debian:12.
    #[arg(long, value_name = "ECOSYSTEM", conflicts_with = "report")]
    pub(crate) ecosystem: Option<String>,
    /// The advisory database.
    #[arg(long, env = "PORTCULLIS_DB", value_name = "FILE")]
    pub(crate) db: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DiffArgs {
    /// The older report (`scan -o json`).
    pub(crate) old: PathBuf,
    /// The newer report.
    pub(crate) new: PathBuf,
    /// Write the newer report in this format, with the older one as its baseline. May be given several times.
    #[arg(short, long, value_name = "FORMAT[=FILE]", value_delimiter = ',')]
    pub(crate) output: Vec<String>,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Check files of policies or exemptions.
    Check {
        /// The files; - for standard input.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Try a policy with the cases beside it: of `baseline.yaml`, those in `baseline.test.yaml`.
    Test {
        /// The policy files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The file of cases, in place of the one beside the policy.
        #[arg(long, value_name = "FILE")]
        cases: Option<PathBuf>,
    },
    /// Say what another policy would have said of scans that are recorded.
    Backtest {
        /// The policy.
        policy: PathBuf,
        /// Reports that `scan -o json` wrote, or folders of them.
        #[arg(required = true)]
        reports: Vec<PathBuf>,
        /// Judge as of now: by default as of the moment of each scan.
        #[arg(long)]
        as_of_now: bool,
    },
    /// Print the schema of policy files.
    Schema {
        /// The custom resource definitions in its place, for `kubectl apply -f -`.
        #[arg(long)]
        crd: bool,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key pair: PREFIX.key, encrypted with COSIGN_PASSWORD, and PREFIX.pub.
    Generate {
        /// Where to write it.
        #[arg(long, value_name = "PREFIX", default_value = "cosign")]
        output_prefix: PathBuf,
    },
    /// Print the public half of a private key.
    Public {
        /// The private key: a file, or env://NAME.
        #[arg(long, env = "PORTCULLIS_KEY", value_name = "REF")]
        key: String,
    },
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DoctorArgs {
    /// The advisory database.
    #[arg(long, env = "PORTCULLIS_DB", value_name = "FILE")]
    pub(crate) db: Option<PathBuf>,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum CacheCommand {
    /// Say where it lies and how much it holds.
    Status {
        #[command(flatten)]
        place: CachePlaceArgs,
    },
    /// Remove all that it holds.
    Clean {
        #[command(flatten)]
        place: CachePlaceArgs,
    },
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DemoArgs {
    /// Where to leave reports, keys and logs.
    #[arg(long, value_name = "DIR", default_value = "portcullis-demo")]
    pub(crate) output: PathBuf,
}
