//! Programs that no package manager installed: whose they are is decided over all layers.

mod support;

use portcullis_model::Package;
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

/// Matching decides whose advisories speak of it: a distribution's, or, where a third party installed it, upstream's.
#[test]
fn what_a_system_s_package_owns_names_its_owner() {
    let builder = ImageBuilder::new().layer(owned());
    let expected = ["openssl 3.0.19 usr/bin/openssl @0", "openssl 3.0.19-1 var/lib/dpkg/status @0"];
    assert_eq!(packages(&builder), expected);
    let generic = |builder: &ImageBuilder| {
        let taken = taken(&builder.clone().build());
        let coverage = taken.coverage.unwrap();
        assert_eq!(coverage.executable_files, coverage.known_files, "{coverage:?}");
        let found = taken.inventory.packages.into_iter().filter(|package| package.purl == "pkg:generic/openssl@3.0.19");
        let [package] = <[Package; 1]>::try_from(found.collect::<Vec<_>>()).unwrap();
        assert_eq!(package.evidence.as_deref(), Some("known program `openssl`: OpenSSL 3.0.19 27 Jan 2026"));
        package
    };
    let package = generic(&builder);
    assert_eq!(package.owned_by.as_deref(), Some("pkg:deb/openssl@3.0.19-1?arch=amd64"));
    // Another copy that nobody owns is upstream's.
    let package = generic(&builder.layer(Layer::new().executable("usr/local/bin/openssl", openssl("3.0.19"))));
    assert_eq!((package.locations.len(), package.owned_by), (2, None));
}

/// Who reads the inventory elsewhere would otherwise take the distribution's build for upstream's.
#[test]
fn what_the_distribution_s_own_package_owns_is_left_out() {
    let found = |id: &str, maintainer: &str| {
        let status = dpkg_status(&[DebianPackage::new("openssl", "3.0.19-1")]);
        let status = status.replace("Nobody <nobody@example.org>", maintainer);
        let os_release = format!("ID={id}\nVERSION_ID=12\n");
        let layer = owned().file("var/lib/dpkg/status", status).file("etc/os-release", os_release);
        let found = taken(&ImageBuilder::new().layer(layer).build()).inventory.packages.into_iter();
        found.map(|package| (package.version, package.owned_by.is_some())).collect::<Vec<_>>()
    };
    let (owner, program) = (("3.0.19-1".to_owned(), false), ("3.0.19".to_owned(), true));
    for own in ["A B <a@debian.org>", "Team <pkg-openssl-devel@alioth-lists.debian.net>"] {
        assert_eq!(found("debian", own), std::slice::from_ref(&owner), "{own}");
        assert_eq!(found("unheard-of", own), [owner.clone(), program.clone()], "{own}");
    }
    for other in ["Somebody <a@example.org>", "a@notdebian.org", "<a@debian.org.example>", "debian.org"] {
        assert_eq!(found("debian", other), [owner.clone(), program.clone()], "{other}");
    }
}

/// A release's program and its library are parts of two packages; those of one source are one's.
#[test]
fn what_several_packages_of_one_source_own_names_the_first() {
    let owned_by = |library: DebianPackage| {
        let status = dpkg_status(&[DebianPackage::new("openssl", "3.0.19-1"), library]);
        let layer = owned()
            .file("var/lib/dpkg/status", status)
            .file("var/lib/dpkg/info/libssl3.list", "/.\n/usr/lib/libcrypto.so.3\n")
            .executable("usr/lib/libcrypto.so.3", openssl("3.0.19"));
        let found = taken(&ImageBuilder::new().layer(layer).build()).inventory.packages.into_iter();
        let mut found = found.filter(|package| package.purl == "pkg:generic/openssl@3.0.19");
        found.next().unwrap().owned_by
    };
    let of_openssl = owned_by(DebianPackage::new("libssl3", "3.0.19-1").source("openssl"));
    assert_eq!(of_openssl.as_deref(), Some("pkg:deb/libssl3@3.0.19-1?arch=amd64&upstream=openssl"));
    assert_eq!(owned_by(DebianPackage::new("libssl3", "3.0.19-1").source("other")), None);
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
