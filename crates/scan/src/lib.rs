//! The façade: source → inventory → findings → verdict.
//!
//! [`take_inventory`] is the one pass over an image; [`judge`] is pure: the same inventory, database, policy and
//! moment give the same report, byte for byte.

mod cache;
mod completions;
mod coverage;
mod dependencies;
mod executables;
mod gatherer;
mod java_index;
mod layer_facts;
mod links;
mod merge;
mod owners;
mod packages;
mod replay;
mod sbom;
mod symlinks;

use std::{collections::HashSet, io::BufWriter, time::Instant};

#[doc(hidden)]
pub use cache::is_entry;
pub use cache::{CacheStatus, LayerCache};
use gatherer::{FactGatherer, GatherOptions};
pub use java_index::{JavaIndex, JavaIndexError};
use layer_facts::LayerFacts;
use portcullis_errors::Hint;
use portcullis_image::{Image, ImageError, LayerError, Limits, TIME_IS_OVER};
pub use portcullis_matching::ADVISORIES;
use portcullis_matching::Matches;
use portcullis_model::{
    AdvisoryLookup, Coverage, DatabaseInfo, Digest, Distribution, ExecutableFile, Hasher, Inputs, Inventory,
    LookupError, Outcome, Package, PackageType, Report, SCHEMA_VERSION, Target, Timestamp, Tool, Warning,
};
use portcullis_packages::SbomError;
use portcullis_policy::{DistributionState, Facts, Policy};
pub use replay::{Change, compare_verdicts};

/// The engine's version, as verdicts name it.
pub const ENGINE: &str = concat!("portcullis/", env!("CARGO_PKG_VERSION"));

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A bill of materials.
    #[error("{name} cannot be read as a bill of materials")]
    Sbom {
        /// The file.
        name: String,
        /// Why.
        #[source]
        cause: SbomError,
    },
    /// The table of Java archives.
    #[error(transparent)]
    JavaIndex(#[from] JavaIndexError),
    /// The database.
    #[error(transparent)]
    Database(#[from] LookupError),
}

impl Hint for ScanError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Image(error) => error.hint(),
            Self::JavaIndex(error) => error.hint(),
            Self::Sbom { .. } => Some(
                "what is read: CycloneDX 1.2 to 1.7 (JSON, XML), SPDX 2.2, 2.3 (JSON, tag-value) and 3 (JSON-LD), \
                 Syft's JSON, and attestations of them"
                    .into(),
            ),
            Self::Database(_) => Some("fetch the database again with `portcullis db update`".into()),
        }
    }
}

/// What is in an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// The image.
    pub target: Target,
    /// Its distribution.
    pub distribution: Option<Distribution>,
    /// Its packages.
    pub inventory: Inventory,
    /// How much of its executable content they explain; none where no content was looked at.
    pub coverage: Option<Coverage>,
    /// Everything executable, where it was asked for.
    pub executables: Option<Vec<ExecutableFile>>,
}

/// How an inventory is taken.
#[derive(Debug, Clone, Copy)]
pub struct InventoryOptions<'a> {
    /// Layers read at a time.
    pub jobs: usize,
    /// What one layer may cost.
    pub limits: Limits,
    /// Whether everything executable is hashed and listed.
    pub executables: bool,
    /// Layers whose facts it knows are not read, and it is told of the others. It is no reason to fail.
    pub cache: Option<&'a LayerCache>,
    /// Names Java archives that do not say what they are.
    pub java_index: Option<&'a JavaIndex>,
}

impl Default for InventoryOptions<'_> {
    /// One layer at a time, within the usual limits, and nothing beside.
    fn default() -> Self {
        Self { jobs: 1, limits: Limits::default(), executables: false, cache: None, java_index: None }
    }
}

/// Reads every layer of `image` once, several at a time.
///
/// # Errors
/// When a layer cannot be read, or is not what its digest names. Anything less is a warning in the inventory.
pub fn take_inventory(image: &Image, options: &InventoryOptions<'_>) -> Result<Taken, ScanError> {
    take_inventory_told(image, options, &|| {})
}

