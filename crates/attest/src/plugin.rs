//! Keys that are kept elsewhere: in a key management service, a hardware module, or an agent. A program on PATH signs
//! with them, by the convention that cosign has for such programs: `--key NAME://RESOURCE` runs `sigstore-kms-NAME`.
//!
//! Protocol: <https://github.com/sigstore/sigstore/blob/v1.10.8/pkg/signature/kms/cliplugin/README.md>

use std::{process::Stdio, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use portcullis_errors::{Hint, printable};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
};

use crate::{KeyError, VerifyingKey};

/// The version of the protocol that is spoken.
const PROTOCOL: &str = "v1";
/// What programs of this kind are called.
const PREFIX: &str = "sigstore-kms-";
/// Variables with passwords and tokens that are for us, and not for a program that keeps a key.
const SECRETS: [&str; 9] = [
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "CI_JOB_TOKEN",
    "CI_REGISTRY_PASSWORD",
    "COSIGN_PASSWORD",
    "DOCKER_AUTH_CONFIG",
    "GITHUB_TOKEN",
    "PORTCULLIS_GITLAB_TOKEN",
    "PORTCULLIS_REGISTRY_PASSWORD",
    "SIGSTORE_ID_TOKEN",
];
/// How long one call may take: a person may have to touch a token.
const TIME_LIMIT: Duration = Duration::from_secs(120);
/// An answer holds a key or a signature: a few kilobytes.
const MAX_ANSWER: u64 = 1 << 20;

/// Why a key that is kept elsewhere cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// The reference is of another form.
    #[error("`{0}` does not name a key of a signing program")]
    Reference(String),
    /// There is no such program.
    #[error("the program {program} cannot be run")]
    Program {
        /// Its name.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It takes too long.
    #[error("{program} has not answered within {} seconds", TIME_LIMIT.as_secs())]
    Time {
        /// The program.
        program: String,
    },
    /// It says that it cannot.
    #[error("{program} refuses: {reason}")]
    Refused {
        /// The program.
        program: String,
        /// What it says.
        reason: String,
    },
    /// Its answer is not of the protocol.
    #[error("the answer of {program} cannot be read: {reason}")]
    Answer {
        /// The program.
        program: String,
        /// Why.
        reason: String,
    },
    /// Its key cannot be used.
    #[error("the key of {program} cannot be used")]
    Key {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// What it signed does not verify with its own key.
    #[error("the signature that {program} made is not that of its key")]
    WrongSignature {
        /// The program.
        program: String,
    },
}

impl Hint for PluginError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Reference(_) => Some("write it as NAME://RESOURCE, with sigstore-kms-NAME on PATH".into()),
            Self::Program { program, .. } => {
                Some(format!("install {program} on PATH, or give --key a file, or env://NAME"))
            }
            Self::Key { source, .. } => source.hint(),
            _ => None,
        }
    }
}

/// A key that a program signs with.
#[derive(Debug, Clone)]
pub struct KeyPlugin {
    program: String,
    resource: String,
    public: VerifyingKey,
}

/// The program's answer to any call.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    error_message: String,
    #[serde(default)]
    public_key: Option<PublicKeyAnswer>,
    #[serde(default)]
    sign_message: Option<SignMessageAnswer>,
}

#[derive(Deserialize)]
struct PublicKeyAnswer {
    #[serde(rename = "publicKeyPEM")]
    pem: String,
}

#[derive(Deserialize)]
struct SignMessageAnswer {
    signature: String,
}

impl KeyPlugin {
    /// Whether a reference to a key is of this kind: `NAME://RESOURCE`, other than `env://`.
    #[must_use]
    pub fn is_named_by(reference: &str) -> bool {
        reference.split_once("://").is_some_and(|(name, _)| name != "env" && is_name(name))
    }

    /// Asks the program that a reference names for the public key.
    ///
    /// # Errors
    /// When there is no such program, or it does not give the key.
    pub async fn open(reference: &str) -> Result<Self, PluginError> {
        let named = reference.split_once("://").filter(|(name, _)| is_name(name));
        let (name, resource) = named.ok_or_else(|| PluginError::Reference(printable(reference, 100)))?;
        let program = format!("{PREFIX}{name}");
        let call = json!({"methodName": "publicKey", "publicKey": {"publicKeyOptions": {"rpcOptions": {}}}});
        let answer = ask(&program, resource, Hash::Sha256, call, &[]).await?;
        let PublicKeyAnswer { pem } =
            answer.public_key.ok_or_else(|| unreadable(&program, "it names no public key"))?;
        let pem = STANDARD.decode(pem).map_err(|error| unreadable(&program, &error.to_string()))?;
        let public = VerifyingKey::from_pem(&pem);
        let public = public.map_err(|source| PluginError::Key { program: program.clone(), source })?;
        Ok(Self { program, resource: resource.to_owned(), public })
    }

