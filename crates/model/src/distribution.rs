//! The distribution an image is built on, as its `os-release` says.

mod names;

use serde::{Deserialize, Serialize};

/// What `/etc/os-release` (or `/usr/lib/os-release`) says of itself.
///
/// Format: <https://www.freedesktop.org/software/systemd/man/latest/os-release.html>
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Distribution {
    /// `ID`, such as `debian`.
    pub id: String,
    /// `VERSION_ID`, such as `12`; empty on rolling distributions.
    pub version_id: String,
    /// `PRETTY_NAME`, for people.
    pub name: String,
    /// `VERSION_CODENAME`, such as `bookworm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codename: Option<String>,
    /// `ID_LIKE`, nearest relative first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub id_like: Vec<String>,
    /// `UBUNTU_CODENAME` or `DEBIAN_CODENAME`: the release of Ubuntu or Debian that a derivative is built on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_codename: Option<String>,
    /// `CPE_NAME`, such as `cpe:/o:redhat:enterprise_linux:9::baseos`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpe: Option<String>,
}
