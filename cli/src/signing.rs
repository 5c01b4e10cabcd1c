//! Who signs, from the arguments: a key at hand, a program that keeps one, or an identity token of the CI job.

use std::path::Path;

use portcullis_attest::{
    IdentitySigner, KeyPlugin, ServiceClient, SigningServices, StatementSigner, TimestampAuthority, TrustRoot,
    ambient_token,
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
    if *keyless {
        if signing_config.is_some() && trusted_root.is_none() {
            return Err(Failure::usage(
                "--signing-config needs --trusted-root: what is signed is verified before it is stored",
            ));
        }
        let services = match signing_config {
            Some(path) => SigningServices::from_json(&settings::read_file(path)?)?,
            None => SigningServices::public()?,
        };
        let client = client()?;
        let token = match identity_token {
            Some(reference) => token(reference)?,
            None => runtime()?.block_on(ambient_token(&client))?,
        };
        let root = trust_root(trusted_root.as_deref())?;
        return Ok(IdentitySigner::new(services, client, &token, root)?.into());
    }
    let reference = key.as_deref().ok_or_else(|| {
        Failure::usage("nothing to sign with").with_hint(
            "make a key with `portcullis key generate` and give it with --key, or sign as the CI job with --keyless",
        )
    })?;
    let signer = of_key(reference)?;
    match timestamp_url {
        Some(url) => Ok(signer.with_timestamps(TimestampAuthority::new(url, &client()?)?)),
        None => Ok(signer),
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
