//! What a user may name as a target.
//!
//! Schemes are those of Syft and skopeo. A bare path is recognised by what lies there, anything else is an image in
//! a registry.

use std::path::{Path, PathBuf};

use portcullis_registry::Reference;

use crate::{ImageError, sbom, store::Store};

/// What an unpacked file system has, and a directory of sources has not.
const OS_RELEASE: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A registry.
    Registry(Reference),
    /// An OCI image layout, and the name in its index.
    OciDirectory {
        /// The directory.
        path: PathBuf,
        /// `org.opencontainers.image.ref.name`, or a digest.
        name: Option<String>,
    },
    /// A tar archive of an OCI image layout.
    OciArchive {
        /// The archive.
        path: PathBuf,
        /// `org.opencontainers.image.ref.name`, or a digest.
        name: Option<String>,
    },
    /// An archive as `docker save` writes it.
    DockerArchive {
        /// The archive.
        path: PathBuf,
        /// `repository:tag`, for archives of several images.
        name: Option<String>,
    },
    /// An image of the Docker engine on this machine.
    Docker(String),
    /// An image in the storage of Podman, Buildah and CRI-O.
    Podman(String),
    /// An image of containerd.
    Containerd {
        /// Its name.
        name: String,
        /// The namespace; the usual ones by default.
        namespace: Option<String>,
    },
    /// An image of the kubelet's engine.
    Cri(String),
    /// What comes on standard input: an archive, OCI or Docker, or a bill of materials.
    StandardInput {
        /// `repository:tag` or `org.opencontainers.image.ref.name`, for archives of several images.
        name: Option<String>,
    },
    /// An unpacked file system of an image or a host.
    RootFs(PathBuf),
    /// A directory of sources, whose lockfiles count too.
    Directory(PathBuf),
    /// A bill of materials that another tool wrote; `-` is standard input.
    Sbom(PathBuf),
}

impl Source {
    /// Reads a target as `scan`, `sbom` and `verify` take it.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(target: &str) -> Result<Self, ImageError> {
        if let Some(source) = Self::of_scheme(target)? {
            return Ok(source);
        }
        let path = Path::new(target);
        if !path.exists() {
            return Self::from_name(target);
        }
        // Whoever may write here would choose what is scanned in the image's place.
        if is_name_of_registry(target) {
            return Err(ImageError::Ambiguous { target: target.to_owned() });
        }
        Self::recognise(path)
    }

    /// What a target with a scheme is, and `-`; none where it has none, and is a path or a name in a registry.
    ///
    /// # Errors
    /// When what follows the scheme is wrong.
    pub fn of_scheme(target: &str) -> Result<Option<Self>, ImageError> {
        let refused = |why: &str| ImageError::Target { target: target.to_owned(), why: why.to_owned() };
        if target.is_empty() {
            return Err(refused("it is empty"));
        }
        if target == "-" {
            return Ok(Some(Self::StandardInput { name: None }));
        }
        let Some((scheme, rest)) = target.split_once(':') else { return Ok(None) };
        let (path, name) = split_name(rest);
        if let ("oci-archive" | "docker-archive", Some(name)) = (scheme, rest.strip_prefix('-')) {
            let name = name.strip_prefix(':').map(ToOwned::to_owned);
            if rest == "-" || name.is_some() {
                return Ok(Some(Self::StandardInput { name }));
            }
        }
        Ok(Some(match scheme {
            "docker" | "podman" | "containers-storage" | "containerd" | "cri" if rest.is_empty() => {
                return Err(refused("the name of the image is missing"));
            }
            // skopeo's way to write it.
            "docker" if rest.starts_with("//") => Self::registry(rest.trim_start_matches('/'))?,
            "docker" => Self::Docker(rest.to_owned()),
            "podman" | "containers-storage" => Self::Podman(rest.to_owned()),
            "containerd" => Self::containerd(rest),
            "cri" => Self::Cri(rest.to_owned()),
            "registry" => Self::registry(rest)?,
            "oci-dir" | "oci" => Self::OciDirectory { path, name },
            "oci-archive" => Self::OciArchive { path, name },
            "docker-archive" => Self::DockerArchive { path, name },
            "rootfs" => Self::RootFs(PathBuf::from(rest)),
            "dir" => Self::Directory(PathBuf::from(rest)),
            "sbom" => Self::Sbom(PathBuf::from(rest)),
            _ => return Ok(None),
        }))
    }

    /// `NAME[@NAMESPACE]`; what follows the sign in a name is a digest, which has a colon.
    fn containerd(text: &str) -> Self {
        match text.rsplit_once('@') {
            Some((name, namespace)) if !namespace.contains(':') => {
                Self::Containerd { name: name.to_owned(), namespace: Some(namespace.to_owned()) }
            }
            _ => Self::Containerd { name: text.to_owned(), namespace: None },
        }
    }

    fn registry(name: &str) -> Result<Self, ImageError> {
        Ok(Self::Registry(name.parse::<Reference>()?))
    }

    /// What is no path: an image's name, unless it is plainly meant as a path.
    fn from_name(target: &str) -> Result<Self, ImageError> {
        if target.starts_with(['/', '.', '~']) || target.ends_with(".tar") {
            return Err(ImageError::Target {
                target: target.to_owned(),
                why: "there is no such file or directory".into(),
            });
        }
        Self::registry(target)
    }

    /// Tells by its content what a path holds.
    fn recognise(path: &Path) -> Result<Self, ImageError> {
        if path.is_file() && sbom::is_sbom(path) {
            return Ok(Self::Sbom(path.to_owned()));
        }
        let store = Store::open(path)?;
        let path = path.to_owned();
        Ok(match store {
            Store::Directory(_) if store.contains("oci-layout") => Self::OciDirectory { path, name: None },
            Store::Directory(_) if OS_RELEASE.iter().any(|file| path.join(file).exists()) => Self::RootFs(path),
            Store::Directory(_) => Self::Directory(path),
            Store::Archive(_) if store.contains("manifest.json") => Self::DockerArchive { path, name: None },
            Store::Archive(_) if store.contains("index.json") => Self::OciArchive { path, name: None },
            Store::Archive(_) => {
                let why = "it is a tar archive, but neither an OCI nor a Docker one (no index.json, no manifest.json)";
                return Err(ImageError::unsupported(path.display().to_string(), why));
            }
        })
    }
}

/// Whether a target names an image as only names in registries do: with the registry's host, and a tag or a digest.
fn is_name_of_registry(target: &str) -> bool {
    let Some((host, rest)) = target.split_once('/') else { return false };
    let is_host = host == "localhost" || host.contains(['.', ':']);
    let last = rest.rsplit('/').next().unwrap_or(rest);
    is_host && !["", ".", ".."].contains(&host) && last.contains([':', '@']) && target.parse::<Reference>().is_ok()
}

/// Splits `PATH:NAME`. A path that exists as a whole has no name behind it.
fn split_name(text: &str) -> (PathBuf, Option<String>) {
    if Path::new(text).exists() {
        return (PathBuf::from(text), None);
    }
    // From the left: names may have colons of their own, `app:1.0`, paths of this kind rarely do.
    text.match_indices(':')
        .map(|(at, _)| (&text[..at], &text[at + 1..]))
        .find(|(path, name)| !name.is_empty() && Path::new(path).exists())
        .map_or_else(|| (PathBuf::from(text), None), |(path, name)| (PathBuf::from(path), Some(name.to_owned())))
}
