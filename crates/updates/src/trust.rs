//! Whom to believe that a database is what it says.

use portcullis_attest::{Authority, Candidate, Discovery, Format, Verifier, VerifyError};
use portcullis_model::{Digest, Timestamp};

use crate::{
    Event, Signature, UpdateError,
    artifact::{Claim, PREDICATE_TYPE},
};

/// Who may vouch for a database, and what is taken without.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Whoever may vouch. With any of them named, what none of them has signed is refused.
    pub authorities: Vec<Authority>,
    /// Takes a database that nobody vouches for, where no authority is named.
    pub allow_unsigned: bool,
    /// Takes a database that is older than the one in use.
    pub allow_rollback: bool,
}

/// An artifact that may be used.
pub(crate) struct Accepted {
    /// What was signed, and by whom; none where it is taken unsigned.
    pub(crate) signed: Option<(Claim, Signature)>,
}

impl Trust {
    /// Whether an earlier check would have the same outcome.
    pub(crate) fn covers(&self, earlier: Option<&Signature>) -> bool {
        match earlier {
            Some(signature) => self.authorities.iter().any(|authority| authority.name() == signature.by),
            None => self.authorities.is_empty() && self.allow_unsigned,
        }
    }

    /// Refuses before anything is asked for what cannot be accepted anyway.
    pub(crate) fn require_any(&self, place: &str) -> Result<(), UpdateError> {
        if self.authorities.is_empty() && !self.allow_unsigned {
            return Err(UpdateError::Unsigned { place: place.to_owned(), refused: Vec::new() });
        }
        Ok(())
    }

    /// Looks for a signature of one of the authorities about the manifest.
    pub(crate) fn accept(
        &self,
        place: &str,
        manifest: &Digest,
        discovery: &Discovery,
        now: Timestamp,
        tell: &(dyn Fn(Event) + Sync),
    ) -> Result<Accepted, UpdateError> {
        self.require_any(place)?;
        if self.authorities.is_empty() {
            tell(Event::Unsigned);
            return Ok(Accepted { signed: None });
        }
        let verifier = Verifier::new(self.authorities.clone());
        let mut refused = Vec::new();
        for candidate in discovery.candidates.iter().filter(|candidate| candidate.format == Format::Bundle) {
            match verify(&verifier, candidate, manifest, now) {
                Ok(signed) => {
                    tell(Event::Verified { by: signed.1.by.clone() });
                    return Ok(Accepted { signed: Some(signed) });
                }
                Err(error) => refused.push(error),
            }
        }
        // Where not all could be read, nobody knows whether there is a good one.
        if let Some(problem) = discovery.problems.first() {
            let reason = format!("{}: {}", problem.what, portcullis_errors::chain(&problem.error));
            return Err(UpdateError::Signatures { place: place.to_owned(), reason });
        }
        Err(UpdateError::Unsigned { place: place.to_owned(), refused })
    }

    /// Refuses what is older than what is in use.
    pub(crate) fn require_newer(&self, offered: Timestamp, installed: Option<Timestamp>) -> Result<(), UpdateError> {
        match installed {
            Some(installed) if offered < installed && !self.allow_rollback => {
                Err(UpdateError::Rollback { offered, installed })
            }
            _ => Ok(()),
        }
    }
}

fn verify(
    verifier: &Verifier,
    candidate: &Candidate,
    manifest: &Digest,
    now: Timestamp,
) -> Result<(Claim, Signature), VerifyError> {
    let verified = verifier.verify(candidate, manifest, now)?.of_type(PREDICATE_TYPE)?;
    let claim = Claim::read(&verified).map_err(VerifyError::Malformed)?;
    let bundle =
        String::from_utf8(candidate.bytes.to_vec()).map_err(|error| VerifyError::Malformed(error.to_string()))?;
    let signature = Signature { by: verified.authority().to_owned(), signed: verified.signed_at(), bundle };
    Ok((claim, signature))
}
