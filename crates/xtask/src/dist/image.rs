//! Container images of the released programs: one for each architecture that there is an archive for, in one OCI layout.
//! There is the program, the certificates of public authorities, and nothing that a scan could find old.
//!
//! Format: <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>. A shell is added where it is asked
//! for, since jobs of GitLab and others are scripts: busybox, as the folder of `--shell` has it for each architecture.

use std::{fs, path::Path};

use anyhow::{Context as _, ensure};
use portcullis_model::Digest;
use serde_json::{Value, json};

use super::{
    PROGRAMS,
    archive::{self, Content, Entry},
    epoch, listed, version,
};

/// The authorities of the machine that builds the image.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Who runs the program: nobody in particular.
const USER: u32 = 65_532;

/// What scripts of pipelines use, and what systems run them with: Woodpecker through base64, Gitea gives the folder
/// away by id and chown, and CircleCI wants tar and gzip. The busybox of Debian and Ubuntu is all of these.
const APPLETS: &str = "[ awk base64 basename cat chmod chown cp cut date dirname echo env expr false find grep \
                       gunzip gzip head id ln ls mkdir mktemp mv printf pwd rm sed sh sha256sum sleep sort tail \
                       tar tee test touch tr true uname wc which xargs";

/// What that busybox is not, and Jenkins runs each script with.
const NOHUP: &str = "#!/bin/sh\ntrap '' HUP\nexec \"$@\"\n";

/// Writes the layout; the image is called as the version is.
pub(super) fn run(folder: &Path, program: &str, layout: &Path, shell: Option<&Path>) -> anyhow::Result<()> {
    ensure!(PROGRAMS.iter().any(|known| known.name == program), "there is no program `{program}`");
    let epoch = epoch()?;
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).with_context(|| format!("cannot make {}", layout.display()))?;
    let store = |kind: &str, bytes: &[u8]| -> anyhow::Result<Value> {
        let digest = Digest::of(bytes);
        fs::write(blobs.join(digest.hex()), bytes)?;
        Ok(json!({"mediaType": kind, "digest": digest.to_string(), "size": bytes.len()}))
    };
    let stem = format!("{program}-{}-linux-", version());
    let mut manifests = Vec::new();
    for path in listed(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(machine) = name.strip_prefix(&stem).and_then(|rest| rest.strip_suffix(".tar.gz")) else { continue };
        let binary = archive::member(&path, &format!("{stem}{machine}/{program}"))?;
        let shell = shell.map(|folder| folder.join(format!("busybox-{machine}"))).map(fs::read).transpose();
        let entries = entries(program, binary, shell.with_context(|| format!("no shell for {machine}"))?)?;
        let unpacked = archive::tar(Vec::new(), entries, epoch)?;
        let packed = archive::gzip(&unpacked)?;
        let platform = json!({"architecture": architecture(machine)?, "os": "linux"});
        let config = config(program, &platform, &Digest::of(&unpacked), epoch);
        let config = store("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes())?;
        let layer = store("application/vnd.oci.image.layer.v1.tar+gzip", &packed)?;
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]});
        let mut manifest = store(kind, manifest.to_string().as_bytes())?;
        manifest["platform"] = platform;
        manifests.push(manifest);
    }
    ensure!(!manifests.is_empty(), "{} has no archive of {program}", folder.display());
    let kind = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": manifests});
    let mut named = store(kind, index.to_string().as_bytes())?;
    named["annotations"] = json!({"org.opencontainers.image.ref.name": version()});
    let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": [named]});
    fs::write(layout.join("index.json"), index.to_string())?;
    fs::write(layout.join("oci-layout"), json!({"imageLayoutVersion": "1.0.0"}).to_string())?;
    crate::print(&layout.display().to_string());
    Ok(())
}

/// What OCI calls what `uname -m` says.
fn architecture(machine: &str) -> anyhow::Result<&'static str> {
    match machine {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        _ => anyhow::bail!("no image is made for {machine}"),
    }
}

/// The one layer.
fn entries(program: &str, binary: Vec<u8>, shell: Option<Vec<u8>>) -> anyhow::Result<Vec<Entry>> {
    let authorities = fs::read(AUTHORITIES).with_context(|| format!("cannot read {AUTHORITIES}"))?;
    let passwd = format!("root:x:0:0:root:/root:/sbin/nologin\n{program}:x:{USER}:{USER}::/home:/sbin/nologin\n");
    let entry = |path: &str, content| Entry { path: path.to_owned(), content };
    let mut entries: Vec<Entry> = ["etc/", "etc/ssl/", "etc/ssl/certs/", "home/", "root/", "usr/", "usr/bin/"]
        .into_iter()
        .map(|path| entry(path, Content::Folder(0o755)))
        .collect();
    entries.extend([
        entry("etc/passwd", Content::File(passwd.into_bytes())),
        entry("etc/ssl/certs/ca-certificates.crt", Content::File(authorities)),
        entry("tmp/", Content::Folder(0o1777)),
        entry(&format!("usr/bin/{program}"), Content::Program(binary)),
    ]);
    if let Some(busybox) = shell {
        entries.push(entry("bin/", Content::Folder(0o755)));
        entries.push(entry("bin/busybox", Content::Program(busybox)));
        entries.push(entry("bin/nohup", Content::Program(NOHUP.into())));
        let link = |name: &str| entry(&format!("bin/{name}"), Content::Link("busybox".to_owned()));
        entries.extend(APPLETS.split_whitespace().map(link));
    }
    Ok(entries)
}

fn config(program: &str, platform: &Value, layer: &Digest, epoch: u64) -> Value {
    let created = portcullis_model::Timestamp::from_unix(i64::try_from(epoch).unwrap_or(i64::MAX)).to_string();
    let mut config = json!({
        "created": created,
        "config": {
            "User": format!("{USER}:{USER}"),
            "Env": ["PATH=/usr/bin:/bin", "HOME=/tmp"],
            "Entrypoint": [format!("/usr/bin/{program}")],
            "Labels": {
                "org.opencontainers.image.title": program,
                "org.opencontainers.image.version": version(),
                "org.opencontainers.image.source": env!("CARGO_PKG_REPOSITORY"),
                "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
            },
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.to_string()]},
        "history": [{"created": created, "created_by": "cargo xtask dist image"}],
    });
    for (key, value) in platform.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    config
}
