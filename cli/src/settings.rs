//! Raw arguments become settings: files are opened, defaults filled in, what contradicts itself refused.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    time::Instant,
};

use portcullis_advisories::{Database, OpenError, build_starter};
use portcullis_attest::{SigningKey, VerifyingKey};
use portcullis_errors::{Secret, printable};
use portcullis_image::{Image, Limits, OpenOptions, RegistryAccess, Source};
use portcullis_model::{Platform, SeverityLevel, Timestamp};
use portcullis_policy::{MAX_POLICY_BYTES, Policy};
use portcullis_registry::{Client, Credentials, Options, PlainHttp};
use portcullis_report::{Baseline, Dockerfile};
use portcullis_scan::{JavaIndex, LayerCache, ScanError};
use tokio::runtime::Runtime;

use crate::{
    args::{BaselineArgs, CacheArgs, CachePlaceArgs, Global, JudgeArgs, SourceArgs},
    diagnostics::{Context as _, Failure, say},
    places,
    progress::Progress,
};

/// Largest key, report or manifest read, in bytes.
const MAX_FILE: u64 = 256 * 1024 * 1024;

/// What stands for the database that is compiled in, in place of a file.
pub(crate) const STARTER: &str = "starter";

/// The moment that everything speaks of: `SOURCE_DATE_EPOCH` where it is set
/// (<https://reproducible-builds.org/specs/source-date-epoch/>), else now.
pub(crate) fn now() -> Result<Timestamp, Failure> {
    if let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH").filter(|text| !text.is_empty()) {
        let seconds = text.to_str().and_then(|text| text.parse().ok());
        let wrong = || Failure::usage("SOURCE_DATE_EPOCH is not a number of seconds");
        return seconds.map(Timestamp::from_unix).ok_or_else(wrong);
    }
    Ok(clock())
}

/// The clock itself: freshness of evidence is never counted from a number that the environment names.
pub(crate) fn clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// A variable of the environment, for whoever looks for many.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A file of bounded size; `-` is standard input.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let what = || format!("cannot read {}", path.display());
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().take(MAX_FILE).read_to_end(&mut bytes).context(what)?;
        return Ok(bytes);
    }
    let file = std::fs::File::open(path).context(what)?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).context(what)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Failure::new(format!("{} is larger than {MAX_FILE} bytes", path.display())));
    }
    Ok(bytes)
}

/// A text file of bounded size.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read_file(path)?).context(|| format!("{} is not UTF-8", path.display()))
}

/// The file of the database: the one that is named, else the one that `db update` keeps, if it is there; none for the
/// starter.
pub(crate) fn database_path(named: Option<&PathBuf>) -> Option<PathBuf> {
    match named {
        Some(path) => Some(path.clone()).filter(|path| !is_starter(path)),
        // One that is there and cannot be read is an error, not a reason to take the starter.
        None => places::database().filter(|path| match path.symlink_metadata() {
            Ok(_) => true,
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        }),
    }
}

/// Whether the starter is asked for by its name.
pub(crate) fn is_starter(path: &Path) -> bool {
    path == Path::new(STARTER)
}

/// The database, or the starter.
pub(crate) fn database(named: Option<&PathBuf>) -> Result<Database, Failure> {
    match database_path(named) {
        Some(path) => Database::open(&path).map_err(|error| match error {
            OpenError::Read { .. } => error.into(),
            error => Failure::from(error).at(&path.display().to_string()),
        }),
        None => build_starter().context(|| "the starter database cannot be built".to_owned()),
    }
}

/// The VEX documents.
pub(crate) fn vex(paths: &[PathBuf]) -> Result<Vec<portcullis_vex::Document>, Failure> {
    let read = |path: &PathBuf| Ok(portcullis_vex::read(&path.display().to_string(), &read_file(path)?)?);
    paths.iter().map(read).collect()
}

/// The Dockerfile, which findings point into.
pub(crate) fn dockerfile(path: Option<&PathBuf>) -> Result<Option<Dockerfile>, Failure> {
    let read = |path: &PathBuf| Ok(Dockerfile { path: path.display().to_string(), text: read_text(path)? });
    path.map(read).transpose()
}

