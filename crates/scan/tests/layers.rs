//! What later layers do to what earlier ones brought, and to which layer a package belongs.
//!
//! Rules: <https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#applying-changesets>

mod support;

use portcullis_image::Source;
use portcullis_testkit::{Compression, DebianPackage, ImageBuilder, Layer, dpkg_status, tar};
use support::{archive, npm, packages, take, taken};

const X: &str = "app/node_modules/x/package.json";
const Y: &str = "app/node_modules/y/package.json";

fn base() -> ImageBuilder {
    ImageBuilder::new().layer(Layer::new().file(X, npm("x", "1.0.0")).file(Y, npm("y", "1.0.0")))
}

#[test]
fn every_form_of_an_image_gives_the_same_inventory() {
    let folder = tempfile::tempdir().unwrap();
    let mut inventories = Vec::new();
    for compression in [Compression::Plain, Compression::Gzip, Compression::Zstd] {
        let image = ImageBuilder::debian(12)
            .package_of_source("libssl3", "3.0.11-1", "openssl")
            .layer(Layer::new().file(X, npm("x", "1.0.0")).file(Y, npm("y", "2.0.0")).compression(compression))
            .layer(Layer::new().whiteout(Y).compression(compression))
            .build();
        let path = folder.path().join(format!("{compression:?}"));
        image.write_oci_dir(&path).unwrap();
        inventories.push(take(&Source::OciDirectory { path: path.clone(), name: None }));
        inventories.push(take(&Source::parse(path.to_str().unwrap()).unwrap()));
        let archive = path.with_extension("oci.tar");
        image.write_oci_archive(&archive).unwrap();
        inventories.push(take(&Source::OciArchive { path: archive.clone(), name: Some("latest".into()) }));
        inventories.push(take(&Source::parse(archive.to_str().unwrap()).unwrap()));
        let archive = path.with_extension("docker.tar");
        image.write_docker_archive(&archive).unwrap();
        inventories.push(take(&Source::parse(archive.to_str().unwrap()).unwrap()));
        image.write_packed_docker_archive(&archive).unwrap();
        inventories.push(take(&Source::DockerArchive { path: archive, name: Some("latest".into()) }));
    }
    let first = &inventories[0];
    assert_eq!(first.inventory.packages.len(), 2, "{:?}", first.inventory);
    assert_eq!(first.distribution.as_ref().unwrap().id, "debian");
    assert_eq!(first.target.layers[1].created_by.as_deref(), Some("RUN make"));
    for other in &inventories {
        assert_eq!(other.inventory, first.inventory, "{}", other.target.reference);
        assert_eq!(other.coverage, first.coverage);
        assert_eq!(other.distribution, first.distribution);
    }
}

#[test]
fn what_a_later_layer_hides_is_gone() {
    let hides: [(&str, Layer, &[&str]); 12] = [
        ("file", Layer::new().whiteout(X), &["y"]),
        ("directory", Layer::new().whiteout("app/node_modules/x"), &["y"]),
        ("ancestor", Layer::new().whiteout("app"), &[]),
        ("opaque", Layer::new().opaque("app/node_modules"), &[]),
        ("opaque root", Layer::new().opaque(""), &[]),
        ("opaque beside", Layer::new().opaque("app/node_modules/x/lib"), &["x", "y"]),
        ("file by directory", Layer::new().directory(X), &["y"]),
        ("directory by symbolic link", Layer::new().symlink("app/node_modules/x", "y"), &["y"]),
        ("directory by file", Layer::new().file("app/node_modules", "x"), &[]),
        ("directory again", Layer::new().directory("app/node_modules/x"), &["x", "y"]),
        ("a name that begins alike", Layer::new().whiteout("app/node_modules/x/package"), &["x", "y"]),
        // Engines look at the name of a whiteout alone.
        ("a whiteout that is a link", Layer::new().symlink("app/node_modules/.wh.x", "z"), &["y"]),
    ];
    for (what, layer, left) in hides {
        let names: Vec<String> =
            packages(&base().layer(layer)).iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
        assert_eq!(names, left, "{what}");
    }
}