/// As [`take_inventory`]; `layer_done` is called after each layer, from any thread.
///
/// # Errors
/// As there.
pub fn take_inventory_told(
    image: &Image,
    options: &InventoryOptions<'_>,
    layer_done: &(dyn Fn() + Sync),
) -> Result<Taken, ScanError> {
    let InventoryOptions { jobs, limits, executables, cache, java_index } = *options;
    if let Some(document) = &image.sbom {
        return sbom::take(&image.target, document);
    }
    let diff_ids: Vec<Option<Digest>> = match image.target.layers.as_slice() {
        // A directory: no layer at all.
        [] => vec![None; image.layer_count()],
        layers => layers.iter().map(|layer| Some(layer.diff_id)).collect(),
    };
    let gather = GatherOptions {
        is_sources: image.is_sources,
        hashes_executables: executables,
        hashes_archives: java_index.is_some(),
    };
    // All else that decides what is gathered.
    let reading = format!("{gather:?}");
    let key = |index| Some(cache::key(image.layer_identity(index)?, limits, &reading));
    let keys: Vec<Option<Digest>> = (0..image.layer_count()).map(key).collect();
    // Laying many layers over one another takes longer than reading what came of it. What it comes to with a table of Java
    // archives follows from the whole table, which nobody reads.
    let whole = keys
        .iter()
        .copied()
        .collect::<Option<Vec<Digest>>>()
        .filter(|_| java_index.is_none())
        .map(|keys| cache::image_key(&keys, &diff_ids));
    let whole = cache.zip(whole);
    let known = whole.and_then(|(cache, key)| cache.load(&key));
    let is_known = known.is_some();
    let merged = match known {
        Some(merged) => merged,
        None => {
            let entry = |index: usize| cache.zip(keys.get(index).copied().flatten());
            let mut layers = image.each_layer(jobs, |index| {
                let facts = layer_facts(image, index, limits, gather, entry(index));
                layer_done();
                facts
            })?;
            if let Some(index) = java_index {
                layers.iter_mut().try_for_each(|facts| java_index::name_archives(facts, index))?;
            }
            merge::merge(layers, &diff_ids)
        }
    };
    if let Some((cache, key)) = whole.filter(|_| !is_known && !is_late(limits)) {
        cache.store(&key, &merged);
    }
    if let Some(cache) = cache {
        cache.trim();
    }
    let merge::Merged { mut packages, warnings, distribution, coverage, executables: files } = merged;
    leave_out_doubles(&mut packages, distribution.as_ref());
    Ok(Taken {
        target: image.target.clone(),
        distribution,
        inventory: Inventory { packages, warnings },
        coverage: Some(coverage),
        executables: executables.then_some(files),
    })
}

/// Leaves out the known programs that a package of the distribution brought, by its own word: the package says what they
/// are, and the distribution what affects it. Of all others upstream's advisories alone may speak: their programs stay,
/// and matching decides.
fn leave_out_doubles(packages: &mut Vec<Package>, distribution: Option<&Distribution>) {
    let Some(distribution) = distribution else { return };
    let is_own = |owner: &&Package| portcullis_matching::is_of_distribution(owner, distribution);
    let systems = packages.iter().filter(|package| package.kind.is_operating_system()).filter(is_own);
    let own: HashSet<String> = systems.map(|package| package.purl.clone()).collect();
    packages.retain(|package| {
        package.kind != PackageType::Generic || package.owned_by.as_ref().is_none_or(|owner| !own.contains(owner))
    });
}

/// What one layer says.
fn layer_facts(
    image: &Image,
    index: usize,
    limits: Limits,
    gather: GatherOptions,
    entry: Option<(&LayerCache, Digest)>,
) -> Result<LayerFacts, ImageError> {
    if let Some((cache, key)) = &entry
        && let Some(facts) = cache.load(key)
    {
        return Ok(facts);
    }
    let mut visitor = FactGatherer::new(gather);
    if let Some(gap) = late(image.visit_layer(index, limits, &mut visitor))? {
        // What did come may be anybody's.
        return Ok(LayerFacts { warnings: vec![gap], ..LayerFacts::default() });
    }
    let (mut facts, links) = visitor.finish();
    // What a reader wants may be a second name of a file that nobody wanted when it passed by.
    if links.are_unread() {
        let mut visitor = FactGatherer::looking_for(links.into_targets(), gather);
        match late(image.visit_layer(index, limits, &mut visitor))? {
            Some(gap) => facts.warn(gap),
            None => facts.add_links(visitor.finish().0),
        }
    }
    if let Some((cache, key)) = entry.filter(|_| !is_late(limits)) {
        cache.store(&key, &facts);
    }
    Ok(facts)
}

