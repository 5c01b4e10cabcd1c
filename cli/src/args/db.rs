//! The arguments of `portcullis db …`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, builder::BoolishValueParser};
use portcullis_updates::{DEFAULT_EPSS, DEFAULT_EXPORT, DEFAULT_KEV};

use super::{SignerArgs, parse_duration};

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum DbCommand {
    /// Fetch what is new, and put the new database in place of the old one.
    Update(DbUpdateArgs),
    /// Compile advisories that are at hand into one file.
    Build {
        /// Folders in the layout of OSV's public export, and CISA's and FIRST's files.
        #[arg(long, value_name = "DIR", required = true)]
        from: Vec<PathBuf>,
        /// The file to write.
        #[arg(short, long, value_name = "FILE", default_value = "portcullis.db")]
        output: PathBuf,
    },
    /// Put a database into a registry, signed, for others to take with `db update --from oci://…`.
    Publish(DbPublishArgs),
    /// Write a database with its signature into one file, for a network that is not connected.
    Export(DbExportArgs),
    /// Take the database of a file that `db export` wrote.
    Import(DbImportArgs),
    /// Say what a database holds, how old it is and where it came from.
    Status {
        #[command(flatten)]
        db: DbArg,
    },
    /// Check every byte of a database.
    Verify {
        #[command(flatten)]
        db: DbArg,
    },
    /// Find the records of an advisory or CVE.
    Search {
        /// The id.
        id: String,
        #[command(flatten)]
        db: DbArg,
    },
}

/// Which database.
#[derive(Debug, Clone, Args)]
pub(crate) struct DbArg {
    /// The database, or `starter`; by default the one that `db update` keeps, else the starter.
    #[arg(long, env = "PORTCULLIS_DB", value_name = "FILE")]
    pub(crate) db: Option<PathBuf>,
}

/// How servers and registries are reached.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct NetworkArgs {
    /// Talk to the server without TLS.
    #[arg(long, env = "PORTCULLIS_PLAIN_HTTP", value_parser = BoolishValueParser::new())]
    pub(crate) plain_http: bool,
    /// Further certificate authorities, in PEM.
    #[arg(long, env = "PORTCULLIS_CA_FILE", value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// How long all of it may take, such as 90s or 10m.
    #[arg(long, env = "PORTCULLIS_TIMEOUT", value_name = "TIME", default_value = "30m", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DbUpdateArgs {
    /// OSV's public export, a copy of it, or oci://REGISTRY/REPOSITORY:TAG.
    #[arg(long, env = "PORTCULLIS_FROM", value_name = "ADDRESS", default_value = DEFAULT_EXPORT)]
    pub(crate) from: String,
    /// Only this ecosystem, such as Debian or npm. May be given several times; all by default.
    #[arg(long, env = "PORTCULLIS_ECOSYSTEM", value_name = "NAME", value_delimiter = ',')]
    pub(crate) ecosystem: Vec<String>,
    /// CISA's catalogue of what is exploited, or `none`.
    #[arg(long, env = "PORTCULLIS_KEV", value_name = "ADDRESS", default_value = DEFAULT_KEV)]
    pub(crate) kev: String,
    /// FIRST's scores, or `none`.
    #[arg(long, env = "PORTCULLIS_EPSS", value_name = "ADDRESS", default_value = DEFAULT_EPSS)]
    pub(crate) epss: String,
    /// The database to replace; by default the one that every command uses.
    #[arg(long, env = "PORTCULLIS_DB", value_name = "FILE")]
    pub(crate) db: Option<PathBuf>,
    /// Use no network: build again from what earlier updates have fetched.
    #[arg(long, env = "PORTCULLIS_OFFLINE", value_parser = BoolishValueParser::new(), help_heading = "Network")]
    pub(crate) offline: bool,
    /// Requests at a time.
    #[arg(long, env = "PORTCULLIS_JOBS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64), help_heading = "Network")]
    pub(crate) jobs: Option<u16>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}

/// Whom to believe that an artifact is what it says.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Trust, for oci:// and files")]
pub(crate) struct TrustArgs {
    /// The public key that must have signed: a file, or env://NAME.
    #[arg(long, env = "PORTCULLIS_KEY", value_name = "REF", conflicts_with = "allow_unsigned")]
    pub(crate) key: Option<String>,
    /// Who must have signed, exactly, by a certificate of Sigstore.
    #[arg(long, value_name = "IDENTITY", requires = "certificate_oidc_issuer", conflicts_with = "allow_unsigned")]
    pub(crate) certificate_identity: Option<String>,
    /// Who vouches for the identity, exactly.
    #[arg(long, value_name = "URL", requires = "certificate_identity")]
    pub(crate) certificate_oidc_issuer: Option<String>,
    /// The trust root behind certificates; the public good instance's by default.
    #[arg(long, value_name = "FILE", requires = "certificate_identity")]
    pub(crate) trusted_root: Option<PathBuf>,
    /// Take it without a signature.
    #[arg(long)]
    pub(crate) allow_unsigned: bool,
    /// Take it even if it is older than the one in use, or has much less.
    #[arg(long)]
    pub(crate) allow_rollback: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DbPublishArgs {
    /// Where to: oci://REGISTRY/REPOSITORY:TAG.
    #[arg(value_name = "ADDRESS")]
    pub(crate) to: String,
    /// Publish it without a signature.
    #[arg(long, conflicts_with_all = ["key", "keyless"])]
    pub(crate) unsigned: bool,
    #[command(flatten)]
    pub(crate) signer: SignerArgs,
    #[command(flatten)]
    pub(crate) db: DbArg,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DbExportArgs {
    /// The file to write: an OCI layout in a tar archive.
    pub(crate) file: PathBuf,
    /// Sign it with this private key, in place of the signature that it came with.
    #[arg(long, value_name = "REF")]
    pub(crate) key: Option<String>,
    #[command(flatten)]
    pub(crate) db: DbArg,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DbImportArgs {
    /// The file that `db export` wrote.
    pub(crate) file: PathBuf,
    /// The database to replace; by default the one that every command uses.
    #[arg(long, env = "PORTCULLIS_DB", value_name = "FILE")]
    pub(crate) db: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}