#[test]
fn a_whiteout_does_not_hide_its_own_layer() {
    let line = [format!("x 2.0.0 {X} @1")];
    let layer = Layer::new().file(X, npm("x", "2.0.0")).opaque("app/node_modules");
    assert_eq!(packages(&base().layer(layer)), line);
    let layer = Layer::new().file(X, npm("x", "2.0.0")).whiteout("app");
    assert_eq!(packages(&base().layer(layer)), line);
}

#[test]
fn a_package_belongs_to_the_layer_that_brought_it() {
    let x = npm("x", "1.0.0");
    let only = |builder: ImageBuilder| packages(&builder).remove(0).rsplit_once('@').unwrap().1.to_owned();
    let touched = base().layer(Layer::new().file(X, format!("{x}\n")));
    assert_eq!(only(touched.clone()), "0", "rewritten as it was");
    assert_eq!(only(base().layer(Layer::new().file(X, npm("x", "1.0.1")))), "1", "upgraded");
    let removed = base().layer(Layer::new().whiteout("app/node_modules/x"));
    assert_eq!(only(removed.clone().layer(Layer::new().file(X, &x))), "2", "removed, then installed again");
    assert_eq!(only(removed.layer(Layer::new()).layer(Layer::new().file(X, &x))), "3", "the same, later");
    assert_eq!(only(base().layer(Layer::new().opaque("app").file(X, &x))), "1", "replaced with its directory");
    let upgraded = touched.layer(Layer::new().file(X, npm("x", "2.0.0"))).layer(Layer::new().file(X, &x));
    assert_eq!(only(upgraded), "3", "downgraded again");
}

#[test]
fn each_package_of_a_database_belongs_to_its_own_layer() {
    let status = |versions: [&str; 2]| {
        dpkg_status(&[DebianPackage::new("curl", versions[0]), DebianPackage::new("openssl", versions[1])])
    };
    let image = ImageBuilder::debian(12)
        .package("curl", "7.88.1-10")
        .layer(Layer::new().file("var/lib/dpkg/status", status(["7.88.1-10", "3.0.11-1"])))
        .layer(Layer::new().file("var/lib/dpkg/status", status(["7.88.1-10", "3.0.15-1"])));
    assert_eq!(packages(&image), ["curl 7.88.1-10 var/lib/dpkg/status @0", "openssl 3.0.15-1 var/lib/dpkg/status @2"]);
}

#[test]
fn of_two_entries_of_one_path_the_later_counts() {
    let twice = Layer::new().file(X, npm("x", "1.0.0")).file(X, npm("x", "2.0.0"));
    assert_eq!(packages(&ImageBuilder::new().layer(twice)), [format!("x 2.0.0 {X} @0")]);
    let link = Layer::new().file(X, npm("x", "1.0.0")).symlink(X, "elsewhere");
    assert_eq!(packages(&ImageBuilder::new().layer(link)), [""; 0]);
}

#[test]
fn hard_links_are_read_under_each_name() {
    const STORE: &str = "store/4f/a0";
    let at = |path: &str| format!("x 1.0.0 {path} @0");
    let x = npm("x", "1.0.0");
    let z = "other/node_modules/x/package.json";
    let cases = [
        ("stored under a wanted name", Layer::new().file(X, &x).hard_link(z, X), vec![at(X), at(z)]),
        ("stored under another name", Layer::new().file(STORE, &x).hard_link(X, STORE), vec![at(X)]),
        (
            "twice under another name",
            Layer::new().file(STORE, &x).hard_link(X, STORE).hard_link(z, STORE),
            vec![at(X), at(z)],
        ),
        ("named from the root", Layer::new().file(STORE, &x).hard_link(X, "/store/4f/a0"), vec![at(X)]),
    ];
    for (what, layer, expected) in cases {
        assert_eq!(packages(&ImageBuilder::new().layer(layer)), expected, "{what}");
    }
    // The first name goes; the second still leads to the file.
    let layer = Layer::new().file(X, &x).hard_link(z, X);
    assert_eq!(packages(&ImageBuilder::new().layer(layer).layer(Layer::new().whiteout("app"))), [at(z)]);
}

