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
        "nothing: names gems and Composer's lists as gaps"
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
    let (folder, name) = (file.parent(), file.file_name());
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    match ending {
        "gemspec" if folder.ends_with("/specifications") => Some("Ruby gems"),
        "json" if name == "installed.json" && folder.ends_with("vendor/composer") => Some("PHP packages of Composer"),
        _ => None,
    }
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
            "opt/specifications/rack-2.2.4.gemspec",
            "",
            expect![[r#"
            gap in opt/specifications: Ruby gems: this version does not read them
        "#]],
        );
        for path in ["usr/lib/ruby/gems/3.1.0/specifications/rack-2.2.4.gemspec", "srv/vendor/composer/installed.json"]
        {
            assert!(read(&Unread, path, b"x").is_some(), "{path}");
        }
    }

    #[test]
    fn other_files_of_such_names_are_none() {
        for path in ["srv/rack.gemspec", "rpm/Packages", "installed.json", "a/package.json"] {
            assert!(read(&Unread, path, b"not a zip").is_none(), "{path}");
        }
    }
}
