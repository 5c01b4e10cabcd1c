//! The arguments of evidence: who signs, what is said, and whom to believe.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, builder::BoolishValueParser};

use super::{JudgeArgs, SourceArgs};

/// Who signs, and with which services.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Signing")]
pub(crate) struct SignerArgs {
    /// The private key: a file, env://NAME, or NAME://RESOURCE of a program sigstore-kms-NAME. The password of a file is
    /// taken from COSIGN_PASSWORD.
    #[arg(long, env = "PORTCULLIS_KEY", value_name = "REF", conflicts_with = "keyless")]
    pub(crate) key: Option<String>,
    /// Sign as whoever an identity token names, with a certificate of Sigstore and an entry in its log.
    #[arg(long, env = "PORTCULLIS_KEYLESS", value_parser = BoolishValueParser::new(), conflicts_with = "key")]
    pub(crate) keyless: bool,
    /// With --keyless, the identity token: a file, or env://NAME. By default that of the CI job, or SIGSTORE_ID_TOKEN.
    #[arg(long, env = "PORTCULLIS_IDENTITY_TOKEN", value_name = "REF")]
    pub(crate) identity_token: Option<String>,
    /// With --keyless, the services that sign for identities, a signing config of Sigstore; the public good instance's
    /// by default. Goes with --trusted-root.
    #[arg(long, env = "PORTCULLIS_SIGNING_CONFIG", value_name = "FILE")]
    pub(crate) signing_config: Option<PathBuf>,
    /// With --keyless, the trust root of these services, which what was signed is verified with before it goes anywhere;
    /// that of the public good instance by default. Goes with --signing-config.
    #[arg(long, env = "PORTCULLIS_TRUSTED_ROOT", value_name = "FILE")]
    pub(crate) trusted_root: Option<PathBuf>,
    /// With --key, a timestamp authority (RFC 3161) that witnesses when the key signed.
    #[arg(long, env = "PORTCULLIS_TIMESTAMP_URL", value_name = "URL")]
    pub(crate) timestamp_url: Option<String>,
}

/// How evidence is signed.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Evidence")]
pub(crate) struct SignArgs {
    /// What is said beside the verdict. May be given several times.
    #[arg(long, env = "PORTCULLIS_ATTEST_TYPE", value_enum, value_name = "TYPE", value_delimiter = ',',
        default_values = ["cyclonedx", "vuln"])]
    pub(crate) attest_type: Vec<EvidenceType>,
    /// Also write cosign's older form, the tag sha256-….att.
    #[arg(long, env = "PORTCULLIS_LEGACY_ATT", value_parser = BoolishValueParser::new())]
    pub(crate) legacy_att: bool,
    #[command(flatten)]
    pub(crate) signer: SignerArgs,
}

/// What can be said of an image, by the names that cosign has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum EvidenceType {
    /// Its inventory, in CycloneDX.
    Cyclonedx,
    /// Its inventory, in SPDX.
    Spdxjson,
    /// Its findings, as cosign, policy-controller and Kyverno read them. The gate judges these again.
    Vuln,
    /// Its findings, as in-toto has them.
    Vulns,
    /// What it is affected by and what not, in OpenVEX.
    Openvex,
    /// The digests of all that can be executed in it.
    Executables,
}

/// All of [`JudgeArgs`] and [`AttestedVexArgs`]: they would say nothing of a report, which was judged before.
const JUDGING: [&str; 9] =
    ["db", "policy", "fail_on", "ignore_unfixed", "vex", "vex_key", "vex_identity", "vex_issuer", "vex_trusted_root"];

#[derive(Debug, Clone, Args)]
pub(crate) struct AttestArgs {
    /// The image in its registry, or an oci-dir:.
    pub(crate) image: String,
    /// A report that `scan -o json` wrote, as it was judged; without it the image is scanned and judged now.
    #[arg(long, value_name = "FILE", conflicts_with_all = JUDGING)]
    pub(crate) report: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    #[command(flatten)]
    pub(crate) judge: JudgeArgs,
    #[command(flatten)]
    pub(crate) vex: AttestedVexArgs,
    #[command(flatten)]
    pub(crate) sign: SignArgs,
}

/// Whom to believe.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Trust")]
pub(crate) struct AuthorityArgs {
    /// The public key that must have signed: a file, or env://NAME.
    #[arg(
        long,
        env = "PORTCULLIS_KEY",
        value_name = "REF",
        group = "authority",
        conflicts_with = "certificate_oidc_issuer"
    )]
    pub(crate) key: Option<String>,
    /// Who must have signed, by a certificate of Sigstore: exact, or with * and **, as policies write it.
    #[arg(
        long,
        env = "PORTCULLIS_CERTIFICATE_IDENTITY",
        value_name = "IDENTITY",
        requires = "certificate_oidc_issuer",
        group = "authority"
    )]
    pub(crate) certificate_identity: Option<String>,
    /// Who vouches for the identity, exactly.
    #[arg(
        long,
        env = "PORTCULLIS_CERTIFICATE_OIDC_ISSUER",
        value_name = "URL",
        requires = "certificate_identity",
        conflicts_with = "key"
    )]
    pub(crate) certificate_oidc_issuer: Option<String>,
    /// The trust root behind certificates and timestamps; the public good instance's by default.
    #[arg(long, env = "PORTCULLIS_TRUSTED_ROOT", value_name = "FILE")]
    pub(crate) trusted_root: Option<PathBuf>,
}