#[test]
fn a_hard_link_whose_path_says_something_else_is_another_package() {
    let keg = |name: &str| format!("opt/Cellar/{name}/1.0/INSTALL_RECEIPT.json");
    let store = |name: &str| format!("nix/store/{}-{name}/bin/run", "0".repeat(32));
    let provider = |name: &str| format!("srv/a.example/b/{name}/1.0.0/linux_amd64/terraform-provider-x");
    let cases = [
        (keg("jq"), keg("yq"), ["jq 1.0", "yq 1.0"]),
        (store("one-1.0"), store("two-2.0"), ["one 1.0", "two 2.0"]),
        (provider("one"), provider("two"), ["b/one 1.0.0", "b/two 1.0.0"]),
    ];
    for (first, second, expected) in cases {
        let layer = Layer::new().file(&first, "{}").hard_link(&second, &first);
        let found = packages(&ImageBuilder::new().layer(layer));
        let expected = [format!("{} {first} @0", expected[0]), format!("{} {second} @0", expected[1])];
        assert_eq!(found, expected);
    }
}

#[test]
fn a_crowd_of_hard_links_to_an_archive_is_a_gap() {
    let jar = archive(&[("META-INF/maven/a/b/pom.properties", b"groupId=a\nartifactId=b\nversion=1.0\n")]);
    let mut layer = Layer::new().file("store/4f", jar);
    for link in 0..300 {
        layer = layer.hard_link(&format!("app/{link}.jar"), "store/4f");
    }
    let taken = taken(&ImageBuilder::new().layer(layer).build());
    assert_eq!(taken.inventory.packages[0].locations.len(), 256);
    let warnings: Vec<&str> = taken.inventory.warnings.iter().map(|warning| &*warning.message).collect();
    assert_eq!(warnings, ["44 more hard links to this file are not read"]);
}

#[test]
fn a_hard_link_to_nothing_is_a_listed_gap() {
    let taken = taken(&ImageBuilder::new().layer(Layer::new().hard_link(X, "not/here")).build());
    assert_eq!(taken.inventory.warnings.len(), 1);
    assert_eq!(taken.inventory.warnings[0].path, X);
    let outside = tar::entry(b'1', X.as_bytes(), b"../../etc/passwd", 0o644, b"");
    let taken = support::taken(&ImageBuilder::new().layer(Layer::new().raw(&outside)).build());
    assert_eq!(taken.inventory.warnings.len(), 1);
}

#[test]
fn a_language_s_package_that_the_distribution_installed_is_the_distribution_s() {
    const METADATA: &str = "usr/lib/python3/dist-packages/yaml-6.0.dist-info/METADATA";
    const LIST: &str = "var/lib/dpkg/info/python3-yaml.list";
    let list = format!("/.\n/usr\n/{METADATA}\n");
    let metadata = |version| format!("Metadata-Version: 2.1\nName: yaml\nVersion: {version}\n\n");
    let status = dpkg_status(&[DebianPackage::new("python3-yaml", "6.0-3")]);
    let installed = Layer::new().file(METADATA, metadata("6.0")).file(LIST, list).file("var/lib/dpkg/status", status);
    let debian = ImageBuilder::debian(12).layer(installed);
    let owner = |builder: &ImageBuilder| {
        let taken = taken(&builder.build());
        let package = taken.inventory.packages.into_iter().find(|package| package.name == "yaml").unwrap();
        package.owned_by
    };
    assert_eq!(owner(&debian).unwrap(), "pkg:deb/debian/python3-yaml@6.0-3?arch=amd64&distro=debian-12");
    let touched = debian.clone().layer(Layer::new().file(METADATA, metadata("6.0")));
    assert!(owner(&touched).is_some(), "the same version, written again");
    let replaced = debian.clone().layer(Layer::new().file(METADATA, metadata("5.0")));
    assert_eq!(owner(&replaced), None, "another version over the distribution's");
    let elsewhere = debian.layer(Layer::new().file("opt/yaml-6.0.dist-info/METADATA", metadata("6.0")));
    assert_eq!(owner(&elsewhere), None, "one copy is not the distribution's");
}

