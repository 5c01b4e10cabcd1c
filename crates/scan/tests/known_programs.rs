//! Programs that no package manager installed: whose they are is decided over all layers.

mod support;

use portcullis_testkit::{DebianPackage, ImageBuilder, Layer, dpkg_status};
use support::{packages, taken};

const OPENSSL: &str = "usr/bin/openssl";

/// A program that says that it is OpenSSL of a release.
fn openssl(release: &str) -> Vec<u8> {
    let mut bytes = b"\x7fELF".to_vec();
    bytes.resize(2000, 0);
    bytes.extend_from_slice(format!("OpenSSL {release} 27 Jan 2026\0").as_bytes());
    bytes
}

/// A layer in which dpkg lists the program as its own.
fn owned() -> Layer {
    Layer::new()
        .file("var/lib/dpkg/status", dpkg_status(&[DebianPackage::new("openssl", "3.0.19-1")]))
        .file("var/lib/dpkg/info/openssl.list", format!("/.\n/{OPENSSL}\n"))
        .executable(OPENSSL, openssl("3.0.19"))
}

#[test]
fn what_a_distribution_owns_is_the_distribution_s() {
    let builder = ImageBuilder::new().layer(owned());
    let found = packages(&builder);
    assert_eq!(found, ["openssl 3.0.19-1 var/lib/dpkg/status @0"]);
    let built = builder.clone().layer(Layer::new().executable("usr/local/bin/openssl", openssl("3.0.19"))).build();
    let taken = taken(&built);
    let generic: Vec<_> =
        taken.inventory.packages.iter().filter(|package| package.purl == "pkg:generic/openssl@3.0.19").collect();
    let [package] = generic.as_slice() else { panic!("{:?}", taken.inventory) };
    assert_eq!(package.locations.len(), 1, "{package:?}");
    assert_eq!(package.evidence.as_deref(), Some("known program `openssl`: OpenSSL 3.0.19 27 Jan 2026"));
    let coverage = taken.coverage.unwrap();
    assert_eq!((coverage.executable_files, coverage.known_files), (2, 2), "{coverage:?}");
}

#[test]
fn what_replaced_a_distribution_s_program_is_not_the_distribution_s() {
    let found = packages(&ImageBuilder::new().layer(owned()).layer(Layer::new().executable(OPENSSL, openssl("3.5.0"))));
    assert_eq!(found, ["openssl 3.0.19-1 var/lib/dpkg/status @0", "openssl 3.5.0 usr/bin/openssl @1"]);
}

/// As the image of BusyBox has it: one file, of which the first name is that of a command.
#[test]
fn a_program_s_name_may_be_its_second_one() {
    let mut bytes = b"\x7fELF".to_vec();
    bytes.resize(2000, 0);
    bytes.extend_from_slice(b"BusyBox v1.36.1 (2023-05-18 22:34:17 UTC)\0");
    let layer = Layer::new().executable("bin/[", bytes).hard_link("bin/ash", "bin/[").hard_link("bin/busybox", "bin/[");
    assert_eq!(packages(&ImageBuilder::new().layer(layer)), ["busybox 1.36.1 bin/busybox @0"]);
}
