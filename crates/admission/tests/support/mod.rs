//! What tests at a registry share: a client, somebody's word on an image, and policies that trust it.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::Duration;

use portcullis_attest::{Bundle, SigningKey, VerificationSummary};
use portcullis_model::{Digest, Inputs, Outcome, PolicyRef, Reason, Timestamp, Verdict};
use portcullis_policy::Policy;
use portcullis_registry::{Client, Credentials, PlainHttp, Reference};

/// The moment of all decisions.
pub(crate) const NOW: i64 = 1_800_000_000;

/// A client that soon gives up.
pub(crate) fn client(credentials: Credentials) -> Client {
    let options = portcullis_registry::Options {
        plain_http: PlainHttp::Always,
        timeout: Duration::from_secs(20),
        retries: 1,
        max_wait: Duration::from_millis(10),
        ..Default::default()
    };
    Client::new(options, credentials).unwrap()
}

/// A verdict of so many seconds ago, signed.
pub(crate) fn signed(
    key: &SigningKey,
    image: &Reference,
    subject: Digest,
    result: Outcome,
    seconds_ago: i64,
) -> Bundle {
    let time = Timestamp::from_unix(NOW - seconds_ago);
    let digest = |text: &str| Digest::of(text.as_bytes());
    let verdict = Verdict {
        result,
        policy: PolicyRef { name: "pipeline".into(), digest: digest("policy"), audit: false },
        reasons: vec![Reason { result, rule: "vulnerabilities".into(), message: "as the test says".into() }],
        inputs: Inputs {
            image: Some(subject),
            inventory: digest("inventory"),
            database: digest("database"),
            policy: digest("policy"),
            vex: Vec::new(),
            engine: "0.1.0".into(),
        },
        time,
    };
    let summary = VerificationSummary::of(&verdict, image, &subject, Vec::new());
    Bundle::sign(&summary.statement(image, &subject).unwrap(), key, time).unwrap()
}

/// A policy that trusts this key.
pub(crate) fn policy(name: &str, key: &SigningKey, max_age: &str) -> Vec<Policy> {
    let key = serde_json::to_string(&key.verifying_key().to_pem()).unwrap();
    let text = format!(
        "apiVersion: portcullis.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: {name}}}\nspec:\n  \
         evidence: {{authorities: [{{key: {key}}}], maxAge: {max_age}}}\n"
    );
    Policy::parse(&text, "policy.yaml", Timestamp::from_unix(NOW)).unwrap()
}
