//! Who signs: the holder of a key, a program that keeps a key elsewhere, or whoever an identity token names.

use bytes::Bytes;
use futures_util::future::try_join_all;
use portcullis_model::{Digest, Timestamp};
use sigstore_types::dsse::pae;

use crate::{
    Bundle, IdentitySigner, KeyPlugin, SignError, SigningKey, Statement, StatementError, TimestampAuthority,
    VerifyingKey, message::message_of_key, statement::PAYLOAD_TYPE,
};

/// Signs statements, and content itself.
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

    /// Who signs, for people: of an identity what the certificate says, once something is signed.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.by {
            By::Key(key) => format!("key {}", key.verifying_key().id()),
            By::Plugin(plugin) => format!("key {}", plugin.verifying_key().id()),
            By::Identity(identity) => identity.describe(),
        }
    }

    /// Signs statements at the same time, since services take seconds to answer; the bundles are in their order. A
    /// program is asked for one after the other: it may wait for somebody to touch a token.
    ///
    /// # Errors
    /// As of [`StatementSigner::sign`].
    pub async fn sign_all(&self, statements: &[Statement], created: Timestamp) -> Result<Vec<Bundle>, SignError> {
        if let By::Plugin(_) = self.by {
            let mut bundles = Vec::with_capacity(statements.len());
            for statement in statements {
                bundles.push(self.sign(statement, created).await?);
            }
            return Ok(bundles);
        }
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
                let bundle = identity.sign(&payload, subject).await?;
                return Bundle::written(bundle, statement.predicate_type(), created);
            }
        };
        let timestamp = self.witnessed(&signature).await?;
        Bundle::of_key(&payload, key, &signature, timestamp.as_deref(), statement.predicate_type(), created)
    }

    /// Signs content itself, and gives the bundle's JSON. With a P-256, Ed25519 or RSA key and no timestamps the same
    /// content gives the same bytes.
    ///
    /// # Errors
    /// When the key does not work, or a service refuses.
    pub async fn sign_message(&self, content: &[u8]) -> Result<Bytes, SignError> {
        let (key, signature) = match &self.by {
            By::Key(key) => (key.verifying_key(), key.sign(content)?),
            By::Plugin(plugin) => (plugin.verifying_key(), plugin.sign(content).await?),
            By::Identity(identity) => return Ok(identity.sign_message(content).await?.into()),
        };
        let timestamp = self.witnessed(&signature).await?;
        Ok(message_of_key(content, key, &signature, timestamp.as_deref()))
    }

    /// What the timestamp authority says of a signature, where one is asked.
    async fn witnessed(&self, signature: &[u8]) -> Result<Option<Vec<u8>>, SignError> {
        match &self.timestamps {
            Some(authority) => Ok(Some(authority.witness(signature).await?)),
            None => Ok(None),
        }
    }
}
