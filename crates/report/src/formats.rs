//! The formats, one file each.

pub(crate) mod cyclonedx_json;
pub(crate) mod json;
pub(crate) mod sarif;
pub(crate) mod table;
