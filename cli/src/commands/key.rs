//! `portcullis key …`: key pairs in cosign's form.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use portcullis_attest::SigningKey;
use portcullis_errors::Secret;
use portcullis_policy::ExitStatus;

use crate::{
    args::{Global, KeyCommand},
    diagnostics::{Context as _, Failure, Outcome, say},
    output, settings, signing,
};

pub(crate) fn run(command: &KeyCommand, global: &Global) -> Outcome {
    match command {
        KeyCommand::Generate { output_prefix } => {
            let password = settings::password().ok_or_else(|| {
                Failure::new("there is no password to encrypt the key with")
                    .with_hint("set COSIGN_PASSWORD; empty is allowed, and then the key is as safe as its file")
            })?;
            let pair = generate(output_prefix, &password)?;
            if !global.quiet {
                say(&format!("wrote {0}.key and {0}.pub", output_prefix.display()));
            }
            drop(pair);
        }
        KeyCommand::Public { key } => {
            let signer = signing::of_key(key)?;
            let key = signer.verifying_key().ok_or_else(|| Failure::new("an identity has no key"))?;
            output::print(&key.to_pem())?;
        }
    }
    Ok(ExitStatus::Pass)
}

/// Makes a pair and writes both halves; never over an existing key.
pub(crate) fn generate(prefix: &Path, password: &Secret) -> Result<SigningKey, Failure> {
    let key = SigningKey::generate()?;
    write_new(&prefix.with_extension("key"), &key.to_encrypted_pem(password)?, 0o600)?;
    write_new(&prefix.with_extension("pub"), &key.verifying_key().to_pem(), 0o644)?;
    Ok(key)
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let what = || format!("cannot write {}", path.display());
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = match opened {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(Failure::new(format!("{} exists already", path.display())).with_hint(
                "choose another name with --output-prefix, or move the old key away: a key is never replaced",
            ));
        }
        opened => opened.context(what)?,
    };
    file.write_all(text.as_bytes()).context(what)
}
