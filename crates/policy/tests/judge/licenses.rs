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
