//! Signed databases in a registry, and in files.

use std::fs;

use portcullis_attest::{Authority, SigningKey};
use portcullis_embedded_registry::{EmbeddedRegistry, Handle, Options as RegistryOptions};
use portcullis_errors::Hint as _;
use portcullis_registry::{Client, Credentials, Options, PlainHttp, Reference};
use portcullis_testkit::{Fault, HttpServer};
use portcullis_updates::{Event, Installed, Published, Trust, UpdateError, export, origin, publish};

use crate::support::{Bucket, Desk, record};

/// A registry behind a server that can fail, a key, and a publisher with a database.
struct Shop {
    _registry: Handle,
    front: HttpServer,
    key: SigningKey,
    bucket: Bucket,
    publisher: Desk,
}

fn client() -> Client {
    let options =
        Options { plain_http: PlainHttp::Always, max_wait: std::time::Duration::from_millis(5), ..Options::default() };
    Client::new(options, Credentials::anonymous()).unwrap()
}

fn trust(key: &SigningKey) -> Trust {
    let authority = Authority::Key { name: "publisher".into(), key: key.verifying_key().clone() };
    Trust { authorities: vec![authority], ..Trust::default() }
}

impl Shop {
    async fn open(referrers: bool) -> Self {
        let registry = EmbeddedRegistry::start(RegistryOptions { referrers, ..RegistryOptions::default() }).unwrap();
        let front = HttpServer::in_front_of(registry.address());
        let bucket = Bucket::small(30);
        // What does not pack: so that a cut falls into the database.
        for number in 0..60 {
            let id = format!("GHSA-n{number}");
            let noise: String = (0..40).map(|step| portcullis_model::Digest::of(&[number, step]).hex()).collect();
            let json = String::from_utf8(record(&id, "2026-01-01T00:00:00Z", &id, "1.0.0")).unwrap();
            bucket.set("npm", &id, json.replacen('{', &format!(r#"{{"details":"{noise}","#), 1).into_bytes());
        }
        bucket.export("npm");
        let publisher = Desk::new();
        publisher.run(&bucket).await.unwrap();
        Self { _registry: registry, front, key: SigningKey::generate().unwrap(), bucket, publisher }
    }

    fn name(&self) -> Reference {
        format!("{}/team/db:latest", self.front.address()).parse().unwrap()
    }

    async fn publish(&self, key: Option<&SigningKey>) -> Published {
        let tell = |_| ();
        publish(&self.publisher.update, &client(), &self.name(), key.cloned().map(Into::into).as_ref(), &tell)
            .await
            .unwrap()
    }

    /// The publisher has a newer database.
    async fn renew(&self, modified: &str) {
        self.bucket.set("npm", "GHSA-1", record("GHSA-1", modified, "left-pad", "5.0.0"));
        self.bucket.list("npm");
        self.publisher.run(&self.bucket).await.unwrap();
    }

    async fn pull(&self, desk: &Desk, trust: &Trust) -> Result<Installed, UpdateError> {
        desk.update.from_registry(&client(), &self.name(), trust, &desk.tell()).await
    }

    /// Answers with blobs of some size since this was asked last: status and bytes.
    fn large_blobs(&self) -> Vec<(u16, usize)> {
        let requests = self.front.requests().into_iter();
        let blobs = requests.filter(|request| request.method == "GET" && request.path.contains("/blobs/"));
        blobs.map(|request| (request.status, request.sent)).filter(|(_, sent)| *sent > 5_000).collect()
    }
}

#[tokio::test]
async fn a_signed_database_is_taken_and_an_unchanged_one_is_not_fetched() {
    for referrers in [true, false] {
        let shop = Shop::open(referrers).await;
        let published = shop.publish(Some(&shop.key)).await;
        shop.front.requests();
        let desk = Desk::new();
        let installed = shop.pull(&desk, &trust(&shop.key)).await.unwrap();
        assert_eq!(installed.digest, published.database);
        assert_eq!(desk.database().digest(), shop.publisher.database().digest());
        assert!(desk.events().contains(&Event::Verified { by: "publisher".into() }));
        desk.is_clean();
        let origin = origin(&desk.update.path, installed.digest).unwrap().artifact.unwrap();
        assert_eq!((origin.digest(), origin.signature.unwrap().by.as_str()), (published.manifest, "publisher"));
        shop.front.requests();
        let again = shop.pull(&desk, &trust(&shop.key)).await.unwrap();
        assert!(!again.has_changed);
        let asked: Vec<String> = shop.front.requests().into_iter().map(|request| request.method).collect();
        assert_eq!(asked, ["HEAD"]);
        // The same database published again is the same artifact.
        assert_eq!(shop.publish(Some(&shop.key)).await, published);
    }
}

#[tokio::test]
async fn a_wrong_key_or_none_is_refused_before_the_download() {
    let shop = Shop::open(true).await;
    let desk = Desk::new();
    shop.publish(None).await;
    let error = shop.pull(&desk, &trust(&shop.key)).await.unwrap_err();
    assert!(error.to_string().contains("no signature"), "{error}");
    shop.publish(Some(&SigningKey::generate().unwrap())).await;
    let error = shop.pull(&desk, &trust(&shop.key)).await.unwrap_err();
    let UpdateError::Unsigned { refused, .. } = &error else { panic!("{error:?}") };
    assert_eq!(refused.len(), 1);
    assert!(error.hint().is_some() && shop.large_blobs().is_empty() && !desk.update.path.exists());
    // Nobody named is nobody trusted.
    assert!(matches!(shop.pull(&desk, &Trust::default()).await, Err(UpdateError::Unsigned { .. })));
    let unsigned = Trust { allow_unsigned: true, ..Trust::default() };
    shop.pull(&desk, &unsigned).await.unwrap();
    assert!(desk.events().contains(&Event::Unsigned));
    // What was taken unsigned is looked at again where a signature is asked for.
    assert!(matches!(shop.pull(&desk, &trust(&shop.key)).await, Err(UpdateError::Unsigned { .. })));
    shop.publish(Some(&shop.key)).await;
    shop.pull(&desk, &trust(&shop.key)).await.unwrap();
}

#[tokio::test]
async fn a_changed_layer_is_never_used() {
    let shop = Shop::open(true).await;
    let published = shop.publish(Some(&shop.key)).await;
    let layer = shop.publisher.update.cache.join("oci");
    let packed = fs::read_dir(layer).unwrap().next().unwrap().unwrap().path();
    let digest = format!("sha256:{}", packed.file_stem().unwrap().to_str().unwrap());
    let mut changed = fs::read(&packed).unwrap();
    assert_eq!(changed.len() as u64, published.size);
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    let desk = Desk::new();
    shop.front.fail(&digest, [Fault::Body(changed.clone()), Fault::Body(changed.clone())]);
    assert!(matches!(shop.pull(&desk, &trust(&shop.key)).await, Err(UpdateError::Artifact { .. })));
    assert!(!desk.update.path.exists());
    // Once only: the second attempt brings the right one.
    shop.front.heal();
    shop.front.fail(&digest, [Fault::Body(changed)]);
    shop.pull(&desk, &trust(&shop.key)).await.unwrap();
    desk.database();
}

#[tokio::test]
async fn a_step_back_must_be_asked_for() {
    let shop = Shop::open(true).await;
    let old = Desk::new();
    shop.publish(Some(&shop.key)).await;
    shop.renew("2026-06-01T00:00:00Z").await;
    let newer = shop.publish(Some(&shop.key)).await;
    let desk = Desk::new();
    shop.pull(&desk, &trust(&shop.key)).await.unwrap();
    // A registry that names the older one again: it is signed, and refused all the same.
    let other = Desk::new();
    other.run(&Bucket::small(3)).await.unwrap();
    publish(&other.update, &client(), &shop.name(), Some(&shop.key.clone().into()), &|_| ()).await.unwrap();
    shop.front.requests();
    let error = shop.pull(&desk, &trust(&shop.key)).await.unwrap_err();
    assert!(matches!(error, UpdateError::Rollback { .. }) && error.hint().unwrap().contains("--allow-rollback"));
    assert!(shop.large_blobs().is_empty());
    assert_eq!(desk.database().digest(), newer.database);
    desk.is_clean();
    // Whoever publishes every day does not fill the disk.
    assert_eq!(fs::read_dir(shop.publisher.update.cache.join("oci")).unwrap().count(), 1);
    let back = Trust { allow_rollback: true, ..trust(&shop.key) };
    assert_eq!(shop.pull(&desk, &back).await.unwrap().digest, other.database().digest());
    drop(old);
}

#[tokio::test]
async fn a_cut_layer_is_taken_up_by_this_run_or_a_later_one() {
    let shop = Shop::open(true).await;
    let size = shop.publish(Some(&shop.key)).await.size as usize;
    let packed = fs::read_dir(shop.publisher.update.cache.join("oci")).unwrap().next().unwrap().unwrap().path();
    let digest = format!("blobs/sha256:{}", packed.file_stem().unwrap().to_str().unwrap());
    let desk = Desk::new();
    shop.front.requests();
    // Four attempts of one run are cut; the next run asks for the rest.
    shop.front.fail(&digest, [Fault::Cut(20_000), Fault::Cut(6_000), Fault::Cut(6_000), Fault::Cut(6_000)]);
    assert!(matches!(shop.pull(&desk, &trust(&shop.key)).await, Err(UpdateError::Registry(_))));
    let sent: usize = shop.large_blobs().into_iter().map(|(_, sent)| sent).sum();
    assert!((20_000..size).contains(&sent), "{sent} of {size}");
    shop.pull(&desk, &trust(&shop.key)).await.unwrap();
    let rest: usize = shop.large_blobs().into_iter().map(|(_, sent)| sent).sum();
    assert!(rest < size && rest >= size - sent, "{rest} after {sent} of {size}");
    desk.database();
}

#[tokio::test]
async fn a_registry_that_refuses_throttles_or_fails_leaves_the_old_database() {
    let shop = Shop::open(true).await;
    shop.publish(Some(&shop.key)).await;
    let desk = Desk::new();
    let first = shop.pull(&desk, &trust(&shop.key)).await.unwrap();
    shop.renew("2026-06-01T00:00:00Z").await;
    shop.publish(Some(&shop.key)).await;
    for status in [401, 403, 404, 429, 500, 503] {
        for path in ["/manifests/latest", "/referrers/", "/blobs/"] {
            shop.front.fail(path, (0..20).map(|_| Fault::Status(status, vec![])));
            let outcome = shop.pull(&desk, &trust(&shop.key)).await;
            shop.front.heal();
            // A registry without a list of referrers has them under the fallback tag: there are none.
            assert!(outcome.is_err(), "{status} {path}");
            assert_eq!(desk.database().digest(), first.digest, "{status} {path}");
            desk.is_clean();
        }
    }
    assert!(shop.pull(&desk, &trust(&shop.key)).await.unwrap().has_changed);
}

#[tokio::test]
async fn an_image_is_no_database() {
    let shop = Shop::open(true).await;
    let manifest = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;
    let name = shop.name();
    client().push_blob(&name, "{}".into()).await.unwrap();
    client().push_manifest(&name, manifest.into(), "application/vnd.oci.image.manifest.v1+json").await.unwrap();
    let error = shop.pull(&Desk::new(), &trust(&shop.key)).await.unwrap_err();
    assert!(matches!(error, UpdateError::Artifact { .. }), "{error:?}");
}

#[tokio::test]
async fn a_file_carries_the_database_with_its_signature() {
    let shop = Shop::open(true).await;
    let published = shop.publish(Some(&shop.key)).await;
    let desk = Desk::new();
    shop.pull(&desk, &trust(&shop.key)).await.unwrap();
    let file = desk.folder.path().join("db.tar");
    let exported = export(&desk.update, &file, None, &|_| ()).await.unwrap();
    assert_eq!((exported.manifest, exported.signed_by.as_deref()), (published.manifest, Some("publisher")));
    // Packed again it is the same, should the cache be gone.
    let whole = fs::read(&file).unwrap();
    fs::remove_dir_all(&desk.update.cache).unwrap();
    export(&desk.update, &file, None, &|_| ()).await.unwrap();
    assert_eq!(fs::read(&file).unwrap(), whole);

    let far = Desk::new();
    let import = |desk: &Desk, trust: Trust| {
        let (update, file) = (desk.update.clone(), file.clone());
        async move { update.from_archive(&file, &trust, &|_| ()).await }
    };
    let stranger = SigningKey::generate().unwrap();
    assert!(matches!(import(&far, trust(&stranger)).await, Err(UpdateError::Unsigned { .. })));
    assert!(matches!(import(&far, Trust::default()).await, Err(UpdateError::Unsigned { .. })));
    let imported = import(&far, trust(&shop.key)).await.unwrap();
    assert_eq!(imported.digest, published.database);
    far.is_clean();
    // It can be carried on.
    let onward = export(&far.update, &far.folder.path().join("onward.tar"), None, &|_| ()).await.unwrap();
    assert_eq!(onward.manifest, published.manifest);
    // No changed byte of it is ever taken for the database; a few in the frame of the archive do not matter.
    for place in (0..whole.len()).step_by(whole.len() / 40) {
        let mut changed = whole.clone();
        changed[place] ^= 0x20;
        fs::write(&file, &changed).unwrap();
        match import(&Desk::new(), trust(&shop.key)).await {
            Ok(installed) => assert_eq!(installed.digest, published.database, "{place}"),
            // It is the file's fault, not that of the disk here.
            Err(error) => assert!(!matches!(error, UpdateError::File { .. }), "{place}: {error}"),
        }
        // The last blocks of an archive are empty, and nobody misses them.
        if place < whole.len() - 2048 {
            fs::write(&file, &whole[..place]).unwrap();
            assert!(import(&Desk::new(), trust(&shop.key)).await.is_err(), "{place}");
        }
    }
}

#[tokio::test]
async fn a_database_of_ones_own_is_signed_when_it_is_exported() {
    let desk = Desk::new();
    desk.run(&Bucket::small(3)).await.unwrap();
    let key = SigningKey::generate().unwrap();
    let file = desk.folder.path().join("db.tar");
    export(&desk.update, &file, Some(&key.clone().into()), &|_| ()).await.unwrap();
    let far = Desk::new();
    far.update.from_archive(&file, &trust(&key), &|_| ()).await.unwrap();
    assert_eq!(far.database().digest(), desk.database().digest());
}
