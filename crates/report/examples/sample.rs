//! Writes the tests' sample report in the format that is named, for trying validators:
//! `cargo run -p portcullis-report --example sample -- sarif > sample.sarif`.

#[path = "../tests/sample/mod.rs"]
mod sample;

use std::io;

use portcullis_report::{FORMATS, RenderOptions, format_named};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let names: Vec<_> = FORMATS.iter().map(|format| format.name()).collect();
    let format = format_named(&name).ok_or_else(|| format!("one of {}", names.join(" ")))?;
    let report = match arguments.next().as_deref() {
        None => sample::report(),
        Some("clean") => sample::clean_report(),
        Some("hostile") => sample::hostile_report(),
        Some(file) => serde_json::from_slice(&std::fs::read(file)?)?,
    };
    format.write(&report, &RenderOptions::default(), &mut io::stdout().lock())?;
    Ok(())
}
