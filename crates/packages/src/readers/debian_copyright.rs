//! What Debian's packages are licensed under: `usr/share/doc/*/copyright`.
//!
//! Format: <https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/>. Files of any other form are for people:
//! nothing is read of them, since words about a licence are no licence. A package whose folder is a link to another one's
//! has no file of its own.

use std::collections::BTreeSet;

use portcullis_filetree::FileHeader;
use portcullis_model::{Licensed, PackageType, Reading, Warning, normalised_license};

use crate::{PackageReader, Selection, fields, limits};

/// Reads machine-readable copyright files.
pub(crate) struct DebianCopyright;

/// Most licences of one package.
const MAX_LICENSES: usize = 1000;

/// The longest expression, in bytes.
const MAX_NAME: usize = 1000;

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
        let Declared { licenses, skipped } = Declared::of(contents);
        let licenses: Vec<String> = licenses.into_iter().collect();
        let mut reading = Reading::default();
        if !licenses.is_empty() {
            reading.licensed.push(Licensed { kind: PackageType::Deb, package: package.to_owned(), licenses });
        }
        if skipped > 0 {
            let what = format!(
                "the licences of {skipped} paragraphs were not read: they are longer than {MAX_NAME} bytes, or more than \
                 {MAX_LICENSES}"
            );
            reading.warnings.push(Warning::gap(file.path, what));
        }
        reading
    }
}

fn package_of(path: &str) -> Option<&str> {
    let package = path.strip_prefix("usr/share/doc/")?.strip_suffix("/copyright")?;
    (!package.is_empty() && !package.contains('/')).then_some(package)
}

/// The licences of the paragraphs that speak of files.
#[derive(Default)]
struct Declared {
    licenses: BTreeSet<String>,
    /// How many paragraphs had theirs left out.
    skipped: usize,
}

impl Declared {
    fn of(contents: &[u8]) -> Self {
        let mut declared = Self::default();
        let mut records = fields::records(contents);
        let header: Vec<_> = records.next().map(|record| fields::fields(record).collect()).unwrap_or_default();
        let is_machine_readable = header.iter().any(|(name, value)| {
            matches!(*name, b"Format" | b"Format-Specification") && {
                let value = fields::text(value);
                value.contains("copyright-format") || value.contains("dep5") || value.contains("DEP5")
            }
        });
        if !is_machine_readable {
            return declared;
        }
        // The first paragraph may speak of the package as a whole.
        header.iter().filter(|(name, _)| *name == b"License").for_each(|(_, value)| declared.add(value));
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
            license.filter(|_| has_files).into_iter().for_each(|license| declared.add(license));
        }
        declared
    }

    fn add(&mut self, value: &[u8]) {
        if value.is_empty() {
            return;
        }
        if value.len() > MAX_NAME {
            self.skipped += 1;
            return;
        }
        let license = normalised_license(&fields::text(value));
        if self.licenses.len() < MAX_LICENSES {
            self.licenses.insert(license);
        } else if !self.licenses.contains(&license) {
            self.skipped += 1;
        }
    }
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

    #[test]
    fn what_is_too_long_or_too_many_is_a_gap() {
        let gaps = |licenses: &mut dyn Iterator<Item = String>| {
            let files: String = licenses.map(|license| format!("Files: x\nLicense: {license}\n\n")).collect();
            let contents = format!("Format: copyright-format/1.0\n\n{files}");
            let reading = read(&DebianCopyright, "usr/share/doc/a/copyright", contents.as_bytes()).unwrap();
            let known = reading.licensed.iter().map(|licensed| licensed.licenses.len()).sum::<usize>();
            (known, reading.warnings.into_iter().map(|warning| warning.message).collect::<Vec<_>>())
        };
        let gap = |skipped| {
            vec![format!(
                "the licences of {skipped} paragraphs were not read: they are longer than 1000 bytes, or more than 1000"
            )]
        };
        // Real ones have expressions of some hundred bytes.
        let long = ["Apache-2.0 and ".repeat(20), "GPL-2".into()].concat();
        assert_eq!(gaps(&mut [long].into_iter()), (1, vec![]));
        assert_eq!(gaps(&mut ["x".repeat(1001), "x".repeat(1002)].into_iter()), (0, gap(2)));
        assert_eq!(gaps(&mut (0..1000).chain([0, 999]).map(|number| format!("own-{number}"))), (1000, vec![]));
        assert_eq!(gaps(&mut (0..1003).chain([0]).map(|number| format!("own-{number}"))), (1000, gap(3)));
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
