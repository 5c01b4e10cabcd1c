//! `portcullis sign-blob`: a Sigstore bundle for a file, as `cosign sign-blob` and `cosign attest-blob --statement`
//! write it; `verify-bundle` is the other half.

use portcullis_attest::Statement;
use portcullis_policy::ExitStatus;

use crate::{
    args::{Global, SignBlobArgs},
    diagnostics::{Context as _, Outcome, say},
    settings, signing,
};

pub(crate) fn run(args: &SignBlobArgs, global: &Global) -> Outcome {
    let SignBlobArgs { file, bundle, signer, ca_file, statement } = args;
    let signer = signing::signer(signer, ca_file.as_deref())?;
    let content = settings::read_file(file)?;
    let cannot = || format!("cannot sign {}", file.display());
    let runtime = signing::runtime()?;
    let bytes = if *statement {
        let statement = Statement::from_bytes(&content).context(cannot)?;
        runtime.block_on(signer.sign(&statement, settings::now()?)).context(cannot)?.bytes().clone()
    } else {
        runtime.block_on(signer.sign_message(&content)).context(cannot)?
    };
    std::fs::write(bundle, bytes).context(|| format!("cannot write {}", bundle.display()))?;
    if !global.quiet {
        say(&format!("wrote {}, signed by {}", bundle.display(), signer.describe()));
    }
    Ok(ExitStatus::Pass)
}
