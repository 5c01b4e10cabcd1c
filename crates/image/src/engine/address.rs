//! Where engines listen, as their own command lines find it.
//!
//! Docker: <https://docs.docker.com/reference/cli/docker/#environment-variables>, and its contexts; Podman:
//! <https://docs.podman.io/en/latest/markdown/podman.1.html#environment-variables>.

use std::path::{Path, PathBuf};

use portcullis_model::Digest;
use serde::Deserialize;

/// Largest configuration file read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Where Docker listens: `DOCKER_HOST`, the chosen context, or the first usual socket that is there.
pub(super) fn docker() -> Option<String> {
    if let Some(host) = variable("DOCKER_HOST") {
        return Some(host);
    }
    let home = folder("HOME");
    let configuration = folder("DOCKER_CONFIG").or_else(|| home.as_ref().map(|home| home.join(".docker")));
    if let Some(host) = configuration.as_deref().and_then(context) {
        return Some(host);
    }
    let runtime = folder("XDG_RUNTIME_DIR").map(|folder| folder.join("docker.sock"));
    let desktop = home.map(|home| home.join(".docker/run/docker.sock"));
    let usual = [Some(PathBuf::from("/var/run/docker.sock")), runtime, desktop];
    first_socket(usual.into_iter().flatten())
}

/// Where Podman listens, if it does.
pub(super) fn podman() -> Option<String> {
    if let Some(host) = variable("CONTAINER_HOST") {
        return Some(host);
    }
    let runtime = folder("XDG_RUNTIME_DIR").map(|folder| folder.join("podman/podman.sock"));
    let usual = [runtime, Some(PathBuf::from("/run/podman/podman.sock"))];
    first_socket(usual.into_iter().flatten())
}

/// Where containerd listens: `CONTAINERD_ADDRESS`, or the first usual socket that is there.
pub(super) fn containerd() -> Option<PathBuf> {
    if let Some(address) = variable("CONTAINERD_ADDRESS") {
        return Some(PathBuf::from(address.strip_prefix("unix://").unwrap_or(&address)));
    }
    let usual = [
        "/run/containerd/containerd.sock",
        "/run/k3s/containerd/containerd.sock",
        "/var/snap/microk8s/common/run/containerd.sock",
        "/run/docker/containerd/containerd.sock",
    ];
    usual.into_iter().map(PathBuf::from).find(|path| path.exists())
}

fn first_socket(paths: impl Iterator<Item = PathBuf>) -> Option<String> {
    let mut paths = paths;
    paths.find(|path| path.exists()).map(|path| format!("unix://{}", path.display()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Configuration {
    #[serde(default)]
    current_context: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Context {
    endpoints: Endpoints,
}

#[derive(Deserialize)]
struct Endpoints {
    docker: Endpoint,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint {
    host: String,
}

/// The address of the context that is in use; none for the default one.
fn context(configuration: &Path) -> Option<String> {
    let chosen = || {
        let file: Configuration = serde_json::from_slice(&read(&configuration.join("config.json"))?).ok()?;
        Some(file.current_context)
    };
    let name = variable("DOCKER_CONTEXT").or_else(chosen)?;
    if name.is_empty() || name == "default" {
        return None;
    }
    // A context's folder is named by the digest of its name.
    let folder = configuration.join("contexts/meta").join(Digest::of(name.as_bytes()).hex());
    let context: Context = serde_json::from_slice(&read(&folder.join("meta.json"))?).ok()?;
    Some(context.endpoints.docker.host)
}

/// A small file.
pub(super) fn read(path: &Path) -> Option<Vec<u8>> {
    let size = std::fs::metadata(path).ok()?.len();
    if size > MAX_FILE { None } else { std::fs::read(path).ok() }
}

/// A variable that is set to something.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A variable that names a folder.
pub(super) fn folder(name: &str) -> Option<PathBuf> {
    variable(name).map(PathBuf::from).filter(|path| path.is_absolute())
}
