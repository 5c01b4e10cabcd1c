//! VEX documents: what their authors say of vulnerabilities in products, and which findings that speaks of.
//!
//! Three formats are read: [OpenVEX](https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md), CycloneDX's
//! [`vulnerabilities[].analysis`](https://cyclonedx.org/docs/1.6/json/#vulnerabilities_items_analysis) and
//! [CSAF 2.0](https://docs.oasis-open.org/csaf/csaf/v2.0/os/csaf-v2.0-os.html). A document is untrusted input: memory is
//! bounded by its size, and that by [`MAX_BYTES`]. Nothing is hidden: a finding that a statement rules out is kept, with
//! the document and its reason.

mod apply;
mod component;
mod formats;
mod write;

pub use apply::{IMAGE_LABEL, Image, apply};
pub use component::Component;
pub use formats::read;
use portcullis_errors::Hint;
use portcullis_model::{Digest, Timestamp};
pub use write::document;

/// The largest document, in bytes. The largest that vendors publish, of kernels, have some 50 MiB.
pub const MAX_BYTES: usize = 64 << 20;

/// A VEX document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// What it calls itself, or the name of its file.
    pub id: String,
    /// Of its bytes.
    pub digest: Digest,
    /// The format's name: `OpenVEX`, `CycloneDX`, `CSAF`.
    pub format: &'static str,
    /// What it says.
    pub statements: Vec<Statement>,
    /// What of it says nothing that can be used; each once.
    pub problems: Vec<String>,
    /// What statements speak of, named by its place here.
    components: Vec<Component>,
}

/// What a document says of one vulnerability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The vulnerability's ids, upper case.
    ids: Vec<String>,
    /// What it is said of.
    products: Vec<Product>,
    status: Status,
    /// Why, in the words of the document.
    reason: String,
    /// When it was made; none where the document does not say.
    time: Option<Timestamp>,
}

/// A product, and the parts of it that are meant; all of it where there are none. Places in [`Document::components`].
#[derive(Debug, Clone, PartialEq, Eq)]
struct Product {
    whole: usize,
    parts: Vec<usize>,
}

/// The four states that every format has, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// The vulnerability does not affect the product.
    NotAffected,
    /// The product contains a fix.
    Fixed,
    /// Nobody knows yet.
    UnderInvestigation,
    /// It does affect it.
    Affected,
}

impl Status {
    /// Whether a finding that it is said of does not count.
    const fn rules_out(self) -> bool {
        matches!(self, Self::NotAffected | Self::Fixed)
    }
}

/// Why a document cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum VexError {
    /// It is larger than any real one.
    #[error("the VEX document {name} is larger than {MAX_BYTES} bytes")]
    TooLarge {
        /// The file.
        name: String,
    },
    /// It is not JSON, or its fields are not what its format says.
    #[error("the VEX document {name} cannot be read")]
    Malformed {
        /// The file.
        name: String,
        /// Where, and why.
        #[source]
        cause: serde_json::Error,
    },
    /// It is an envelope, and what is in it is not base64.
    #[error("the envelope {name} holds nothing that can be read")]
    Payload {
        /// The file.
        name: String,
    },
    /// It is of no format that is known here.
    #[error("{name} is no VEX document that can be read here")]
    Unknown {
        /// The file.
        name: String,
    },
    /// It is a bill of materials, or an advisory, without a statement.
    #[error("the {format} document {name} makes no statement on any vulnerability")]
    Empty {
        /// The file.
        name: String,
        /// Its format.
        format: &'static str,
    },
}

impl Hint for VexError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::TooLarge { .. } => "give the document of the one product that is scanned".into(),
            Self::Malformed { .. } | Self::Payload { .. } => "check it against the schema of its format".into(),
            Self::Unknown { .. } => {
                "OpenVEX, CycloneDX JSON with `analysis`, and CSAF 2.0 are read, also in an in-toto statement, an envelope or \
                 a Sigstore bundle"
                    .into()
            }
            Self::Empty { .. } => "is it the inventory, and the VEX document another file?".into(),
        })
    }
}
