//! Where the program keeps things on this machine, by the XDG base directories:
//! <https://specifications.freedesktop.org/basedir-spec/latest/>.

use std::path::PathBuf;

/// The database that every command uses unless another is named: `$XDG_DATA_HOME/portcullis/portcullis.db`.
pub(crate) fn database() -> Option<PathBuf> {
    Some(base("XDG_DATA_HOME", ".local/share")?.join("portcullis/portcullis.db"))
}

/// The folder that all caches share: the one that is named, else `$XDG_CACHE_HOME/portcullis`, `~/.cache/portcullis`.
/// None where there is no home.
pub(crate) fn caches(named: Option<&PathBuf>) -> Option<PathBuf> {
    named.cloned().or_else(|| Some(base("XDG_CACHE_HOME", ".cache")?.join("portcullis")))
}

/// Where downloads are kept: `updates` in the folder of caches that `PORTCULLIS_CACHE_DIR` names, or in the usual one.
pub(crate) fn downloads() -> Option<PathBuf> {
    let named = std::env::var_os("PORTCULLIS_CACHE_DIR").filter(|value| !value.is_empty()).map(PathBuf::from);
    Some(caches(named.as_ref())?.join("updates"))
}

/// The folder that a variable names, or that lies in the home. The specification has relative paths ignored, and
/// accounts of services have a home that is not there.
fn base(variable: &str, in_home: &str) -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || folder("HOME").filter(|home| home.is_dir()).map(|home| home.join(in_home));
    folder(variable).or_else(home)
}
