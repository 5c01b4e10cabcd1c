//! Chores of the repository.
//!
//! ```text
//! cargo xtask tidy                       what a compiler does not check: arrows, registrations, paths in the docs
//! cargo xtask bench FOLDER [DATABASE]    whole-process figures on big images, peers beside them
//! cargo xtask bench database FOLDER      what building, opening and asking the advisory database cost
//! cargo xtask bench evidence             what verifying costs, cosign beside it
//! cargo xtask bench webhook [SECONDS]    how long the admission webhook takes, a trivial one beside it, and its memory
//! cargo xtask database STEP…             the single steps of that
//! cargo xtask measure COMMAND…           what one command costs
//! cargo xtask monster FOLDER FILES EACH MB   an image of so many files, packages and megabytes, for measuring
//! cargo xtask dist FOLDER                release archives, checksums, provenance, signatures
//! ```

mod bench;
mod database;
mod dist;
mod evidence;
mod monster;
mod tidy;
mod webhook;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["tidy"] => tidy::run(),
        ["bench", "database", folder] => database::bench(folder.as_ref(), None),
        ["bench", "database", folder, work] => database::bench(folder.as_ref(), Some(work.as_ref())),
        ["bench", "evidence"] => evidence::run(),
        ["evidence", image, key] => evidence::in_memory(image, key.as_ref()),
        ["bench", "webhook"] => webhook::bench(None),
        ["bench", "webhook", seconds] => webhook::bench(Some(seconds)),
        ["database", ..] => database::step(arguments.get(1..).unwrap_or_default()),
        ["bench", folder] => bench::run(folder.as_ref(), None),
        ["bench", folder, database] => bench::run(folder.as_ref(), Some(database.as_ref())),
        ["dist", ..] => dist::run(arguments.get(1..).unwrap_or_default()),
        ["monster", folder, files, each, megabytes] => monster::run(folder.as_ref(), [files, each, megabytes]),
        ["measure", ..] => bench::measure(arguments.get(1..).unwrap_or_default()),
        _ => Err(anyhow::anyhow!(
            "usage: cargo xtask tidy | bench FOLDER [DATABASE] | bench database FOLDER [WORK] | bench evidence | \
             bench webhook [SECONDS] | measure COMMAND… | monster FOLDER FILES EACH MEGABYTES | dist FOLDER"
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// A line for people.
fn say(text: &str) {
    use std::io::Write as _;
    _ = writeln!(std::io::stderr(), "{text}");
}

/// A line of data.
fn print(text: &str) {
    use std::io::Write as _;
    _ = writeln!(std::io::stdout(), "{text}");
}

/// The root of the workspace: the one that cargo runs this for, which may not be the one that it was built in.
fn root() -> std::path::PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    std::path::Path::new(&package).join("../..")
}
