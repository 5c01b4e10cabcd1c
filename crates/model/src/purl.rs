//! Package URLs, as others write them.
//!
//! Rules: <https://github.com/package-url/purl-spec/blob/main/PURL-SPECIFICATION.rst>. Tools break some of them (an
//! `@` of a scope that is not encoded, a slash in front of the type, upper case): what has one meaning is read.

use std::borrow::Cow;

use crate::PackageType;

/// A key and its value.
type Qualifier<'a> = (Cow<'a, str>, Cow<'a, str>);

/// A package URL, taken apart. [`Purl`](crate::Purl) is the way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageUrl<'a> {
    /// The type, in lower case: `npm`.
    pub kind: Cow<'a, str>,
    /// `@scope`, `org.example`, `github.com/owner`; empty where there is none.
    pub namespace: Cow<'a, str>,
    /// The name, without the namespace.
    pub name: Cow<'a, str>,
    /// The version; empty where there is none.
    pub version: Cow<'a, str>,
    /// Keys in lower case and values, in the order of the text; those with an empty value are left out.
    pub qualifiers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// What follows `#`; empty where there is nothing.
    pub subpath: Cow<'a, str>,
}

/// Why a text is no package URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PackageUrlError {
    /// Another scheme, or none.
    #[error("it does not start with `pkg:`")]
    Scheme,
    /// Nothing before the first slash.
    #[error("it has no type")]
    Type,
    /// Nothing after the last slash.
    #[error("it has no name")]
    Name,
    /// `%` without two hexadecimal digits, or bytes that are no UTF-8.
    #[error("it has a percent sign that encodes nothing")]
    Encoding,
}

/// Most qualifiers kept.
const MAX_QUALIFIERS: usize = 64;

impl<'a> PackageUrl<'a> {
    /// Takes `text` apart.
    ///
    /// # Errors
    /// When it has no type or no name, or is not encoded as it must be.
    pub fn parse(text: &'a str) -> Result<Self, PackageUrlError> {
        let rest = text.trim();
        let rest = match rest.get(..4) {
            Some(scheme) if scheme.eq_ignore_ascii_case("pkg:") => rest.get(4..).unwrap_or_default(),
            _ => return Err(PackageUrlError::Scheme),
        };
        let (rest, subpath) = rest.split_once('#').unwrap_or((rest, ""));
        let (rest, qualifiers) = rest.split_once('?').unwrap_or((rest, ""));
        let (kind, rest) = rest.trim_start_matches('/').split_once('/').unwrap_or(("", rest));
        if kind.is_empty() || !kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-".contains(&byte)) {
            return Err(PackageUrlError::Type);
        }
        let rest = rest.trim_matches('/');
        // Of several, the last: but one in front of a slash is the `@` of a scope.
        let (path, version) = match rest.rsplit_once('@') {
            Some((path, version)) if !version.contains('/') => (path, version),
            _ => (rest, ""),
        };
        let (namespace, name) = path.rsplit_once('/').unwrap_or(("", path));
        let name = decode(name)?;
        if name.trim().is_empty() {
            return Err(PackageUrlError::Name);
        }
        Ok(Self {
            kind: lower(kind),
            namespace: decode(namespace.trim_matches('/'))?,
            name,
            version: decode(version)?,
            qualifiers: parse_qualifiers(qualifiers)?,
            subpath: decode(subpath.trim_matches('/'))?,
        })
    }

    /// The value of a qualifier; empty where it has none.
    #[must_use]
    pub fn qualifier(&self, key: &str) -> &str {
        self.qualifiers.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value)
    }

    /// A part of a package URL as it is meant; as it is written, where it is not encoded as it must be.
    #[must_use]
    pub fn decoded(text: &str) -> Cow<'_, str> {
        decode(text).unwrap_or(Cow::Borrowed(text))
    }

    /// The kind of package, where it is one that is known here.
    #[must_use]
    pub fn package_type(&self) -> Option<PackageType> {
        PackageType::of_purl(&self.kind)
    }

    /// The name as its ecosystem's advisories write it: `@scope/name`, `group:artifact`, `github.com/owner/module`.
    #[must_use]
    pub fn ecosystem_name(&self) -> Cow<'a, str> {
        let join = |between: char| -> Cow<'a, str> { format!("{}{between}{}", self.namespace, self.name).into() };
        match self.package_type() {
            _ if self.namespace.is_empty() => self.name.clone(),
            Some(PackageType::Maven) => join(':'),
            // The namespace is the distribution, the vendor or the author: no part of the name.
            Some(
                PackageType::Apk
                | PackageType::Deb
                | PackageType::Rpm
                | PackageType::Alpm
                | PackageType::Opkg
                | PackageType::Bitnami
                | PackageType::Conan
                | PackageType::Cpan
                | PackageType::Luarocks
                | PackageType::Pypi
                | PackageType::Gem
                | PackageType::Cargo,
            ) => self.name.clone(),
            _ => join('/'),
        }
    }
}

