//! Where reports go: `-o FORMAT[=FILE]`, several at once.

use std::{
    fs::File,
    io::{self, BufWriter, IsTerminal as _, Write},
    path::PathBuf,
};

use portcullis_model::Report;
use portcullis_report::{Baseline, Dockerfile, FORMATS, RenderOptions, ReportError, ReportFormat, format_named};

use crate::{
    args::{Global, OutputArgs, When},
    diagnostics::{Context as _, Failure},
    settings,
};

/// Widest table, in columns, where the terminal does not say.
const WIDTH: usize = 100;

/// What is written of a report: known before a scan begins, so that nothing that is wrong with it costs a scan.
pub(crate) struct Outputs {
    outputs: Vec<Output>,
    dockerfile: Option<Dockerfile>,
    show_suppressed: bool,
    baseline: Option<Baseline>,
}

/// One report to write.
struct Output {
    format: &'static dyn ReportFormat,
    file: Option<PathBuf>,
}

impl Outputs {
    /// Reads the flags, and the files that they name; `default` is the format without any.
    pub(crate) fn read(args: &OutputArgs, default: &str) -> Result<Self, Failure> {
        let OutputArgs { output, dockerfile, show_suppressed, baseline } = args;
        Ok(Self {
            outputs: outputs(output, default)?,
            dockerfile: settings::dockerfile(dockerfile.as_ref())?,
            show_suppressed: *show_suppressed,
            baseline: settings::baseline(baseline)?,
        })
    }

    /// As [`Self::read`], for what is not judged: reports of findings would say that there are none.
    pub(crate) fn of_inventory(args: &OutputArgs, default: &str) -> Result<Self, Failure> {
        let read = Self::read(args, default)?;
        if let Some(output) = read.outputs.iter().find(|output| !output.format.lists_packages()) {
            let fit = FORMATS.iter().filter(|format| format.lists_packages()).map(|format| format.name());
            let fit: Vec<&str> = fit.collect();
            let name = output.format.name();
            return Err(Failure::usage(format!(
                "`{name}` lists findings, and an inventory has none: nothing is judged"
            ))
            .with_hint(format!("one of {}; or `portcullis scan … -o {name}`", fit.join(", "))));
        }
        Ok(read)
    }

    /// Whether one of them lists everything executable: then every such file is hashed.
    pub(crate) fn need_executables(&self) -> bool {
        self.outputs.iter().any(|output| output.format.needs_executables())
    }

    /// Writes every report.
    pub(crate) fn write(&self, report: &Report, global: &Global) -> Result<(), Failure> {
        let Self { outputs, dockerfile, show_suppressed, baseline } = self;
        for Output { format, file } in outputs {
            let options = RenderOptions {
                width: if file.is_none() { width() } else { WIDTH },
                color: file.is_none() && use_color(global.color),
                show_suppressed: *show_suppressed,
                dockerfile: dockerfile.clone(),
                max_findings: None,
                max_bytes: None,
                baseline: baseline.clone(),
                run: portcullis_forge::pipelines::detect(&settings::variable),
            };
            match file {
                Some(path) => {
                    let what = || format!("cannot write {}", path.display());
                    let mut writer = BufWriter::new(File::create(path).context(what)?);
                    format.write(report, &options, &mut writer).context(what)?;
                    writer.flush().context(what)?;
                }
                None => {
                    let mut writer = BufWriter::new(io::stdout().lock());
                    let written = format.write(report, &options, &mut writer);
                    let flushed = writer.flush();
                    // Whoever read our output has seen enough.
                    let is_closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
                    if matches!(&written, Err(ReportError::Write(error)) if is_closed(error))
                        || flushed.as_ref().is_err_and(is_closed)
                    {
                        continue;
                    }
                    written.context(|| "stdout".to_owned())?;
                    flushed.context(|| "cannot write to stdout".to_owned())?;
                }
            }
        }
        Ok(())
    }
}

/// Reads the `-o` flags.
fn outputs(flags: &[String], default: &str) -> Result<Vec<Output>, Failure> {
    let texts: Vec<&str> = if flags.is_empty() { vec![default] } else { flags.iter().map(String::as_str).collect() };
    let mut outputs: Vec<Output> = Vec::new();
    for text in texts {
        let (name, file) = text.split_once('=').map_or((text, None), |(name, file)| (name, Some(PathBuf::from(file))));
        let format = format_named(name).ok_or_else(|| {
            let names: Vec<&str> = FORMATS.iter().map(|format| format.name()).collect();
            Failure::usage(format!("there is no format `{name}`")).with_hint(format!("one of {}", names.join(", ")))
        })?;
        if file.is_none() && outputs.iter().any(|output| output.file.is_none()) {
            return Err(
                Failure::usage("two reports would go to stdout").with_hint("give one a file: -o json=report.json")
            );
        }
        outputs.push(Output { format, file });
    }
    Ok(outputs)
}

/// The columns of the terminal, or what `COLUMNS` says.
fn width() -> usize {
    let named = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).filter(|columns| *columns > 0);
    let measured = || terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
    named.or_else(measured).unwrap_or(WIDTH)
}

fn use_color(when: When) -> bool {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => {
            wanted && io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
        }
    }
}

/// Writes text to stdout; a closed pipe is no error.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.context(|| "cannot write to stdout".to_owned()),
    }
}
