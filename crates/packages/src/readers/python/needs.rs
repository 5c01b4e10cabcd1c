//! What a Python package needs: `Requires-Dist`.
//!
//! Format: <https://packaging.python.org/en/latest/specifications/dependency-specifiers/>.

/// The name in a requirement; none where its marker does not hold for what is installed.
pub(super) fn name(requirement: &str) -> Option<&str> {
    let (needed, marker) = requirement.split_once(';').unwrap_or((requirement, ""));
    let is_name = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    let needed = needed.trim();
    let end = needed.find(|character| !is_name(character)).unwrap_or(needed.len());
    // Of alternatives none is looked at: only what is installed counts in the end.
    let holds = marker.contains(" or ") && !marker.contains("extra") || !marker.split(" and ").any(cannot_hold);
    needed.get(..end).filter(|name| !name.is_empty() && holds)
}

/// Whether a term asks for an extra, which nobody knows to be wanted, or for a system that no Linux image is.
fn cannot_hold(term: &str) -> bool {
    let term = term.trim().trim_matches(['(', ')']);
    let words: Vec<&str> = term.split([' ', '\'', '"']).filter(|word| !word.is_empty()).collect();
    match *words.as_slice() {
        ["extra", ..] => true,
        ["sys_platform" | "platform_system" | "os_name", "==", system] => {
            !matches!(system, "linux" | "linux2" | "Linux" | "posix")
        }
        ["sys_platform" | "platform_system" | "os_name", "!=", system] => matches!(system, "linux" | "Linux" | "posix"),
        // Version 2 has no package of a form that names what it needs.
        ["python_version", "<", version] => version == "3" || version.starts_with("2.") || version == "3.0",
        ["python_version", "==", version] => version.starts_with("2."),
        _ => false,
    }
}
