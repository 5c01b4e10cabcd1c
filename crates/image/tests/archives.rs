//! Archives as engines and tools have written them: several images, links between layers, shared blobs, packed layers,
//! and members that announce what they do not hold.
#![allow(clippy::unwrap_used, reason = "helpers of a test stop where the test must")]

mod support;

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    time::{Duration, Instant},
};

use portcullis_errors::Hint as _;
use portcullis_image::{Image, ImageError, Limits, OpenOptions, Source};
use portcullis_testkit::{
    BuiltImage, Compression, ImageBuilder, Layer,
    tar::{END, Header, entry},
};
use serde_json::{Value, json};
use support::Record;

fn image(file: &str) -> BuiltImage {
    ImageBuilder::new().layer(Layer::new().file("base", "b")).layer(Layer::new().file(file, "x")).build()
}

fn write(path: &Path, members: &[Vec<u8>]) {
    fs::write(path, [&members.concat()[..], &END].concat()).unwrap();
}

fn member(name: &str, body: &[u8]) -> Vec<u8> {
    entry(b'0', name.as_bytes(), b"", 0o644, body)
}

fn read(path: &Path, name: Option<&str>) -> Result<Vec<String>, ImageError> {
    let source = Source::DockerArchive { path: path.to_owned(), name: name.map(ToOwned::to_owned) };
    let image = Image::open(&source, &OpenOptions::default())?;
    let records = image.visit_layers(2, Limits::default(), |_| Record::default())?;
    assert!(records.iter().all(|record| record.warnings.is_empty()));
    Ok(records.into_iter().flat_map(|record| record.entries).collect())
}

/// `manifest.json`'s entry for an image.
fn entry_of(image: &BuiltImage, tag: &str, layers: &[&str]) -> Value {
    json!({"Config": format!("{}.json", image.config_digest().hex()), "RepoTags": [tag], "Layers": layers})
}

fn config(image: &BuiltImage) -> Vec<u8> {
    member(&format!("{}.json", image.config_digest().hex()), &image.config)
}

#[test]
fn one_of_several_images_is_chosen_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two.tar");
    let (one, two) = (image("one"), image("two"));
    let manifest =
        json!([entry_of(&one, "team/one:1", &["0.tar", "1.tar"]), entry_of(&two, "team/two:1", &["0.tar", "2.tar"])]);
    // The manifest may come first, and nothing but it, configs and layers need be there.
    let members = [
        member("manifest.json", manifest.to_string().as_bytes()),
        config(&one),
        config(&two),
        member("0.tar", &one.layers[0].tar),
        member("1.tar", &one.layers[1].tar),
        member("2.tar", &two.layers[1].tar),
    ];
    write(&path, &members);
    assert_eq!(read(&path, Some("team/one:1")).unwrap(), ["file base 1 b", "file one 1 x"]);
    assert_eq!(read(&path, Some("team/two:1")).unwrap(), ["file base 1 b", "file two 1 x"]);
    let error = read(&path, None).unwrap_err().to_string();
    assert!(error.contains("it holds 2 images") && error.contains("team/one:1, team/two:1"), "{error}");
    assert!(read(&path, Some("team/three:1")).is_err());
}

#[test]
fn a_layer_that_is_a_link_to_another_is_read_where_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("links.tar");
    let same = Layer::new().file("base", "b");
    let image = ImageBuilder::new().layer(same.clone()).layer(same.clone()).layer(same).build();
    let layers = ["first/layer.tar", "second/layer.tar", "third/layer.tar"];
    let manifest = json!([entry_of(&image, "team/app:1", &layers)]).to_string();
    let archive = |symbolic: &[u8], hard: &[u8]| {
        let members = [
            member(layers[0], &image.layers[0].tar),
            entry(b'2', layers[1].as_bytes(), symbolic, 0o777, b""),
            entry(b'1', layers[2].as_bytes(), hard, 0o644, b""),
            config(&image),
            member("manifest.json", manifest.as_bytes()),
        ];
        write(&path, &members);
    };
    archive(b"../first/layer.tar", b"first/layer.tar");
    assert_eq!(read(&path, None).unwrap(), ["file base 1 b"; 3]);
    // Links that lead out of the archive, in circles, or nowhere.
    for (symbolic, hard) in [
        (&b"../../../etc/passwd"[..], &b"first/layer.tar"[..]),
        (b"/etc/passwd", b"first/layer.tar"),
        (b"../third/layer.tar", b"second/layer.tar"),
        (b"../none", b"first/layer.tar"),
    ] {
        archive(symbolic, hard);
        assert!(matches!(read(&path, None), Err(ImageError::Missing { .. })));
    }
}

#[test]
fn layouts_may_share_their_blobs() {
    let folder = tempfile::tempdir().unwrap();
    let image = image("one");
    let (layout, shared) = (folder.path().join("layout"), folder.path().join("shared"));
    image.write_oci_dir(&layout).unwrap();
    fs::rename(layout.join("blobs"), &shared).unwrap();
    symlink(&shared, layout.join("blobs")).unwrap();
    let source = Source::OciDirectory { path: layout, name: None };
    let image = Image::open(&source, &OpenOptions::default()).unwrap();
    let records = image.visit_layers(2, Limits::default(), |_| Record::default()).unwrap();
    assert_eq!(records[1].entries, ["file one 1 x"]);
}

