//! The arguments that commands have in common: how images are reached, how they are judged, what is written.

use std::path::PathBuf;

use clap::{Args, builder::BoolishValueParser};
use portcullis_image::Mirror;
use portcullis_model::SeverityLevel;

use super::{Global, When};

/// How images are reached.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Source")]
pub(crate) struct SourceArgs {
    /// The platform to choose from an index, such as linux/arm64.
    #[arg(long, env = "PORTCULLIS_PLATFORM", value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<String>,
    /// Talk to the registry without TLS.
    #[arg(long, env = "PORTCULLIS_PLAIN_HTTP", value_parser = BoolishValueParser::new())]
    pub(crate) plain_http: bool,
    /// Further certificate authorities, in PEM.
    #[arg(long, env = "PORTCULLIS_CA_FILE", value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// A client certificate and its private key, in one PEM file, for registries that ask for one.
    #[arg(long, env = "PORTCULLIS_CLIENT_CERT", value_name = "FILE")]
    pub(crate) client_cert: Option<PathBuf>,
    /// Where images of a registry are looked for first, such as docker.io=mirror.example/hub. May be given several
    /// times.
    #[arg(long, env = "PORTCULLIS_MIRROR", value_name = "REGISTRY=MIRROR", value_delimiter = ',')]
    pub(crate) mirror: Vec<Mirror>,
    /// How long the whole command may take, such as 90s or 10m.
    #[arg(long, env = "PORTCULLIS_TIMEOUT", value_name = "TIME", default_value = "15m", value_parser = parse_duration)]
    pub(crate) timeout: std::time::Duration,
    /// Use no network.
    #[arg(long, env = "PORTCULLIS_OFFLINE", value_parser = BoolishValueParser::new())]
    pub(crate) offline: bool,
    /// The image that it was built on: its packages are then told from your own. By default it is guessed.
    #[arg(long, env = "PORTCULLIS_BASE", value_name = "IMAGE")]
    pub(crate) base: Option<String>,
    /// A table of Java archives, for those that do not say what they are: lines of `SHA1 group:artifact:version`, sorted.
    #[arg(long, env = "PORTCULLIS_JAVA_INDEX", value_name = "FILE")]
    pub(crate) java_index: Option<PathBuf>,
    /// Layers read at a time; as many as there are processors by default.
    #[arg(long, env = "PORTCULLIS_JOBS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) jobs: Option<u16>,
    /// When to show how far a scan is, on stderr.
    #[arg(
        long,
        value_enum,
        default_value = "auto",
        env = "PORTCULLIS_PROGRESS",
        value_name = "WHEN",
        help_heading = "Output"
    )]
    pub(crate) progress: When,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
}

impl SourceArgs {
    /// Nothing but errors is said where that is asked.
    pub(crate) const fn hush(&mut self, global: &Global) {
        if global.quiet {
            self.progress = When::Never;
        }
    }
}

/// Where what was read of layers is kept.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Cache")]
pub(crate) struct CacheArgs {
    /// Read every layer anew, and keep nothing.
    #[arg(long, env = "PORTCULLIS_NO_CACHE", value_parser = BoolishValueParser::new())]
    pub(crate) no_cache: bool,
    #[command(flatten)]
    pub(crate) place: CachePlaceArgs,
}

/// Where the cache lies.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Cache")]
pub(crate) struct CachePlaceArgs {
    /// The folder of caches; $XDG_CACHE_HOME/portcullis by default.
    #[arg(long, env = "PORTCULLIS_CACHE_DIR", value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// The most that the layer cache may keep, such as 500M or 4G.
    #[arg(long, env = "PORTCULLIS_CACHE_SIZE", value_name = "SIZE", default_value = "2G", value_parser = parse_size)]
    pub(crate) cache_size: u64,
}

