//! One layer of an image.

use std::io::Write as _;

use crate::tar;

/// How a layer is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// The tar as it is.
    Plain,
    /// gzip.
    #[default]
    Gzip,
    /// zstd.
    Zstd,
}

impl Compression {
    /// The suffix of OCI's media type for layers.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Plain => "application/vnd.oci.image.layer.v1.tar",
            Self::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }

    /// Compresses `bytes`.
    #[must_use]
    pub fn apply(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Plain => bytes.to_vec(),
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(bytes).expect("writing into memory");
                encoder.finish().expect("writing into memory")
            }
            Self::Zstd => zstd::bulk::compress(bytes, 1).expect("writing into memory"),
        }
    }
}

/// A layer that is being put together; entries keep their order.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    pub(crate) bytes: Vec<u8>,
    pub(crate) compression: Compression,
    pub(crate) is_cut: bool,
    pub(crate) trailer: Vec<u8>,
    pub(crate) created_by: Option<String>,
    pub(crate) has_wrong_digest: bool,
    pub(crate) stored: Option<Vec<u8>>,
}

impl Layer {
    /// An empty layer, stored as gzip.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A layer whose stored bytes are given, tar or not.
    #[must_use]
    pub fn stored(bytes: impl Into<Vec<u8>>) -> Self {
        Self { stored: Some(bytes.into()), ..Self::default() }
    }

    /// A regular file.
    #[must_use]
    pub fn file(self, path: &str, contents: impl AsRef<[u8]>) -> Self {
        self.raw(&tar::entry(b'0', path.as_bytes(), b"", 0o644, contents.as_ref()))
    }

    /// A regular file that may be run.
    #[must_use]
    pub fn executable(self, path: &str, contents: impl AsRef<[u8]>) -> Self {
        self.raw(&tar::entry(b'0', path.as_bytes(), b"", 0o755, contents.as_ref()))
    }

    /// A directory.
    #[must_use]
    pub fn directory(self, path: &str) -> Self {
        self.raw(&tar::entry(b'5', format!("{path}/").as_bytes(), b"", 0o755, b""))
    }

    /// A symbolic link.
    #[must_use]
    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.raw(&tar::entry(b'2', path.as_bytes(), target.as_bytes(), 0o777, b""))
    }

    /// A second name of a file.
    #[must_use]
    pub fn hard_link(self, path: &str, target: &str) -> Self {
        self.raw(&tar::entry(b'1', path.as_bytes(), target.as_bytes(), 0o644, b""))
    }

    /// Removes what lower layers have at `path`.
    #[must_use]
    pub fn whiteout(self, path: &str) -> Self {
        let marker = match path.rsplit_once('/') {
            Some((parent, name)) => format!("{parent}/.wh.{name}"),
            None => format!(".wh.{path}"),
        };
        self.file(&marker, "")
    }

    /// Removes what lower layers have below `directory`; an empty path is the root.
    #[must_use]
    pub fn opaque(self, directory: &str) -> Self {
        let marker = if directory.is_empty() { ".wh..wh..opq".to_owned() } else { format!("{directory}/.wh..wh..opq") };
        self.file(&marker, "")
    }

    /// Any bytes: entries that no sane program writes.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// How it is stored.
    #[must_use]
    pub const fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Without the end-of-archive blocks.
    #[must_use]
    pub const fn cut(mut self) -> Self {
        self.is_cut = true;
        self
    }

    /// Stored bytes after the compressed ones.
    #[must_use]
    pub fn trailer(mut self, bytes: &[u8]) -> Self {
        self.trailer.extend_from_slice(bytes);
        self
    }

    /// The instruction that made it.
    #[must_use]
    pub fn created_by(mut self, instruction: &str) -> Self {
        self.created_by = Some(instruction.to_owned());
        self
    }

    /// The manifest (and the config) will name another digest than that of its bytes.
    #[must_use]
    pub const fn wrong_digest(mut self) -> Self {
        self.has_wrong_digest = true;
        self
    }

    /// The plain tar.
    #[must_use]
    pub fn tar(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        if !self.is_cut {
            bytes.extend_from_slice(&tar::END);
        }
        bytes
    }
}
