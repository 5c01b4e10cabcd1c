//! The programs that are known: one row each.
//!
//! A row says which files it looks into, what stands where the version stands, and what the National Vulnerability
//! Database calls the product. Its pattern is a regular expression over bytes (<https://docs.rs/regex/#syntax>); the
//! version is the first group that takes part. No pattern may match more bytes than the search sees at a time, and
//! none may be anchored: a test holds them against that.

/// A known program.
pub(super) struct Program {
    /// The package's name, and the row's.
    pub(super) name: &'static str,
    pub(super) files: Files,
    /// Where the version stands.
    pub(super) version: &'static str,
    /// Where the publisher of a build stands, if the file names it.
    pub(super) publisher: Option<&'static str>,
    /// Whether the version goes on with the numbers in the file's name: `libpython3.11.so` is of 3.11. The pattern of such
    /// a row finds other versions, too: where the name has no numbers, only one that has no other beside it counts.
    pub(super) is_of_series: bool,
    /// Vendor and product.
    pub(super) product: (&'static str, &'static str),
}

/// Which files a row looks into.
pub(super) enum Files {
    /// Executables and libraries of these names. Numbers and endings may follow: `libcrypto` is `libcrypto.so.3` too.
    Binaries(&'static [&'static str]),
    /// Files whose paths end so, whatever they hold.
    Paths(&'static [&'static str]),
}

const fn binary(
    name: &'static str,
    product: (&'static str, &'static str),
    files: &'static [&'static str],
    version: &'static str,
) -> Program {
    Program { name, files: Files::Binaries(files), version, publisher: None, is_of_series: false, product }
}

const fn text(
    name: &'static str,
    product: (&'static str, &'static str),
    paths: &'static [&'static str],
    version: &'static str,
) -> Program {
    Program { name, files: Files::Paths(paths), version, publisher: None, is_of_series: false, product }
}

