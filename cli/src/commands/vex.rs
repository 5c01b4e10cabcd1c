//! Shared by the commands that scan: what is attested beside an image of which vulnerabilities affect it, in documents
//! of those who are trusted for that.

use portcullis_attest::{Discovery, Statement, Verified, Verifier, discover, discover_in_layout, predicate_type};
use portcullis_errors::chain;
use portcullis_image::{Image, Source};
use portcullis_model::Digest;
use portcullis_vex::{Document, VexError};

use super::evidence::verifier;
use crate::{
    args::{AttestedVexArgs, AuthorityArgs},
    diagnostics::{Context as _, Failure},
    settings::{self, Access},
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
    // By key or by identity: whoever is named is trusted.
    let nobody = AuthorityArgs { trusted_root: vex_trusted_root.clone(), ..AuthorityArgs::default() };
    let by_key = AuthorityArgs { key: vex_key.clone(), ..nobody.clone() };
    let by_identity = AuthorityArgs {
        certificate_identity: vex_identity.clone(),
        certificate_oidc_issuer: vex_issuer.clone(),
        ..nobody
    };
    let verifiers = [by_key, by_identity].map(|authority| verifier(&authority, now));
    let verifiers: Vec<Verifier> = verifiers.into_iter().filter_map(Result::transpose).collect::<Result<_, _>>()?;
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
            let verified = verifiers.iter().find_map(|verifier| verifier.verify(candidate, &digest, now).ok());
            let Some(verified) = verified.filter(|found| found.predicate_type().starts_with(predicate_type::OPENVEX))
            else {
                continue;
            };
            documents.extend(document(&verified)?);
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

/// What was verified, and nothing else that the bundle may hold; none where it makes no statement, as that of an image
/// with nothing to speak of. The bundle is a document for `--vex`, too: `evidence download` and `replay` go by its digest.
fn document(verified: &Verified<Statement>) -> Result<Option<Document>, Failure> {
    let name = format!("attested as {}", verified.bundle());
    let statement = verified.to_bytes().context(|| name.clone())?;
    match portcullis_vex::read(&name, &statement) {
        Ok(mut document) => {
            document.digest = *verified.bundle();
            Ok(Some(document))
        }
        Err(VexError::Empty { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
