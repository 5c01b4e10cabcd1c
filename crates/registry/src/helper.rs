//! Credential helpers: programs named `docker-credential-<name>` that are asked over stdin and answer on stdout.
//!
//! Protocol: <https://github.com/docker/docker-credential-helpers#development>

use std::{ffi::OsStr, process::Stdio, time::Duration};

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
    ask_in_time(format!("docker-credential-{name}").as_ref(), server, TIMEOUT).await.map_err(failed)
}

async fn ask_in_time(program: &OsStr, server: &str, limit: Duration) -> Result<Option<Credential>, String> {
    match tokio::time::timeout(limit, ask(program, server)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("did not answer within {} s", limit.as_secs())),
    }
}

async fn ask(program: &OsStr, server: &str) -> Result<Option<Credential>, String> {
    let mut child = Command::new(program)
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

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, path::Path};

    use super::*;

    async fn run(script: &str, limit: Duration) -> Result<Option<Credential>, String> {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("docker-credential-fake");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        ask_in_time(program.as_os_str(), "registry.example", limit).await
    }

    #[tokio::test]
    async fn answers_of_every_kind() {
        let limit = Duration::from_secs(20);
        let basic = run(
            r#"read server; echo "{\"ServerURL\":\"$server\",\"Username\":\"$server-$1\",\"Secret\":\"p\"}""#,
            limit,
        )
        .await;
        let password = Secret::new("p".into());
        assert_eq!(basic, Ok(Some(Credential::Basic { user: "registry.example-get".into(), password })));
        let token = run(r#"echo '{"Username":"<token>","Secret":"t"}'"#, limit).await;
        assert_eq!(token, Ok(Some(Credential::IdentityToken(Secret::new("t".into())))));
        assert_eq!(run("echo credentials not found in native keychain; exit 1", limit).await, Ok(None));
        let failure = run("printf 'locked \\033[31m'; exit 1", limit).await.unwrap_err();
        assert_eq!(failure, "failed: locked \\u{1b}[31m");
        assert!(run("echo secret", limit).await.is_err_and(|reason| !reason.contains("secret")));
        assert!(run("yes | head -c 100000", limit).await.is_err());
        let missing = ask(Path::new("/nonexistent/helper").as_os_str(), "x").await;
        assert!(missing.unwrap_err().starts_with("cannot be run"));
        // One that hangs is cut. In the same test: a file that is being written cannot be run, and another thread
        // that forks meanwhile keeps it open.
        let cut = run("sleep 60", Duration::from_millis(200)).await.unwrap_err();
        assert!(cut.starts_with("did not answer"), "{cut}");
        assert!(get("../x", "y").await.is_err());
    }
}
