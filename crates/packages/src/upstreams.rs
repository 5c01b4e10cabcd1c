//! The products of upstreams that distributions package, as the National Vulnerability Database names them.
//!
//! A name counts only where the distribution's package is that product: its source package is called as the table says.
//! Names: <https://nvd.nist.gov/products/cpe>. They are for readers of inventories; no advisory is looked up by them.

use portcullis_model::{Package, PackageType, application_cpe};

/// Source packages, with vendor and product. Sorted, so that a name is found by halving.
pub(crate) const UPSTREAMS: &[(&str, &str, &str)] = &[
    ("apache2", "apache", "http_server"),
    ("apr", "apache", "portable_runtime"),
    ("apr-util", "apache", "apr-util"),
    ("apt", "debian", "advanced_package_tool"),
    ("avahi", "avahi", "avahi"),
    ("bash", "gnu", "bash"),
    ("bind", "isc", "bind"),
    ("bind9", "isc", "bind"),
    ("binutils", "gnu", "binutils"),
    ("bluez", "bluez", "bluez"),
    ("brotli", "google", "brotli"),
    ("busybox", "busybox", "busybox"),
    ("bzip2", "bzip", "bzip2"),
    ("c-ares", "c-ares", "c-ares"),
    ("cairo", "cairographics", "cairo"),
    ("chromium", "google", "chrome"),
    ("clamav", "clamav", "clamav"),
    ("coreutils", "gnu", "coreutils"),
    ("cpio", "gnu", "cpio"),
    ("cups", "apple", "cups"),
    ("curl", "haxx", "curl"),
    ("cyrus-sasl2", "cyrusimap", "cyrus-sasl"),
    ("dash", "dash", "dash"),
    ("dbus", "freedesktop", "dbus"),
    ("dnsmasq", "thekelleys", "dnsmasq"),
    ("docker.io", "docker", "docker"),
    ("dovecot", "dovecot", "dovecot"),
    ("dpkg", "debian", "dpkg"),
    ("e2fsprogs", "e2fsprogs_project", "e2fsprogs"),
    ("elfutils", "elfutils_project", "elfutils"),
    ("erlang", "erlang", "erlang/otp"),
    ("exim4", "exim", "exim"),
    ("expat", "libexpat_project", "libexpat"),
    ("ffmpeg", "ffmpeg", "ffmpeg"),
    ("file", "file_project", "file"),
    ("findutils", "gnu", "findutils"),
    ("flac", "flac_project", "flac"),
    ("fontconfig", "fontconfig_project", "fontconfig"),
    ("freetype", "freetype", "freetype"),
    ("fribidi", "gnu", "fribidi"),
    ("gawk", "gnu", "gawk"),
    ("gcc", "gnu", "gcc"),
    ("gdb", "gnu", "gdb"),
    ("gdk-pixbuf", "gnome", "gdk-pixbuf"),
    ("ghostscript", "artifex", "ghostscript"),
    ("giflib", "giflib_project", "giflib"),
    ("git", "git-scm", "git"),
    ("glib", "gnome", "glib"),
    ("glib2", "gnome", "glib"),
    ("glib2.0", "gnome", "glib"),
    ("glibc", "gnu", "glibc"),
    ("gmp", "gmplib", "gmp"),
    ("gnupg", "gnupg", "gnupg"),
    ("gnupg2", "gnupg", "gnupg"),
    ("gnutls", "gnu", "gnutls"),
    ("gnutls28", "gnu", "gnutls"),
    ("go", "golang", "go"),
    ("golang", "golang", "go"),
    ("graphviz", "graphviz", "graphviz"),
    ("grep", "gnu", "grep"),
    ("grub2", "gnu", "grub2"),
    ("gstreamer1.0", "gstreamer", "gstreamer"),
    ("gzip", "gnu", "gzip"),
    ("haproxy", "haproxy", "haproxy"),
    ("harfbuzz", "harfbuzz_project", "harfbuzz"),
    ("httpd", "apache", "http_server"),
    ("icu", "icu-project", "international_components_for_unicode"),
    ("imagemagick", "imagemagick", "imagemagick"),
    ("iptables", "netfilter", "iptables"),
    ("jansson", "jansson_project", "jansson"),
    ("jbig2dec", "artifex", "jbig2dec"),
    ("jq", "jqlang", "jq"),
    ("json-c", "json-c", "json-c"),
    ("kmod", "kernel", "kmod"),
    ("krb5", "mit", "kerberos_5"),
    ("lcms2", "littlecms", "little_cms"),
    ("less", "greenwoodsoftware", "less"),
    ("libarchive", "libarchive", "libarchive"),
    ("libcap2", "libcap_project", "libcap"),
    ("libde265", "struktur", "libde265"),
    ("libevent", "libevent_project", "libevent"),
    ("libexif", "libexif_project", "libexif"),
    ("libgcrypt", "gnupg", "libgcrypt"),
    ("libgcrypt20", "gnupg", "libgcrypt"),
    ("libgd2", "libgd", "libgd"),
    ("libgit2", "libgit2", "libgit2"),
    ("libheif", "struktur", "libheif"),
    ("libidn2", "gnu", "libidn2"),
    ("libjpeg-turbo", "libjpeg-turbo", "libjpeg-turbo"),
    ("libksba", "gnupg", "libksba"),
    ("libpcap", "tcpdump", "libpcap"),
    ("libpng", "libpng", "libpng"),
    ("libpng1.6", "libpng", "libpng"),
    ("libpsl", "libpsl_project", "libpsl"),
    ("libraw", "libraw", "libraw"),
    ("librsvg", "gnome", "librsvg"),
    ("libseccomp", "libseccomp_project", "libseccomp"),
    ("libsndfile", "libsndfile_project", "libsndfile"),
    ("libsodium", "libsodium", "libsodium"),
    ("libssh", "libssh", "libssh"),
    ("libssh2", "libssh2", "libssh2"),
    ("libtasn1", "gnu", "libtasn1"),
    ("libtasn1-6", "gnu", "libtasn1"),
    ("libtiff", "libtiff", "libtiff"),
    ("libunistring", "gnu", "libunistring"),
    ("libuv", "libuv", "libuv"),
    ("libuv1", "libuv", "libuv"),
    ("libvpx", "webmproject", "libvpx"),
    ("libwebp", "webmproject", "libwebp"),
    ("libx11", "x.org", "libx11"),
    ("libxcrypt", "besser82", "libxcrypt"),
    ("libxml2", "xmlsoft", "libxml2"),
    ("libxpm", "x.org", "libxpm"),
    ("libxslt", "xmlsoft", "libxslt"),
    ("libyaml", "pyyaml", "libyaml"),
    ("libzip", "libzip", "libzip"),
    ("lighttpd", "lighttpd", "lighttpd"),
    ("linux-pam", "linux-pam", "linux-pam"),
    ("lua5.4", "lua", "lua"),
    ("lz4", "lz4_project", "lz4"),
    ("mariadb", "mariadb", "mariadb"),
    ("mbedtls", "arm", "mbed_tls"),
    ("memcached", "memcached", "memcached"),
    ("mesa", "mesa3d", "mesa"),
    ("musl", "musl-libc", "musl"),
    ("mysql-8.0", "oracle", "mysql"),
    ("nano", "gnu", "nano"),
    ("ncurses", "gnu", "ncurses"),
    ("net-snmp", "net-snmp", "net-snmp"),
    ("nettle", "nettle_project", "nettle"),
    ("nghttp2", "nghttp2", "nghttp2"),
    ("nginx", "f5", "nginx"),
    ("nodejs", "nodejs", "node.js"),
    ("nspr", "mozilla", "netscape_portable_runtime"),
    ("nss", "mozilla", "network_security_services"),
    ("ntp", "ntp", "ntp"),
    ("openjpeg2", "uclouvain", "openjpeg"),
    ("openldap", "openldap", "openldap"),
    ("openssh", "openbsd", "openssh"),
    ("openssl", "openssl", "openssl"),
    ("openssl1.1", "openssl", "openssl"),
    ("openvpn", "openvpn", "openvpn"),
    ("p11-kit", "p11-kit_project", "p11-kit"),
    ("pam", "linux-pam", "linux-pam"),
    ("pango1.0", "gnome", "pango"),
    ("patch", "gnu", "patch"),
    ("pcre2", "pcre", "pcre2"),
    ("pcre3", "pcre", "pcre"),
    ("perl", "perl", "perl"),
    ("pixman", "pixman", "pixman"),
    ("podman", "podman_project", "podman"),
    ("policykit-1", "polkit_project", "polkit"),
    ("polkit", "polkit_project", "polkit"),
    ("poppler", "freedesktop", "poppler"),
    ("postfix", "postfix", "postfix"),
    ("procps", "procps-ng_project", "procps-ng"),
    ("protobuf", "google", "protobuf"),
    ("python3", "python", "python"),
    ("qemu", "qemu", "qemu"),
    ("rabbitmq-server", "vmware", "rabbitmq"),
    ("readline", "gnu", "readline"),
    ("redis", "redis", "redis"),
    ("rpm", "rpm", "rpm"),
    ("rsync", "samba", "rsync"),
    ("runc", "linuxfoundation", "runc"),
    ("rustc", "rust-lang", "rust"),
    ("samba", "samba", "samba"),
    ("sed", "gnu", "sed"),
    ("shadow", "shadow_project", "shadow"),
    ("sqlite", "sqlite", "sqlite"),
    ("sqlite3", "sqlite", "sqlite"),
    ("squid", "squid-cache", "squid"),
    ("strongswan", "strongswan", "strongswan"),
    ("subversion", "apache", "subversion"),
    ("sudo", "sudo_project", "sudo"),
    ("systemd", "systemd_project", "systemd"),
    ("tar", "gnu", "tar"),
    ("tcpdump", "tcpdump", "tcpdump"),
    ("tiff", "libtiff", "libtiff"),
    ("tomcat10", "apache", "tomcat"),
    ("tomcat9", "apache", "tomcat"),
    ("tzdata", "iana", "tz_database"),
    ("unbound", "nlnetlabs", "unbound"),
    ("unzip", "unzip_project", "unzip"),
    ("util-linux", "kernel", "util-linux"),
    ("varnish", "varnish-software", "varnish_cache"),
    ("vim", "vim", "vim"),
    ("wget", "gnu", "wget"),
    ("wpa", "w1.fi", "wpa_supplicant"),
    ("xmlsec1", "xmlsec_project", "xmlsec1"),
    ("xz", "tukaani", "xz"),
    ("xz-utils", "tukaani", "xz"),
    ("zip", "info-zip", "zip"),
    ("zlib", "zlib", "zlib"),
    ("zsh", "zsh", "zsh"),
    ("zstd", "facebook", "zstandard"),
];

