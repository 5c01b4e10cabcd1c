//! Three ways to make an image that nobody vouches for look as if somebody did. The gate must see through each.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use portcullis_attest::{BUNDLE_MEDIA_TYPE, Candidate, SigningKey, discover};
use portcullis_model::Digest;
use portcullis_registry::{Client, Descriptor, Reference, media_type};
use serde_json::{Value, json};

use super::Demo;
use crate::{
    commands::{attest, scan},
    diagnostics::{Context as _, Failure},
    settings::Access,
};

/// What an attacker who can write to the registry leaves beside the image `unsigned`.
pub(super) fn tamper(demo: &Demo) -> Result<(), Failure> {
    // A verdict that passed, signed with another key.
    let scan::Scanned { access, source, report, note: _ } = demo.scanned("unsigned", None)?;
    let stranger = attest::Plan::with_key(SigningKey::generate()?);
    attest::attest(&access, &source, &report, &stranger)?;

    let access = Access::new(&Demo::source())?;
    let (client, runtime) = access.registry()?;
    let parse = |name: &str| demo.image(name).parse::<Reference>();
    let (healthy, unsigned) = (parse("healthy")?, parse("unsigned")?);
    runtime.block_on(async {
        let genuine = client.manifest(&healthy).await?.digest;
        let subject = client.resolve(&unsigned).await?;
        let found = discover(client, &healthy, &genuine, &[]).await;
        if found.candidates.is_empty() {
            return Err(Failure::new("there is no evidence to tamper with"));
        }
        for Candidate { bytes, .. } in &found.candidates {
            // The genuine evidence of another image.
            attach(client, &unsigned, &subject, bytes).await?;
            // The same, with the image's digest written over the other's.
            let edited = edited(bytes, &genuine, &subject.digest);
            let edited = edited.ok_or_else(|| Failure::new("the evidence does not name its image"))?;
            attach(client, &unsigned, &subject, &edited).await?;
        }
        Ok::<_, Failure>(())
    })
}

/// A bundle whose payload speaks of another digest than what was signed.
fn edited(bundle: &[u8], from: &Digest, to: &Digest) -> Option<Bytes> {
    let mut bundle: Value = serde_json::from_slice(bundle).ok()?;
    let payload = bundle.pointer_mut("/dsseEnvelope/payload")?;
    let text = String::from_utf8(STANDARD.decode(payload.as_str()?).ok()?).ok()?;
    let moved = text.replace(&from.hex(), &to.hex());
    if moved == text {
        return None;
    }
    *payload = STANDARD.encode(moved).into();
    Some(Bytes::from(bundle.to_string()))
}

/// Hangs a bundle on an image, as anyone can who may write to the repository.
async fn attach(client: &Client, image: &Reference, subject: &Descriptor, bundle: &Bytes) -> Result<(), Failure> {
    const EMPTY: &[u8] = b"{}";
    client.push_blob(image, Bytes::from_static(EMPTY)).await?;
    client.push_blob(image, bundle.clone()).await?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "artifactType": BUNDLE_MEDIA_TYPE,
        "config": Descriptor::of(media_type::OCI_EMPTY, EMPTY),
        "layers": [Descriptor::of(BUNDLE_MEDIA_TYPE, bundle)],
        "subject": subject,
    });
    let manifest = serde_json::to_vec(&manifest).context(|| "manifest".to_owned())?;
    let at = image.with_digest(Digest::of(&manifest));
    client.push_manifest(&at, manifest.into(), media_type::OCI_MANIFEST).await?;
    Ok(())
}
