//! What a job's environment says of it, for both forges: what is empty is not set, and what becomes part of a path is what
//! the forge says it is.

use crate::{ForgeError, Variables};

/// The variables of a job.
pub(crate) struct Environment<'a>(pub(crate) Variables<'a>);

impl Environment<'_> {
    /// A variable that is set to something.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    /// A variable that every job has.
    pub(crate) fn needed(&self, name: &'static str) -> Result<String, ForgeError> {
        self.get(name).ok_or_else(|| wrong(name, "it is not set"))
    }

    /// A commit's name that every job has.
    pub(crate) fn commit(&self, name: &'static str) -> Result<String, ForgeError> {
        let commit = self.needed(name)?;
        if is_commit(&commit) { Ok(commit) } else { Err(wrong(name, "it is no commit")) }
    }

    /// A number, if it is set.
    pub(crate) fn number(&self, name: &'static str) -> Result<Option<u64>, ForgeError> {
        let number = self.get(name).map(|text| text.parse().map_err(|_error| wrong(name, "it is no number")));
        number.transpose()
    }
}

/// A variable that is not what it should be.
pub(crate) fn wrong(variable: &'static str, why: impl Into<String>) -> ForgeError {
    ForgeError::Environment { variable, why: why.into() }
}

/// Whether it is a commit's name, of either hash that Git knows.
pub(crate) fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
