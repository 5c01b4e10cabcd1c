//! The layer cache: the same bytes as without it, nothing believed that it did not write, and never a reason to fail.
#![allow(clippy::unwrap_used, reason = "helpers of a test stop where the test must")]

mod support;

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use portcullis_image::{Image, Limits, OpenOptions, Source};
use portcullis_scan::{InventoryOptions, LayerCache, Taken, take_inventory};
use portcullis_testkit::{BuiltImage, BuiltLayer, ImageBuilder, Layer};
use support::npm;

fn package(name: &str) -> Layer {
    Layer::new().file(&format!("app/node_modules/{name}/package.json"), npm(name, "1.0.0"))
}

/// Two layers below what each image has of its own.
fn image(own: &str) -> BuiltImage {
    ImageBuilder::debian(12).package("base-files", "12.4").layer(package("shared")).layer(package(own)).build()
}

/// An image on disk, and a cache.
struct Place {
    folder: tempfile::TempDir,
    cache: LayerCache,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = LayerCache::new(folder.path().join("cache"), LayerCache::DEFAULT_LIMIT);
        Self { folder, cache }
    }

    fn write(&self, name: &str, image: &BuiltImage) -> Source {
        let path = self.folder.path().join(name);
        image.write_oci_dir(&path).unwrap();
        Source::OciDirectory { path, name: None }
    }

    /// Takes the inventory with the cache and without; both are the same.
    fn take(&self, source: &Source) -> Taken {
        let cached = take(source, Some(&self.cache));
        assert_eq!(cached, take(source, None));
        cached
    }

    fn entries(&self) -> Vec<PathBuf> {
        let shards = fs::read_dir(self.cache.folder()).into_iter().flatten().map(|shard| shard.unwrap().path());
        let mut entries: Vec<PathBuf> =
            shards.flat_map(|shard| fs::read_dir(shard).unwrap()).map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries
    }
}

fn take(source: &Source, cache: Option<&LayerCache>) -> Taken {
    let image = Image::open(source, &OpenOptions::default()).unwrap();
    take_inventory(&image, &InventoryOptions { jobs: 2, cache, ..InventoryOptions::default() }).unwrap()
}

/// Removes the layers of a layout, so that nothing but a cache can tell what is in them.
fn remove_layers(source: &Source, layers: &[BuiltLayer]) {
    let Source::OciDirectory { path, .. } = source else { panic!("not a layout") };
    for layer in layers {
        fs::remove_file(path.join("blobs/sha256").join(layer.digest.hex())).unwrap();
    }
}

#[test]
fn a_layer_is_read_once_whichever_image_it_is_in() {
    let place = Place::new();
    let (one, other) = (image("one"), image("other"));
    let first = place.write("one", &one);
    let expected = place.take(&first);
    // One for each layer, and one for all of them together.
    assert_eq!(place.entries().len(), 4);
    let second = place.write("other", &other);
    let own = &other.layers[2];
    remove_layers(&second, &other.layers[..2]);
    let taken = take(&second, Some(&place.cache));
    assert_eq!(taken.inventory.packages.len(), 3);
    assert_eq!(place.entries().len(), 6);
    assert!(own.digest != one.layers[2].digest);
    // Every layer is known: none is read.
    remove_layers(&first, &one.layers[..2]);
    remove_layers(&first, &one.layers[2..]);
    assert_eq!(take(&first, Some(&place.cache)), expected);
    assert_eq!(place.cache.take_notes(), [] as [String; 0]);
    let status = place.cache.status();
    assert_eq!(status.entries, 6);
    assert_eq!(place.cache.clean().unwrap(), status);
    assert_eq!(place.entries(), [] as [PathBuf; 0]);
}