/// The gap where a layer did not come in time: it says nothing then, and the others still count.
fn late(outcome: Result<(), ImageError>) -> Result<Option<Warning>, ImageError> {
    match outcome {
        Ok(()) => Ok(None),
        Err(ImageError::Layer(LayerError::Late(layer))) => {
            Ok(Some(Warning::gap(format!("layer {layer}"), format!("it was not read: {TIME_IS_OVER}"))))
        }
        Err(error) => Err(error),
    }
}

/// Whether reading may have been cut short: then what was read is not what there is.
fn is_late(limits: Limits) -> bool {
    limits.deadline.is_some_and(|deadline| Instant::now() > deadline)
}

/// Matches what was taken and judges it by `policy` at the moment `now`.
///
/// # Errors
/// When the database is damaged.
pub fn judge(
    taken: Taken,
    lookup: &dyn AdvisoryLookup,
    database: DatabaseInfo,
    policy: &Policy,
    now: Timestamp,
) -> Result<Report, ScanError> {
    judge_with_vex(taken, lookup, database, policy, &[], now)
}

/// As [`judge`], with what VEX documents say of the findings. Exceptions of the policy speak of what is left.
///
/// # Errors
/// When the database is damaged.
pub fn judge_with_vex(
    taken: Taken,
    lookup: &dyn AdvisoryLookup,
    database: DatabaseInfo,
    policy: &Policy,
    vex: &[portcullis_vex::Document],
    now: Timestamp,
) -> Result<Report, ScanError> {
    let Taken { target, distribution, mut inventory, coverage, executables } = taken;
    let inventory_digest = canonical_digest(&inventory);
    let matches = portcullis_matching::match_all(&inventory.packages, distribution.as_ref(), lookup)?;
    let Matches { mut findings, warnings, coverage: advisory_coverage } = matches;
    let of_vex = portcullis_vex::apply(vex, &target, distribution.as_ref(), &inventory.packages, &mut findings, now);
    inventory.warnings.extend(warnings.into_iter().chain(of_vex));
    inventory.warnings.sort();
    inventory.warnings.dedup();
    portcullis_policy::apply_exceptions(policy, &mut findings, now);
    let upgrades = portcullis_matching::upgrades(&findings, &inventory.packages, distribution.as_ref(), lookup)?;
    let uncovered = advisory_coverage.uncovered_names();
    let facts = Facts {
        findings: &findings,
        packages: &inventory.packages,
        warnings: &inventory.warnings,
        distribution: DistributionState::of(distribution.as_ref(), Some(&advisory_coverage), now),
        uncovered: &uncovered,
        database: &database,
        secrets: None,
    };
    let inputs = Inputs {
        image: target.digest.or(target.config_digest),
        inventory: inventory_digest,
        database: database.digest,
        policy: policy.digest(),
        vex: vex_digests(vex),
        engine: ENGINE.to_owned(),
    };
    let verdict = portcullis_policy::judge(policy, &facts, now).into_verdict(policy, inputs, now);
    if verdict.result == Outcome::Fail {
        portcullis_policy::mark_denied(policy, &mut findings, now);
    }
    Ok(Report {
        schema_version: SCHEMA_VERSION,
        created: now,
        tool: Tool { name: "portcullis".into(), version: env!("CARGO_PKG_VERSION").into() },
        target,
        distribution,
        advisory_coverage: Some(advisory_coverage),
        inventory,
        findings,
        upgrades,
        verdict,
        coverage,
        executables,
        database,
    })
}

fn vex_digests(documents: &[portcullis_vex::Document]) -> Vec<Digest> {
    let mut digests: Vec<Digest> = documents.iter().map(|document| document.digest).collect();
    digests.sort_unstable();
    digests.dedup();
    digests
}

/// SHA-256 of the inventory's JSON: field order is that of the types, lists are sorted.
fn canonical_digest(inventory: &Inventory) -> Digest {
    let mut hashed = BufWriter::new(Hasher::new());
    // Serializing plain data into a hasher cannot fail, nor can a hasher be full.
    let written = serde_json::to_writer(&mut hashed, inventory).is_ok();
    hashed.into_inner().ok().filter(|_| written).unwrap_or_default().finish()
}
