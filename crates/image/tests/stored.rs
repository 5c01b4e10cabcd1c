//! How images and layers are stored: digests, sizes, compression, documents; and every way in which they lie.
#![allow(clippy::unwrap_used, reason = "helpers of a test stop where the test must")]

mod support;

use std::time::Instant;

use portcullis_image::{Image, ImageError, LayerError, Limits, OpenOptions, Source};
use portcullis_model::Digest;
use portcullis_testkit::{BuiltImage, Compression, ImageBuilder, Layer};
use serde_json::{Value, json};
use support::{Record, entries, gap, gap_of, read_image, read_with};

fn small() -> Layer {
    Layer::new().file("a", "abc")
}

fn builder() -> ImageBuilder {
    ImageBuilder::new().layer(small())
}

fn read_all(image: &BuiltImage) -> Result<Vec<Record>, ImageError> {
    read_image(image, Limits::default())
}

/// An image whose manifest was changed; its digest is right.
fn with_manifest(change: impl FnOnce(&mut Value)) -> BuiltImage {
    let mut image = builder().build();
    let mut manifest = serde_json::from_slice(&image.manifest).unwrap();
    change(&mut manifest);
    image.manifest = manifest.to_string().into_bytes();
    image
}

#[test]
fn a_wrong_digest_is_an_error_and_never_an_answer() {
    for compression in [Compression::Plain, Compression::Gzip, Compression::Zstd] {
        let image = builder().layer(small().file("b", "").compression(compression).wrong_digest()).build();
        assert!(matches!(read_all(&image), Err(ImageError::Layer(LayerError::Digest { .. }))), "{compression:?}");
    }
    // Behind the end of the archive, where no reader of the tar comes.
    let mut image = ImageBuilder::new().layer(small().compression(Compression::Plain)).build();
    *image.layers[0].bytes.last_mut().unwrap() = 1;
    assert!(matches!(read_all(&image), Err(ImageError::Layer(LayerError::Digest { .. }))));
    let mut image = builder().build();
    image.config.push(b' ');
    let folder = tempfile::tempdir().unwrap();
    image.write_oci_dir(folder.path()).unwrap();
    // The blob that the manifest names is another config.
    let named = builder().build().config_digest().hex();
    std::fs::write(folder.path().join("blobs/sha256").join(named), &image.config).unwrap();
    let source = Source::OciDirectory { path: folder.path().to_owned(), name: None };
    let outcome = Image::open(&source, &OpenOptions::default());
    assert!(matches!(outcome, Err(ImageError::Digest { .. })));
}

#[test]
fn docker_archives_are_checked_against_their_configs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.tar");
    let source = Source::DockerArchive { path: path.clone(), name: None };
    for (packed, is_wrong) in [(false, false), (true, false), (false, true), (true, true)] {
        let layer = if is_wrong { small().wrong_digest() } else { small() };
        let image = ImageBuilder::new().layer(layer).build();
        if packed {
            image.write_packed_docker_archive(&path).unwrap();
        } else {
            image.write_docker_archive(&path).unwrap();
        }
        let image = Image::open(&source, &OpenOptions::default()).unwrap();
        let outcome = image.visit_layers(1, Limits::default(), |_| Record::default());
        match outcome {
            Ok(records) if !is_wrong => assert_eq!(records[0].entries, ["file a 3 abc"]),
            Err(ImageError::Layer(LayerError::Digest { .. })) if is_wrong => {}
            other => panic!("{packed} {is_wrong}: {:?}", other.map(|records| records.len())),
        }
    }
    // A packed layer that is cut can not be checked: no answer either.
    let mut image = builder().build();
    image.layers[0].bytes.truncate(40);
    image.write_packed_docker_archive(&path).unwrap();
    let image = Image::open(&source, &OpenOptions::default()).unwrap();
    assert!(image.visit_layers(1, Limits::default(), |_| Record::default()).is_err());
}

#[test]
fn a_wrong_size_is_an_error() {
    let length = builder().build().layers[0].bytes.len() as u64;
    for size in [0, 1, length - 1, length + 1, u64::MAX] {
        let image = with_manifest(|manifest| manifest["layers"][0]["size"] = json!(size));
        assert!(read_all(&image).is_err(), "{size}");
    }
    let image = with_manifest(|manifest| _ = manifest["layers"][0].as_object_mut().unwrap().remove("size"));
    assert!(read_all(&image).is_ok());
}

#[test]
fn compressed_forms() {
    let expected = ["file a 3 abc"];
    let tar = small().tar();
    let gzip = Compression::Gzip.apply(&tar);
    let halves = tar.split_at(700);
    let members = [Compression::Gzip.apply(halves.0), Compression::Gzip.apply(halves.1)].concat();
    assert_eq!(entries(Layer::stored(members)), expected, "several gzip members");
    assert_eq!(entries(Layer::stored([&gzip[..], b"trailing rubbish"].concat())), expected, "rubbish after gzip");
    assert_eq!(entries(Layer::stored([&gzip[..], &[0; 5000]].concat())), expected, "zeros after gzip");
    let skippable = b"\x50\x2a\x4d\x18\x05\0\0\0hello".as_slice();
    let frames =
        [skippable, &Compression::Zstd.apply(halves.0), skippable, &Compression::Zstd.apply(halves.1)].concat();
    assert_eq!(entries(Layer::stored(frames)), expected, "zstd frames with skippable ones");
    let zstd = Compression::Zstd.apply(&tar);
    assert_eq!(entries(Layer::stored([&zstd[..], b"trailing rubbish"].concat())), expected, "rubbish after zstd");
    for whole in [gzip, zstd] {
        let (message, _) = gap(Layer::stored(&whole[..whole.len() / 2]));
        assert!(message.contains("not read"), "{message}");
    }
}

