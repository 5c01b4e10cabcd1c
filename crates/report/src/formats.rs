//! The formats, one file each.

pub(crate) mod json;
pub(crate) mod table;