/// What is written.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// A format, and the file to write it to (stdout by default). May be given several times.
    #[arg(short, long, env = "PORTCULLIS_OUTPUT", value_name = "FORMAT[=FILE]", value_delimiter = ',')]
    pub(crate) output: Vec<String>,
    /// The Dockerfile of the image: findings then point to its lines.
    #[arg(long, env = "PORTCULLIS_DOCKERFILE", value_name = "FILE")]
    pub(crate) dockerfile: Option<PathBuf>,
    /// List findings that do not count one by one.
    #[arg(long, env = "PORTCULLIS_SHOW_SUPPRESSED", value_parser = BoolishValueParser::new())]
    pub(crate) show_suppressed: bool,
    #[command(flatten)]
    pub(crate) baseline: BaselineArgs,
}

/// What is compared with.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct BaselineArgs {
    /// An earlier report of the same image, JSON or SARIF: reports then say what is new and what is gone.
    #[arg(long, env = "PORTCULLIS_BASELINE", value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
}

/// What is judged, and by what.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Judgement")]
pub(crate) struct JudgeArgs {
    /// The advisory database, or `starter` for the one that is compiled in; by default the one that `db update` keeps,
    /// else the starter.
    #[arg(long, env = "PORTCULLIS_DB", value_name = "FILE")]
    pub(crate) db: Option<PathBuf>,
    /// The policy.
    #[arg(long, env = "PORTCULLIS_POLICY", value_name = "FILE", conflicts_with_all = ["fail_on", "ignore_unfixed"])]
    pub(crate) policy: Option<PathBuf>,
    /// Deny from this severity on.
    #[arg(long, env = "PORTCULLIS_FAIL_ON", value_name = "none|low|medium|high|critical", value_parser = parse_level)]
    pub(crate) fail_on: Option<SeverityLevel>,
    /// Leave out what has no fix.
    #[arg(long, env = "PORTCULLIS_IGNORE_UNFIXED", value_parser = BoolishValueParser::new())]
    pub(crate) ignore_unfixed: bool,
    /// A VEX document: OpenVEX, CycloneDX or CSAF. May be given several times.
    #[arg(long, env = "PORTCULLIS_VEX", value_name = "FILE", value_delimiter = ',')]
    pub(crate) vex: Vec<PathBuf>,
}

/// `90s`, `10m`, `2h`.
pub(crate) fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    let refused = || format!("`{text}` is not a time such as 90s, 10m or 2h");
    let (number, unit) = text.split_at(text.len() - usize::from(!text.is_empty() && text.is_ascii()));
    let number: u64 = number.parse().map_err(|_error| refused())?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err(refused()),
    };
    let seconds = number.checked_mul(seconds).filter(|&seconds| (1..=7 * 86_400).contains(&seconds));
    seconds.map(std::time::Duration::from_secs).ok_or_else(refused)
}

/// A severity by its own word. What distributions write, `unimportant` or nothing, would deny other than it says.
fn parse_level(text: &str) -> Result<SeverityLevel, String> {
    let levels = SeverityLevel::WORST_FIRST.into_iter().filter(|level| *level != SeverityLevel::Unknown);
    let mut named = levels.filter(|level| level.as_str().eq_ignore_ascii_case(text));
    named.next().ok_or_else(|| format!("`{text}` is none of none, low, medium, high and critical"))
}

/// `500M`, `4G`; a number alone counts bytes.
fn parse_size(text: &str) -> Result<u64, String> {
    let refused = || format!("`{text}` is not a size such as 500M or 4G");
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let shift = match text.strip_prefix(digits).unwrap_or_default().to_ascii_uppercase().as_str() {
        "" => 0,
        "K" | "KIB" => 10,
        "M" | "MIB" => 20,
        "G" | "GIB" => 30,
        "T" | "TIB" => 40,
        _ => return Err(refused()),
    };
    let number: u64 = digits.parse().map_err(|_error| refused())?;
    number.checked_mul(1 << shift).ok_or_else(refused)
}
