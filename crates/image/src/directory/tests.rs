//! Layers of overlayfs, as an engine keeps them.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use portcullis_filetree::{Contents, ContentsError, FileHeader, LayerVisitor, OtherEntry};
use portcullis_model::Warning;
use rustix::fs::{XattrFlags, setxattr};

use super::{Form, visit};
use crate::Limits;

/// What was shown, a line an entry.
#[derive(Default)]
struct Shown(Vec<String>);

impl LayerVisitor for Shown {
    fn file(&mut self, file: &FileHeader<'_>, _: &mut dyn Contents) -> Result<(), ContentsError> {
        self.0.push(format!("file {}", file.path));
        Ok(())
    }

    fn other(&mut self, path: &str, entry: OtherEntry<'_>) {
        self.0.push(format!("{entry:?} {path}"));
    }

    fn warning(&mut self, warning: Warning) {
        self.0.push(format!("warning {}: {}", warning.path, warning.message));
    }
}

fn shown(root: &Path, form: Form) -> Vec<String> {
    let mut shown = Shown::default();
    visit(root, form, Limits::default(), &mut shown).unwrap();
    shown.0.sort();
    shown.0
}

#[test]
fn whiteouts_of_fuse_overlayfs_are_names() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("etc")).unwrap();
    for name in ["etc/.wh.gone", "etc/.wh..wh..opq", "etc/.wh..wh.plnk", "etc/kept"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    fs::hard_link(folder.path().join("etc/kept"), folder.path().join("etc/twin")).unwrap();
    assert_eq!(
        shown(folder.path(), Form::Overlay),
        ["Directory etc", "HardLink(\"etc/kept\") etc/twin", "Opaque etc", "Removed etc/gone", "file etc/kept"]
    );
    // Of an unpacked file system they are files.
    assert_eq!(shown(folder.path(), Form::RootFs).iter().filter(|line| line.starts_with("file")).count(), 5);
}

#[test]
fn whiteouts_of_the_kernel_are_devices_and_attributes() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let made = Command::new("mknod").arg(root.join("gone")).args(["c", "0", "0"]).status();
    fs::create_dir_all(root.join("opaque")).unwrap();
    fs::create_dir_all(root.join("moved")).unwrap();
    symlink("/etc/passwd", root.join("link")).unwrap();
    let set =
        |name: &str, key: &str, value: &str| setxattr(root.join(name), key, value.as_bytes(), XattrFlags::empty());
    let is_marked = set("opaque", "trusted.overlay.opaque", "y").is_ok()
        && set("moved", "trusted.overlay.redirect", "/elsewhere").is_ok();
    if !made.is_ok_and(|status| status.success()) || !is_marked {
        println!("skipped: whiteouts of the kernel, for want of root or of attributes");
        assert!(std::env::var_os("CI").is_none());
        return;
    }
    assert_eq!(
        shown(root, Form::Overlay),
        [
            "Directory moved",
            "Directory opaque",
            "Opaque opaque",
            "Removed gone",
            "Symlink(\"/etc/passwd\") link",
            "warning moved: its content lies in another layer (trusted.overlay.redirect)"
        ]
    );
}

/// What the disk is asked for is bounded, and what is no program is not asked for.
#[test]
fn files_are_asked_for_before_their_turn_within_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..40 {
        let file = std::fs::File::create(folder.path().join(format!("{number:02}"))).unwrap();
        // Sparse: the sizes count.
        file.set_len(super::ahead::FETCHED / 8).unwrap();
        let head: &[u8] = if number % 2 == 0 { b"\x7fELF" } else { b"text" };
        std::os::unix::fs::FileExt::write_all_at(&file, head, 0).unwrap();
    }
    let entries = super::ahead::list(folder.path()).unwrap();
    std::thread::scope(|scope| {
        let mut fetching = super::ahead::Fetching::new(scope);
        fetching.begin();
        let mut most = 0;
        for at in 0..entries.len() {
            fetching.advance(folder.path(), &entries, at);
            most = most.max(fetching.bytes());
        }
        assert!((1..=super::ahead::FETCHED + super::ahead::FETCHED_OF_ONE).contains(&most), "{most}");
        assert_eq!(fetching.bytes(), 0);
    });
}
