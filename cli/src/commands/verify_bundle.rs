//! `portcullis verify-bundle`: one Sigstore bundle against one artifact, as the public conformance suite asks.
//! (<https://github.com/sigstore/sigstore-conformance/blob/main/docs/cli_protocol.md>)

use portcullis_attest::{Content, Identity, Signer, VerifyingKey, verify_bundle};
use portcullis_model::Digest;
use portcullis_policy::ExitStatus;

use crate::{
    args::VerifyBundleArgs,
    diagnostics::{Context as _, Failure, Outcome, say},
    settings, signing,
};

pub(crate) fn run(args: &VerifyBundleArgs) -> Outcome {
    let VerifyBundleArgs { bundle, certificate_identity, certificate_oidc_issuer, key, trusted_root, artifact } = args;
    let bundle = settings::read_file(bundle)?;
    let root = signing::trust_root(trusted_root.as_deref())?;
    let bytes;
    let content = match artifact.parse::<Digest>() {
        Ok(digest) => Content::Digest(digest),
        Err(_) => {
            bytes = settings::read_file(artifact.as_ref())?;
            Content::Bytes(&bytes)
        }
    };
    let verifying_key;
    let identity;
    let signer = match (key, certificate_identity, certificate_oidc_issuer) {
        (Some(path), _, _) => {
            verifying_key = VerifyingKey::from_pem(&settings::read_file(path)?)?;
            Signer::Key(&verifying_key)
        }
        (None, Some(subject), Some(issuer)) => {
            identity = Identity::Exact(subject.clone());
            Signer::Certificate { identity: &identity, issuer }
        }
        _ => return Err(Failure::usage("say who must have signed: --key, or --certificate-identity with its issuer")),
    };
    verify_bundle(&bundle, content, signer, &root, settings::clock()).context(|| "not verified".to_owned())?;
    say("verified");
    Ok(ExitStatus::Pass)
}
