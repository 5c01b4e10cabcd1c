//! Software bills of materials that others wrote, read back into packages.
//!
//! CycloneDX 1.2 to 1.7 as JSON and XML (<https://cyclonedx.org/specification/overview/>), SPDX 2.2 and 2.3 as JSON and
//! tag-value (<https://spdx.github.io/spdx-spec/v2.3/>), SPDX 3 as JSON-LD
//! (<https://spdx.github.io/spdx-spec/v3.0.1/>), Syft's own JSON
//! (<https://github.com/anchore/syft/tree/main/schema/json>); each also compressed with gzip, and as an attestation: an
//! in-toto statement, a DSSE envelope, a Sigstore bundle, or lines of them.
//!
//! A document is read in one pass, one component at a time: memory grows with what is found, not with what a document
//! claims. A bad component is a warning, and the rest survives.

mod cyclonedx;
mod cyclonedx_xml;
mod document;
mod gather;
mod loose;
mod spdx;
mod spdx3;
mod spdx_tags;
mod syft;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, io::Read as _};

use gather::Gathered;
use portcullis_model::Reading;

/// A bill of materials, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sbom {
    /// Its format and version, for people: `CycloneDX 1.6`.
    pub format: String,
    /// What it describes, as it names it; empty where it does not say.
    pub subject: String,
    /// The package URL of the image that it describes; empty where it describes none, or does not say which.
    pub image: String,
    /// Whether parts of it were not read, so that packages may be missing that it lists.
    pub is_cut: bool,
    /// What it lists. Packages are sorted, have their purl, and the locations that the document gives: none, where it
    /// gives none.
    pub reading: Reading,
}

/// Why there is nothing to be read from a document at all.
#[derive(Debug, thiserror::Error)]
pub enum SbomError {
    /// Nothing in it.
    #[error("it is empty")]
    Empty,
    /// JSON that ends early or is none.
    #[error("it is no JSON that can be read")]
    Json(#[source] serde_json::Error),
    /// XML that ends early or is none.
    #[error("it is no XML that can be read, at byte {at}: {why}")]
    Xml {
        /// Where.
        at: u64,
        /// What the reader of XML says.
        why: String,
    },
    /// A gzip stream that is damaged.
    #[error("its gzip stream is damaged")]
    Gzip(#[source] std::io::Error),
    /// More than is read, once inflated.
    #[error("it is larger than {0} bytes")]
    TooLarge(usize),
    /// Well formed, but nothing that is known here.
    #[error("it is no bill of materials that is known here: neither CycloneDX, nor SPDX, nor Syft's JSON")]
    Unknown,
}

/// Most bytes of a document, inflated.
pub const MAX_SBOM_BYTES: usize = 256 << 20;

/// Reads a document in any of the formats. `name` is what warnings call it.
///
/// # Errors
/// When it is none of the formats, or damaged so that not even its shape can be read.
pub fn read_sbom(name: &str, bytes: &[u8]) -> Result<Sbom, SbomError> {
    read_into(Gathered::new(name, true), bytes, MAX_SBOM_BYTES)
}

/// Reads a document of no more than `limit` bytes, inflated, that lies beside others in an image: it is not asked to tell
/// all that advisories need.
pub(crate) fn read_up_to(name: &str, bytes: &[u8], limit: usize) -> Result<Sbom, SbomError> {
    read_into(Gathered::new(name, false), bytes, limit)
}

fn read_into(mut gathered: Gathered, bytes: &[u8], limit: usize) -> Result<Sbom, SbomError> {
    let inflated;
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        inflated = inflate(bytes, limit)?;
        inflated.as_slice()
    } else {
        bytes
    };
    if bytes.len() > limit {
        return Err(SbomError::TooLarge(limit));
    }
    let bytes = utf8(bytes);
    let text = bytes.trim_ascii_start();
    match text.first() {
        None => return Err(SbomError::Empty),
        Some(b'{' | b'[') => document::read(text, &mut gathered)?,
        Some(b'<') => cyclonedx_xml::read(text, &mut gathered)?,
        Some(_) => spdx_tags::read(text, &mut gathered),
    }
    gathered.finish().ok_or(SbomError::Unknown)
}

/// One byte more than `limit`, at the most.
fn inflate(bytes: &[u8], limit: usize) -> Result<Vec<u8>, SbomError> {
    let mut inflated = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes)
        .take(limit as u64 + 1)
        .read_to_end(&mut inflated)
        .map_err(SbomError::Gzip)?;
    Ok(inflated)
}

/// The text as UTF-8 without a byte order mark: some tools on Windows write UTF-16.
fn utf8(bytes: &[u8]) -> Cow<'_, [u8]> {
    let wide = |bytes: &[u8], join: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| join([pair[0], pair[1]])).collect();
        Cow::Owned(String::from_utf16_lossy(&units).into_bytes())
    };
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => rest.into(),
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => bytes.into(),
    }
}
