//! Bills of materials that lie in an image: those of Bitnami's images
//! (<https://github.com/bitnami/containers>), of Wolfi's packages, of Python's wheels
//! (<https://peps.python.org/pep-0770/>), and what builders leave beside a program.
//!
//! Formats: see [`crate::sbom`]. Of what they list, packages of the distribution count where its own database, which knows
//! better, is not there: their [`evidence`](Package::evidence) says so. Sources on GitHub are where something was built
//! from, not what is there.

use portcullis_filetree::FileHeader;
use portcullis_model::{Location, Package, PackageType, PackageUrl, Purl, Reading, Warning};

use crate::{PackageReader, Selection, sbom, sbom::SbomError};

/// Reads bills of materials.
pub(crate) struct Sbom;

/// A real one has a few megabytes.
const LIMIT: usize = 32 << 20;

/// The [`evidence`](Package::evidence) of a distribution's package that no database has named.
pub const OF_SBOM: &str = "a bill of materials";

const ENDINGS: [&str; 8] =
    [".spdx.json", ".cdx.json", ".cdx.xml", ".bom.json", ".bom.xml", ".cyclonedx.json", ".cyclonedx.xml", ".syft.json"];

impl PackageReader for Sbom {
    fn name(&self) -> &'static str {
        "sbom"
    }

    fn reads(&self) -> &'static str {
        "`opt/bitnami/**/.spdx-*.spdx`, `**/*.spdx.json`, `**/*.cdx.json`, `**/*.cdx.xml`, `**/*.bom.json`, \
         `**/*.bom.xml`, `**/*.cyclonedx.json`, `**/*.cyclonedx.xml`, `**/*.syft.json`, \
         and `usr/share/**/sbom/**` ending in `.json`, `.xml` or `.spdx`"
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let name = file.file_name();
        let is_bitnami =
            || file.path.starts_with("opt/bitnami/") && name.starts_with(".spdx-") && name.ends_with(".spdx");
        let is_shared = || {
            let is_document = name.ends_with(".json") || name.ends_with(".xml") || name.ends_with(".spdx");
            file.path.starts_with("usr/share/") && is_document && file.parent().split('/').any(|part| part == "sbom")
        };
        let is_wanted = ENDINGS.iter().any(|ending| name.ends_with(ending)) || is_bitnami() || is_shared();
        is_wanted.then_some(Selection::Whole { limit: LIMIT })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let (read, is_cut) = match sbom::read_up_to(file.path, contents, LIMIT) {
            Ok(read) => (read.reading, read.is_cut),
            // Another file of such a name.
            Err(SbomError::Unknown | SbomError::Empty) => return Reading::default(),
            Err(error) => {
                let warning = Warning::gap(file.path, format!("a bill of materials that was not read: {error}"));
                return Reading { warnings: vec![warning], ..Reading::default() };
            }
        };
        let mut packages: Vec<Package> = read
            .packages
            .into_iter()
            .filter(|package| package.kind != PackageType::Github)
            .map(|package| placed(package, file.path))
            .collect();
        packages.sort();
        packages.dedup();
        // What a document cannot name would not be known without it either.
        let warnings = read.warnings.into_iter().map(|warning| Warning::note(warning.path, warning.message));
        let cut = is_cut.then(|| Warning::gap(file.path, "parts of this bill of materials were not read"));
        let has_system = packages.iter().any(|package| package.kind.is_operating_system());
        let distribution = read.distribution.filter(|_| has_system);
        Reading { packages, distribution, warnings: warnings.chain(cut).collect(), ..Reading::default() }
    }
}

