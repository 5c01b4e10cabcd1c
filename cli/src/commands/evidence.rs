//! `portcullis attest`, and the evidence that `scan --attest` leaves: inventory, findings and verdict, signed and
//! stored beside the image.

use std::path::Path;

use portcullis_attest::{
    Bundle, InputAttestation, SbomFormat, SigningKey, Statement, Stored, VerificationSummary, sbom_statement, store,
    store_in_layout, store_legacy, vulnerability_statement,
};
use portcullis_image::Source;
use portcullis_model::{Digest, Report, Timestamp};
use portcullis_policy::ExitStatus;
use portcullis_registry::Reference;
use portcullis_report::{RenderOptions, format_named};

use super::scan;
use crate::{
    args::{AttestArgs, Global, SignArgs},
    diagnostics::{Context as _, Failure, Outcome, say},
    settings,
    settings::Access,
};

pub(crate) fn run(args: &AttestArgs, global: &Global) -> Outcome {
    let AttestArgs { image, report, source, judge, sign } = args;
    let key = key(sign)?;
    let now = settings::now()?;
    let (access, parsed, report) = match report {
        Some(path) => {
            let report: Report = read_report(path)?;
            let (access, parsed, opened) = Access::open(image, source)?;
            if opened.target.digest != report.target.digest {
                return Err(Failure::new("the report is of another image").with_hint("scan this one again"));
            }
            (access, parsed, report)
        }
        None => {
            let scan::Scanned { access, source, report } = scan::scan(image, source, judge, false, now)?;
            (access, source, report)
        }
    };
    scan::tell_starter(&report);
    let stored = attest(&access, &parsed, &report, &key, sign.legacy_att, now)?;
    if !global.quiet {
        tell(&stored);
    }
    Ok(ExitStatus::from(&report.verdict))
}

/// A report that `-o json` wrote.
pub(crate) fn read_report(path: &Path) -> Result<Report, Failure> {
    serde_json::from_slice(&settings::read_file(path)?)
        .context(|| format!("{} is not a report", path.display()))
        .map_err(|failure| failure.with_hint("write one with `portcullis scan … -o json=FILE`"))
}

/// The key to sign with.
pub(crate) fn key(sign: &SignArgs) -> Result<SigningKey, Failure> {
    let reference = sign.key.as_deref().ok_or_else(|| {
        Failure::usage("nothing to sign with")
            .with_hint("make a key with `portcullis key generate`, give it with --key")
    })?;
    settings::signing_key(reference)
}

/// Says what was stored.
pub(crate) fn tell(stored: &[Stored]) {
    for Stored { manifest, predicate_type, listed_by_registry: _ } in stored {
        say(&format!("attested {predicate_type} as {manifest}"));
    }
}

/// Signs and stores the evidence of a report.
pub(crate) fn attest(
    access: &Access,
    source: &Source,
    report: &Report,
    key: &SigningKey,
    legacy: bool,
    now: Timestamp,
) -> Result<Vec<Stored>, Failure> {
    let digest = report.target.digest.ok_or_else(|| {
        Failure::new("the target has no manifest that evidence could stand beside")
            .with_hint("attest the image in its registry, or in an oci-dir:")
    })?;
    match source {
        Source::Registry(reference) => {
            let bundles = sign(report, reference, &digest, key, now)?;
            let (client, runtime) = access.registry()?;
            runtime.block_on(async {
                let subject = client.resolve(&reference.with_digest(digest)).await?;
                let stored = store(client, reference, &subject, &bundles).await?;
                if legacy {
                    store_legacy(client, reference, &digest, &bundles).await?;
                }
                Ok(stored)
            })
        }
        Source::OciDirectory { path, .. } => {
            let reference = layout_reference(path)?;
            let bundles = sign(report, &reference, &digest, key, now)?;
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

/// The three statements, signed; the verdict names the other two.
fn sign(
    report: &Report,
    image: &Reference,
    digest: &Digest,
    key: &SigningKey,
    now: Timestamp,
) -> Result<Vec<Bundle>, Failure> {
    let cannot = || "cannot sign".to_owned();
    let sign = |statement: &Statement| Bundle::sign(statement, key, now).context(cannot);
    let mut sbom = Vec::new();
    if let Some(format) = format_named("cyclonedx-json") {
        format.write(report, &RenderOptions::default(), &mut sbom).context(cannot)?;
    }
    let sbom = serde_json::from_slice(&sbom).context(cannot)?;
    let inputs = [
        sbom_statement(SbomFormat::CycloneDx, sbom, image, digest),
        vulnerability_statement(report, image, digest).context(cannot)?,
    ];
    let mut bundles = inputs.iter().map(sign).collect::<Result<Vec<_>, _>>()?;
    let named = inputs.iter().zip(&bundles);
    let named =
        named.map(|(statement, bundle)| InputAttestation::new(statement.predicate_type(), &Digest::of(bundle.bytes())));
    let summary = VerificationSummary::of(&report.verdict, image, digest, named.collect());
    bundles.push(sign(&summary.statement(image, digest).context(cannot)?)?);
    Ok(bundles)
}