/// The earlier report that is compared with.
pub(crate) fn baseline(args: &BaselineArgs) -> Result<Option<Baseline>, Failure> {
    let BaselineArgs { baseline } = args;
    let read = |path: &PathBuf| {
        let read = Baseline::read(&read_file(path)?).context(|| format!("{} is no baseline", path.display()));
        read.map_err(|failure| failure.with_hint("write one with `portcullis scan … -o json=FILE`"))
    };
    baseline.as_ref().map(read).transpose()
}

/// The policy that is asked.
pub(crate) struct Chosen {
    pub(crate) policy: Policy,
    /// That others of its file speak of the image, too, and are not asked.
    pub(crate) note: Option<String>,
}

/// The policy of a file, or of `--fail-on`; deny from *high* on by default.
pub(crate) fn policy(judge: &JudgeArgs, name: &str, now: Timestamp) -> Result<Chosen, Failure> {
    let Some(path) = &judge.policy else {
        let policy = Policy::default_with(judge.fail_on.unwrap_or(SeverityLevel::High), judge.ignore_unfixed);
        return Ok(Chosen { policy, note: None });
    };
    let mut policies = policies(path, now)?;
    // One policy in the file is the one that is meant; scope says where the gate asks it.
    if policies.len() > 1 {
        policies.retain(|policy| policy.applies_to(name));
    }
    let count = policies.len();
    let Some(policy) = policies.into_iter().next() else {
        return Err(Failure::new(format!("no policy of {} applies to {name}", path.display()))
            .with_hint("widen `images` of one of them, or give a file with one policy"));
    };
    let (first, name) = (printable(&policy.name, 100), printable(name, 200));
    let note =
        format!("note: 1 of {count} policies that speak of {name} was asked: {first}; the gate asks all of them");
    Ok(Chosen { note: (count > 1).then_some(note), policy })
}

/// Every policy of a file.
pub(crate) fn policies(path: &Path, now: Timestamp) -> Result<Vec<Policy>, Failure> {
    Ok(Policy::parse(&policy_text(path)?, &path.display().to_string(), now)?)
}

/// What a file of policies or exemptions holds.
pub(crate) fn policy_text(path: &Path) -> Result<String, Failure> {
    let size = std::fs::metadata(path).context(|| format!("cannot read {}", path.display()))?.len();
    if size > MAX_POLICY_BYTES as u64 {
        return Err(Failure::new(format!("{} is larger than {MAX_POLICY_BYTES} bytes", path.display())));
    }
    read_text(path)
}

/// A key's text: `env://NAME`, or a file.
fn key_text(reference: &str) -> Result<Vec<u8>, Failure> {
    match reference.strip_prefix("env://") {
        Some(name) => {
            std::env::var(name).map(String::into_bytes).context(|| format!("the variable {name} holds no key"))
        }
        None => read_file(Path::new(reference)),
    }
}

/// A private key, decrypted with `COSIGN_PASSWORD`.
pub(crate) fn signing_key(reference: &str) -> Result<SigningKey, Failure> {
    Ok(SigningKey::from_pem(&key_text(reference)?, password().as_ref())?)
}

/// `COSIGN_PASSWORD`, which may be empty.
pub(crate) fn password() -> Option<Secret> {
    std::env::var("COSIGN_PASSWORD").ok().map(Secret::new)
}

/// A public key.
pub(crate) fn verifying_key(reference: &str) -> Result<VerifyingKey, Failure> {
    Ok(VerifyingKey::from_pem(&key_text(reference)?)?)
}

/// The layer cache, where there is a place for it.
pub(crate) fn layer_cache(place: &CachePlaceArgs) -> Option<LayerCache> {
    let CachePlaceArgs { cache_dir, cache_size } = place;
    places::caches(cache_dir.as_ref()).map(|root| LayerCache::new(root.join("layers"), *cache_size))
}

/// How images are reached.
pub(crate) struct Access {
    pub(crate) options: OpenOptions,
    pub(crate) limits: Limits,
    pub(crate) jobs: usize,
    /// What was read of layers before.
    pub(crate) cache: Option<LayerCache>,
    /// Names Java archives that do not say what they are.
    pub(crate) java_index: Option<JavaIndex>,
    /// Shown until the scan is done.
    pub(crate) progress: std::cell::RefCell<Option<Progress>>,
    /// Keeps the requests running; none when offline.
    runtime: Option<Runtime>,
}