/// Families whose source packages have the release behind their name: `postgresql-15`, `php8.2`, `python3.11`.
const FAMILIES: &[(&str, &str, &str)] = &[
    ("gcc-", "gnu", "gcc"),
    ("golang-1.", "golang", "go"),
    ("openjdk-", "oracle", "openjdk"),
    ("php", "php", "php"),
    ("postgresql", "postgresql", "postgresql"),
    ("python3.", "python", "python"),
    ("ruby", "ruby-lang", "ruby"),
];

/// The name of a distribution's package; none where its source package is in no table.
pub(crate) fn cpe(package: &Package) -> Option<String> {
    let is_known = matches!(package.kind, PackageType::Deb | PackageType::Rpm | PackageType::Apk | PackageType::Alpm);
    if !is_known {
        return None;
    }
    let own = (package.name.as_str(), package.version.as_str());
    let (name, version) = package.source.as_ref().map_or(own, |source| (source.name.as_str(), source.version.as_str()));
    let version = if version.is_empty() { own.1 } else { version };
    let (vendor, product) = product(name)?;
    application_cpe(vendor, product, upstream_version(package.kind, version))
}

fn product(name: &str) -> Option<(&'static str, &'static str)> {
    if let Ok(at) = UPSTREAMS.binary_search_by_key(&name, |(source, ..)| source) {
        return UPSTREAMS.get(at).map(|&(_, vendor, product)| (vendor, product));
    }
    FAMILIES.iter().find_map(|&(prefix, vendor, product)| {
        let release = name.strip_prefix(prefix)?;
        let release = release.strip_prefix('-').unwrap_or(release);
        release.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.').then_some((vendor, product))
    })
}

