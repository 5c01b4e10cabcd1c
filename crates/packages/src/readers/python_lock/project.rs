//! What a project's own description pins: `pyproject.toml`, `setup.cfg` and `setup.py`.
//!
//! Formats: <https://packaging.python.org/en/latest/specifications/pyproject-toml/>,
//! <https://setuptools.pypa.io/en/latest/userguide/declarative_config.html>,
//! <https://setuptools.pypa.io/en/latest/references/keywords.html>. They hold wishes, and which version meets one is a
//! lockfile's to tell: so those without an exact version are not counted here. `setup.py` is a program: of its texts those
//! count that are a requirement with an exact version, whatever the program does with them.

use super::{add, requirements::pinned, toml_locks::is_for_development};
use crate::{
    fields,
    lockfile::{Listing, Origin, reasons},
    tree,
};

pub(super) fn pyproject(listing: &mut Listing<'_>, contents: &[u8]) -> Result<(), String> {
    let document = match tree::toml(contents) {
        Ok(document) => document,
        // A template of such a file is none yet.
        Err(_) if contents.windows(2).any(|bytes| bytes == b"{%") => return Ok(()),
        Err(why) => return Err(why),
    };
    let project = document.get("project");
    project.get("dependencies").texts().for_each(|wanted| wish(listing, "", wanted));
    for (extra, wanted) in project.get("optional-dependencies").entries() {
        wanted.texts().for_each(|wanted| wish(listing, extra, wanted));
    }
    Ok(())
}

/// Adds what a requirement of an extra pins; the project's own have none.
fn wish(listing: &mut Listing<'_>, extra: &str, requirement: &str) {
    let Some((name, version)) = pinned(requirement) else { return };
    if is_for_development(extra) {
        listing.leave_out(reasons::DEVELOPMENT);
    } else {
        add(listing, Origin::Registry, name, version, []);
    }
}

/// `install_requires` and the extras: one requirement on a line, or several behind the `=`.
pub(super) fn setup_cfg(listing: &mut Listing<'_>, contents: &[u8]) -> Result<(), String> {
    let text = fields::decode(contents).ok_or("it is not text")?;
    let (mut section, mut key) = ("", "");
    for line in text.lines() {
        let trimmed = line.trim();
        let is_continued = line.starts_with([' ', '\t']);
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
            && !is_continued
        {
            (section, key) = (name.trim(), "");
            continue;
        }
        let mut wanted = trimmed;
        if !is_continued {
            let Some((before, after)) = line.split_once(['=', ':']) else { continue };
            (key, wanted) = (before.trim(), after);
        }
        let extra = match (section, key) {
            ("options", "install_requires") => "",
            ("options.extras_require", extra) => extra,
            _ => continue,
        };
        // What stands behind a `;` and is no requirement says where one counts.
        wanted.split(';').for_each(|wanted| wish(listing, extra, wanted));
    }
    Ok(())
}

pub(super) fn setup_py(listing: &mut Listing<'_>, contents: &[u8]) -> Result<(), String> {
    let text = fields::decode(contents).ok_or("it is not text")?;
    // What stands before a list: a keyword of `setup`, or the name of an extra.
    let mut extra = "";
    let mut last = "";
    let mut rest: &str = &text;
    while let Some(at) = rest.find(['#', '"', '\'']) {
        let (code, quoted) = rest.split_at(at);
        if code.trim_start().starts_with(':') {
            extra = last;
        } else if code.contains('=') {
            extra = if code.contains("tests_require") || code.contains("setup_requires") { "test" } else { "" };
        }
        let (literal, behind) = literal(quoted);
        literal.lines().for_each(|wanted| wish(listing, extra, wanted));
        (last, rest) = (literal, behind);
    }
    Ok(())
}

/// The text in the quotes that `source` starts with, and what stands behind them; of a comment there is no text.
fn literal(source: &str) -> (&str, &str) {
    let Some(quote) = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| source.starts_with(quote)) else {
        return ("", source.get(source.find('\n').unwrap_or(source.len())..).unwrap_or_default());
    };
    let inner = source.get(quote.len()..).unwrap_or_default();
    // A text between single quotes ends with its line.
    let is_end = |rest: &str| rest.starts_with(quote) || quote.len() == 1 && rest.starts_with('\n');
    let end = inner.match_indices(['"', '\'', '\n']).map(|(at, _)| at).find(|&at| inner.get(at..).is_some_and(is_end));
    let (text, behind) = inner.split_at(end.unwrap_or(inner.len()));
    (text, behind.get(quote.len()..).unwrap_or_default())
}