#[test]
fn what_came_after_a_package_is_not_its_own_though_the_database_is_written_anew() {
    const FILE: &str = "usr/lib/node_modules/npm/node_modules/lodash/package.json";
    const LIST: &str = "var/lib/dpkg/info/nodejs.list";
    let alpine = |others: &str| {
        let (folder, file) = FILE.rsplit_once('/').unwrap();
        let database = format!("P:nodejs\nV:20.1-r0\nA:x86_64\nF:{folder}\nR:{file}\n\n{others}");
        Layer::new().file("lib/apk/db/installed", database).file("etc/os-release", "ID=alpine\nVERSION_ID=3.20.1\n")
    };
    let is_owned = |builder: ImageBuilder| {
        let taken = taken(&builder.build());
        taken.inventory.packages.iter().find(|package| package.name == "lodash").unwrap().owned_by.is_some()
    };
    let base = ImageBuilder::new().layer(alpine("").file(FILE, npm("lodash", "4.17.21")));
    let added = alpine("P:jq\nV:1.7-r0\nA:x86_64\n\n");
    assert!(is_owned(base.clone().layer(added.clone())), "as it was");
    let replaced = base.layer(Layer::new().file(FILE, npm("lodash", "4.17.15")));
    assert!(!is_owned(replaced.clone()));
    assert!(!is_owned(replaced.layer(added)), "another package came after that");
    // A list of a package that came long before claims what came with the list.
    let debian = ImageBuilder::debian(12).package("nodejs", "18.1-1");
    let late = Layer::new().file(FILE, npm("lodash", "4.17.15")).file(LIST, format!("/{FILE}\n"));
    assert!(!is_owned(debian.clone().layer(late)));
    // The package itself came anew.
    let status = dpkg_status(&[DebianPackage::new("nodejs", "18.2-1")]);
    let upgraded = Layer::new().file(FILE, npm("lodash", "4.17.15")).file(LIST, format!("/{FILE}\n"));
    assert!(is_owned(debian.layer(upgraded.file("var/lib/dpkg/status", status))));
}

#[test]
fn a_list_may_name_its_files_through_a_link_to_their_directory() {
    const REAL: &str = "usr/share/python/packages/yaml-6.0.dist-info/METADATA";
    const LINK: &str = "usr/lib/python3/dist-packages";
    const TARGET: &str = "../../share/python/packages";
    let metadata = |version| format!("Metadata-Version: 2.1\nName: yaml\nVersion: {version}\n\n");
    let list = |layer: Layer| {
        let listed = format!("/.\n/usr\n/{LINK}/yaml-6.0.dist-info/METADATA\n");
        let status = dpkg_status(&[DebianPackage::new("python3-yaml", "6.0-3")]);
        layer.file("var/lib/dpkg/info/python3-yaml.list", listed).file("var/lib/dpkg/status", status)
    };
    let debian = || ImageBuilder::debian(12);
    let is_owned = |builder: &ImageBuilder| {
        let taken = taken(&builder.build());
        taken.inventory.packages.iter().any(|package| package.name == "yaml" && package.owned_by.is_some())
    };
    let file = || Layer::new().file(REAL, metadata("6.0"));
    let linked = || Layer::new().symlink(LINK, TARGET);
    // Whatever comes first of what the list is made of.
    assert!(is_owned(&debian().layer(list(file().symlink(LINK, TARGET)))));
    assert!(is_owned(&debian().layer(linked()).layer(list(file()))));
    assert!(is_owned(&debian().layer(file()).layer(linked()).layer(list(Layer::new()))));
    let whole = debian().layer(linked()).layer(list(file()));
    assert!(is_owned(&whole.clone().layer(linked())), "the same link, written again");
    // Through another link beside.
    let twice = Layer::new().symlink(LINK, "/usr/share/snake").symlink("usr/share/snake", "python/packages");
    assert!(is_owned(&debian().layer(twice).layer(list(file()))));
    // What a later layer did is not what the package installed.
    assert!(!is_owned(&debian().layer(list(file())).layer(linked())), "a link that came later");
    let removed = whole.clone().layer(Layer::new().whiteout(LINK));
    assert!(!is_owned(&removed), "a link that is gone");
    assert!(!is_owned(&removed.layer(linked())), "a link that came again");
    assert!(!is_owned(&whole.clone().layer(Layer::new().directory(LINK))), "a directory in its place");
    assert!(!is_owned(&whole.clone().layer(Layer::new().symlink(LINK, "/opt"))), "a link to elsewhere");
    let replaced = Layer::new().file(REAL, metadata("5.0"));
    assert!(!is_owned(&whole.layer(replaced)), "another version over the distribution's");
    let over = Layer::new().symlink(LINK, TARGET).directory(LINK);
    assert!(!is_owned(&debian().layer(list(over)).layer(file())), "of two entries the later counts");
}