impl PackageType {
    /// The kind that a purl's type names, under the names that older tools gave it too.
    #[must_use]
    pub fn of_purl(kind: &str) -> Option<Self> {
        Some(match kind {
            "apk" | "alpine" => Self::Apk,
            "deb" | "dpkg" => Self::Deb,
            "rpm" => Self::Rpm,
            "cargo" => Self::Cargo,
            "composer" => Self::Composer,
            "gem" => Self::Gem,
            "generic" => Self::Generic,
            "github" | "githubactions" => Self::Github,
            "golang" | "go" => Self::Golang,
            "hackage" => Self::Hackage,
            "hex" | "otp" => Self::Hex,
            "julia" => Self::Julia,
            "maven" => Self::Maven,
            "npm" => Self::Npm,
            "nuget" | "dotnet" => Self::Nuget,
            "cran" => Self::Cran,
            "conan" => Self::Conan,
            "pub" => Self::Pub,
            "pypi" => Self::Pypi,
            "swift" => Self::Swift,
            "bitnami" => Self::Bitnami,
            "alpm" | "arch" => Self::Alpm,
            "opkg" => Self::Opkg,
            "ebuild" | "portage" => Self::Ebuild,
            "nix" => Self::Nix,
            "snap" => Self::Snap,
            "conda" => Self::Conda,
            "cocoapods" => Self::Cocoapods,
            "cpan" => Self::Cpan,
            "luarocks" => Self::Luarocks,
            "opam" => Self::Opam,
            "terraform" => Self::Terraform,
            "wordpress-plugin" => Self::WordpressPlugin,
            "pear" => Self::Pear,
            "brew" | "homebrew" => Self::Brew,
            _ => return None,
        })
    }
}

fn parse_qualifiers(text: &str) -> Result<Vec<Qualifier<'_>>, PackageUrlError> {
    let mut qualifiers = Vec::new();
    for (key, value) in text.split('&').filter_map(|pair| pair.split_once('=')).take(MAX_QUALIFIERS) {
        if !key.is_empty() && !value.is_empty() {
            qualifiers.push((lower(key), decode(value)?));
        }
    }
    Ok(qualifiers)
}

fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) { text.to_ascii_lowercase().into() } else { text.into() }
}

