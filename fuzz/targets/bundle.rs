//! A Sigstore bundle, verified with a key and with a certificate: nothing unsigned verifies.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis_attest::{Content, Identity, Signer, SigningKey, TrustRoot, VerifyingKey, verify_bundle};
use portcullis_model::Timestamp;

static KEY: LazyLock<VerifyingKey> = LazyLock::new(|| {
    let pem = SigningKey::generate().expect("a key").verifying_key().to_pem();
    VerifyingKey::from_pem(pem.as_bytes()).expect("a key")
});
static ROOT: LazyLock<TrustRoot> = LazyLock::new(|| TrustRoot::public().expect("a root"));

fuzz_target!(|bytes: &[u8]| {
    let identity = Identity::Exact("nobody@example.org".to_owned());
    let now = Timestamp::from_unix(1_790_000_000);
    for signer in [Signer::Key(&KEY), Signer::Certificate { identity: &identity, issuer: "https://example.org" }] {
        assert!(verify_bundle(bytes, Content::Bytes(b"artifact"), signer, &ROOT, now).is_err());
    }
});
