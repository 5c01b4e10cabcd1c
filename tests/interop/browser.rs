//! The HTML report in a real browser, looked at by axe (<https://github.com/dequelabs/axe-core>).

use std::{path::Path, process::Command};

use crate::support::{cache, is_on, run, skip};

#[test]
fn the_html_report_is_accessible_and_does_what_it_shows() {
    if !is_on() {
        return;
    }
    let modules = cache().join("npm");
    let browser = Path::new("/usr/bin/chromium");
    if !modules.join("node_modules/axe-core").is_dir() || !browser.is_file() {
        return skip("a browser: Debian's chromium, npm's axe-core and playwright-core");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // What the format's own tests hold the format to.
    let report = root.join("../crates/report/tests/snapshots/html.html");
    let mut look = Command::new("node");
    look.arg(root.join("interop/browser/report.mjs")).arg(modules).arg(report.canonicalize().unwrap());
    run(&mut look, &[0]);
}
