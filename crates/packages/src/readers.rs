//! The family of package readers: each file is one, each line of the table registers one.

mod apk;
mod dpkg;
mod go;
mod npm;
mod os_release;
mod python;
mod unread;

use crate::PackageReader;

/// Every reader.
pub const READERS: &[&dyn PackageReader] =
    &[&os_release::OsRelease, &dpkg::Dpkg, &apk::Apk, &python::Python, &npm::Npm, &go::Go, &unread::Unread];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_registered_under_its_name() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/readers");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
            .map(|path| path.file_stem().unwrap().to_str().unwrap().replace('_', "-"))
            .collect();
        let mut names: Vec<&str> = READERS.iter().map(|reader| reader.name()).collect();
        files.sort();
        names.sort_unstable();
        assert_eq!(files, names);
    }
}
