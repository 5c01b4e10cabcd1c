//! Reading policies, and reading them again: a bad one never replaces one that works.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use portcullis_model::{Digest, Hasher, Timestamp};
use portcullis_policy::{Exemption, MAX_POLICY_BYTES, Policy};

use crate::error::SetupError;

/// The policies and exemptions of some files, and a digest over those files.
pub(crate) struct PolicyFiles {
    pub(crate) policies: Vec<Policy>,
    pub(crate) exemptions: Vec<Exemption>,
    pub(crate) digest: Digest,
}

/// Reads all policies of `paths` and all exemptions of `exemptions`: files, and folders of files.
pub(crate) fn read(paths: &[PathBuf], exemption_paths: &[PathBuf]) -> Result<PolicyFiles, SetupError> {
    let mut hasher = Hasher::new();
    let mut policies: Vec<Policy> = Vec::new();
    for path in files(paths)? {
        let text = read_bounded(&path, MAX_POLICY_BYTES as u64)?;
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(&text);
        let text = String::from_utf8_lossy(&text);
        for policy in Policy::parse(&text, &path.display().to_string(), now())? {
            let is_twin = |other: &Policy| {
                (other.kind, &other.namespace, &other.name) == (policy.kind, &policy.namespace, &policy.name)
            };
            if policies.iter().any(is_twin) {
                return Err(SetupError::TwoPolicies(format!("{} `{}`", policy.kind.as_str(), policy.name)));
            }
            policies.push(policy);
        }
    }
    let mut exemptions: Vec<Exemption> = Vec::new();
    for path in files(exemption_paths)? {
        let text = read_bounded(&path, MAX_POLICY_BYTES as u64)?;
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(&text);
        let text = String::from_utf8_lossy(&text);
        for exemption in Exemption::parse(&text, &path.display().to_string(), now())? {
            if exemptions.iter().any(|other| other.name == exemption.name) {
                return Err(SetupError::TwoPolicies(format!("PolicyExemption `{}`", exemption.name)));
            }
            exemptions.push(exemption);
        }
    }
    Ok(PolicyFiles { policies, exemptions, digest: hasher.finish() })
}

fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, SetupError> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let read = |source| SetupError::Read { path: path.clone(), source };
        let mut inside = Vec::new();
        for entry in fs::read_dir(path).map_err(read)? {
            let entry = entry.map_err(read)?.path();
            let is_policy = entry.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json");
            // Kubernetes mounts a ConfigMap with hidden entries beside the links to its files.
            let is_hidden = entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if is_policy && !is_hidden && entry.is_file() {
                inside.push(entry);
            }
        }
        if inside.is_empty() {
            return Err(SetupError::EmptyFolder(path.clone()));
        }
        inside.sort();
        files.extend(inside);
    }
    Ok(files)
}

/// A file of at most `limit` bytes.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, SetupError> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
    read.map_err(|source| SetupError::Read { path: path.to_owned(), source })?;
    if bytes.len() as u64 > limit {
        return Err(SetupError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

/// The clock's moment.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
