//! `portcullis attest`, and the evidence that `scan --attest` leaves: inventory, findings and verdict, signed and
//! stored beside the image.

use std::{collections::BTreeSet, path::Path};

use portcullis_attest::{
    Bundle, InputAttestation, SbomFormat, SigningKey, Statement, StatementSigner, Stored, VerificationSummary,
    predicate_type, sbom_statement, store, store_in_layout, store_legacy, vulnerability_statement, vulns_statement,
};
use portcullis_image::Source;
use portcullis_model::{Digest, Report, SCHEMA_VERSION, Target, VERIFIER_ID};
use portcullis_policy::ExitStatus;
use portcullis_registry::Reference;
use portcullis_report::{RenderOptions, format_named};

use super::scan;
use crate::{
    args::{AttestArgs, EvidenceType, Global, SignArgs, SourceArgs},
    diagnostics::{Context as _, Failure, Outcome, say},
    settings,
    settings::Access,
    signing,
};

pub(crate) fn run(args: &AttestArgs, global: &Global) -> Outcome {
    let AttestArgs { image, report, source, judge, vex, sign } = args;
    let plan = Plan::new(sign, source)?;
    let now = settings::now()?;
    let (access, parsed, report) = match report {
        Some(path) => {
            let report = read_judged(path)?;
            let (access, parsed, opened) = Access::open(image, source)?;
            access.end_progress();
            if opened.target.digest != report.target.digest {
                return Err(of_another(&opened.target, &report));
            }
            (access, parsed, report)
        }
        None => {
            let scanned = scan::scan(image, source, judge, vex, plan.needs_executables(), now)?;
            scanned.tell_note(global);
            let scan::Scanned { access, source, report, note: _ } = scanned;
            (access, source, report)
        }
    };
    scan::tell_starter(&report);
    let stored = attest(&access, &parsed, &report, &plan)?;
    if !global.quiet {
        plan.tell(&stored);
    }
    Ok(ExitStatus::from(&report.verdict))
}

/// A report that is not of what the name means now.
fn of_another(target: &Target, report: &Report) -> Failure {
    let words = |target: &Target| {
        let digest =
            target.digest.map_or_else(|| "an image without a manifest".to_owned(), |digest| digest.to_string());
        target.platform.as_ref().map_or_else(|| digest.clone(), |platform| format!("{digest} ({platform})"))
    };
    let failure = Failure::new("the report is of another image").with_note(format!(
        "the report is of {}, and {} is {}",
        words(&report.target),
        target.reference,
        words(target)
    ));
    match &report.target.platform {
        Some(platform) if target.platform.as_ref() != Some(platform) => failure
            .with_hint(format!("name the platform that was scanned: --platform {platform}; or scan this one again")),
        _ => failure.with_hint("name the image that was scanned by its digest, or scan this one again"),
    }
}

/// What is signed, and by whom. It is made before a scan: what cannot be signed must not cost one.
pub(crate) struct Plan {
    signer: StatementSigner,
    types: BTreeSet<EvidenceType>,
    legacy: bool,
}

impl Plan {
    pub(crate) fn new(sign: &SignArgs, source: &SourceArgs) -> Result<Self, Failure> {
        let SignArgs { attest_type, legacy_att, signer } = sign;
        let signer = signing::signer(signer, source.ca_file.as_deref())?;
        Ok(Self { signer, types: attest_type.iter().copied().collect(), legacy: *legacy_att })
    }

    /// The usual evidence, signed with a key.
    pub(crate) fn with_key(key: SigningKey) -> Self {
        let types = BTreeSet::from([EvidenceType::Cyclonedx, EvidenceType::Vuln]);
        Self { signer: key.into(), types, legacy: false }
    }

    /// Whether the scan must hash all that is executable.
    pub(crate) fn needs_executables(&self) -> bool {
        self.types.contains(&EvidenceType::Executables)
    }

    /// Says what was stored, and who signed it.
    pub(crate) fn tell(&self, stored: &[Stored]) {
        for Stored { manifest, predicate_type, listed_by_registry: _ } in stored {
            say(&format!("attested {predicate_type} as {manifest}"));
        }
        say(&format!("signed by {}", self.signer.describe()));
    }
}

/// A report that `-o json` wrote.
pub(crate) fn read_report(path: &Path) -> Result<Report, Failure> {
    const HINT: &str = "write one with `portcullis scan … -o json=FILE`";
    let bytes = settings::read_file(path)?;
    let read: Result<Report, _> = serde_json::from_slice(&bytes);
    // What another version looks like is not known: that it is one says more than the first field that is missing.
    let version = match &read {
        Ok(report) => Some(report.schema_version),
        Err(_) => serde_json::from_slice::<Version>(&bytes).ok().map(|version| version.schema_version),
    };
    if let Some(version) = version.filter(|version| *version != SCHEMA_VERSION) {
        let why = format!("{} is a report of version {version}; {SCHEMA_VERSION} is read here", path.display());
        return Err(Failure::new(why).with_hint(HINT));
    }
    read.context(|| format!("{} is not a report", path.display())).map_err(|failure| failure.with_hint(HINT))
}

