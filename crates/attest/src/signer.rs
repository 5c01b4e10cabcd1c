//! Who signs: the holder of a key, a program that keeps a key elsewhere, or whoever an identity token names.

use futures_util::future::try_join_all;
use portcullis_model::{Digest, Timestamp};
use sigstore_types::dsse::pae;

use crate::{
    Bundle, IdentitySigner, KeyPlugin, SignError, SigningKey, Statement, StatementError, TimestampAuthority,
    VerifyingKey, statement::PAYLOAD_TYPE,
};

/// Signs statements.
#[derive(Debug, Clone)]
pub struct StatementSigner {
    by: By,
    timestamps: Option<TimestampAuthority>,
}

#[derive(Debug, Clone)]
enum By {
    Key(SigningKey),
    Plugin(KeyPlugin),
    Identity(Box<IdentitySigner>),
}

impl From<SigningKey> for StatementSigner {
    fn from(key: SigningKey) -> Self {
        Self { by: By::Key(key), timestamps: None }
    }
}

impl From<KeyPlugin> for StatementSigner {
    fn from(plugin: KeyPlugin) -> Self {
        Self { by: By::Plugin(plugin), timestamps: None }
    }
}

impl From<IdentitySigner> for StatementSigner {
    fn from(identity: IdentitySigner) -> Self {
        Self { by: By::Identity(Box::new(identity)), timestamps: None }
    }
}

impl StatementSigner {
    /// Has the moment of signing witnessed. The services of an identity have authorities of their own.
    #[must_use]
    pub fn with_timestamps(self, authority: TimestampAuthority) -> Self {
        Self { timestamps: Some(authority), ..self }
    }

    /// The key that verifies what is signed, where it is always the same.
    #[must_use]
    pub const fn verifying_key(&self) -> Option<&VerifyingKey> {
        match &self.by {
            By::Key(key) => Some(key.verifying_key()),
            By::Plugin(plugin) => Some(plugin.verifying_key()),
            By::Identity(_) => None,
        }
    }

    /// Who signs, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.by {
            By::Key(key) => format!("key {}", key.verifying_key().id()),
            By::Plugin(plugin) => format!("key {}", plugin.verifying_key().id()),
            By::Identity(identity) => format!("{} by {}", identity.identity(), identity.issuer()),
        }
    }

    /// Signs statements at the same time, since services take seconds to answer; the bundles are in their order.
    ///
    /// # Errors
    /// As of [`StatementSigner::sign`].
    pub async fn sign_all(&self, statements: &[Statement], created: Timestamp) -> Result<Vec<Bundle>, SignError> {
        try_join_all(statements.iter().map(|statement| self.sign(statement, created))).await
    }

    /// Signs a statement. With a P-256, Ed25519 or RSA key and no timestamps the same inputs give the same bytes.
    /// `created` is told to registries, and not signed.
    ///
    /// # Errors
    /// When the key does not work, a service refuses, or the statement is too large.
    pub async fn sign(&self, statement: &Statement, created: Timestamp) -> Result<Bundle, SignError> {
        let payload = statement.to_bytes()?;
        let message = pae(PAYLOAD_TYPE, &payload);
        let (key, signature) = match &self.by {
            By::Key(key) => (key.verifying_key(), key.sign(&message)?),
            By::Plugin(plugin) => (plugin.verifying_key(), plugin.sign(&message).await?),
            By::Identity(identity) => {
                // What is about nothing could not be verified afterwards.
                let subject = statement.subjects().first().and_then(|subject| subject.digest.get("sha256"));
                let subject = subject.and_then(|hex| format!("sha256:{hex}").parse::<Digest>().ok());
                let subject = subject.ok_or(StatementError::Subjects(0))?;
                let bundle = identity.sign(&payload, subject.as_bytes()).await?;
                return Bundle::written(bundle, statement.predicate_type(), created);
            }
        };
        let timestamp = match &self.timestamps {
            Some(authority) => Some(authority.witness(&signature).await?),
            None => None,
        };
        Bundle::of_key(&payload, key, &signature, timestamp.as_deref(), statement.predicate_type(), created)
    }
}