/// The package as other readers would give it, so that one found twice is one.
fn placed(package: Package, path: &str) -> Package {
    let purl = match PackageUrl::parse(&package.purl) {
        Ok(url) if package.kind != PackageType::Bitnami && package.kind != PackageType::Generic => {
            Purl::new(package.kind, &url.namespace, &url.name, &package.version).build()
        }
        _ => package.purl.clone(),
    };
    let evidence = if package.kind.is_operating_system() { Some(OF_SBOM.to_owned()) } else { package.evidence.clone() };
    Package {
        purl,
        evidence,
        owned_by: None,
        locations: vec![Location { path: path.to_owned(), layer: None }],
        ..package
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use expect_test::expect;

    use super::*;
    use crate::testing::{check, data, read, render};

    #[test]
    fn what_the_distribution_installed_is_marked_for_its_database_knows_better() {
        let document = r#"{"spdxVersion": "SPDX-2.3", "packages": [
            {"name": "openssl", "versionInfo": "3.1", "externalRefs": [
                {"referenceType": "purl", "referenceLocator": "pkg:apk/wolfi/openssl@3.1-r0?arch=x86_64"}]},
            {"name": "openssl", "versionInfo": "3.1", "externalRefs": [
                {"referenceType": "purl", "referenceLocator": "pkg:github/openssl/openssl@openssl-3.1"}]},
            {"name": "x", "versionInfo": "1", "externalRefs": [
                {"referenceType": "purl", "referenceLocator": "pkg:npm/@a/x@1?foo=bar"}]}]}"#;
        check(
            &Sbom,
            "var/lib/db/sbom/openssl-3.1-r0.spdx.json",
            document,
            expect![[r#"
                apk openssl 3.1-r0, for x86_64, purl pkg:apk/wolfi/openssl@3.1-r0
                npm @a/x 1, purl pkg:npm/%40a/x@1
            "#]],
        );
    }

    #[test]
    fn bitnamis_images_say_what_is_in_them() {
        let Some(contents) = data("sboms/bitnami-postgresql-syft.spdx.json") else { return };
        let reading = read(&Sbom, "opt/bitnami/postgresql/.spdx-postgresql.spdx", &contents).unwrap();
        assert_eq!(reading.packages.len(), 19);
        assert!(render(&reading).contains("bitnami postgresql 17.2.0-8"), "{}", render(&reading));
        assert!(reading.packages.iter().all(|package| package.locations.len() == 1));
    }

    #[test]
    fn what_was_not_read_of_a_document_is_a_gap() {
        let document = "SPDXVersion: SPDX-2.3\nPackageName: a\nPackageVersion: 1\n\
                        ExternalRef: PACKAGE-MANAGER purl pkg:cargo/a@1\nPackageComment: <text>one\nPackageName: b\n";
        check(
            &Sbom,
            "usr/share/doc/a/sbom/a.spdx",
            document,
            expect![[r#"
                cargo a 1, purl pkg:cargo/a@1
                note in usr/share/doc/a/sbom/a.spdx: the text of `PackageComment` does not end: packages that follow it are not seen
                gap in usr/share/doc/a/sbom/a.spdx: parts of this bill of materials were not read
            "#]],
        );
        // What a file may have is what a compressed one may have once it is inflated.
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let piece = vec![b' '; 1 << 20];
        (0..=LIMIT >> 20).for_each(|_| gzip.write_all(&piece).unwrap());
        check(
            &Sbom,
            "srv/a.cdx.json",
            gzip.finish().unwrap(),
            expect![[r#"
                gap in srv/a.cdx.json: a bill of materials that was not read: it is larger than 33554432 bytes
            "#]],
        );
    }

    #[test]
    fn other_files_of_such_names_are_none_and_damaged_ones_are_gaps() {
        assert!(read(&Sbom, "srv/package.json", b"{}").is_none());
        check(&Sbom, "srv/a.bom.json", "{\"a\": 1}", expect![""]);
        check(
            &Sbom,
            "srv/a.cdx.json",
            "{\"bomFormat\": ",
            expect![[r#"
                gap in srv/a.cdx.json: a bill of materials that was not read: it is no JSON that can be read
            "#]],
        );
    }
}