#[test]
fn rubbish_behind_a_packed_layer_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("packed.tar");
    let image = ImageBuilder::new().layer(Layer::new().file("base", "b")).build();
    let manifest = json!([entry_of(&image, "team/app:1", &["0.tar"])]).to_string();
    let archive = |layer: &[u8]| {
        write(&path, &[member("0.tar", layer), config(&image), member("manifest.json", manifest.as_bytes())]);
    };
    for compression in [Compression::Gzip, Compression::Zstd] {
        let packed = compression.apply(&image.layers[0].tar);
        for behind in [&b"trailing rubbish"[..], &[0; 3000]] {
            archive(&[&packed, behind].concat());
            assert_eq!(read(&path, None).unwrap(), ["file base 1 b"]);
        }
        // A stream that is not what the config names is refused, whatever lies behind it.
        let other = compression.apply(&Layer::new().file("base", "c").tar());
        archive(&[&other[..], b"trailing rubbish"].concat());
        assert!(matches!(read(&path, None), Err(ImageError::Layer(_))));
    }
}

#[test]
fn members_that_announce_more_than_there_is_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge.tar");
    let image = image("one");
    let manifest = json!([entry_of(&image, "team/app:1", &["0.tar", "1.tar"])]).to_string();
    for size in [5 << 30, 1 << 50] {
        let huge = Header::new(b'0', b"0.tar", size).finish();
        let members =
            [member("manifest.json", manifest.as_bytes()), config(&image), huge.to_vec(), image.layers[0].tar.clone()];
        write(&path, &members);
        let error = read(&path, None).unwrap_err();
        assert!(matches!(error, ImageError::Damaged { .. }), "{error}");
    }
}

/// Whoever named the wrong file, or has half of one, is told which it is.
#[test]
fn what_is_no_archive_or_not_whole_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.tar");
    let one = image("one");
    let manifest = json!([entry_of(&one, "team/one:1", &["0.tar"])]);
    write(&path, &[member("0.tar", &[0; 4096]), member("manifest.json", manifest.to_string().as_bytes())]);
    let whole = fs::read(&path).unwrap();
    let no_archive = "it is neither a tar archive nor a bill of materials";
    for (bytes, why, hint) in [
        (&b""[..], "it is empty", "--help"),
        (b"hello\n", no_archive, "--help"),
        (&[b'x'; 4096], no_archive, "--help"),
        (&whole[..2000], "it ends early", "save or copy the image again"),
        (
            &[&whole[..4608], &[b'x'; 4096]].concat(),
            "there is no tar header at byte 4608",
            "save or copy the image again",
        ),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = Source::parse(path.to_str().unwrap()).unwrap_err();
        assert!(error.to_string().contains(why) && error.to_string().contains("image.tar"), "{error}");
        assert!(error.hint().unwrap().contains(hint), "{error}: {:?}", error.hint());
    }
    fs::write(&path, &whole).unwrap();
    let error = read(&path, Some("team/two:1")).unwrap_err();
    assert!(error.to_string().ends_with("has no image named `team/two:1`; it has team/one:1"), "{error}");
    let missing = read(&folder.path().join("missing.tar"), None).unwrap_err();
    assert!(missing.hint().unwrap().starts_with("check the path"), "{missing}");
}

#[test]
fn a_pipe_is_read_or_refused_and_never_waited_for_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let [silent, pipe] = ["silent", "pipe"].map(|name| folder.path().join(name));
    assert!(std::process::Command::new("mkfifo").args([&silent, &pipe]).status().unwrap().success());
    let name = silent.to_str().unwrap();
    // Nobody writes into it.
    for scheme in ["", "oci-archive:", "docker-archive:"] {
        let error = Source::parse(&format!("{scheme}{name}"))
            .and_then(|source| Image::open(&source, &OpenOptions::default()).map(|_| ()))
            .unwrap_err();
        assert!(error.to_string().ends_with("is neither a file nor a folder"), "{error}");
    }
    let source = Source::parse(&format!("sbom:{name}")).unwrap();
    let within = |time| OpenOptions { deadline: Some(Instant::now() + time), ..OpenOptions::default() };
    let error = Image::open(&source, &within(Duration::from_millis(200))).map(|_| ()).unwrap_err();
    assert!(portcullis_errors::chain(&error).contains("the time for this scan is over"), "{error}");
    let source = Source::Sbom(pipe.clone());
    let writer = std::thread::spawn(move || fs::write(pipe, b"{}"));
    let image = Image::open(&source, &within(Duration::from_secs(3600))).unwrap();
    writer.join().unwrap().unwrap();
    assert_eq!(image.sbom.as_deref(), Some(&b"{}"[..]));
}
