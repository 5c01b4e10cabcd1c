//! OCI image layouts, as directories and as archives.
//!
//! Format: <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>

use std::sync::Arc;

use portcullis_model::{Digest, Platform};

use crate::{
    Image, ImageError, StoredLayer, base,
    manifest::{Descriptor, MAX_DOCUMENT, ManifestDocument, choose},
    store::Store,
};

/// Most indexes inside indexes followed.
const MAX_DEPTH: usize = 4;

/// Where in the layout a blob lies.
pub(crate) fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Opens the image that `name` (a tag or a digest) names, or the only one.
pub(crate) fn open(store: Store, name: Option<&str>, platform: Option<&Platform>) -> Result<Image, ImageError> {
    let place = store.place();
    let bytes = store.read("index.json", MAX_DOCUMENT)?;
    let index = ManifestDocument::parse(&bytes, &format!("index.json of {place}"))?;
    let entries = index.index().ok_or_else(|| ImageError::missing(&place, "manifests in its index.json"))?;
    let named = select(entries, name, platform, &place)?;
    let reference = match ref_name(&named) {
        Some(name) => format!("{}:{name}", store.place()),
        None => store.place(),
    };
    open_descriptor(store, named, reference, platform)
}

/// Opens the image that a descriptor names, from a folder of blobs.
pub(crate) fn open_descriptor(
    store: Store,
    mut descriptor: Descriptor,
    reference: String,
    platform: Option<&Platform>,
) -> Result<Image, ImageError> {
    let place = store.place();
    let mut index_digest = None;
    for _ in 0..MAX_DEPTH {
        let bytes = read_blob(&store, &descriptor)?;
        let what = format!("manifest {}", descriptor.digest);
        let document = ManifestDocument::parse(&bytes, &what)?;
        let Some(manifests) = document.index() else {
            return image(store, reference, &descriptor, index_digest, &document);
        };
        index_digest.get_or_insert(descriptor.digest);
        descriptor = choose(manifests, platform, &what)?.clone();
    }
    Err(ImageError::unsupported(place, format!("more than {MAX_DEPTH} indexes lie inside one another")))
}

/// The entry of the layout's index that is meant.
fn select(
    entries: &[Descriptor],
    name: Option<&str>,
    platform: Option<&Platform>,
    place: &str,
) -> Result<Descriptor, ImageError> {
    if let Some(name) = name {
        let found = entries.iter().find(|entry| ref_name(entry) == Some(name) || entry.digest.to_string() == name);
        return found.cloned().ok_or_else(|| ImageError::unnamed(place, name, entries.iter().filter_map(ref_name)));
    }
    match entries {
        [only] => Ok(only.clone()),
        entries => choose(entries, platform, place).cloned(),
    }
}

fn ref_name(descriptor: &Descriptor) -> Option<&str> {
    descriptor.annotations.get("org.opencontainers.image.ref.name").map(String::as_str)
}

fn image(
    store: Store,
    reference: String,
    descriptor: &Descriptor,
    index_digest: Option<Digest>,
    manifest: &ManifestDocument,
) -> Result<Image, ImageError> {
    let what = format!("manifest {}", descriptor.digest);
    let config = manifest.config.as_ref().ok_or_else(|| ImageError::missing(&what, "config"))?;
    let bytes = read_blob(&store, config)?;
    let store = Arc::new(store);
    let layers =
        manifest.layers.iter().map(|layer| StoredLayer::file(&store, blob_path(&layer.digest), layer)).collect();
    let mut image = Image::new(reference, &bytes, config.digest, layers, &what)?;
    image.target.digest = Some(descriptor.digest);
    image.target.index_digest = index_digest;
    base::annotate(&mut image.target, manifest.annotations.as_ref());
    Ok(image)
}

/// A small blob, checked against its digest.
fn read_blob(store: &Store, descriptor: &Descriptor) -> Result<Vec<u8>, ImageError> {
    let bytes = store.read(&blob_path(&descriptor.digest), MAX_DOCUMENT)?;
    check(&bytes, descriptor.digest, || format!("blob {}", descriptor.digest))?;
    Ok(bytes)
}

/// Refuses bytes that are not those that `expected` names.
pub(crate) fn check(bytes: &[u8], expected: Digest, what: impl Fn() -> String) -> Result<(), ImageError> {
    let actual = Digest::of(bytes);
    if actual == expected { Ok(()) } else { Err(ImageError::Digest { what: what(), expected, actual }) }
}
