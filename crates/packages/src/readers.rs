//! The family of package readers: each file is one, each line of the table registers one.

mod apk;
mod by_path;
mod cargo_lock;
mod cocoapods_lock;
mod composer;
mod composer_lock;
mod conan_lock;
mod conda;
mod conda_lock;
mod cpan;
mod cran;
mod debian_copyright;
mod dotnet;
mod dotnet_lock;
mod dpkg;
mod flatpak;
mod gem;
mod gem_lock;
mod github_actions;
mod go;
mod go_mod;
mod go_sum;
mod haskell_lock;
mod hex_lock;
mod homebrew;
pub(crate) mod java;
pub(crate) mod java_lock;
mod julia_lock;
mod known_programs;
mod manifests;
mod nix;
mod npm;
mod npm_lock;
mod opkg;
mod os_release;
mod pacman;
mod pear;
mod perl_lock;
mod portage;
mod pub_lock;
mod python;
mod python_lock;
mod renv_lock;
mod rpm;
mod rust;
pub(crate) mod sbom;
mod snap;
mod swift_lock;
mod system_list;
mod terraform_lock;
mod unread;
mod wordpress;

use crate::PackageReader;

/// Every reader.
pub const READERS: &[&dyn PackageReader] = &[
    &os_release::OsRelease,
    &dpkg::Dpkg,
    &debian_copyright::DebianCopyright,
    &apk::Apk,
    &rpm::Rpm,
    &pacman::Pacman,
    &opkg::Opkg,
    &portage::Portage,
    &system_list::SystemList,
    &nix::Nix,
    &snap::Snap,
    &flatpak::Flatpak,
    &conda::Conda,
    &homebrew::Homebrew,
    &python::Python,
    &npm::Npm,
    &go::Go,
    &rust::Rust,
    &gem::Gem,
    &composer::Composer,
    &pear::Pear,
    &cargo_lock::CargoLock,
    &npm_lock::NpmLock,
    &python_lock::PythonLock,
    &java::Java,
    &dotnet::Dotnet,
    &java_lock::JavaLock,
    &dotnet_lock::DotnetLock,
    &gem_lock::GemLock,
    &composer_lock::ComposerLock,
    &sbom::Sbom,
    &hex_lock::HexLock,
    &pub_lock::PubLock,
    &swift_lock::SwiftLock,
    &cocoapods_lock::CocoapodsLock,
    &conan_lock::ConanLock,
    &conda_lock::CondaLock,
    &renv_lock::RenvLock,
    &julia_lock::JuliaLock,
    &haskell_lock::HaskellLock,
    &perl_lock::PerlLock,
    &go_mod::GoMod,
    &go_sum::GoSum,
    &manifests::Manifests,
    &terraform_lock::TerraformLock,
    &github_actions::GithubActions,
    &by_path::ByPath,
    &cran::Cran,
    &cpan::Cpan,
    &wordpress::Wordpress,
    &known_programs::KnownPrograms,
    &unread::Unread,
];

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

    #[test]
    fn every_reader_is_fuzzed() {
        let target = include_str!("../../../fuzz/targets/reader.rs");
        let paths: Vec<&str> =
            target.lines().filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\",")).collect();
        for reader in READERS {
            let selects = |path: &&str| {
                let heads = [&b""[..], b"\x7fELF", b"PK\x03\x04", b"SQLite format 3\0"];
                heads.iter().any(|head| {
                    let file = portcullis_filetree::FileHeader { path, size: 1 << 20, mode: 0o755, head };
                    reader.select(&file).is_some()
                })
            };
            assert!(paths.iter().any(&selects), "no path of fuzz/targets/reader.rs is of {}", reader.name());
        }
    }

    #[test]
    fn the_table_of_what_is_found_has_a_row_for_each_reader() {
        let page = include_str!("../../../docs/coverage.md");
        let cells =
            |row: &str| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
        let rows: Vec<Vec<String>> = page.lines().filter(|line| line.starts_with("| `")).map(cells).collect();
        for reader in READERS {
            let name = format!("`{}`", reader.name());
            let row = rows.iter().find(|row| row[0] == name);
            let row = row.unwrap_or_else(|| {
                panic!("docs/coverage.md has no row for {name}: | {name} | {} | … |", reader.reads())
            });
            let scope = if reader.scope() == crate::Scope::Installed { "installed" } else { "declared" };
            assert_eq!((row[1].as_str(), row[2].as_str()), (reader.reads(), scope), "{name} in docs/coverage.md");
        }
        assert_eq!(rows.len(), READERS.len(), "docs/coverage.md has a row without a reader");
    }
}