/// Whose VEX attestations are taken.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Judgement")]
pub(crate) struct AttestedVexArgs {
    /// Take the VEX attestations beside the image that this public key has signed: a file, or env://NAME.
    #[arg(long, env = "PORTCULLIS_VEX_KEY", value_name = "REF")]
    pub(crate) vex_key: Option<String>,
    /// Take those, too, that this identity has signed, by a certificate of Sigstore: exact, or with * and **.
    #[arg(long, env = "PORTCULLIS_VEX_IDENTITY", value_name = "IDENTITY", requires = "vex_issuer")]
    pub(crate) vex_identity: Option<String>,
    /// Who vouches for that identity, exactly.
    #[arg(long, env = "PORTCULLIS_VEX_ISSUER", value_name = "URL", requires = "vex_identity")]
    pub(crate) vex_issuer: Option<String>,
    /// The trust root behind its certificates; the public good instance's by default.
    #[arg(long, env = "PORTCULLIS_VEX_TRUSTED_ROOT", value_name = "FILE")]
    pub(crate) vex_trusted_root: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct VerifyArgs {
    /// The image in its registry.
    pub(crate) image: String,
    #[command(flatten)]
    pub(crate) authority: AuthorityArgs,
    /// The policy, with its authorities.
    #[arg(
        long,
        env = "PORTCULLIS_POLICY",
        value_name = "FILE",
        group = "authority",
        conflicts_with_all = ["certificate_oidc_issuer", "max_age"]
    )]
    pub(crate) policy: Option<PathBuf>,
    /// The oldest verdict that counts, such as 24h. With --policy, the policy says.
    #[arg(long, env = "PORTCULLIS_MAX_AGE", value_name = "AGE")]
    pub(crate) max_age: Option<String>,
    /// Print the decision as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Tell the whole chain: who said what, when, with what, and why that suffices or not.
    #[arg(long, value_enum, value_name = "text|markdown|html", num_args = 0..=1, require_equals = true,
        default_missing_value = "text", conflicts_with = "json")]
    pub(crate) explain: Option<Shape>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

/// How something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// Plain lines.
    Text,
    /// Markdown.
    Markdown,
    /// A page.
    Html,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum EvidenceCommand {
    /// List what lies beside an image; with an authority, whether it vouches for it.
    List(EvidenceListArgs),
    /// Write the bundles beside an image to files.
    Download {
        /// The folder to write to.
        #[arg(long, value_name = "DIR", default_value = ".")]
        output_dir: PathBuf,
        #[command(flatten)]
        list: EvidenceListArgs,
    },
    /// Remove older verdicts of an authority, with what they rest on. Others' evidence stays.
    Prune {
        /// How many of the newest verdicts of each policy stay.
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
        keep: u16,
        /// Say what would be removed, and remove nothing.
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        list: EvidenceListArgs,
    },
}

#[derive(Debug, Clone, Args)]
pub(crate) struct EvidenceListArgs {
    /// The image in its registry, or an oci-dir:.
    pub(crate) image: String,
    #[command(flatten)]
    pub(crate) authority: AuthorityArgs,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct SignBlobArgs {
    /// The file to sign.
    pub(crate) file: PathBuf,
    /// Where to write the Sigstore bundle.
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: PathBuf,
    #[command(flatten)]
    pub(crate) signer: SignerArgs,
    /// Further certificate authorities for the services that sign, a PEM file.
    #[arg(long, env = "PORTCULLIS_CA_FILE", value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// The file is an in-toto statement: sign it as an attestation of what it speaks of.
    #[arg(long)]
    pub(crate) statement: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct VerifyBundleArgs {
    /// The bundle.
    #[arg(long, value_name = "FILE")]
    pub(crate) bundle: PathBuf,
    /// Who must have signed, exactly.
    #[arg(long, value_name = "IDENTITY", requires = "certificate_oidc_issuer", required_unless_present = "key")]
    pub(crate) certificate_identity: Option<String>,
    /// Who vouches for the identity, exactly.
    #[arg(long, value_name = "URL", requires = "certificate_identity")]
    pub(crate) certificate_oidc_issuer: Option<String>,
    /// The public key that must have signed.
    #[arg(long, value_name = "PEM", conflicts_with = "certificate_identity")]
    pub(crate) key: Option<PathBuf>,
    /// The trust root; the public good instance's by default.
    #[arg(long, value_name = "FILE")]
    pub(crate) trusted_root: Option<PathBuf>,
    /// The file that was signed, or its digest.
    #[arg(value_name = "FILE|sha256:DIGEST")]
    pub(crate) artifact: String,
}
