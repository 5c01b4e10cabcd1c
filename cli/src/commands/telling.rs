//! How a forge is told of a report, part by part, shared by both commands: one that fails does not keep the others
//! from being told.

use portcullis_forge::ForgeError;
use portcullis_model::Report;
use portcullis_report::{RenderOptions, format_named};

use crate::{
    args::Global,
    diagnostics::{Context as _, Failure, say},
};

/// The report in a format of text.
pub(super) fn rendered(format: &str, report: &Report, options: &RenderOptions) -> Result<String, Failure> {
    let what = || format!("the {format} report");
    let format = format_named(format).ok_or_else(|| Failure::usage(format!("there is no format {format}")))?;
    let mut bytes = Vec::new();
    format.write(report, options, &mut bytes).context(what)?;
    String::from_utf8(bytes).context(what)
}

/// What became of a part.
pub(super) enum Told {
    /// It is there.
    Done(String),
    /// It is not, or not whole, and that is no failure; but nobody must have to guess.
    Note(String),
}

/// Why a part is not there.
pub(super) enum Refusal {
    /// What the forge refuses.
    Forge(ForgeError),
    /// What fails here.
    Here(Failure),
}

impl From<ForgeError> for Refusal {
    fn from(error: ForgeError) -> Self {
        Self::Forge(error)
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Here(failure)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Forge(error) => error.into(),
            Refusal::Here(failure) => failure,
        }
    }
}

/// Tells the parts to a forge, one after another. What the token may not do is noted in the words of `unpermitted`; the
/// last failure is the command's.
pub(super) fn tell<Forge, Part: Copy>(
    parts: &[Part],
    global: &Global,
    forge: impl FnOnce() -> Result<Forge, ForgeError>,
    part_told: impl AsyncFn(&Forge, Part) -> Result<Told, Refusal>,
    unpermitted: impl Fn(&Forge, Part, &ForgeError) -> String,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context(|| "cannot start".to_owned())?.block_on(async {
        let forge = forge()?;
        let mut failed: Option<Failure> = None;
        for part in parts {
            match part_told(&forge, *part).await {
                Ok(Told::Done(_)) if global.quiet => {}
                Ok(Told::Done(text)) => say(&text),
                Ok(Told::Note(text)) => say(&format!("note: {text}")),
                Err(Refusal::Forge(error)) if error.is_permission() => {
                    say(&format!("note: {}", unpermitted(&forge, *part, &error)));
                }
                Err(error) => {
                    if let Some(earlier) = failed.replace(error.into()) {
                        earlier.tell();
                    }
                }
            }
        }
        failed.map_or(Ok(()), Err)
    })
}