/// Every program, by name.
pub(super) const PROGRAMS: &[Program] = &[
    binary("bash", ("gnu", "bash"), &["bash"], r"@\(#\)Bash version (\d\.\d{1,2}\.\d{1,3})"),
    binary("busybox", ("busybox", "busybox"), &["busybox"], r"BusyBox v(\d\.\d{1,2}\.\d{1,2})"),
    // What is in a phar is not packed.
    text(
        "composer",
        ("getcomposer", "composer"),
        &["composer", "composer.phar"],
        r"const VERSION = '(\d\.\d{1,2}\.\d{1,2}(?:-(?:alpha|beta|RC)\d{1,2})?)';\s{1,9}(?:public )?const BRANCH_ALIAS_VERSION",
    ),
    binary(
        "curl",
        ("haxx", "curl"),
        &["curl", "libcurl", "libcurl-gnutls", "libcurl-nss"],
        r"curl/(\d\.\d{1,3}\.\d{1,2})[\x00-]",
    ),
    text("erlang", ("erlang", "erlang/otp"), &["OTP_VERSION"], r"(\d\d(?:\.\d{1,3}){0,4}(?:-rc\d)?)(?:\*\*)?[\r\n]"),
    binary("git", ("git-scm", "git"), &["git"], r"git/(\d\.\d{1,2}\.\d{1,2}(?:\.\d{1,2})?(?:-rc\d)?)\x00"),
    text("go", ("golang", "go"), &["go/VERSION"], r"go(1\.\d{1,2}(?:\.\d{1,2})?(?:(?:beta|rc)\d)?)"),
    text("graalvm", ("oracle", "graalvm"), &["release"], r#"GRAALVM_VERSION="(\d\d(?:\.\d{1,2}){1,4})"#),
    binary(
        "haproxy",
        ("haproxy", "haproxy"),
        &["haproxy"],
        r" version (\d\.\d{1,2}(?:\.\d{1,2}|-dev\d{1,2}))[^\x00,]{0,40}, released \d{4}/",
    ),
    binary("httpd", ("apache", "http_server"), &["httpd", "apache2"], r"Apache/(\d\.\d{1,2}\.\d{1,2})"),
    binary("lighttpd", ("lighttpd", "lighttpd"), &["lighttpd"], r"lighttpd/(\d\.\d{1,2}\.\d{1,2})"),
    binary(
        "mariadb",
        ("mariadb", "mariadb"),
        &["mariadbd", "mariadb", "mysqld", "mysql"],
        r"[\x00-](\d{1,2}\.\d{1,2}\.\d{1,3})-MariaDB",
    ),
    binary("memcached", ("memcached", "memcached"), &["memcached"], r"memcached (1\.\d{1,2}\.\d{1,3})[\x00\n]"),
    // Paths of its sources, which its messages name.
    binary("mysql", ("oracle", "mysql"), &["mysqld", "mysql"], r"/mysql-(\d{1,2}\.\d{1,2}\.\d{1,3})/"),
    binary("nginx", ("f5", "nginx"), &["nginx", "nginx-debug"], r"nginx version: nginx/(\d\.\d{1,2}\.\d{1,2})"),
    binary("node", ("nodejs", "node.js"), &["node", "nodejs", "libnode"], r"node\.js/v(\d{1,2}\.\d{1,2}\.\d{1,2})"),
    Program {
        publisher: Some(r#"IMPLEMENTOR="([^"\r\n]{1,100})""#),
        ..text("openjdk", ("oracle", "openjdk"), &["release"], r#"JAVA_VERSION="(\d{1,2}(?:[._]\d{1,3}){0,4})""#)
    },
    binary(
        "openresty",
        ("openresty", "openresty"),
        &["nginx", "openresty"],
        r"nginx version: openresty/(\d\.\d{1,2}\.\d{1,2}\.\d{1,2})",
    ),
    binary(
        "openssl",
        ("openssl", "openssl"),
        &["openssl", "libcrypto"],
        r"OpenSSL (\d\.\d{1,2}\.\d{1,2}[a-z]{0,2}(?:-(?:alpha|beta|pre)\d{1,2})?)(?:-fips|\+quic)? {1,2}\d{1,2} [A-Z][a-z]{2} \d{4}",
    ),
    binary("perl", ("perl", "perl"), &["perl", "libperl"], r"[\x00/-]v(5\.\d{1,2}\.\d{1,2})\x00"),
    binary(
        "php",
        ("php", "php"),
        &["php", "php-cgi", "php-fpm", "libphp"],
        r"X-Powered-By: PHP/(\d\.\d{1,2}\.\d{1,2}(?:alpha\d|beta\d|RC\d{1,2})?)",
    ),
    binary(
        "postgresql",
        ("postgresql", "postgresql"),
        &["postgres", "psql"],
        r"(?:postgres|psql) \(PostgreSQL\) (\d{1,2}(?:\.\d{1,2}){1,2}|\d{2}(?:beta|rc)\d)",
    ),
    binary("proftpd", ("proftpd", "proftpd"), &["proftpd"], r"ProFTPD Version (\d\.\d\.\d{1,2}(?:rc\d|[a-z])?)"),
    // A linker keeps one copy of a text that another one ends with: what stands before may be the end of a path.
    Program {
        is_of_series: true,
        ..binary(
            "python",
            ("python", "python"),
            &["python", "libpython"],
            r"[\x00/-]([23]\.\d{1,2}\.\d{1,2}(?:(?:a|b|rc)\d{1,2})?)\+?\x00",
        )
    },
    // The release and what names its build, without anything between: host and moment, or the moment alone.
    binary(
        "redis",
        ("redis", "redis"),
        &["redis-server", "redis-check-rdb", "redis-check-aof", "redis-sentinel"],
        r"(\d\.\d{1,2}\.\d{1,2}?)(?:[0-9a-f]{12}-|[a-z][0-9A-Za-z.-]{0,62}-)?1[4-9]\d{8}",
    ),
    binary(
        "ruby",
        ("ruby-lang", "ruby"),
        &["ruby", "libruby"],
        r"ruby (\d\.\d{1,2}\.\d{1,2})(?:p\d{1,4}|preview\d|rc\d|dev)? \(\d{4}-\d\d-\d\d",
    ),
    binary(
        "rust",
        ("rust-lang", "rust"),
        &["rustc", "librustc_driver-"],
        r"rustc version (1\.\d{1,3}\.\d{1,2}(?:-(?:nightly|beta(?:\.\d{1,2})?))?) \(",
    ),
    text("tomcat", ("apache", "tomcat"), &["RELEASE-NOTES"], r"Apache Tomcat Version (\d{1,2}\.\d{1,2}\.\d{1,3})"),
    binary(
        "valkey",
        ("lfprojects", "valkey"),
        &["valkey-server", "valkey-check-rdb", "valkey-check-aof", "valkey-sentinel"],
        r"(\d\.\d{1,2}\.\d{1,2}?)(?:[0-9a-f]{12}-|[a-z][0-9A-Za-z.-]{0,62}-)?1[4-9]\d{8}",
    ),
    text(
        "wordpress",
        ("wordpress", "wordpress"),
        &["wp-includes/version.php"],
        r"\$wp_version = '(\d\.\d{1,2}(?:\.\d{1,2})?(?:-(?:alpha|beta|RC)\d{0,2})?)",
    ),
    binary("xz", ("tukaani", "xz"), &["xz"], r"\(XZ Utils\) (5\.\d{1,2}\.\d{1,2})"),
];
