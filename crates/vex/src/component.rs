//! What a statement speaks of, and whether that is an image or one of its packages.

use std::borrow::Cow;

use portcullis_model::{Digest, Distribution, Package, PackageUrl, lookup_name};

use crate::apply::Image;

/// Something that a document names: a product or a part of one. What cannot be told says nothing of anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Component {
    /// Package URLs; any of them names it.
    pub(crate) purls: Vec<String>,
    /// SHA-256 of its bytes: of an image's manifest or config.
    pub(crate) digests: Vec<Digest>,
    /// Other names: an image's reference.
    pub(crate) names: Vec<String>,
    /// The platforms it belongs to, as CPE names; any of them.
    pub(crate) platforms: Vec<String>,
}

/// Qualifiers that say where a package can be had, not which it is.
const ELSEWHERE: [&str; 6] = ["repository_url", "vcs_url", "download_url", "checksum", "file_name", "tag"];

impl Component {
    /// One named by an id: a package URL, a digest, or anything else.
    pub(crate) fn named(id: &str) -> Self {
        let mut component = Self::default();
        component.add(id);
        component
    }

    pub(crate) fn add(&mut self, id: &str) {
        if id.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("pkg:")) {
            self.purls.push(id.to_owned());
        } else if let Ok(digest) = id.parse() {
            self.digests.push(digest);
        } else if !id.is_empty() {
            self.names.push(id.to_owned());
        }
    }

    /// Whether it can be told from anything else at all.
    pub(crate) const fn is_nameless(&self) -> bool {
        self.purls.is_empty() && self.digests.is_empty() && self.names.is_empty()
    }

    /// Whether it is the image.
    pub(crate) fn is_image(&self, image: &Image<'_>) -> bool {
        let (repository, tag) = split_reference(image.reference);
        if !self.digests.is_empty() {
            // The name beside a digest is one of many builds'.
            return self.digests.iter().any(|digest| image.digests.contains(digest));
        }
        self.names.iter().any(|name| name == image.reference || (name == repository && !repository.is_empty()))
            || self.purls.iter().any(|purl| purl_is_image(purl, image, repository, tag))
    }

    /// Whether it is `package` of an image of this distribution.
    pub(crate) fn is_package(&self, package: &Package, distribution: Option<&Distribution>) -> bool {
        let is_platform = self.platforms.is_empty()
            || distribution
                .and_then(|distribution| distribution.cpe.as_deref())
                .is_some_and(|cpe| self.platforms.iter().any(|platform| is_same_platform(platform, cpe)));
        is_platform && self.purls.iter().any(|purl| purl_is_package(purl, package, distribution))
    }
}

/// `registry.example/app` and `v1` of `registry.example/app:v1@sha256:…`.
fn split_reference(reference: &str) -> (&str, &str) {
    let name = reference.split('@').next().unwrap_or_default();
    let last = name.rfind('/').map_or(0, |at| at + 1);
    match name.get(last..).and_then(|rest| rest.rfind(':')) {
        Some(at) => (name.get(..last + at).unwrap_or(name), name.get(last + at + 1..).unwrap_or_default()),
        None => (name, ""),
    }
}

