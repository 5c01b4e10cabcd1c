//! Where the program keeps things on this machine, by the XDG base directories:
//! <https://specifications.freedesktop.org/basedir-spec/latest/>.

use std::path::PathBuf;

/// The database that every command uses unless another is named: `$XDG_DATA_HOME/portcullis/portcullis.db`.
pub(crate) fn database() -> Option<PathBuf> {
    Some(base("XDG_DATA_HOME", ".local/share")?.join("portcullis/portcullis.db"))
}

/// Where downloads are kept: `updates` in the folder that all caches share, `$PORTCULLIS_CACHE_DIR`, else
/// `$XDG_CACHE_HOME/portcullis`.
pub(crate) fn downloads() -> Option<PathBuf> {
    let named = std::env::var_os("PORTCULLIS_CACHE_DIR").filter(|value| !value.is_empty()).map(PathBuf::from);
    let shared = named.or_else(|| Some(base("XDG_CACHE_HOME", ".cache")?.join("portcullis")));
    Some(shared?.join("updates"))
}

/// The folder that a variable names, or that lies in the home. The specification has relative paths ignored.
fn base(variable: &str, in_home: &str) -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    folder(variable).or_else(|| Some(folder("HOME")?.join(in_home)))
}
