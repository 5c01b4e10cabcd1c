//! The formats, one file each.

pub(crate) mod cyclonedx_json;
pub(crate) mod cyclonedx_xml;
pub(crate) mod executables;
pub(crate) mod github_summary;
pub(crate) mod gitlab;
pub(crate) mod gitlab_codequality;
pub(crate) mod html;
pub(crate) mod json;
pub(crate) mod junit;
pub(crate) mod markdown;
pub(crate) mod sarif;
pub(crate) mod spdx_json;
pub(crate) mod spdx_tag_value;
pub(crate) mod table;