/// Undoes percent-encoding. A plus sign is a plus sign.
fn decode(text: &str) -> Result<Cow<'_, str>, PackageUrlError> {
    if !text.contains('%') {
        return Ok(text.into());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let [high, low, after @ ..] = rest else { return Err(PackageUrlError::Encoding) };
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { return Err(PackageUrlError::Encoding) };
        bytes.push(high << 4 | low);
        rest = after;
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_error| PackageUrlError::Encoding)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Purl;

    fn name(text: &str) -> String {
        PackageUrl::parse(text).map_or_else(|error| error.to_string(), |url| url.ecosystem_name().into_owned())
    }

    #[test]
    fn names_are_those_of_the_ecosystems() {
        for (purl, expected) in [
            ("pkg:npm/%40angular/core@1.0.0", "@angular/core"),
            ("pkg:npm/@example/bootstrap@5.0.2", "@example/bootstrap"),
            ("pkg:npm/@example/bootstrap", "@example/bootstrap"),
            ("pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1?type=jar", "org.apache.logging.log4j:log4j-core"),
            ("pkg:golang/github.com/a/b/v2@v2.0.1#sub/path", "github.com/a/b/v2"),
            ("pkg:composer/pear/log@1.13.1", "pear/log"),
            ("pkg:deb/debian/libssl3@3.0.11-1?arch=amd64&distro=debian-12", "libssl3"),
            ("pkg:alpine/musl@1.2.3-r4", "musl"),
            ("pkg:k8s/k8s.io%2Fapiserver@1.27.0", "k8s.io/apiserver"),
            ("PKG:PyPI/Django@4.0", "Django"),
            ("pkg:/pypi/django@4.0", "django"),
            ("pkg:swift/github.com/apple/swift-nio-http2@1.19.1", "github.com/apple/swift-nio-http2"),
            ("pkg:pypi/", "it has no name"),
            ("pkg:///", "it has no type"),
            ("pkg:apk/alpine/@1.36.1-r27?arch=x86_64", "it has no name"),
            ("/", "it does not start with `pkg:`"),
            ("pkg:pypi/a%2", "it has a percent sign that encodes nothing"),
            ("pkg:pypi/%ff", "it has a percent sign that encodes nothing"),
        ] {
            assert_eq!(name(purl), expected, "{purl}");
        }
    }

    #[test]
    fn versions_and_qualifiers_are_decoded() {
        let url = PackageUrl::parse(
            "pkg:rpm/redhat/bind-libs@9.11-1.el8%2B1?Arch=amd64&epoch=32&upstream=bind-9.11-1.el8.src.rpm&empty=&x",
        )
        .unwrap();
        assert_eq!(url.version, "9.11-1.el8+1");
        assert_eq!(url.qualifier("arch"), "amd64");
        assert_eq!(url.qualifier("epoch"), "32");
        assert_eq!(url.qualifier("empty"), "");
        assert_eq!(PackageUrl::parse("pkg:oci/etcd@sha256:51ea?repository_url=a/b").unwrap().version, "sha256:51ea");
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in ".{0,80}", tail in "[/@?#%&=a:.]{0,20}") {
            _ = PackageUrl::parse(&text);
            _ = PackageUrl::parse(&format!("pkg:a/{tail}{text}"));
        }

        #[test]
        fn what_is_built_is_read(
            namespace in "(@?[a-z][a-z0-9+~. ]{0,8}(/[a-z][a-z0-9+~%. ]{0,8}){0,2})?",
            name in "[^/ \t\r\n\\x00]{1,12}",
            version in "[^ \\x00]{0,12}",
            arch in "[a-zA-Z0-9+&=#?/@ %é]{0,10}",
        ) {
            prop_assume!(!name.trim().is_empty());
            let text = Purl::new(PackageType::Npm, &namespace, &name, &version).qualifier("arch", &arch).build();
            let url = PackageUrl::parse(&text).unwrap();
            prop_assert_eq!(&*url.namespace, namespace.as_str());
            prop_assert_eq!(&*url.name, name.as_str());
            prop_assert_eq!(&*url.version, version.as_str());
            prop_assert_eq!(url.qualifier("arch"), arch.as_str());
        }

        #[test]
        fn every_type_is_read_under_its_own_name(index in 0_usize..35) {
            let all = [
                PackageType::Apk, PackageType::Deb, PackageType::Rpm, PackageType::Cargo, PackageType::Composer,
                PackageType::Gem, PackageType::Generic, PackageType::Github, PackageType::Golang,
                PackageType::Hackage, PackageType::Hex, PackageType::Julia, PackageType::Maven, PackageType::Npm,
                PackageType::Nuget, PackageType::Cran, PackageType::Conan, PackageType::Pub, PackageType::Pypi,
                PackageType::Swift, PackageType::Bitnami, PackageType::Alpm, PackageType::Opkg, PackageType::Ebuild,
                PackageType::Nix, PackageType::Snap, PackageType::Conda, PackageType::Cocoapods, PackageType::Cpan,
                PackageType::Luarocks, PackageType::Opam, PackageType::Terraform, PackageType::WordpressPlugin,
                PackageType::Pear, PackageType::Brew,
            ];
            prop_assert_eq!(PackageType::of_purl(all[index].as_str()), Some(all[index]));
        }
    }
}
