//! Licences that are not accepted, and those that nobody declared.

use expect_test::expect;
use portcullis_model::{Package, PackageType};

use crate::support::Image;

#[test]
fn licences() {
    let mut image = Image::with(&[]);
    let package = |name: &str, licenses: &[&str]| Package {
        purl: format!("pkg:npm/{name}@1"),
        licenses: licenses.iter().map(|text| (*text).to_owned()).collect(),
        ..Package::new(PackageType::Npm, name, "1")
    };
    image.packages = vec![package("b", &["AGPL-3.0-only"]), package("a", &["MIT", "agpl-3.0-only"]), package("c", &[])];
    image.check(
        "licenses: {deny: [AGPL-3.0-only]}",
        expect![[r#"
            fail
            - fail licenses.deny: 2 packages under a licence that is not accepted: a 1 (agpl-3.0-only), b 1 (AGPL-3.0-only)
            - pass licenses.undeclared: 1 package without a declared licence
        "#]],
    );
    image.check(
        "licenses: {undeclared: deny}",
        expect![[r#"
            fail
            - fail licenses.undeclared: 1 package without a declared licence
        "#]],
    );
}

#[test]
fn a_known_program_declares_what_its_owner_does() {
    let mut image = Image::with(&[]);
    let owner = Package {
        purl: "pkg:deb/debian/openssl@3".into(),
        licenses: vec!["Apache-2.0".into()],
        ..Package::new(PackageType::Deb, "openssl", "3")
    };
    let program = Package { owned_by: Some(owner.purl.clone()), ..Package::new(PackageType::Generic, "openssl", "3") };
    let nobody_s = Package { owned_by: None, ..program.clone() };
    image.packages = vec![owner.clone(), program.clone()];
    let expected = expect![[r#"
        pass
    "#]];
    image.check("licenses: {undeclared: deny}", expected);
    image.packages = vec![Package { licenses: Vec::new(), ..owner }, program, nobody_s];
    image.check(
        "licenses: {undeclared: deny}",
        expect![[r#"
            fail
            - fail licenses.undeclared: 2 packages without a declared licence
        "#]],
    );
}