#[test]
fn what_is_damaged_or_of_another_is_read_anew() {
    let place = Place::new();
    let source = place.write("one", &image("one"));
    let expected = place.take(&source);
    let entries = place.entries();
    let good: Vec<Vec<u8>> = entries.iter().map(|entry| fs::read(entry).unwrap()).collect();
    let length = good.iter().map(Vec::len).max().unwrap();
    // All at once: what is right about the whole image hides what is wrong with a layer.
    let write = |change: &dyn Fn(usize, &mut Vec<u8>)| {
        for (index, entry) in entries.iter().enumerate() {
            let mut bytes = good[index].clone();
            change(index, &mut bytes);
            fs::write(entry, &bytes).unwrap();
        }
    };
    let is_made_anew = |what: &str| {
        assert_eq!(take(&source, Some(&place.cache)), expected, "{what}");
        assert!(entries.iter().zip(&good).all(|(entry, good)| fs::read(entry).unwrap() == *good), "{what}");
    };
    for position in (0..length).step_by(7) {
        write(&|_, bytes| {
            let position = position % bytes.len();
            bytes[position] ^= 0x20;
        });
        is_made_anew(&format!("byte {position}"));
    }
    assert_eq!(place.cache.take_notes().len(), 4);
    for cut in [0, 1, 8, 40, 71, 72, length - 1] {
        write(&|_, bytes| bytes.truncate(cut.min(bytes.len() - 1)));
        is_made_anew(&format!("cut at {cut}"));
    }
    // Another's facts under this name.
    write(&|index, bytes| *bytes = good[(index + 1) % good.len()].clone());
    is_made_anew("exchanged");
    // Links, and files that others may write.
    let is_private = |entry: &PathBuf| {
        let metadata = fs::symlink_metadata(entry).unwrap();
        metadata.is_file() && metadata.permissions().mode() & 0o777 == 0o600
    };
    for (index, entry) in entries.iter().enumerate() {
        let elsewhere = place.folder.path().join(format!("{index}"));
        fs::rename(entry, &elsewhere).unwrap();
        symlink(elsewhere, entry).unwrap();
    }
    assert_eq!(take(&source, Some(&place.cache)), expected);
    assert!(entries.iter().all(is_private));
    entries.iter().for_each(|entry| fs::set_permissions(entry, fs::Permissions::from_mode(0o666)).unwrap());
    assert_eq!(take(&source, Some(&place.cache)), expected);
    assert!(entries.iter().all(is_private));
}