#[test]
fn programs_are_known_by_lists_that_name_them_through_links() {
    let status = dpkg_status(&[DebianPackage::new("tool", "1.0-1")]);
    let list = |layer: Layer| {
        let layer = layer.file("var/lib/dpkg/info/tool.list", "/usr/sbin/tool\n/usr/sbin\n");
        layer.file("var/lib/dpkg/status", &status)
    };
    let debian = |layer| ImageBuilder::debian(12).layer(layer);
    let known = |builder: &ImageBuilder| taken(&builder.build()).coverage.unwrap().known_files;
    let program = Layer::new().executable("usr/bin/tool", b"\x7fELF");
    assert_eq!(known(&debian(list(program.clone()))), 0);
    assert_eq!(known(&debian(list(program.symlink("usr/sbin", "bin")))), 1);
}

#[test]
fn a_bill_of_materials_speaks_of_the_distribution_where_no_database_does() {
    let document = r#"{"spdxVersion": "SPDX-2.3", "packages": [
        {"name": "musl", "versionInfo": "1.2.4-r2", "externalRefs": [
            {"referenceType": "purl", "referenceLocator": "pkg:apk/alpine/musl@1.2.4-r2?arch=x86_64&distro=alpine-3.18.4"}]}]}"#;
    let sbom = || Layer::new().file("app/image.spdx.json", document);
    let named = |image: &ImageBuilder| {
        let taken = taken(&image.build());
        let packages = taken.inventory.packages.into_iter();
        let packages: Vec<String> = packages.map(|package| format!("{} {}", package.name, package.version)).collect();
        (packages, taken.distribution.map(|distribution| distribution.id))
    };
    let scratch = ImageBuilder::new().layer(sbom());
    assert_eq!(named(&scratch), (vec!["musl 1.2.4-r2".to_owned()], Some("alpine".to_owned())));
    let debian = ImageBuilder::debian(12).package("bash", "5.2.15-2").layer(sbom());
    assert_eq!(named(&debian), (vec!["bash 5.2.15-2".to_owned()], Some("debian".to_owned())));
    // Whose database was removed is not whole again by a bill of some of its packages.
    let removed =
        ImageBuilder::debian(12).package("bash", "5.2.15-2").layer(Layer::new().whiteout("var/lib/dpkg")).layer(sbom());
    assert_eq!(named(&removed), (Vec::new(), Some("debian".to_owned())));
    let warnings = taken(&removed.build()).inventory.warnings;
    assert!(warnings.iter().any(|warning| warning.message.starts_with("none of its packages")), "{warnings:?}");
    // Of two bills that speak of two releases, one counts.
    let other = document.replace("alpine-3.18.4", "alpine-3.20.1").replace("musl", "zlib");
    let two = ImageBuilder::new().layer(sbom().file("b/image.spdx.json", &other));
    assert_eq!(named(&two), (vec!["musl 1.2.4-r2".to_owned()], Some("alpine".to_owned())));
    // What does not count is a gap.
    let nameless = document.replace("&distro=alpine-3.18.4", "");
    let nameless = ImageBuilder::new().layer(Layer::new().file("a/image.spdx.json", &nameless));
    assert_eq!(named(&nameless), (Vec::new(), None));
    for image in [&two, &nameless] {
        let warnings = taken(&image.build()).inventory.warnings;
        let is_said = |warning: &portcullis_model::Warning| warning.message.contains("do not count");
        assert_eq!(warnings.iter().filter(|warning| is_said(warning)).count(), 1, "{warnings:?}");
    }
}