/// What every version of a report has.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    schema_version: u32,
}

/// A report whose verdict is asked for. An inventory that was never matched has none, whatever it says.
pub(crate) fn read_judged(path: &Path) -> Result<Report, Failure> {
    let report = read_report(path)?;
    if !report.is_matched() {
        let why = format!("{} is an inventory: it was matched with no advisory, and nothing judged it", path.display());
        return Err(Failure::new(why).with_hint("scan it: `portcullis scan … -o json=FILE`"));
    }
    Ok(report)
}

/// Signs and stores the evidence of a report.
pub(crate) fn attest(access: &Access, source: &Source, report: &Report, plan: &Plan) -> Result<Vec<Stored>, Failure> {
    let digest = report.target.digest.ok_or_else(|| {
        Failure::new("the target has no manifest that evidence could stand beside")
            .with_hint("attest the image in its registry, or in an oci-dir:")
    })?;
    match source {
        Source::Registry(reference) => {
            let bundles = sign(report, reference, &digest, plan)?;
            let (client, runtime) = access.registry()?;
            runtime.block_on(async {
                let subject = client.resolve(&reference.with_digest(digest)).await?;
                let stored = store(client, reference, &subject, &bundles).await?;
                if plan.legacy {
                    store_legacy(client, reference, &digest, &bundles).await?;
                }
                Ok(stored)
            })
        }
        Source::OciDirectory { path, .. } => {
            let reference = layout_reference(path)?;
            let bundles = sign(report, &reference, &digest, plan)?;
            Ok(store_in_layout(path, &digest, &bundles)?)
        }
        _ => Err(Failure::new("evidence cannot be stored there")
            .with_hint("attest the image in its registry, or in an oci-dir:")),
    }
}

/// The name under which a layout's image is attested: the layout's own, as nothing else is known of it.
fn layout_reference(path: &Path) -> Result<Reference, Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    Ok(format!("localhost/{name}").parse::<Reference>()?)
}

/// The statements, signed; the verdict comes last, and names the others. The moment that registries are told is the
/// report's, so that attesting the same report again adds nothing.
fn sign(report: &Report, image: &Reference, digest: &Digest, plan: &Plan) -> Result<Vec<Bundle>, Failure> {
    let runtime = signing::runtime()?;
    let statements = plan.types.iter().map(|kind| statement(*kind, report, image, digest));
    let statements = statements.collect::<Result<Vec<_>, _>>()?;
    let mut bundles = runtime.block_on(plan.signer.sign_all(&statements, report.created))?;
    let inputs = bundles.iter().map(|bundle| InputAttestation::new(bundle.predicate_type(), &bundle.digest()));
    let inputs = inputs.collect();
    let summary = VerificationSummary::of(&report.verdict, image, digest, inputs);
    let summary = summary.statement(image, digest).context(cannot)?;
    bundles.push(runtime.block_on(plan.signer.sign(&summary, report.created))?);
    Ok(bundles)
}

fn cannot() -> String {
    "cannot sign".to_owned()
}

/// One statement about the image.
fn statement(kind: EvidenceType, report: &Report, image: &Reference, digest: &Digest) -> Result<Statement, Failure> {
    Ok(match kind {
        EvidenceType::Cyclonedx => {
            sbom_statement(SbomFormat::CycloneDx, rendered(report, "cyclonedx-json")?, image, digest)
        }
        EvidenceType::Spdxjson => sbom_statement(SbomFormat::Spdx, rendered(report, "spdx-json")?, image, digest),
        EvidenceType::Vuln => vulnerability_statement(report, image, digest).context(cannot)?,
        EvidenceType::Vulns => vulns_statement(report, image, digest),
        EvidenceType::Openvex => {
            let document = portcullis_vex::document(report, &image.name(), digest, VERIFIER_ID);
            Statement::new(&image.name(), digest, predicate_type::OPENVEX, document)
        }
        EvidenceType::Executables => {
            if report.executables.is_none() {
                return Err(Failure::new("the report does not list what can be executed")
                    .with_hint("scan with `-o executables` beside `-o json`, or attest without --report"));
            }
            Statement::new(&image.name(), digest, predicate_type::EXECUTABLES, rendered(report, "executables")?)
        }
    })
}

/// A report in one of its formats, as JSON.
fn rendered(report: &Report, format: &str) -> Result<serde_json::Value, Failure> {
    let mut text = Vec::new();
    if let Some(format) = format_named(format) {
        format.write(report, &RenderOptions::default(), &mut text).context(cannot)?;
    }
    serde_json::from_slice(&text).context(cannot)
}
