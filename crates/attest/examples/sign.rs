//! Signs a small statement with a new key, for trying other verifiers: writes `bundle.json` and `key.pub` into the
//! folder that is named.

use std::{error::Error, fs, path::PathBuf};

use portcullis_attest::{Bundle, SigningKey, Statement};
use portcullis_model::{Digest, Timestamp};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("name a folder")?);
    let key = SigningKey::generate()?;
    let statement =
        Statement::new("app", &Digest::of(b"app"), "https://example.com/p", serde_json::json!({"ok": true}));
    let bundle = Bundle::sign(&statement, &key, Timestamp::from_unix(0))?;
    fs::write(folder.join("bundle.json"), bundle.bytes())?;
    fs::write(folder.join("key.pub"), key.verifying_key().to_pem())?;
    Ok(())
}
