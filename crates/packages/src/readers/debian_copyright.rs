//! What Debian's packages are licensed under: `usr/share/doc/*/copyright`.
//!
//! Format: <https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/>. Files of any other form are for people:
//! nothing is read of them, since words about a licence are no licence. A package whose folder is a link to another one's
//! has no file of its own.

use std::collections::BTreeSet;

use portcullis_filetree::FileHeader;
use portcullis_model::{Licensed, PackageType, Reading, normalised_license};

use crate::{PackageReader, Selection, fields, limits};

/// Reads machine-readable copyright files.
pub(crate) struct DebianCopyright;

/// Most licences of one package.
const MAX_LICENSES: usize = 200;

/// The longest name, in bytes.
const MAX_NAME: usize = 200;

impl PackageReader for DebianCopyright {
    fn name(&self) -> &'static str {
        "debian-copyright"
    }

    fn reads(&self) -> &'static str {
        "`usr/share/doc/*/copyright`"
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        package_of(file.path).map(|_| Selection::Whole { limit: limits::DATABASE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let Some(package) = package_of(file.path) else { return Reading::default() };
        let licenses = declared(contents);
        if licenses.is_empty() {
            return Reading::default();
        }
        let licensed = Licensed { kind: PackageType::Deb, package: package.to_owned(), licenses };
        Reading { licensed: vec![licensed], ..Reading::default() }
    }
}

fn package_of(path: &str) -> Option<&str> {
    let package = path.strip_prefix("usr/share/doc/")?.strip_suffix("/copyright")?;
    (!package.is_empty() && !package.contains('/')).then_some(package)
}

/// The licences of the paragraphs that speak of files, sorted.
fn declared(contents: &[u8]) -> Vec<String> {
    let mut records = fields::records(contents);
    let header: Vec<_> = records.next().map(|record| fields::fields(record).collect()).unwrap_or_default();
    let is_machine_readable = header.iter().any(|(name, value)| {
        matches!(*name, b"Format" | b"Format-Specification") && {
            let value = fields::text(value);
            value.contains("copyright-format") || value.contains("dep5") || value.contains("DEP5")
        }
    });
    if !is_machine_readable {
        return Vec::new();
    }
    let mut licenses = BTreeSet::new();
    let mut add = |value: &[u8]| {
        if !value.is_empty() && value.len() <= MAX_NAME && licenses.len() < MAX_LICENSES {
            licenses.insert(normalised_license(&fields::text(value)));
        }
    };
    // The first paragraph may speak of the package as a whole.
    header.iter().filter(|(name, _)| *name == b"License").for_each(|(_, value)| add(value));
    for record in records {
        // A paragraph without files gives the text of a licence that others name.
        let mut license = None;
        let mut has_files = false;
        for (name, value) in fields::fields(record) {
            match name {
                b"Files" => has_files = true,
                b"License" => license = Some(value),
                _ => {}
            }
        }
        license.filter(|_| has_files).into_iter().for_each(&mut add);
    }
    licenses.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::read;

    fn licenses(contents: &str) -> Vec<String> {
        let reading = read(&DebianCopyright, "usr/share/doc/zlib1g/copyright", contents.as_bytes()).unwrap();
        reading.licensed.into_iter().flat_map(|licensed| licensed.licenses).collect()
    }

    #[test]
    fn licences_of_files_are_read() {
        let contents = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
                        License: Expat\n\nFiles: *\nCopyright: a\nLicense: Zlib\n Text\n License: no\n\n\
                        Files: debian/*\nLicense: GPL-2+ or Artistic\n\nFiles: x\nLicense: Zlib\n\n\
                        License: GPL-2+\n The text.\n\nFiles: y\nLicense:\n";
        assert_eq!(licenses(contents), ["GPL-2.0-or-later OR Artistic-1.0-Perl", "MIT", "Zlib"]);
        let package = read(&DebianCopyright, "usr/share/doc/zlib1g/copyright", contents.as_bytes()).unwrap();
        assert_eq!(package.licensed[0].package, "zlib1g");
    }

    #[test]
    fn a_file_for_people_says_nothing() {
        assert_eq!(licenses("This package was debianized by A.\n\nFiles: *\nLicense: GPL-2\n"), [""; 0]);
        assert_eq!(licenses("Format: of my own\n\nFiles: *\nLicense: GPL-2\n"), [""; 0]);
        for path in ["usr/share/doc/a/b/copyright", "usr/share/doc/copyright", "opt/usr/share/doc/a/copyright"] {
            assert!(read(&DebianCopyright, path, b"x").is_none(), "{path}");
        }
    }

    /// All of this machine, where it is a Debian: each has a licence, and none is a text.
    #[test]
    fn real_files_are_read() {
        let Ok(folders) = std::fs::read_dir("/usr/share/doc") else {
            println!("skipped: /usr/share/doc is not there");
            return;
        };
        let (mut files, mut known) = (0, 0);
        for folder in folders.flatten() {
            let Ok(contents) = std::fs::read(folder.path().join("copyright")) else { continue };
            if !contents.starts_with(b"Format: http") {
                continue;
            }
            files += 1;
            let path = format!("usr/share/doc/{}/copyright", folder.file_name().to_string_lossy());
            let reading = read(&DebianCopyright, &path, &contents).unwrap();
            known += usize::from(!reading.licensed.is_empty());
            for license in reading.licensed.iter().flat_map(|licensed| &licensed.licenses) {
                assert!(license.len() <= MAX_NAME * 2 && !license.contains('\n'), "{path}: {license}");
            }
        }
        println!("{known} of {files} files name a licence");
        assert!(known * 10 >= files * 9, "{known} of {files}");
    }

    proptest! {
        #[test]
        fn nothing_panics(
            contents: Vec<u8>,
            text in "((Format|Files|License): (copyright-format|GPL-2|é|, and )?\n|\n){0,12}",
        ) {
            read(&DebianCopyright, "usr/share/doc/a/copyright", &contents);
            licenses(&text);
        }
    }
}
