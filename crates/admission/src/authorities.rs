//! Policies made ready: whom each trusts, with keys read and identities as the verifier takes them.

use std::path::PathBuf;

use portcullis_attest::{
    Authority, Identity, KeyError, PatternError, TrustRoot, TrustRootError, Verifier, VerifyingKey,
};
use portcullis_errors::Hint;
use portcullis_model::{Digest, Hasher, PolicyRef};
use portcullis_policy::{Pattern, Policy, Vouching};

/// The largest key file: an RSA key has a few thousand bytes.
const MAX_KEY_BYTES: u64 = 64 << 10;

/// Why the gate cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// A key file cannot be read.
    #[error("policy `{policy}`: cannot read the key {}", path.display())]
    KeyFile {
        /// The policy.
        policy: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A key is none.
    #[error("policy `{policy}`: the key of authority {number} cannot be used")]
    Key {
        /// The policy.
        policy: String,
        /// Which of its authorities, from 1.
        number: usize,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// An identity cannot be matched.
    #[error("policy `{policy}`: the identity of authority {number} cannot be used")]
    Identity {
        /// The policy.
        policy: String,
        /// Which of its authorities, from 1.
        number: usize,
        /// Why.
        #[source]
        source: PatternError,
    },
    /// An authority names nobody.
    #[error("policy `{policy}`: authority {number} names nobody")]
    Nobody {
        /// The policy.
        policy: String,
        /// Which of its authorities, from 1.
        number: usize,
    },
    /// The public trusted root cannot be used.
    #[error("the trusted root cannot be used")]
    TrustRoot(#[from] TrustRootError),
}

impl Hint for GateError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::KeyFile { .. } => Some("the path is taken from the working folder; or write the PEM inline".into()),
            Self::Key { source, .. } => source.hint(),
            Self::Nobody { .. } => Some("name a `key`, or an `identity` with its `issuer`".into()),
            Self::Identity { .. } | Self::TrustRoot(_) => None,
        }
    }
}

/// The verifier of a policy's authorities; none where it trusts nobody.
///
/// # Errors
/// When a key or identity of the policy cannot be used.
pub fn verifier_of(policy: &Policy, trust_root: Option<&TrustRoot>) -> Result<Option<Verifier>, GateError> {
    Ok(ReadyPolicy::new(policy.clone(), trust_root)?.verifier)
}

/// A policy with the verifier of its authorities: its keys were read, its identities can be matched.
#[derive(Debug)]
pub struct ReadyPolicy {
    pub(crate) policy: Policy,
    pub(crate) reference: PolicyRef,
    /// None where the policy trusts nobody.
    pub(crate) verifier: Option<Verifier>,
    /// Over all keys, identities and trusted roots: a key file may change while the policy does not.
    pub(crate) authorities: Digest,
}

impl ReadyPolicy {
    /// Reads what a policy names. `trust_root` stands in for the public Sigstore instance.
    ///
    /// # Errors
    /// When a key or identity of the policy cannot be used.
    pub fn new(policy: Policy, trust_root: Option<&TrustRoot>) -> Result<Self, GateError> {
        let mut hasher = Hasher::new();
        let mut trusted = Vec::new();
        let evidence = policy.spec.evidence.as_ref();
        for (index, authority) in evidence.iter().flat_map(|rules| &rules.authorities).enumerate() {
            let number = index + 1;
            let vouching = authority.vouching();
            let vouching = vouching.ok_or_else(|| GateError::Nobody { policy: policy.name.clone(), number })?;
            trusted.push(ready(&policy.name, number, vouching, trust_root, &mut hasher)?);
        }
        let verifier = (!trusted.is_empty()).then(|| Verifier::new(trusted));
        Ok(Self { reference: policy.reference(), policy, verifier, authorities: hasher.finish() })
    }

    /// The policy.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }
}

fn ready(
    policy: &str,
    number: usize,
    vouching: Vouching<'_>,
    trust_root: Option<&TrustRoot>,
    hasher: &mut Hasher,
) -> Result<Authority, GateError> {
    let from_pem = |pem: &[u8]| {
        VerifyingKey::from_pem(pem).map_err(|source| GateError::Key { policy: policy.to_owned(), number, source })
    };
    let (name, key) = match vouching {
        Vouching::InlineKey(pem) => (format!("key {number}"), from_pem(pem.as_bytes())?),
        Vouching::KeyFile(path) => (path.to_owned(), from_pem(&read_key(policy, path)?)?),
        Vouching::Identity { identity, issuer } => {
            let root = trust_root.map_or_else(TrustRoot::public, |root| Ok(root.clone()))?;
            update(hasher, &[b"identity", identity.as_str().as_bytes(), issuer.as_bytes(), root.digest().as_bytes()]);
            let name = format!("{} by {issuer}", identity.as_str());
            let identity = identity_of(identity);
            let identity =
                identity.map_err(|source| GateError::Identity { policy: policy.to_owned(), number, source })?;
            return Ok(Authority::Certificate { name, identity, issuer: issuer.to_owned(), root });
        }
    };
    update(hasher, &[b"key", key.der()]);
    Ok(Authority::Key { name, key })
}

/// Parts with their lengths, so that no two lists of parts look the same.
fn update(hasher: &mut Hasher, parts: &[&[u8]]) {
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
}

fn read_key(policy: &str, path: &str) -> Result<Vec<u8>, GateError> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MAX_KEY_BYTES).read_to_end(&mut bytes));
    read.map_err(|source| GateError::KeyFile { policy: policy.to_owned(), path: path.into(), source })?;
    Ok(bytes)
}

/// A policy's pattern (`*` inside a segment, `**` across) as the verifier takes it.
fn identity_of(pattern: &Pattern) -> Result<Identity, PatternError> {
    let text = pattern.as_str();
    if pattern.is_exact() {
        return Ok(Identity::Exact(text.to_owned()));
    }
    let mut expression = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '*' if characters.next_if_eq(&'*').is_some() => expression.push_str(".*"),
            '*' => expression.push_str("[^/]*"),
            sign if sign.is_ascii_punctuation() => expression.extend(['\\', sign]),
            other => expression.push(other),
        }
    }
    Identity::pattern(&expression)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_taken_literally_but_for_stars() {
        for (pattern, matching, other) in [
            (
                "https://github.com/team/*/.x@refs/heads/main",
                "https://github.com/team/app/.x@refs/heads/main",
                "https://github.com/team/a/b/.x@refs/heads/main",
            ),
            ("https://github.com/team/**", "https://github.com/team/a/b", "https://githubXcom/team/a"),
            ("a+(b)*", "a+(b)c", "aab"),
        ] {
            let Identity::Pattern(regex) = identity_of(&pattern.parse().unwrap()).unwrap() else { panic!("{pattern}") };
            assert!(regex.is_match(matching), "{regex} {matching}");
            assert!(!regex.is_match(other), "{regex} {other}");
        }
        let exact = identity_of(&"ci@team.example".parse().unwrap()).unwrap();
        assert!(matches!(exact, Identity::Exact(text) if text == "ci@team.example"));
    }
}
