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
    lockfile::{Listing, Origin, is_template, reasons},
    tree,
};

pub(super) fn pyproject(listing: &mut Listing<'_>, contents: &[u8]) -> Result<(), String> {
    let document = match tree::toml(contents) {
        Ok(document) => document,
        // A template of such a file is none yet.
        Err(_) if fields::decode(contents).is_some_and(|text| is_template(&text)) => {
            listing.note("it is a template of such a file: what it will ask for is not known");
            return Ok(());
        }
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
        // A comment ends no list, wherever it begins.
        if trimmed.starts_with(['#', ';']) {
            continue;
        }
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
    let mut place = Place::default();
    let mut last = "";
    let mut rest: &str = &text;
    while let Some(at) = rest.find(['#', '"', '\'']) {
        let (code, quoted) = rest.split_at(at);
        place.step(code, last);
        let (literal, behind) = literal(quoted);
        literal.lines().for_each(|wanted| wish(listing, place.extra, wanted));
        (last, rest) = (literal, behind);
    }
    Ok(())
}

/// Where in a program a text stands: what is not surely of an extra counts as the project's own.
#[derive(Default)]
struct Place<'a> {
    /// The brackets that are open.
    brackets: Vec<char>,
    /// What a value is given to: the name of an extra, `test` for a keyword of that use, or nothing.
    extra: &'a str,
    /// How many brackets were open where the value begins: it ends with the next `,` there.
    depth: usize,
}

impl<'a> Place<'a> {
    /// Goes through the code between the text `last` and the next one.
    fn step(&mut self, code: &str, last: &'a str) {
        let mut code = code;
        // `'dev': ['a==1']` and `'dev': 'a==1'`, and not `if a == 'dev': …`.
        if let Some(value) = code.trim_start().strip_prefix(':')
            && self.brackets.last() == Some(&'{')
            && (value.trim_start().is_empty() || value.trim_start().starts_with(['[', '(']))
        {
            self.begin(last);
            code = value;
        }
        for (at, character) in code.char_indices() {
            match character {
                '(' | '[' | '{' => self.brackets.push(character),
                ')' | ']' | '}' => {
                    self.brackets.pop();
                    if self.brackets.len() < self.depth {
                        self.begin("");
                    }
                }
                ',' if self.brackets.len() == self.depth => self.begin(""),
                '\n' | ';' if self.brackets.is_empty() => self.begin(""),
                '=' => {
                    let name = code.split_at_checked(at).and_then(|(before, after)| keyword(before, after));
                    match name {
                        Some("tests_require" | "setup_requires") => self.begin("test"),
                        Some(_) => self.begin(""),
                        None => {}
                    }
                }
                _ => {}
            }
        }
    }

    fn begin(&mut self, extra: &'a str) {
        (self.extra, self.depth) = (extra, self.brackets.len());
    }
}

/// The name that is given a value; none if the `=` that `after` begins with is a part of a comparison.
fn keyword<'a>(before: &'a str, after: &str) -> Option<&'a str> {
    if after.starts_with("==") || before.ends_with(['=', '!', '<', '>']) {
        return None;
    }
    let before = before.strip_suffix('+').unwrap_or(before).trim_end();
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    before.rsplit(|character| !is_part(character)).next()
}

/// The text in the quotes that `source` starts with, and what stands behind them; of a comment there is no text.
fn literal(source: &str) -> (&str, &str) {
    let Some(quote) = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| source.starts_with(quote)) else {
        return ("", source.get(source.find('\n').unwrap_or(source.len())..).unwrap_or_default());
    };
    let inner = source.get(quote.len()..).unwrap_or_default();
    let mut end = 0;
    while let Some(at) = inner.get(end..).and_then(|rest| rest.find(['"', '\'', '\n', '\\'])) {
        end += at;
        let rest = inner.get(end..).unwrap_or_default();
        // A text between single quotes ends with its line.
        if rest.starts_with(quote) || quote.len() == 1 && rest.starts_with('\n') {
            let (text, behind) = inner.split_at(end);
            return (text, behind.strip_prefix(quote).unwrap_or(behind));
        }
        end += 1;
        // What follows a `\` ends nothing, be it a quote or the end of a line.
        if let Some(escaped) = rest.strip_prefix('\\') {
            let length = escaped.chars().next().map_or(0, char::len_utf8);
            end += if escaped.starts_with("\r\n") { 2 } else { length };
        }
    }
    (inner, "")
}