/// What upstream calls a version: without the epoch, the distribution's own number, and what it took out of the sources.
fn upstream_version(kind: PackageType, version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    let version = match kind {
        PackageType::Apk => version.rsplit_once("-r").map_or(version, |(upstream, _)| upstream),
        _ => version.rsplit_once('-').map_or(version, |(upstream, _)| upstream),
    };
    let version = version.rsplit_once("+really").map_or(version, |(_, real)| real);
    let cut = ["+", "~dfsg", "~ds", ".dfsg", ".ds"].iter().filter_map(|mark| version.find(mark)).min();
    cut.and_then(|at| version.get(..at)).filter(|upstream| !upstream.is_empty()).unwrap_or(version)
}

#[cfg(test)]
mod tests {
    use portcullis_model::SourcePackage;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_table_is_sorted_and_no_name_is_there_twice() {
        assert!(UPSTREAMS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    fn named(kind: PackageType, name: &str, version: &str, source: Option<(&str, &str)>) -> Option<String> {
        let source = source.map(|(name, version)| SourcePackage { name: name.into(), version: version.into() });
        let cpe = cpe(&Package { source, ..Package::new(kind, name, version) })?;
        Some(cpe.strip_prefix("cpe:2.3:a:")?.strip_suffix(":*:*:*:*:*:*:*")?.to_owned())
    }

    #[test]
    fn the_source_s_name_and_upstream_s_version_count() {
        use PackageType::{Apk, Deb, Pypi, Rpm};
        for (kind, name, version, source, expected) in [
            (Deb, "libssl3", "3.0.19-1~deb12u2", Some(("openssl", "3.0.19-1~deb12u2")), "openssl:openssl:3.0.19"),
            (
                Deb,
                "libruby3.1",
                "3.1.7+really3.1.2-0",
                Some(("ruby3.1", "3.1.7+really3.1.2-0")),
                "ruby-lang:ruby:3.1.2",
            ),
            (Deb, "zlib1g", "1:1.2.13.dfsg-1", Some(("zlib", "1:1.2.13.dfsg-1")), "zlib:zlib:1.2.13"),
            (Deb, "postgresql-client-15", "15.20-0", Some(("postgresql-15", "15.20-0")), "postgresql:postgresql:15.20"),
            (Rpm, "openssl-libs", "1:3.0.7-27.el9", Some(("openssl", "1:3.0.7-27.el9")), "openssl:openssl:3.0.7"),
            (Rpm, "curl", "7.76.1-29.el9", None, "haxx:curl:7.76.1"),
            (Apk, "libcrypto3", "3.1.4-r5", Some(("openssl", "3.1.4-r5")), "openssl:openssl:3.1.4"),
        ] {
            assert_eq!(named(kind, name, version, source).as_deref(), Some(expected));
        }
        for (kind, name, source) in [
            (Pypi, "openssl", None),
            (Deb, "libssl3", None),
            (Deb, "php-symfony-console", Some(("symfony", "1-1"))),
            (Deb, "postgresql-common", Some(("postgresql-common", "1"))),
            (Deb, "php-pear", Some(("php-pear", "1"))),
        ] {
            assert_eq!(named(kind, name, "1-1", source), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_version_is_answered(version in "[0-9:~+.a-z-]{0,12}|\\PC{0,6}") {
            for kind in [PackageType::Deb, PackageType::Apk, PackageType::Rpm] {
                if let Some(cpe) = cpe(&Package::new(kind, "openssl", &*version)) {
                    prop_assert!(portcullis_model::is_cpe(&cpe), "{}", cpe);
                }
            }
        }
    }
}
