//! What this version knows of and does not read: package databases of ecosystems without a reader.
//!
//! Passing them by in silence would make an image of such packages look empty. Each is a gap, named by its folder, so
//! that a thousand archives of one folder are one line.

use portcullis_filetree::FileHeader;
use portcullis_model::{Reading, Warning};

use crate::{PackageReader, Selection, StreamReader};

/// Names what is not read.
pub(crate) struct Unread;

impl PackageReader for Unread {
    fn name(&self) -> &'static str {
        "unread"
    }

    fn reads(&self) -> &'static str {
        "nothing: names packages of Conda as gaps"
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let what = what(file)?;
        Some(Selection::Stream(Box::new(Gap { folder: file.parent().to_owned(), what })))
    }

    fn read(&self, _: &FileHeader<'_>, _: &[u8]) -> Reading {
        Reading::default()
    }
}

/// What a file is, if it is one of those that are not read.
fn what(file: &FileHeader<'_>) -> Option<&'static str> {
    let folder = file.parent();
    let is_conda = folder == "conda-meta" || folder.ends_with("/conda-meta");
    (is_conda && file.path.ends_with(".json")).then_some("packages of Conda")
}

/// A gap, found by name: nothing of the file is needed.
struct Gap {
    folder: String,
    what: &'static str,
}

impl StreamReader for Gap {
    fn feed(&mut self, _: &[u8]) -> bool {
        false
    }

    fn finish(self: Box<Self>) -> Reading {
        let warning = Warning::gap(self.folder, format!("{}: this version does not read them", self.what));
        Reading { warnings: vec![warning], ..Reading::default() }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::testing::{check, read};

    #[test]
    fn what_has_no_reader_is_a_gap() {
        check(
            &Unread,
            "opt/conda/conda-meta/numpy-1.26.0-py311_0.json",
            "",
            expect![[r#"
            gap in opt/conda/conda-meta: packages of Conda: this version does not read them
        "#]],
        );
    }

    #[test]
    fn other_files_of_such_names_are_none() {
        for path in ["conda-meta/history", "my-conda-meta/a.json", "conda-meta/a/b.json"] {
            assert!(read(&Unread, path, b"{}").is_none(), "{path}");
        }
    }
}
