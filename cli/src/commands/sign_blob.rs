//! `portcullis sign-blob`: a Sigstore bundle for a file, as `cosign sign-blob` and `cosign attest-blob --statement`
//! write it; `verify-bundle` is the other half.

use portcullis_attest::{Bundle, Statement, sign_message};
use portcullis_policy::ExitStatus;

use crate::{
    args::{Global, SignBlobArgs},
    diagnostics::{Context as _, Outcome, say},
    settings,
};

pub(crate) fn run(args: &SignBlobArgs, global: &Global) -> Outcome {
    let SignBlobArgs { file, bundle, key, statement } = args;
    let key = settings::signing_key(key)?;
    let content = settings::read_file(file)?;
    let cannot = || format!("cannot sign {}", file.display());
    let bytes = if *statement {
        let statement = Statement::from_bytes(&content).context(cannot)?;
        Bundle::sign(&statement, &key, settings::now()?).context(cannot)?.bytes().clone()
    } else {
        sign_message(&content, &key).context(cannot)?
    };
    std::fs::write(bundle, bytes).context(|| format!("cannot write {}", bundle.display()))?;
    if !global.quiet {
        say(&format!("wrote {}", bundle.display()));
    }
    Ok(ExitStatus::Pass)
}
