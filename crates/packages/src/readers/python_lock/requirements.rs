//! `requirements.txt`: what is pinned in it.
//!
//! Format: <https://pip.pypa.io/en/stable/reference/requirements-file-format/>, and that of a requirement:
//! <https://packaging.python.org/en/latest/specifications/dependency-specifiers/>.

use std::collections::BTreeSet;

use portcullis_model::Awaited;

use super::add;
use crate::{
    fields,
    lockfile::{Listing, Origin, without_credentials},
};

pub(in crate::readers) fn read(listing: &mut Listing<'_>, contents: &[u8]) -> Result<(), String> {
    let text = fields::decode(contents).ok_or("it is not text")?;
    let mut logical = String::new();
    let mut unpinned = 0_usize;
    let mut others = BTreeSet::new();
    // A file may end within a line.
    for line in text.lines().chain([""]) {
        if let Some(part) = line.strip_suffix('\\') {
            logical.push_str(part);
            logical.push(' ');
            continue;
        }
        logical.push_str(line);
        match other_file(&logical) {
            Some((used, name)) => _ = others.insert((used, name.to_owned())),
            None => unpinned += usize::from(!requirement(listing, &logical)),
        }
        logical.clear();
    }
    others.into_iter().for_each(|(used, name)| await_file(listing, used, name));
    if unpinned > 0 {
        let lines = if unpinned == 1 { "1 requirement".to_owned() } else { format!("{unpinned} requirements") };
        listing.note(format!("{lines} without an exact version (`==`): which one is meant is not known"));
    }
    Ok(())
}

/// What another file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    /// Its requirements count too: `-r`.
    Requirements,
    /// It says which version of what is asked for elsewhere: `-c`.
    Constraints,
}

/// The other file that a line names, with what for.
fn other_file(line: &str) -> Option<(Use, &str)> {
    const OPTIONS: [(&str, Use); 4] = [
        ("--requirement", Use::Requirements),
        ("--constraint", Use::Constraints),
        ("-r", Use::Requirements),
        ("-c", Use::Constraints),
    ];
    let line = without_comment(line);
    OPTIONS.iter().find_map(|(option, used)| {
        let rest = line.strip_prefix(option)?;
        // A short option needs nothing before the name, a long one a space or `=`.
        if option.starts_with("--") && !rest.starts_with([' ', '\t', '=']) {
            return None;
        }
        let name = rest.trim_start().trim_start_matches('=').trim();
        Some((*used, name.trim_matches(['"', '\''])))
    })
}

/// It counts by its own name, if that is one of those that are read. Constraints ask for nothing: what they would settle is
/// counted among the requirements without a version.
fn await_file(listing: &mut Listing<'_>, used: Use, name: String) {
    let shown = without_credentials(&name);
    let (is_gap, message) = match used {
        Use::Requirements => (true, format!("it asks for what {shown} names, which is not read")),
        Use::Constraints => (false, format!("it takes versions from {shown}, which is not read")),
    };
    listing.await_others(Awaited { files: vec![name], is_above: false, is_gap, message });
}

/// Adds what one line pins; false if it asks for something without saying which version.
fn requirement(listing: &mut Listing<'_>, line: &str) -> bool {
    let line = without_comment(line);
    // Options of a line: `--hash=…`; those of the file, such as `-r other.txt`, begin one.
    let line = line.split(" --").next().unwrap_or(line).trim();
    if line.is_empty() || line.starts_with('-') && !is_editable(line) {
        return true;
    }
    let Some((name, version)) = pinned(line) else { return false };
    add(listing, Origin::Registry, name, version, Vec::new());
    true
}

/// A line up to its comment, which begins it or follows a space.
fn without_comment(line: &str) -> &str {
    let line = line.trim_start();
    let end = if line.starts_with('#') { 0 } else { line.find(" #").unwrap_or(line.len()) };
    line.get(..end).unwrap_or_default()
}

/// Name and version of a requirement that names one alone.
pub(super) fn pinned(requirement: &str) -> Option<(&str, &str)> {
    let (name, rest) = split_name(requirement)?;
    // No specifier has a `#`: what follows is a comment that its author forgot to set apart.
    let specifiers = rest.split([';', '#']).next().unwrap_or(rest).trim();
    let specifiers = specifiers.strip_prefix('(').and_then(|text| text.strip_suffix(')')).unwrap_or(specifiers);
    let version = specifiers.split(',').find_map(|part| part.trim().strip_prefix("=="))?;
    // `===` compares as text.
    let version = version.strip_prefix('=').unwrap_or(version).trim();
    is_version(version).then_some((name, version))
}

/// Whether a text has the characters of a version, and not those of `2.8.*` or of a template's `{{ version }}`.
fn is_version(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'!' | b'-' | b'_');
    !text.is_empty() && text.bytes().all(is_part)
}

/// `-e path`, `--editable=path`: something is installed, and nothing says what.
fn is_editable(line: &str) -> bool {
    line.starts_with("-e") || line.starts_with("--editable")
}

/// Splits `name[extras]rest`; none if there is no name.
pub(super) fn split_name(requirement: &str) -> Option<(&str, &str)> {
    let requirement = requirement.trim();
    let is_part = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    let end = requirement.find(|character| !is_part(character)).unwrap_or(requirement.len());
    let (name, rest) = requirement.split_at_checked(end)?;
    if name.is_empty() || rest.starts_with([':', '/', '\\']) || name.starts_with(['.', '-']) {
        return None;
    }
    let rest = rest.trim_start();
    let rest = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((_, rest)) => rest.trim_start(),
        None => rest,
    };
    Some((name, rest))
}
