//! Who signs, from the arguments: a key at hand, a program that keeps one, or an identity token of the CI job.

use std::path::Path;

use portcullis_attest::{
    IdentitySigner, KeyPlugin, ServiceClient, SigningServices, StatementSigner, TimestampAuthority, TrustRoot,
};
use portcullis_errors::Secret;
use tokio::runtime::Runtime;

use crate::{
    args::SignerArgs,
    diagnostics::{Context as _, Failure},
    settings,
};

/// The signer that the arguments name.
pub(crate) fn signer(args: &SignerArgs, ca_file: Option<&Path>) -> Result<StatementSigner, Failure> {
    let SignerArgs { key, keyless, identity_token, signing_config, trusted_root, timestamp_url } = args;
    let client = || {
        let authorities = ca_file.map(settings::read_file).transpose()?;
        Ok::<_, Failure>(ServiceClient::new(authorities.as_deref())?)
    };
    // What is for the other way of signing may come from the environment: it is no reason to refuse this one.
    match key {
        None if !keyless => Err(Failure::usage("nothing to sign with").with_hint(
            "make a key with `portcullis key generate` and give it with --key, or sign as the CI job with --keyless",
        )),
        Some(reference) => {
            let signer = of_key(reference)?;
            Ok(match timestamp_url {
                Some(url) => signer.with_timestamps(TimestampAuthority::new(url, &client()?)?),
                None => signer,
            })
        }
        None => {
            let services = match (signing_config, trusted_root) {
                (Some(path), Some(_)) => SigningServices::from_json(&settings::read_file(path)?)?,
                (None, None) => SigningServices::public()?,
                // With one of them, an identity would be shown to services whose signatures are refused afterwards.
                _ => {
                    return Err(Failure::usage(
                        "--signing-config and --trusted-root are of the same services: give both",
                    ));
                }
            };
            let root = trust_root(trusted_root.as_deref())?;
            let client = client()?;
            Ok(match identity_token {
                Some(reference) => IdentitySigner::new(services, client, &token(reference)?, root)?.into(),
                None => runtime()?.block_on(IdentitySigner::ambient(services, client, root))?.into(),
            })
        }
    }
}

/// The signer of `--key`.
pub(crate) fn of_key(reference: &str) -> Result<StatementSigner, Failure> {
    if KeyPlugin::is_named_by(reference) {
        return Ok(runtime()?.block_on(KeyPlugin::open(reference))?.into());
    }
    Ok(settings::signing_key(reference)?.into())
}

/// The trust root of a file, or the public one.
pub(crate) fn trust_root(path: Option<&Path>) -> Result<TrustRoot, Failure> {
    let root = match path {
        Some(path) => TrustRoot::from_json(&settings::read_file(path)?),
        None => TrustRoot::public(),
    };
    root.context(|| "the trust root cannot be used".to_owned())
        .map_err(|failure| failure.with_hint("give a trusted_root.json of Sigstore's form"))
}

/// A token from a file or a variable: one on the command line could be read by everyone on this machine.
fn token(reference: &str) -> Result<Secret, Failure> {
    let text = match reference.strip_prefix("env://") {
        Some(name) => std::env::var(name).context(|| format!("the variable {name} holds no token"))?,
        None => settings::read_text(Path::new(reference))
            .map_err(|failure| failure.with_hint("--identity-token takes a file, or env://NAME"))?,
    };
    Ok(Secret::new(text.trim().to_owned()))
}

/// Runs what signs: services and programs are waited for.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context(|| "cannot start".to_owned())
}