    /// The other half of the key.
    #[must_use]
    pub const fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }

    /// Has a message signed, and checks the signature.
    ///
    /// # Errors
    /// When the program does not sign, or its signature does not hold.
    pub async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, PluginError> {
        let Self { program, resource, public } = self;
        let hash = Hash::of(public);
        let options = json!({"rpcOptions": {}, "messageOptions": {"hashFunc": hash as u8}});
        let call = json!({"methodName": "signMessage", "signMessage": {"signOptions": options}});
        let answer = ask(program, resource, hash, call, message).await?;
        let signed = answer.sign_message.ok_or_else(|| unreadable(program, "it holds no signature"))?;
        let signature = STANDARD.decode(signed.signature).map_err(|error| unreadable(program, &error.to_string()))?;
        if public.verifies(message, &signature) {
            return Ok(signature);
        }
        Err(PluginError::WrongSignature { program: program.clone() })
    }
}

/// Hash functions by the numbers that the protocol takes from Go's `crypto.Hash`.
#[derive(Debug, Clone, Copy)]
enum Hash {
    Sha256 = 5,
    Sha384 = 6,
    Sha512 = 7,
}

impl Hash {
    /// The one that goes with a key.
    const fn of(key: &VerifyingKey) -> Self {
        match key.hash_bits() {
            384 => Self::Sha384,
            512 => Self::Sha512,
            _ => Self::Sha256,
        }
    }
}

/// Names become a part of a program's name: they hold nothing that could lead elsewhere.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Runs the program for one call. Its exit code says nothing, by the protocol; what it writes to stderr goes to ours.
async fn ask(program: &str, resource: &str, hash: Hash, call: Value, message: &[u8]) -> Result<Answer, PluginError> {
    let cannot = |source| PluginError::Program { program: program.to_owned(), source };
    let mut arguments = call;
    if let Some(fields) = arguments.as_object_mut() {
        let options = json!({
            "protocolVersion": PROTOCOL, "keyResourceID": resource, "hashFunc": hash as u8, "rpcOptions": {},
        });
        fields.insert("initOptions".into(), options);
    }
    let mut command = Command::new(program);
    command.arg(PROTOCOL).arg(arguments.to_string()).kill_on_drop(true);
    SECRETS.iter().for_each(|name| _ = command.env_remove(name));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().map_err(cannot)?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // One that answers before it has read all closes the pipe: its answer says what came of it.
            _ = stdin.write_all(message).await;
        }
    };
    let read = async {
        let mut answer = Vec::new();
        if let Some(stdout) = stdout {
            stdout.take(MAX_ANSWER + 1).read_to_end(&mut answer).await?;
        }
        Ok::<_, std::io::Error>(answer)
    };
    let talk = async {
        let ((), answer) = tokio::join!(feed, read);
        let answer = answer.map_err(cannot)?;
        if answer.len() as u64 > MAX_ANSWER {
            return Err(unreadable(program, "it is too long"));
        }
        child.wait().await.map_err(cannot)?;
        Ok(answer)
    };
    let answer = tokio::time::timeout(TIME_LIMIT, talk).await;
    let answer = answer.map_err(|_elapsed| PluginError::Time { program: program.to_owned() })??;
    let answer: Answer =
        serde_json::from_slice(&answer).map_err(|error| unreadable(program, &printable(&error.to_string(), 200)))?;
    if !answer.error_message.is_empty() {
        let reason = printable(&answer.error_message, 300);
        return Err(PluginError::Refused { program: program.to_owned(), reason });
    }
    Ok(answer)
}

fn unreadable(program: &str, reason: &str) -> PluginError {
    PluginError::Answer { program: program.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_name_programs_and_nothing_else() {
        for (reference, is_plugin) in [
            ("awskms://alias/portcullis", true),
            ("my-hsm://slot/1", true),
            ("env://KEY", false),
            ("cosign.key", false),
            ("../x://y", false),
            ("/bin/sh://y", false),
            ("Big://y", false),
            ("://y", false),
        ] {
            assert_eq!(KeyPlugin::is_named_by(reference), is_plugin, "{reference}");
        }
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let error = KeyPlugin::open("none-of-this-name://key").await.unwrap_err();
        assert_eq!(error.to_string(), "the program sigstore-kms-none-of-this-name cannot be run");
        assert!(error.hint().unwrap().contains("on PATH"));
    }
}
