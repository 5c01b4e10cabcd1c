//! `portcullis completions` and `portcullis man`.

use std::path::Path;

use portcullis_policy::ExitStatus;

use crate::{
    diagnostics::{Context as _, Outcome},
    output,
};

pub(crate) fn completions(shell: clap_complete::Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::command(), "portcullis", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitStatus::Pass)
}

pub(crate) fn manual(directory: &Path) -> Outcome {
    let what = || format!("cannot write to {}", directory.display());
    std::fs::create_dir_all(directory).context(what)?;
    clap_mangen::generate_to(crate::command(), directory).context(what)?;
    Ok(ExitStatus::Pass)
}
