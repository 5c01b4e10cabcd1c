//! Which format a document has.

mod csaf;
mod cyclonedx;
mod openvex;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portcullis_model::{Digest, Timestamp};
use serde::{Deserialize, de::IgnoredAny};

use crate::{Component, Document, MAX_BYTES, Product, Statement, Status, VexError};

/// The most problems of one document that are told.
const MAX_PROBLEMS: usize = 20;

/// The fields by which formats are told apart.
#[derive(Deserialize)]
struct Probe {
    #[serde(rename = "@context")]
    context: Option<IgnoredAny>,
    #[serde(rename = "bomFormat")]
    bom_format: Option<IgnoredAny>,
    document: Option<IgnoredAny>,
    predicate: Option<IgnoredAny>,
    statements: Option<IgnoredAny>,
    #[serde(rename = "dsseEnvelope")]
    dsse_envelope: Option<Envelope>,
    payload: Option<String>,
}

/// A DSSE envelope: <https://github.com/secure-systems-lab/dsse/blob/v1.0.2/envelope.md>. Its signature is for others.
#[derive(Deserialize)]
struct Envelope {
    payload: String,
}

/// Reads a document, which may be the statement in an envelope or in a Sigstore bundle: whose signature that is, the
/// caller knows. `name` is its file's, for messages.
///
/// # Errors
/// When it is too large, not JSON, of an unknown format, or says nothing.
pub fn read(name: &str, bytes: &[u8]) -> Result<Document, VexError> {
    if bytes.len() > MAX_BYTES {
        return Err(VexError::TooLarge { name: name.to_owned() });
    }
    let malformed = |cause| VexError::Malformed { name: name.to_owned(), cause };
    let mut probe: Probe = serde_json::from_slice(bytes).map_err(malformed)?;
    let unreadable = || VexError::Payload { name: name.to_owned() };
    let payload = match (probe.dsse_envelope.take(), probe.payload.take()) {
        // Which of them was signed, another reader might see in another way.
        (Some(_), Some(_)) => return Err(unreadable()),
        (envelope, payload) => envelope.map(|envelope| envelope.payload).or(payload),
    };
    let payload = payload.map(|text| STANDARD.decode(text)).transpose().map_err(|_error| unreadable())?;
    if let Some(statement) = &payload {
        probe = serde_json::from_slice(statement).map_err(malformed)?;
    }
    let content = payload.as_deref().unwrap_or(bytes);
    let mut draft = Draft::default();
    let format = match probe {
        Probe { bom_format: Some(_), .. } => cyclonedx::read(content, &mut draft).map(|()| "CycloneDX"),
        Probe { document: Some(_), .. } => csaf::read(content, &mut draft).map(|()| "CSAF"),
        Probe { predicate: Some(_), .. } => openvex::read_attested(content, &mut draft).map(|()| "OpenVEX"),
        Probe { context: Some(_), .. } | Probe { statements: Some(_), .. } => {
            openvex::read(content, &mut draft).map(|()| "OpenVEX")
        }
        _ => return Err(VexError::Unknown { name: name.to_owned() }),
    };
    let format = format.map_err(malformed)?;
    let Draft { id, components, statements, mut problems } = draft;
    if statements.is_empty() && problems.is_empty() {
        return Err(VexError::Empty { name: name.to_owned(), format });
    }
    problems.sort();
    problems.dedup();
    let untold = problems.len().saturating_sub(MAX_PROBLEMS);
    if untold > 0 {
        problems.truncate(MAX_PROBLEMS);
        problems.push(format!("{untold} more of its problems are not listed"));
    }
    let id = if id.trim().is_empty() { name.to_owned() } else { id };
    Ok(Document { id, digest: Digest::of(bytes), format, statements, problems, components })
}

/// A document that is being read.
#[derive(Debug, Default)]
struct Draft {
    id: String,
    components: Vec<Component>,
    statements: Vec<Statement>,
    problems: Vec<String>,
}

impl Draft {
    fn component(&mut self, component: Component) -> usize {
        self.components.push(component);
        self.components.len() - 1
    }

    fn problem(&mut self, what: String) {
        if self.problems.len() < 10_000 {
            self.problems.push(what);
        }
    }

    /// Adds a statement, unless it names no vulnerability or nothing that it is said of.
    fn statement(
        &mut self,
        ids: impl IntoIterator<Item = String>,
        products: Vec<Product>,
        status: Status,
        reason: String,
        time: Option<Timestamp>,
    ) {
        let mut ids: Vec<String> = ids.into_iter().map(|id| id.trim().to_ascii_uppercase()).collect();
        ids.retain(|id| !id.is_empty());
        ids.sort();
        ids.dedup();
        match (ids.first(), products.is_empty()) {
            (None, _) => self.problem("a statement names no vulnerability: it is left out".into()),
            (Some(id), true) => {
                let id: String = id.chars().take(60).collect();
                self.problem(format!("a statement on {id} names no product: it is left out"));
            }
            (Some(_), false) => self.statements.push(Statement { ids, products, status, reason, time }),
        }
    }
}

/// `first: second`, whichever there are.
fn joined(first: Option<&str>, second: Option<&str>) -> String {
    let texts = [first, second].into_iter().flatten().map(str::trim).filter(|text| !text.is_empty());
    let joined = texts.collect::<Vec<_>>().join(": ");
    joined.chars().take(1000).collect()
}

fn time(text: Option<&str>) -> Option<Timestamp> {
    text.and_then(|text| text.parse().ok())
}