/// `pkg:oci/app@sha256:…?repository_url=registry.example/app&tag=v1`, and `pkg:docker/library/nginx@1.27`.
/// (<https://github.com/package-url/purl-spec/blob/main/types-doc/oci-definition.md>)
fn purl_is_image(purl: &str, image: &Image<'_>, repository: &str, tag: &str) -> bool {
    let Ok(purl) = PackageUrl::parse(purl) else { return false };
    if !matches!(&*purl.kind, "oci" | "docker") || !purl.subpath.is_empty() {
        return false;
    }
    let architecture = purl.qualifier("arch");
    if !architecture.is_empty() && image.architecture != Some(architecture) {
        return false;
    }
    let path = match &*purl.namespace {
        "" => purl.name.to_string(),
        namespace => format!("{namespace}/{}", purl.name),
    };
    let ends_with =
        |whole: &str, end: &str| whole == end || whole.strip_suffix(end).is_some_and(|rest| rest.ends_with('/'));
    let base = purl.qualifier("repository_url");
    let base = base.split_once("://").map_or(base, |(_, rest)| rest).trim_end_matches('/');
    let is_repository = match base {
        "" => ends_with(repository, &path),
        base => repository == base || repository == format!("{base}/{path}"),
    };
    let is_version = match purl.version.parse::<Digest>() {
        // A digest says it all: the image may have been copied.
        Ok(digest) => return image.digests.contains(&digest),
        Err(_) => purl.version.is_empty() || purl.version == tag,
    };
    let wanted_tag = purl.qualifier("tag");
    is_repository && is_version && (wanted_tag.is_empty() || wanted_tag == tag)
}

/// Same type, namespace and name; same version and qualifiers as far as the document names any.
fn purl_is_package(purl: &str, package: &Package, distribution: Option<&Distribution>) -> bool {
    let (Ok(wanted), Ok(own)) = (PackageUrl::parse(purl), PackageUrl::parse(&package.purl)) else { return false };
    if wanted.kind != own.kind || !wanted.namespace.eq_ignore_ascii_case(&own.namespace) {
        return false;
    }
    // What holds for a part of a package need not hold for the rest of it.
    if !wanted.subpath.is_empty() && wanted.subpath != own.subpath {
        return false;
    }
    // A source package: what it says holds for all that is built from it.
    let is_source = matches!(wanted.qualifier("arch"), "source" | "src");
    let (name, version) = match (&package.source, is_source) {
        (Some(source), true) => {
            (Cow::Borrowed(source.name.as_str()), Cow::Borrowed(without_epoch(&source.version, &wanted)))
        }
        _ => (own.name.clone(), own.version.clone()),
    };
    let is_version = wanted.version.is_empty()
        || wanted.version == version
        // Some write the epoch in front of the version, some as a qualifier.
        || (own.kind == "rpm" && wanted.version == format!("{}:{version}", epoch(own.qualifier("epoch"))));
    is_same_name(&wanted.kind, &wanted.name, &name)
        && is_version
        && wanted.qualifiers.iter().all(|(key, value)| match &**key {
            key if ELSEWHERE.contains(&key) => true,
            "arch" if is_source => true,
            "epoch" => epoch(value) == epoch(own.qualifier("epoch")),
            "distro" => is_same_release(value, own.qualifier("distro"), distribution),
            // Qualifiers that an inventory does not have say nothing against it, but for those that tell builds apart.
            "arch" | "classifier" => own.qualifier(key).is_empty() || own.qualifier(key) == value,
            key => own.qualifier(key) == value || own.qualifier(key).is_empty(),
        })
}

fn epoch(text: &str) -> &str {
    if text.is_empty() { "0" } else { text }
}

fn without_epoch<'a>(version: &'a str, wanted: &PackageUrl<'_>) -> &'a str {
    match version.split_once(':') {
        Some((_, rest)) if wanted.kind == "rpm" && !wanted.version.contains(':') => rest,
        _ => version,
    }
}

fn is_same_name(kind: &str, wanted: &str, own: &str) -> bool {
    let ecosystem = match kind {
        "pypi" => "PyPI",
        "cargo" => "crates.io",
        "nuget" => "NuGet",
        "composer" => "Packagist",
        "hex" => "Hex",
        "github" => "GitHub Actions",
        _ => return wanted == own,
    };
    lookup_name(ecosystem, wanted) == lookup_name(ecosystem, own)
}

/// `debian-12`, `bookworm` and `12` are one release.
fn is_same_release(wanted: &str, own: &str, distribution: Option<&Distribution>) -> bool {
    let is_named = |distribution: &Distribution| {
        distribution.codename.as_deref() == Some(wanted)
            || distribution.version_id == wanted
            || wanted
                .strip_prefix(&*distribution.id)
                .is_some_and(|rest| rest.trim_start_matches('-') == distribution.version_id)
    };
    own == wanted || distribution.is_some_and(is_named)
}

