//! An image of many files and many bytes, the same every time: what peak memory is measured on.
//!
//! Of so many files as are named, one is a `package.json` of its own package, one a program that no package manager knows,
//! two are symlinks, the rest is text. Files that are larger than all of memory stand between them. What is written is packed;
//! nothing is held.

use std::{
    fs::File,
    io::{self, BufWriter, Read, Write},
    path::Path,
};

use anyhow::{Context as _, ensure};
use flate2::{Compression, write::GzEncoder};
use portcullis_model::{Digest, Hasher};
use serde_json::{Value, json};

use crate::print;

/// Layers of the image; the files are dealt out to them evenly.
const LAYERS: u64 = 4;

/// `monster FOLDER FILES EACH MEGABYTES`: an OCI layout with so many entries, a package in each EACH of them, and large
/// files of so many megabytes in all.
pub(crate) fn run(folder: &Path, [files, each, megabytes]: [&str; 3]) -> anyhow::Result<()> {
    let (files, each, megabytes): (u64, u64, u64) = (files.parse()?, each.parse()?, megabytes.parse()?);
    ensure!(each >= 10, "a package has ten files at least");
    let blobs = folder.join("blobs/sha256");
    ensure!(!folder.exists(), "{} is there already", folder.display());
    std::fs::create_dir_all(&blobs)?;
    let mut layers = Vec::new();
    let mut diff_ids = Vec::new();
    for layer in 0..LAYERS {
        let path = blobs.join("new");
        let stored = Hashed::new(BufWriter::new(File::create(&path)?));
        let plain = Hashed::new(GzEncoder::new(stored, Compression::fast()));
        let numbers = files * layer / LAYERS..files * (layer + 1) / LAYERS;
        let plain = write_layer(plain, numbers, each, (megabytes << 20) / LAYERS)?;
        let (stored, diff_id, _) = plain.finish();
        let (mut file, digest, size) = stored.finish()?.finish();
        file.flush()?;
        std::fs::rename(&path, blobs.join(digest.hex()))?;
        layers.push(descriptor("application/vnd.oci.image.layer.v1.tar+gzip", digest, size));
        diff_ids.push(diff_id.to_string());
    }
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}
    });
    let config = document(&blobs, "application/vnd.oci.image.config.v1+json", &config)?;
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers});
    let manifest = document(&blobs, kind, &manifest)?;
    std::fs::write(folder.join("index.json"), json!({"schemaVersion": 2, "manifests": [manifest]}).to_string())?;
    std::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    print(&format!("oci-dir:{}", folder.display()));
    Ok(())
}

fn descriptor(kind: &str, digest: Digest, size: u64) -> Value {
    json!({"mediaType": kind, "digest": digest.to_string(), "size": size})
}

/// Writes a JSON document as a blob; its descriptor.
fn document(blobs: &Path, kind: &str, value: &Value) -> anyhow::Result<Value> {
    let bytes = value.to_string().into_bytes();
    let digest = Digest::of(&bytes);
    std::fs::write(blobs.join(digest.hex()), &bytes)?;
    Ok(descriptor(kind, digest, bytes.len() as u64))
}

/// One layer: entries of these numbers, and one large file.
fn write_layer<W: Write>(target: W, numbers: std::ops::Range<u64>, each: u64, large: u64) -> anyhow::Result<W> {
    let mut tar = tar::Builder::new(target);
    let first = numbers.start;
    for number in numbers {
        let folder = format!("srv/app{}/node_modules/package-{}", number / 20_000, number / each);
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        let (path, contents) = match number % each {
            0 => {
                let text = format!(r#"{{"name":"package-{}","version":"1.{}.0"}}"#, number / each, number % 7);
                (format!("{folder}/package.json"), text)
            }
            1 => {
                header.set_mode(0o755);
                (format!("{folder}/bin/tool"), format!("#!/bin/sh\nexec true {number}\n"))
            }
            2 | 3 => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                tar.append_link(&mut header, format!("{folder}/link-{number}"), format!("file-{number}.js"))?;
                continue;
            }
            _ => (format!("{folder}/lib/file-{number}.js"), format!("module.exports = {number};\n").repeat(8)),
        };
        header.set_size(contents.len() as u64);
        tar.append_data(&mut header, path, contents.as_bytes())?;
    }
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(large);
    tar.append_data(&mut header, format!("srv/large-{first}.bin"), Pattern(first).take(large))?;
    tar.into_inner().context("a layer cannot be written")
}

/// Bytes that pack to about a half, the same for the same start.
struct Pattern(u64);

impl Read for Pattern {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for piece in buffer.chunks_mut(8) {
            // <https://prng.di.unimi.it/splitmix64.c>, of which half the bits are taken.
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let bytes = (mixed & 0x0f0f_0f0f_0f0f_0f0f).to_le_bytes();
            piece.copy_from_slice(bytes.get(..piece.len()).unwrap_or_default());
        }
        Ok(buffer.len())
    }
}

/// Hashes and counts what is written.
struct Hashed<W> {
    target: W,
    hasher: Hasher,
    bytes: u64,
}

impl<W> Hashed<W> {
    fn new(target: W) -> Self {
        Self { target, hasher: Hasher::new(), bytes: 0 }
    }

    fn finish(self) -> (W, Digest, u64) {
        (self.target, self.hasher.finish(), self.bytes)
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.target.write(bytes)?;
        self.hasher.update(&bytes[..length]);
        self.bytes += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.target.flush()
    }
}