#[test]
fn limits_end_the_reading_with_a_listed_gap() {
    let layer = || (0..600).fold(Layer::new(), |layer, index| layer.file(&format!("f{index}"), "x"));
    let default = Limits::default();
    let (message, read) = gap_of(read_with(layer(), Limits { entries: 10, ..default }));
    assert_eq!((message.ends_with("it has more than 10 entries"), read.len()), (true, 10), "{message}");
    let (message, read) = gap_of(read_with(layer(), Limits { unpacked_bytes: 4096, ..default }));
    assert!(message.contains("unpacks to more") && read.len() < 5, "{message}");
    let (message, _) = gap_of(read_with(layer(), Limits { deadline: Some(Instant::now()), ..default }));
    assert!(message.ends_with("the time for this scan is over"), "{message}");
    // Headers that announce nothing are no way around the limits.
    let endless = Compression::Gzip.apply(&portcullis_testkit::tar::pax(&[("path", "a")]).repeat(1000)).repeat(100);
    let limits = Limits { unpacked_bytes: 10 << 20, ..default };
    let (message, _) = gap_of(read_with(Layer::stored(endless), limits));
    assert!(message.contains("unpacks to more"), "{message}");
}

#[test]
fn documents_that_are_too_much() {
    let descriptor = json!({"digest": Digest::of(b"x"), "size": 1});
    let many = |count: usize| with_manifest(|manifest| manifest["layers"] = json!(vec![descriptor.clone(); count]));
    assert!(matches!(read_all(&many(100_000)), Err(ImageError::TooLarge { .. })));
    let error = read_all(&many(10_000)).err().unwrap().to_string();
    assert!(error.contains("10000 layers"), "{error}");
    let deep = "[".repeat(100_000);
    for nested in [deep.clone(), format!(r#"{{"schemaVersion": 2, "x": {deep}"#)] {
        let mut image = builder().build();
        image.manifest = nested.clone().into_bytes();
        assert!(matches!(read_all(&image), Err(ImageError::Json { .. })));
    }
    let mut image = builder().build();
    let config = format!(r#"{{"rootfs": {deep}"#);
    let mut manifest: Value = serde_json::from_slice(&image.manifest).unwrap();
    manifest["config"]["digest"] = json!(Digest::of(config.as_bytes()));
    image.config = config.into_bytes();
    image.manifest = manifest.to_string().into_bytes();
    assert!(matches!(read_all(&image), Err(ImageError::Json { .. })));
}

#[test]
fn config_and_manifest_must_agree() {
    let image = with_manifest(|manifest| manifest["layers"] = json!([]));
    assert!(read_all(&image).is_err());
    let image = with_manifest(|manifest| manifest["schemaVersion"] = json!(1));
    assert!(read_all(&image).is_err());
    let image = with_manifest(|manifest| _ = manifest.as_object_mut().unwrap().remove("config"));
    assert!(read_all(&image).is_err());
}

#[test]
fn history_goes_with_the_layers_that_it_made() {
    let image = ImageBuilder::new()
        .layer(small().created_by("COPY a /"))
        .layer(small().file("b", "").created_by("RUN b"))
        .empty_history("CMD [\"a\"]")
        .label("org.opencontainers.image.title", "x")
        .build();
    let folder = tempfile::tempdir().unwrap();
    image.write_oci_dir(folder.path()).unwrap();
    let source = Source::OciDirectory { path: folder.path().to_owned(), name: Some("latest".into()) };
    let opened = Image::open(&source, &OpenOptions::default()).unwrap();
    let made: Vec<Option<&str>> = opened.target.layers.iter().map(|layer| layer.created_by.as_deref()).collect();
    assert_eq!(made, [Some("COPY a /"), Some("RUN b")]);
    assert_eq!(opened.target.digest, Some(image.digest()));
    assert_eq!(opened.target.config_digest, Some(image.config_digest()));
    assert_eq!(opened.target.labels["org.opencontainers.image.title"], "x");
    let by_digest = Source::OciDirectory { path: folder.path().to_owned(), name: Some(image.digest().to_string()) };
    assert!(Image::open(&by_digest, &OpenOptions::default()).is_ok());
    let other = Source::OciDirectory { path: folder.path().to_owned(), name: Some("other".into()) };
    assert!(Image::open(&other, &OpenOptions::default()).is_err());
}

#[test]
fn a_docker_folder_cannot_name_files_outside_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("image");
    std::fs::create_dir(&inside).unwrap();
    let image = builder().build();
    for (name, bytes) in image.docker_files(false) {
        std::fs::create_dir_all(inside.join(&name).parent().unwrap()).unwrap();
        std::fs::write(inside.join(name), bytes).unwrap();
    }
    std::fs::write(folder.path().join("outside.json"), &image.config).unwrap();
    let source = Source::DockerArchive { path: inside.clone(), name: None };
    let open = || Image::open(&source, &OpenOptions::default());
    assert!(open().is_ok());
    for config in ["../outside.json", folder.path().join("outside.json").to_str().unwrap()] {
        let manifest = json!([{"Config": config, "RepoTags": null, "Layers": ["layer-0/layer.tar"]}]);
        std::fs::write(inside.join("manifest.json"), manifest.to_string()).unwrap();
        assert!(open().is_err(), "{config}");
    }
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let image = builder().build();
    image.write_oci_dir(folder.path()).unwrap();
    let blob = folder.path().join("blobs/sha256").join(image.layers[0].digest.hex());
    std::fs::remove_file(&blob).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&blob).status().unwrap().success());
    let source = Source::OciDirectory { path: folder.path().to_owned(), name: None };
    let image = Image::open(&source, &OpenOptions::default()).unwrap();
    assert!(image.visit_layers(1, Limits::default(), |_| Record::default()).is_err());
}