/// Whether an image that calls itself `own` is of the platform: the same vendor and product, and the same release as far
/// as the platform says. Forms: `cpe:/o:redhat:enterprise_linux:9::baseos`, `cpe:2.3:o:redhat:enterprise_linux:9:*:*:…`.
/// SUSE's modules are products of their own, of the system's release.
fn is_same_platform(platform: &str, own: &str) -> bool {
    let (Some(platform), Some(own)) = (cpe_parts(platform), cpe_parts(own)) else { return false };
    let [vendor, product, version, update] = platform;
    let [own_vendor, own_product, own_version, own_update] = own;
    let own_major = own_version.split('.').next().unwrap_or_default();
    let is_version = version == own_version || version == own_major;
    vendor == own_vendor
        && (product == own_product || vendor == "suse")
        && !version.is_empty()
        && is_version
        && (update == own_update || vendor != "suse")
}

fn cpe_parts(cpe: &str) -> Option<[&str; 4]> {
    let rest = cpe.strip_prefix("cpe:2.3:").or_else(|| cpe.strip_prefix("cpe:/"))?;
    let mut parts = rest.split(':').skip(1).map(|part| if matches!(part, "*" | "-") { "" } else { part });
    Some([parts.next()?, parts.next()?, parts.next().unwrap_or_default(), parts.next().unwrap_or_default()])
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &str = "registry.example/team/app:v1";

    fn digest() -> Digest {
        Digest::of(b"manifest")
    }

    #[test]
    fn images_are_told_by_digest_reference_and_purl() {
        let digests = [digest()];
        let image = Image { reference: IMAGE, digests: &digests, architecture: Some("amd64") };
        let of_digest = format!("pkg:oci/other@{}", digest());
        let encoded = format!("pkg:oci/app@sha256%3A{}?repository_url=registry.example/team/app", digest().hex());
        let other = format!("pkg:oci/app@{}", Digest::of(b"other"));
        let of_other_architecture = format!("pkg:oci/app@{}?arch=arm64", digest());
        for (id, expected) in [
            (digest().to_string().as_str(), true),
            (IMAGE, true),
            ("registry.example/team/app", true),
            ("registry.example/team", false),
            (&of_digest, true),
            (&encoded, true),
            (&other, false),
            (&of_other_architecture, false),
            ("pkg:oci/app", true),
            ("pkg:oci/app#etc", false),
            ("pkg:oci/app?repository_url=registry.example/team/app", true),
            ("pkg:oci/app?repository_url=registry.example/team", true),
            ("pkg:oci/app?repository_url=registry.example/other/app", false),
            ("pkg:oci/app?tag=v1&arch=amd64", true),
            ("pkg:oci/app?tag=v2", false),
            ("pkg:oci/app?arch=arm64", false),
            ("pkg:docker/team/app@v1", true),
            ("pkg:docker/team/app@v2", false),
            ("pkg:oci/pp", false),
            ("pkg:npm/app", false),
        ] {
            assert_eq!(Component::named(id).is_image(&image), expected, "{id}");
        }
    }

    fn package(purl: &str, source: Option<(&str, &str)>) -> Package {
        let url = PackageUrl::parse(purl).unwrap();
        let source = source
            .map(|(name, version)| portcullis_model::SourcePackage { name: name.into(), version: version.into() });
        let kind = url.package_type().unwrap();
        Package { purl: purl.to_owned(), source, ..Package::new(kind, url.ecosystem_name(), url.version.to_string()) }
    }

    #[test]
    fn packages_are_told_by_purl() {
        let debian = Distribution {
            id: "debian".into(),
            version_id: "12".into(),
            codename: Some("bookworm".into()),
            ..Distribution::default()
        };
        let ssl = package(
            "pkg:deb/debian/libssl3@3.0.11-1?arch=amd64&distro=debian-12&upstream=openssl",
            Some(("openssl", "3.0.11-1")),
        );
        let bind = package("pkg:rpm/redhat/bind-libs@9.11-1.el8?arch=x86_64&epoch=32", Some(("bind", "32:9.11-1.el8")));
        let flask = package("pkg:pypi/flask-login@1.0", None);
        let angular = package("pkg:npm/%40angular/core@1.0.0", None);
        for (package, purl, expected) in [
            (&ssl, "pkg:deb/debian/libssl3", true),
            (&ssl, "pkg:deb/debian/libssl3@3.0.11-1", true),
            (&ssl, "pkg:deb/debian/libssl3@3.0.11-2", false),
            (&ssl, "pkg:deb/ubuntu/libssl3", false),
            (&ssl, "pkg:deb/debian/libssl3?arch=amd64&distro=bookworm", true),
            (&ssl, "pkg:deb/debian/libssl3?arch=arm64", false),
            (&ssl, "pkg:deb/debian/libssl3?distro=debian-11", false),
            (&ssl, "pkg:deb/debian/openssl?arch=source", true),
            (&ssl, "pkg:deb/debian/openssl@3.0.11-1?arch=source&distro=bookworm", true),
            (&ssl, "pkg:deb/debian/openssl@3.0.12-1?arch=source", false),
            (&ssl, "pkg:deb/debian/openssl", false),
            (&ssl, "pkg:deb/debian/libssl3#usr/lib/engines-3", false),
            (&bind, "pkg:rpm/redhat/bind-libs@9.11-1.el8?epoch=32", true),
            (&bind, "pkg:rpm/redhat/bind-libs@32:9.11-1.el8", true),
            (&bind, "pkg:rpm/redhat/bind-libs@9.11-1.el8?epoch=31", false),
            (&bind, "pkg:rpm/redhat/bind@9.11-1.el8?arch=src&epoch=32", true),
            (&flask, "pkg:pypi/Flask_Login", true),
            (&angular, "pkg:npm/@angular/core@1.0.0", true),
            (&angular, "pkg:npm/core@1.0.0", false),
            (&angular, "pkg:npm/%40angular/core@1.0.0?repository_url=https://npm.example", true),
            (&angular, "core", false),
        ] {
            assert_eq!(Component::named(purl).is_package(package, Some(&debian)), expected, "{purl}");
        }
    }

    #[test]
    fn platforms_are_told_by_vendor_product_and_release() {
        let rhel = "cpe:/o:redhat:enterprise_linux:9::baseos";
        for (platform, own, expected) in [
            ("cpe:/o:redhat:enterprise_linux:9", rhel, true),
            ("cpe:/a:redhat:enterprise_linux:9::appstream", rhel, true),
            ("cpe:/o:redhat:enterprise_linux:8", rhel, false),
            ("cpe:/o:redhat:enterprise_linux:9", "cpe:/o:redhat:enterprise_linux:9.4", true),
            ("cpe:/o:redhat:enterprise_linux:9.2", rhel, false),
            ("cpe:/a:redhat:openshift:4.14::el9", rhel, false),
            ("cpe:/o:redhat:enterprise_linux:10.1", "cpe:/o:redhat:enterprise_linux:10.0", false),
            ("cpe:2.3:o:redhat:enterprise_linux:9:*:*:*:*:*:*:*", rhel, true),
            ("cpe:/o:suse:sle-module-basesystem:15:sp5", "cpe:/o:suse:sles:15:sp5", true),
            ("cpe:/o:suse:sle-module-basesystem:15:sp4", "cpe:/o:suse:sles:15:sp5", false),
            ("red_hat_enterprise_linux_9", rhel, false),
        ] {
            assert_eq!(is_same_platform(platform, own), expected, "{platform}");
        }
    }
}