impl Access {
    pub(crate) fn new(source: &SourceArgs) -> Result<Self, Failure> {
        let SourceArgs {
            platform,
            plain_http,
            ca_file,
            client_cert,
            mirror,
            timeout,
            offline,
            base: _,
            java_index,
            jobs,
            progress: _,
            cache,
        } = source;
        let deadline = Instant::now().checked_add(*timeout);
        let mut options = OpenOptions {
            platform: platform.as_deref().map(parse_platform).transpose()?,
            // Temporary folders are often held in memory; an image's archive is large.
            spool: places::caches(cache.place.cache_dir.as_ref()).map(|root| root.join("archives")),
            deadline,
            ..OpenOptions::default()
        };
        let mut runtime = None;
        if !offline {
            let started = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            let started = started.context(|| "cannot start".to_owned())?;
            let client_options = Options {
                plain_http: if *plain_http { PlainHttp::Always } else { PlainHttp::Never },
                ca_file: ca_file.clone(),
                client_certificate: client_cert.clone(),
                timeout: (*timeout).min(Options::default().timeout),
                deadline,
                ..Options::default()
            };
            let client = Client::new(client_options, Credentials::from_environment()?)?;
            options.registry =
                Some(RegistryAccess { client, runtime: started.handle().clone(), mirrors: mirror.clone() });
            runtime = Some(started);
        }
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let limits = Limits { deadline, ..Limits::default() };
        let CacheArgs { no_cache, place } = cache;
        let cache = if *no_cache { None } else { layer_cache(place) };
        let java_index = java_index.as_deref().map(JavaIndex::open).transpose().map_err(ScanError::from)?;
        let progress = std::cell::RefCell::new(None);
        Ok(Self { options, limits, jobs: jobs.map_or(cores, usize::from), cache, java_index, progress, runtime })
    }

    /// No scan follows: nothing is shown of it.
    pub(crate) fn end_progress(&self) {
        drop(self.progress.take());
    }

    /// Tells those who want to know what did not work and did no harm.
    pub(crate) fn tell_notes(&self, global: &Global) {
        let notes = self.cache.iter().filter(|_| global.verbose).flat_map(LayerCache::take_notes);
        notes.for_each(|note| say(&format!("note: {}", printable(&note, 1000))));
    }

    /// Opens what the target names. Only a registry needs the network, and only then is it set up.
    pub(crate) fn open(target: &str, source: &SourceArgs) -> Result<(Self, Source, Image), Failure> {
        let parsed = Source::parse(target)?;
        let base = source.base.as_deref().map(Source::parse).transpose()?;
        let is_remote = std::iter::once(&parsed).chain(&base).any(|source| matches!(source, Source::Registry(_)));
        let access = Self::new(&SourceArgs { offline: source.offline || !is_remote, ..source.clone() })?;
        access.progress.replace(Some(Progress::start(source.progress)));
        let mut image = Image::open(&parsed, &access.options)?;
        if let Some(base) = base {
            let base = Image::open(&base, &access.options)?;
            if !image.built_on(&base) {
                let (image, base) = (&image.target.reference, &base.target.reference);
                return Err(Failure::new(format!("{base} is not the base of {image}: its layers are not the lowest"))
                    .with_hint("name the very image that it was built on, by digest, or leave out --base"));
            }
        }
        Ok((access, parsed, image))
    }

    /// The registry client, for commands that need one.
    pub(crate) fn registry(&self) -> Result<(&Client, &Runtime), Failure> {
        match (&self.options.registry, &self.runtime) {
            (Some(access), Some(runtime)) => Ok((&access.client, runtime)),
            _ => Err(Failure::new("this needs a registry, and this run is offline").with_hint("leave out --offline")),
        }
    }
}

fn parse_platform(text: &str) -> Result<Platform, Failure> {
    let mut parts = text.split('/').map(str::to_owned);
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(os), Some(architecture), variant, None) if !os.is_empty() && !architecture.is_empty() => {
            Ok(Platform { os, architecture, variant })
        }
        _ => {
            Err(Failure::usage(format!("`{text}` is not a platform"))
                .with_hint("write it as linux/amd64 or linux/arm/v7"))
        }
    }
}
