//! Credential helpers: programs named `docker-credential-<name>` that are asked over stdin and answer on stdout.
//!
//! Protocol: <https://github.com/docker/docker-credential-helpers#development>

use std::{process::Stdio, time::Duration};

use portcullis_errors::{Secret, printable};
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
};

use crate::credentials::{Credential, CredentialsError};

/// A helper may ask a key chain or a cloud; one that takes longer hangs.
const TIMEOUT: Duration = Duration::from_secs(30);
const MAX_ANSWER_BYTES: u64 = 64 << 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Asks `docker-credential-<name>` for `server`; none where it knows nothing of it.
pub(crate) async fn get(name: &str, server: &str) -> Result<Option<Credential>, CredentialsError> {
    let failed = |reason: String| CredentialsError::Helper { name: printable(name, 60), reason };
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
        return Err(failed("is not a helper's name".into()));
    }
    match tokio::time::timeout(TIMEOUT, ask(name, server)).await {
        Ok(answer) => answer.map_err(failed),
        Err(_) => Err(failed(format!("did not answer within {} s", TIMEOUT.as_secs()))),
    }
}

async fn ask(name: &str, server: &str) -> Result<Option<Credential>, String> {
    let mut child = Command::new(format!("docker-credential-{name}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot be run: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read its question is judged by its answer.
        _ = stdin.write_all(format!("{server}\n").as_bytes()).await;
    }
    let mut text = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let read = stdout.take(MAX_ANSWER_BYTES).read_to_end(&mut text).await;
        read.map_err(|error| format!("cannot be read: {error}"))?;
    }
    let status = child.wait().await.map_err(|error| format!("was lost: {error}"))?;
    if !status.success() {
        // On failure stdout holds the message; this one is the protocol's word for "none".
        let message = String::from_utf8_lossy(&text);
        if message.contains("credentials not found") {
            return Ok(None);
        }
        return Err(format!("failed: {}", printable(message.trim(), 200)));
    }
    let Answer { username, secret } =
        serde_json::from_slice(&text).map_err(|_error| "answered something that is no credential".to_owned())?;
    if username.is_empty() && secret.is_empty() {
        return Ok(None);
    }
    let secret = Secret::new(secret);
    Ok(Some(if username == "<token>" {
        Credential::IdentityToken(secret)
    } else {
        Credential::Basic { user: username, password: secret }
    }))
}