#[test]
fn a_planted_entry_is_not_believed() {
    // The folder stands open to others: what lies in it may be anybody's, so nothing is added to it.
    let place = Place::new();
    let source = place.write("one", &image("one"));
    fs::create_dir(place.cache.folder()).unwrap();
    fs::set_permissions(place.cache.folder(), fs::Permissions::from_mode(0o777)).unwrap();
    place.take(&source);
    assert!(place.entries().is_empty());
    assert_eq!(place.cache.take_notes().len(), 1);
    fs::set_permissions(place.cache.folder(), fs::Permissions::from_mode(0o700)).unwrap();
    let expected = place.take(&source);
    // Root's own files are believed; another user's are not.
    let chown = |user| place.entries().iter().try_for_each(|entry| std::os::unix::fs::chown(entry, Some(user), None));
    if chown(12345).is_ok() {
        let image = image("one");
        remove_layers(&source, &image.layers);
        let opened = Image::open(&source, &OpenOptions::default()).unwrap();
        assert!(
            take_inventory(&opened, &InventoryOptions { cache: Some(&place.cache), ..InventoryOptions::default() })
                .is_err()
        );
        chown(0).unwrap();
        assert_eq!(take(&source, Some(&place.cache)), expected);
    } else {
        println!("skipped: a file of another user, for want of root");
        assert!(std::env::var_os("CI").is_none());
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_a_note() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let place = Place { cache: LayerCache::new(folder.path().join("file/cache"), 1 << 30), folder };
    let source = place.write("one", &image("one"));
    assert_eq!(place.take(&source).inventory.packages.len(), 3);
    assert_eq!(place.cache.take_notes().len(), 1);
    if Path::new("/dev/full").exists() {
        // A file system without room.
        let cache = LayerCache::new(PathBuf::from("/proc/self/layers"), 1 << 30);
        assert_eq!(take(&source, Some(&cache)), take(&source, None));
        assert_eq!(cache.take_notes().len(), 1);
    }
}

#[test]
fn what_failed_or_was_cut_short_is_not_kept() {
    let place = Place::new();
    let built = image("one");
    let source = place.write("one", &built);
    let Source::OciDirectory { path, .. } = &source else { unreachable!() };
    // A layer that is not what its digest names.
    let blob = path.join("blobs/sha256").join(built.layers[1].digest.hex());
    let good = fs::read(&blob).unwrap();
    fs::write(&blob, &good[..good.len() - 1]).unwrap();
    let opened = Image::open(&source, &OpenOptions::default()).unwrap();
    assert!(
        take_inventory(&opened, &InventoryOptions { cache: Some(&place.cache), ..InventoryOptions::default() })
            .is_err()
    );
    assert!(place.entries().len() < 3);
    fs::write(&blob, good).unwrap();
    place.cache.clean().unwrap();
    // The time was over.
    let limits = Limits { deadline: Some(Instant::now() - Duration::from_secs(1)), ..Limits::default() };
    let late =
        take_inventory(&opened, &InventoryOptions { limits, cache: Some(&place.cache), ..InventoryOptions::default() });
    assert!(late.is_err() || !late.unwrap().inventory.warnings.is_empty());
    assert!(place.entries().is_empty());
    // Other limits give other facts.
    let few = Limits { entries: 1, ..Limits::default() };
    let cut = take_inventory(
        &opened,
        &InventoryOptions { limits: few, cache: Some(&place.cache), ..InventoryOptions::default() },
    )
    .unwrap();
    assert!(!cut.inventory.warnings.is_empty());
    assert_eq!(place.take(&source).inventory.warnings, []);
    assert_eq!(
        take_inventory(
            &opened,
            &InventoryOptions { limits: few, cache: Some(&place.cache), ..InventoryOptions::default() }
        )
        .unwrap(),
        cut
    );
}

#[test]
fn the_cache_stays_within_its_limit_and_keeps_what_is_used() {
    let place = Place::new();
    let source = place.write("one", &image("one"));
    place.take(&source);
    let total = place.cache.status().bytes + 100;
    let old = SystemTime::now() - Duration::from_secs(10 * 86_400);
    for entry in place.entries() {
        fs::File::open(entry).unwrap().set_modified(old).unwrap();
    }
    // What is abandoned goes with the next entry; what others keep there stays.
    let shard = place.entries()[0].parent().unwrap().to_owned();
    fs::write(shard.join(".tmpABC"), "half").unwrap();
    fs::File::open(shard.join(".tmpABC")).unwrap().set_modified(old).unwrap();
    fs::write(place.cache.folder().join("notes.txt"), "mine").unwrap();
    let tight = LayerCache::new(place.cache.folder().to_owned(), total);
    // Two of the three layers are used again, and one more is added: the third goes, and the image that had it.
    let other = place.write("other", &image("other"));
    take(&other, Some(&tight));
    assert!(tight.status().bytes <= total, "{:?} in {total}", tight.status());
    assert_eq!(tight.status().entries, 4);
    assert!(!shard.join(".tmpABC").exists());
    assert!(place.cache.folder().join("notes.txt").exists());
    let built = image("other");
    remove_layers(&other, &built.layers);
    assert_eq!(take(&other, Some(&tight)).inventory.packages.len(), 3);
    assert_eq!(tight.clean().unwrap().entries, 4);
    assert!(place.cache.folder().join("notes.txt").exists());
}

#[test]
fn many_may_use_it_at_once() {
    let place = Place::new();
    let sources: Vec<Source> = (0..4).map(|n| place.write(&format!("{n}"), &image(&format!("own{n}")))).collect();
    let expected: Vec<Taken> = sources.iter().map(|source| take(source, None)).collect();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (sources, expected, folder) = (&sources, &expected, place.cache.folder().to_owned());
            scope.spawn(move || {
                // A limit that makes each of them remove what the others have just written.
                let cache = LayerCache::new(folder, if n % 2 == 0 { 1500 } else { 1 << 30 });
                for round in 0..20 {
                    let which = (n + round) % sources.len();
                    assert_eq!(take(&sources[which], Some(&cache)), expected[which]);
                }
            });
        }
    });
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_fail(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
        let named = [&b"PCULLAY1"[..], &bytes].concat();
        proptest::prop_assert!(!portcullis_scan::is_entry(&named));
        _ = portcullis_scan::is_entry(&bytes);
    }
}
