//! What this version knows of and does not read: package databases and archives of ecosystems without a reader.
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
        "nothing: names Java archives, gems, Composer's and .NET's lists as gaps"
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
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    match ending {
        "jar" | "war" | "ear" | "par" if file.head.starts_with(b"PK") => Some("Java archives"),
        "gemspec" if folder.ends_with("/specifications") => Some("Ruby gems"),
        "json" if name == "installed.json" && folder.ends_with("vendor/composer") => Some("PHP packages of Composer"),
        "json" if stem.ends_with(".deps") => Some(".NET packages"),
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
            "opt/app/lib/a.jar",
            b"PK\x03\x04",
            expect![[r#"
            gap in opt/app/lib: Java archives: this version does not read them
        "#]],
        );
        for path in [
            "usr/lib/ruby/gems/3.1.0/specifications/rack-2.2.4.gemspec",
            "srv/vendor/composer/installed.json",
            "app/web.deps.json",
        ] {
            assert!(read(&Unread, path, b"x").is_some(), "{path}");
        }
    }

    #[test]
    fn other_files_of_such_names_are_none() {
        for path in ["a.jar", "srv/rack.gemspec", "rpm/Packages", "installed.json", "srv/deps.json", "a/package.json"] {
            assert!(read(&Unread, path, b"not a zip").is_none(), "{path}");
        }
    }
}
