//! Shared by the commands that scan: what is attested beside an image of which vulnerabilities affect it, in documents
//! of those who are trusted for that.

use portcullis_admission::verifier_of;
use portcullis_attest::{Candidate, Discovery, TrustRoot, discover, discover_in_layout, predicate_type};
use portcullis_errors::chain;
use portcullis_image::{Image, Source};
use portcullis_model::Digest;
use portcullis_vex::Document;

use super::verify::authority_policy;
use crate::{
    args::{AttestedVexArgs, AuthorityArgs},
    diagnostics::Failure,
    settings::{self, Access},
    signing,
};

/// The documents that a trusted signer has attested of an image; none where nobody is trusted for that.
pub(super) fn attested(
    args: &AttestedVexArgs,
    access: &Access,
    source: &Source,
    image: &Image,
) -> Result<Vec<Document>, Failure> {
    let AttestedVexArgs { vex_key, vex_identity, vex_issuer, vex_trusted_root } = args;
    if vex_key.is_none() && vex_identity.is_none() {
        return Ok(Vec::new());
    }
    if !matches!(source, Source::Registry(_) | Source::OciDirectory { .. }) {
        return Err(nowhere());
    }
    let now = settings::clock();
    let authority = AuthorityArgs {
        key: vex_key.clone(),
        certificate_identity: vex_identity.clone(),
        certificate_oidc_issuer: vex_issuer.clone(),
        trusted_root: None,
    };
    let root: Option<TrustRoot> =
        vex_trusted_root.as_deref().map(|path| signing::trust_root(Some(path))).transpose()?;
    let mut verifiers = Vec::new();
    for policy in authority_policy(&authority, None, now)? {
        verifiers.extend(verifier_of(&policy, root.as_ref())?);
    }
    let mut documents = Vec::new();
    // Of an index as a whole, and of the one image that was chosen from it.
    for digest in [image.target.index_digest, image.target.digest].into_iter().flatten() {
        let Discovery { candidates, problems, .. } = beside(access, source, &digest)?;
        if let Some(problem) = problems.first() {
            let why = format!("{}: {}", problem.what, chain(&problem.error));
            return Err(Failure::new(format!("the VEX attestations of the image cannot be read: {why}"))
                .with_hint("try again, or scan without --vex-key and --vex-identity"));
        }
        for candidate in &candidates {
            let verify = |verifier: &portcullis_attest::Verifier| verifier.verify(candidate, &digest, now);
            let statement = verifiers.iter().find_map(|verifier| verify(verifier).ok());
            if statement.is_some_and(|statement| statement.predicate_type().starts_with(predicate_type::OPENVEX)) {
                documents.push(document(candidate)?);
            }
        }
    }
    Ok(documents)
}

fn beside(access: &Access, source: &Source, digest: &Digest) -> Result<Discovery, Failure> {
    match source {
        Source::Registry(reference) => {
            let (client, runtime) = access.registry()?;
            Ok(runtime.block_on(discover(client, reference, digest, &[])))
        }
        Source::OciDirectory { path, .. } => Ok(discover_in_layout(path, digest, &[])?),
        _ => Err(nowhere()),
    }
}

fn nowhere() -> Failure {
    Failure::usage("VEX attestations lie beside an image in its registry, or in an oci-dir:")
        .with_hint("give documents with --vex")
}

/// A bundle is a document for `--vex`, too: `evidence download` and `replay` go by its digest.
fn document(candidate: &Candidate) -> Result<Document, Failure> {
    let name = format!("attested as {}", Digest::of(&candidate.bytes));
    Ok(portcullis_vex::read(&name, &candidate.bytes)?)
}
