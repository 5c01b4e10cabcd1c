//! What the tests of this crate share.
#![allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "each test is a program of its own, and uses a part of this"
)]

use portcullis_filetree::{Contents, ContentsError, FileHeader, LayerVisitor, OtherEntry};
use portcullis_image::{Image, ImageError, Limits, OpenOptions, Source};
use portcullis_model::Warning;
use portcullis_testkit::{BuiltImage, ImageBuilder, Layer};

/// Writes down what it is shown.
#[derive(Default)]
pub struct Record {
    /// `file etc/passwd 3 abc`, `directory etc`, …; contents are cut to ten bytes.
    pub entries: Vec<String>,
    pub warnings: Vec<Warning>,
}

impl LayerVisitor for Record {
    fn file(&mut self, file: &FileHeader<'_>, contents: &mut dyn Contents) -> Result<(), ContentsError> {
        let (mut shown, mut length) = (Vec::new(), 0);
        loop {
            let piece = contents.next_piece()?;
            if piece.is_empty() {
                break;
            }
            length += piece.len();
            shown.extend_from_slice(&piece[..piece.len().min(10 - shown.len())]);
        }
        assert_eq!(length as u64, file.size);
        assert!(file.head.starts_with(&shown[..shown.len().min(file.head.len())]));
        self.entries
            .push(format!("file {} {length} {}", file.path, String::from_utf8_lossy(&shown)).trim_end().to_owned());
        Ok(())
    }

    fn other(&mut self, path: &str, entry: OtherEntry<'_>) {
        self.entries.push(match entry {
            OtherEntry::Directory => format!("directory {path}"),
            OtherEntry::Symlink(target) => format!("symlink {path} {target}"),
            OtherEntry::HardLink(target) => format!("link {path} {target}"),
            OtherEntry::Special => format!("special {path}"),
            OtherEntry::Removed => format!("removed {path}"),
            OtherEntry::Opaque => format!("opaque {path}"),
        });
    }

    fn warning(&mut self, warning: Warning) {
        self.warnings.push(warning);
    }
}

/// Reads every layer of `image`, by way of an OCI layout.
pub fn read_image(image: &BuiltImage, limits: Limits) -> Result<Vec<Record>, ImageError> {
    let folder = tempfile::tempdir().unwrap();
    image.write_oci_dir(folder.path()).unwrap();
    let source = Source::OciDirectory { path: folder.path().to_owned(), name: None };
    Image::open(&source, &OpenOptions::default())?.visit_layers(2, limits, |_| Record::default())
}

/// Reads one layer.
pub fn read(layer: Layer) -> Record {
    read_with(layer, Limits::default())
}

/// Reads one layer under `limits`.
pub fn read_with(layer: Layer, limits: Limits) -> Record {
    read_image(&ImageBuilder::new().layer(layer).build(), limits).unwrap().remove(0)
}

/// The entries of a layer that must give no warning.
pub fn entries(layer: Layer) -> Vec<String> {
    let record = read(layer);
    assert_eq!(record.warnings, []);
    record.entries
}

/// The only warning of a layer, which must be a gap, with what was read nevertheless.
pub fn gap(layer: Layer) -> (String, Vec<String>) {
    gap_of(read(layer))
}

/// The same of what was read already.
pub fn gap_of(record: Record) -> (String, Vec<String>) {
    let [warning] = &record.warnings[..] else { panic!("{:?}", record.warnings) };
    assert_eq!(warning.kind, portcullis_model::WarningKind::Gap);
    (warning.message.clone(), record.entries)
}
