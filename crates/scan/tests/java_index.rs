//! Java archives that do not say what they are, named by a table of digests.
#![allow(clippy::unwrap_used, reason = "helpers of a test stop where the test must")]

mod support;

use std::fmt::Write as _;

use portcullis_image::{Image, OpenOptions, Source};
use portcullis_scan::{InventoryOptions, JavaIndex, LayerCache, Taken, take_inventory};
use portcullis_testkit::{BuiltImage, ImageBuilder, Layer};
use sha1::{Digest as _, Sha1};
use support::archive;

/// An image, and where its layout and what is read of it lie.
struct Fixture {
    folder: tempfile::TempDir,
    image: BuiltImage,
}

impl Fixture {
    fn new(layers: Vec<Layer>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let image = layers.into_iter().fold(ImageBuilder::new(), ImageBuilder::layer).build();
        image.write_oci_dir(&folder.path().join("image")).unwrap();
        Self { folder, image }
    }

    fn taken(&self, java_index: Option<&JavaIndex>) -> Taken {
        let cache = LayerCache::new(self.folder.path().join("cache"), LayerCache::DEFAULT_LIMIT);
        let source = Source::OciDirectory { path: self.folder.path().join("image"), name: None };
        let image = Image::open(&source, &OpenOptions::default()).unwrap();
        let cache = Some(&cache);
        let options = InventoryOptions { jobs: 2, cache, java_index, ..InventoryOptions::default() };
        take_inventory(&image, &options).unwrap()
    }

    /// Packages and warnings.
    fn told(&self, java_index: Option<&JavaIndex>) -> String {
        let taken = self.taken(java_index);
        let mut text = support::lines(&self.image, &taken).join("\n");
        for warning in &taken.inventory.warnings {
            write!(text, "\n{}: {}", warning.path, warning.message).unwrap();
        }
        text
    }

    fn index(&self, lines: &[(&[u8], &str)]) -> JavaIndex {
        let digest = |bytes: &[u8]| Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let mut lines: Vec<_> = lines.iter().map(|(bytes, text)| format!("{} {text}\n", digest(bytes))).collect();
        lines.sort();
        let path = self.folder.path().join("index");
        std::fs::write(&path, lines.concat()).unwrap();
        JavaIndex::open(&path).unwrap()
    }
}

#[test]
fn archives_are_named_by_their_digests_wherever_they_lie() {
    let bare = archive(&[("a/B.class", b"x")]);
    let guessed = archive(&[("META-INF/MANIFEST.MF", b"Implementation-Version: 1.2\n\n"), ("a/C.class", b"y")]);
    let unknown = archive(&[("a/D.class", b"z")]);
    let nameless = archive(&[("META-INF/maven/org.example/x/pom.xml", b"<project></project>")]);
    let war = archive(&[("WEB-INF/lib/bare.jar", &bare), ("WEB-INF/lib/odd.jar", &unknown)]);
    let fixture = Fixture::new(vec![
        Layer::new().file("opt/other-1.2.jar", &guessed).file("opt/odd.jar", &unknown).file("opt/x.jar", &nameless),
        Layer::new().file("srv/app.war", &war),
    ]);
    let silent = "a Java archive that does not say what it is: no advisory is looked up";
    let without = format!(
        "org.example:x  opt/x.jar @0\nother 1.2 opt/other-1.2.jar @0\nopt/odd.jar: {silent}\n\
         opt/other-1.2.jar: other 1.2: its group is not known, and advisories go by it: none is looked up\n\
         srv/app.war!/WEB-INF/lib/bare.jar: {silent}\nsrv/app.war!/WEB-INF/lib/odd.jar: {silent}"
    );
    assert_eq!(fixture.told(None), without);
    let index = fixture.index(&[(&bare, "org.example:bare:2.0"), (&guessed, "org.example:other-core:1.2.1")]);
    let with = format!(
        "org.example:bare 2.0 srv/app.war!/WEB-INF/lib/bare.jar @1\norg.example:other-core 1.2.1 opt/other-1.2.jar @0\n\
         org.example:x  opt/x.jar @0\nopt/odd.jar: {silent}\nsrv/app.war!/WEB-INF/lib/odd.jar: {silent}"
    );
    // Once read, and once known.
    for _ in 0..2 {
        assert_eq!(fixture.told(Some(&index)), with);
    }
    let taken = fixture.taken(Some(&index));
    let evidence = taken.inventory.packages[0].evidence.as_deref().unwrap();
    assert!(evidence.starts_with("sha1:") && evidence.len() == 45, "{evidence}");
    assert_eq!(taken.inventory.packages[0].purl, "pkg:maven/org.example/bare@2.0");
    // Another table is another answer, and none leaves no trace.
    let other = fixture.index(&[(&unknown, "org.example:odd:3")]);
    assert!(fixture.told(Some(&other)).contains("org.example:odd 3 opt/odd.jar @0"));
    let (none, empty) =
        (fixture.taken(None), fixture.taken(Some(&fixture.index(&[(b"another", "org.example:other:4")]))));
    assert_eq!(none, empty);
    assert_eq!(fixture.told(None), without);
}
