//! What the kernel says of a directory: which file system is mounted there, and what overlayfs has noted on it.

use std::{fs::Metadata, path::Path};

use portcullis_model::Warning;
use rustix::{fs::lgetxattr, io::Errno};

/// Most bytes of an attribute's value looked at.
const MAX_VALUE: usize = 256;

/// File systems that hold programs that people install, by `f_type`
/// (<https://man7.org/linux/man-pages/man2/statfs.2.html>): what is on another one of them may be missed.
const DISKS: [(u64, &str); 8] = [
    (0xef53, "ext4"),
    (0x5846_5342, "xfs"),
    (0x9123_683e, "btrfs"),
    (0x2fc1_2fc1, "zfs"),
    (0xf2f5_2010, "f2fs"),
    (0xca45_1a4e, "bcachefs"),
    (0x3153_464a, "jfs"),
    (0x5265_4973, "reiserfs"),
];

/// What is said of a directory where another file system is mounted.
pub(super) fn left_out(path: &str, host_path: &Path) -> Warning {
    // The type is a signed word on some machines and an unsigned one on others; the numbers are of 32 bits.
    let kind = rustix::fs::statfs(host_path).map(|stat| u64::from(stat.f_type as u32)).ok();
    match DISKS.iter().find(|(number, _)| Some(*number) == kind) {
        Some((_, name)) => {
            let what = format!("another file system ({name}) is mounted here, and was not read: scan it by itself");
            Warning::gap(path, what)
        }
        None => Warning::note(path, "what is mounted here is not of this file system, and was not read"),
    }
}

/// Whether what lower layers have below this directory is gone.
pub(super) fn is_opaque(directory: &Path) -> bool {
    let names = ["trusted.overlay.opaque", "user.overlay.opaque", "user.fuseoverlayfs.opaque"];
    names.iter().any(|name| attribute(directory, name).is_some_and(|value| value == b"y"))
}

/// What leads to another layer's content: a renamed directory, or a file whose attributes alone were changed.
pub(super) fn redirection(path: &Path, metadata: &Metadata) -> Option<&'static str> {
    let names: &[&'static str] = if metadata.is_dir() {
        &["trusted.overlay.redirect", "user.overlay.redirect"]
    } else if metadata.is_file() {
        &["trusted.overlay.metacopy", "user.overlay.metacopy"]
    } else {
        &[]
    };
    names.iter().find(|name| attribute(path, name).is_some()).copied()
}

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = [0_u8; MAX_VALUE];
    match lgetxattr(path, name, &mut value) {
        Ok(length) => Some(value.get(..length).unwrap_or_default().to_vec()),
        Err(Errno::RANGE) => Some(Vec::new()),
        Err(_) => None,
    }
}
