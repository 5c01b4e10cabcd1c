//! The programs that are known: one row each.
//!
//! A row says which files it looks into, what stands where the version stands, and what the National Vulnerability
//! Database calls the product. Its pattern is a regular expression over bytes (<https://docs.rs/regex/#syntax>); the
//! version is the first group that takes part. No pattern may match more bytes than the search sees at a time, and
//! none may be anchored: a test holds them against that.
//!
//! Patterns were written by looking at real programs. Releases are named where another may put its texts elsewhere.

/// A known program.
pub(super) struct Program {
    /// The package's name, and the row's.
    pub(super) name: &'static str,
    pub(super) files: Files,
    /// Where the version stands.
    pub(super) version: &'static str,
    /// Where the publisher of a build stands, if the file names it.
    pub(super) publisher: Option<&'static str>,
    /// Which of the versions that the pattern finds is the program's.
    pub(super) choice: Choice,
    /// Vendor and product; empty where the database has no name for it.
    pub(super) product: (&'static str, &'static str),
}

/// Which of the versions that a pattern finds is the program's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// The first: the pattern finds no others.
    First,
    /// The first that goes on with the numbers in the file's name: `libpython3.11.so` is of 3.11. Where the name has no
    /// numbers, as `Sole`.
    OfSeries,
    /// The only one. The pattern may find versions of what is built in, too: then none is told.
    Sole,
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
    Program { name, files: Files::Binaries(files), version, publisher: None, choice: Choice::First, product }
}

const fn text(
    name: &'static str,
    product: (&'static str, &'static str),
    paths: &'static [&'static str],
    version: &'static str,
) -> Program {
    Program { name, files: Files::Paths(paths), version, publisher: None, choice: Choice::First, product }
}

const fn sole(
    name: &'static str,
    product: (&'static str, &'static str),
    files: &'static [&'static str],
    version: &'static str,
) -> Program {
    Program { choice: Choice::Sole, ..binary(name, product, files, version) }
}

/// Every program, by name.
pub(super) const PROGRAMS: &[Program] = &[
    binary(
        "arangodb",
        ("arangodb", "arangodb"),
        &["arangod", "arangosh"],
        r"\x00(\d\.\d{1,2}\.\d{1,2}(?:-\d{1,2})?) (?:enterprise )?\[linux\]",
    ),
    // Takes the place of OpenSSL, and says so.
    binary(
        "aws-lc",
        ("amazon", "aws_libcrypto"),
        &["openssl", "bssl", "libcrypto"],
        r"\(compatible; AWS-LC (?:FIPS )?(\d\.\d{1,3}\.\d{1,2})\)",
    ),
    binary("bash", ("gnu", "bash"), &["bash"], r"@\(#\)Bash version (\d\.\d{1,2}\.\d{1,3})"),
    binary("bun", ("oven-sh", "bun"), &["bun"], r"[Bb]un[ -]v?(\d\.\d{1,2}\.\d{1,3})[^0-9.]"),
    binary("busybox", ("busybox", "busybox"), &["busybox"], r"BusyBox v(\d\.\d{1,2}\.\d{1,2})"),
    binary("cabal", ("haskell", "cabal"), &["cabal"], r"cabal-install-(\d\.\d{1,2}\.\d{1,2}\.\d{1,2})[\x00-]"),
    // Chromium 126, 127 and 156. A last number of 0 is of a feature, not of a release.
    sole(
        "chrome",
        ("google", "chrome"),
        &["chrome", "chromium", "headless_shell", "chrome-headless-shell"],
        r"\x00(\d{2,3}\.0\.\d{4,5}\.[1-9]\d{0,2})\x00",
    ),
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
    binary(
        "dart",
        ("dart", "dart_software_development_kit"),
        &["dart", "dartaotruntime"],
        r"\x00(\d\.\d{1,2}\.\d{1,3}(?:-[0-9.]{1,12}\.(?:beta|dev))?) \((?:stable|beta|dev)\) \([A-Z]",
    ),
    // What it calls itself when it asks a server; one that begins with 0 is of a library.
    binary(
        "deno",
        ("deno", "deno"),
        &["deno"],
        r"(?:Deno/|deno-(?:canary/)?[0-9a-f]{40}(?:release/v)?)([1-9]\.\d{1,3}\.\d{1,2})",
    ),
    text(
        "elixir",
        ("elixir-lang", "elixir"),
        &["bin/elixir", "ebin/elixir.app"],
        r#"(?:ELIXIR_VERSION=|\{vsn,\s{0,4}")(\d\.\d{1,2}\.\d{1,2}(?:-[a-z]{2,5}(?:\.\d{1,2})?)?)[\s"]"#,
    ),
    // 1.11 to 1.40.
    sole("envoy", ("envoyproxy", "envoy"), &["envoy"], r"\x00(1\.[1-9]\d\.\d{1,2}(?:-dev)?)\x00"),
    text("erlang", ("erlang", "erlang/otp"), &["OTP_VERSION"], r"(\d\d(?:\.\d{1,3}){0,4}(?:-rc\d)?)(?:\*\*)?[\r\n]"),
    // What Elixir and Erlang pack for a service has no `OTP_VERSION`.
    binary(
        "erlang",
        ("erlang", "erlang/otp"),
        &["beam.smp", "erlexec"],
        r"\[erts-[^\x00]{8,200}\]\n\x00(\d\d(?:\.\d{1,3}){0,4})\x00|\x00(\d\d(?:\.\d{1,3}){0,4}(?:-rc\d)?)\x00{1,32}Erlang/OTP|/(?:otp_src_|otp-)(\d\d(?:\.\d{1,3}){0,4}(?:-rc\d)?)/erts/",
    ),
    // Python's wheels put a hash behind a library's name, and `imageio-ffmpeg` the platform behind the program's.
    binary(
        "ffmpeg",
        ("ffmpeg", "ffmpeg"),
        &[
            "ffmpeg",
            "ffprobe",
            "libavcodec",
            "libavdevice",
            "libavfilter",
            "libavformat",
            "libavutil",
            "libswresample",
            "libswscale",
            "libavcodec-",
            "libavdevice-",
            "libavfilter-",
            "libavformat-",
            "libavutil-",
            "libswresample-",
            "libswscale-",
            "ffmpeg-linux-aarch64-v",
            "ffmpeg-linux-x86_64-v",
            "ffmpeg-linux64-v",
        ],
        r"(?:%s version |FFmpeg version )n?(\d{1,2}\.\d{1,2}(?:\.\d{1,2})?)",
    ),
    text(
        "firefox",
        ("mozilla", "firefox"),
        &["application.ini"],
        r"\nName=Firefox\r?\n(?:[A-Za-z]{1,30}=[^\r\n]{0,60}\r?\n){0,3}Version=(\d{2,3}\.\d{1,2}(?:\.\d{1,2})?)",
    ),
    // 1.3 to 3.0, on three processors.
    binary(
        "fluent-bit",
        ("treasuredata", "fluent_bit"),
        &["fluent-bit"],
        r"\x00(\d\.\d{1,2}\.\d{1,2})\x00{1,4}(?:\x1b\[1m\x00{1,4})?(?:%s)?Fluent Bit v",
    ),
    // Its own words, or what the compiler that built it left: itself, where it was built in three stages.
    binary(
        "gcc",
        ("gnu", "gcc"),
        &["gcc", "aarch64-linux-gnu-gcc", "x86_64-linux-gnu-gcc"],
        r"\x00(\d{1,2}\.\d\.\d)\x00[^\x00]{0,80}\x00gcc version %s|GCC: \(GNU\) (\d{1,2}\.\d\.\d)\x00",
    ),
    binary(
        "ghc",
        ("haskell", "ghc"),
        &["ghc"],
        r"libHSghc-(\d{1,2}\.\d{1,2}\.\d{1,2})-(?:[0-9A-Za-z]{1,24}-)?ghc|\x00GHC (\d{1,2}\.\d{1,2}\.\d{1,2})\x00",
    ),
    binary("git", ("git-scm", "git"), &["git"], r"git/(\d\.\d{1,2}\.\d{1,2}(?:\.\d{1,2})?(?:-rc\d)?)\x00"),
    text("go", ("golang", "go"), &["go/VERSION"], r"go(1\.\d{1,2}(?:\.\d{1,2})?(?:(?:beta|rc)\d)?)"),
    text("graalvm", ("oracle", "graalvm"), &["release"], r#"GRAALVM_VERSION="(\d\d(?:\.\d{1,2}){1,4})"#),
    // 1.12.
    sole("gzip", ("gnu", "gzip"), &["gzip"], r"\x00(1\.\d{1,2}(?:\.\d{1,2})?)\x00"),
    binary(
        "haproxy",
        ("haproxy", "haproxy"),
        &["haproxy"],
        r" version (\d\.\d{1,2}(?:\.\d{1,2}|-dev\d{1,2}))[^\x00,]{0,40}, released \d{4}/|HA-Proxy version (1\.\d\.\d{1,2})|\x00(\d\.\d{1,2}(?:\.\d{1,2}|-dev\d{1,2}))-[0-9a-f]{7}\x00{1,40}HAProxy version follows",
    ),
    binary("heimdal", ("heimdal_project", "heimdal"), &["libkrb5"], r"\$Version: Heimdal (\d\.\d(?:\.\d)?)"),
    binary("httpd", ("apache", "http_server"), &["httpd", "apache2"], r"Apache/(\d\.\d{1,2}\.\d{1,2})"),
    // 1.6 and 1.7.
    sole("jq", ("jqlang", "jq"), &["jq"], r"\x00(?:jq-)?(1\.\d{1,2}(?:\.\d{1,2})?(?:rc\d)?)\x00"),
    text(
        "julia",
        ("julialang", "julia"),
        &["julia/julia_version.h"],
        r#"JULIA_VERSION_STRING "(\d\.\d{1,2}\.\d{1,2}(?:-(?:alpha|beta|rc)\d)?)""#,
    ),
    binary(
        "krb5",
        ("mit", "kerberos_5"),
        &["libkrb5"],
        r"KRB5_BRAND: krb5-[^ \x00]{1,20} (\d\.\d{1,2}(?:\.\d)?) \d{8}",
    ),
    binary("lighttpd", ("lighttpd", "lighttpd"), &["lighttpd"], r"lighttpd/(\d\.\d{1,2}\.\d{1,2})"),
    binary(
        "mariadb",
        ("mariadb", "mariadb"),
        &["mariadbd", "mariadb", "mysqld", "mysql"],
        r"[\x00-](\d{1,2}\.\d{1,2}\.\d{1,3})-MariaDB|/mariadb-(\d{1,2}\.\d{1,2}\.\d{1,3})[-/]",
    ),
    binary("memcached", ("memcached", "memcached"), &["memcached"], r"memcached (1\.\d{1,2}\.\d{1,3})[\x00\n]"),
    // 4.4 to 6.0, of five systems.
    sole(
        "mongodb",
        ("mongodb", "mongodb"),
        &["mongod", "mongos"],
        r"\x00([3-9]\.\d\.\d{1,2}(?:-(?:alpha|rc)\d{1,3})?)\x00",
    ),
    // Paths of its sources, which its messages name; in a client of 8.0, what stands before a function.
    binary(
        "mysql",
        ("oracle", "mysql"),
        &["mysqld", "mysql"],
        r"/mysql-(\d{1,2}\.\d{1,2}\.\d{1,3})/|\x00shutdown\x00(\d\.\d{1,2}\.\d{1,2})\x00{1,8}mysql_real_escape_string",
    ),
    // Paths of its sources, as those of MySQL; before 8.0 its version stands behind that of the MySQL that it is made of.
    binary(
        "mysql-cluster",
        ("oracle", "mysql_cluster"),
        &["mysqld", "ndb_mgmd", "ndbd", "ndbmtd"],
        r"/mysql-cluster-gpl-(\d{1,2}\.\d{1,2}\.\d{1,2})/|cluster-gpl\x00\d\.\d{1,2}\.\d{1,2}-ndb-(\d\.\d\.\d{1,2})\x00",
    ),
    binary("nginx", ("f5", "nginx"), &["nginx", "nginx-debug"], r"nginx version: nginx/(\d\.\d{1,2}\.\d{1,2})"),
    binary(
        "node",
        ("nodejs", "node.js"),
        &["node", "nodejs", "libnode"],
        r"node\.js/v(\d{1,2}\.\d{1,2}\.\d{1,2})|\x00(?:node )?v(0\.1[02]\.\d{1,2}|[45]\.\d{1,2}\.\d)\x00",
    ),
    Program {
        publisher: Some(r#"IMPLEMENTOR="([^"\r\n]{1,100})""#),
        ..text("openjdk", ("oracle", "openjdk"), &["release"], r#"JAVA_VERSION="(\d{1,2}(?:[._]\d{1,3}){0,4})""#)
    },
    binary(
        "openldap",
        ("openldap", "openldap"),
        &["ldapmodify", "ldapsearch", "slapd"],
        r"\$OpenLDAP: [a-z]{1,16} (2\.\d\.\d{1,2})",
    ),
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
    // Paths of its sources, as the two that follow.
    binary(
        "percona-server",
        ("percona", "percona_server"),
        &["mysqld", "mysql"],
        r"/percona-server-(\d\.\d{1,2}\.\d{1,2}(?:-\d{1,2})?)",
    ),
    binary(
        "percona-xtrabackup",
        ("percona", "xtrabackup"),
        &["xtrabackup"],
        r"/percona-xtrabackup-(\d\.\d{1,2}\.\d{1,2}(?:-\d{1,2})?)",
    ),
    binary(
        "percona-xtradb-cluster",
        ("percona", "xtradb_cluster"),
        &["mysqld", "mysql"],
        r"/Percona-XtraDB-Cluster-(\d\.\d{1,2}\.\d{1,2}(?:-\d{1,2})?)",
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
    binary(
        "pypy",
        ("", ""),
        &["libpypy-c", "libpypy3-c", "libpypy3.7-c", "libpypy3.8-c", "libpypy3.9-c", "libpypy3.10-c", "libpypy3.11-c"],
        r"\[PyPy (\d{1,2}\.\d{1,2}\.\d{1,2}) with",
    ),
    // A linker keeps one copy of a text that another one ends with: what stands before may be the end of a path.
    Program {
        choice: Choice::OfSeries,
        ..binary(
            "python",
            ("python", "python"),
            &["python", "libpython"],
            r"[\x00/-]([23]\.\d{1,2}\.\d{1,2}(?:(?:a|b|rc)\d{1,2})?)\+?\x00",
        )
    },
    binary(
        "qt",
        ("qt", "qt"),
        &["libQt5Core", "libQt6Core", "libQtCore"],
        r"QtCore library version (?:Qt )?(\d\.\d{1,2}\.\d{1,2})",
    ),
    // The release and what names its build, without anything between: host and moment, or the moment alone.
    binary(
        "redis",
        ("redis", "redis"),
        &["redis-server", "redis-check-rdb", "redis-check-aof", "redis-sentinel"],
        r"(\d\.\d{1,2}\.\d{1,2}?)(?:[0-9a-f]{12}-|[a-z][0-9A-Za-z.-]{0,62}-)?1[4-9]\d{8}|Redis version (2\.\d\.\d{1,2})",
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
        &["rustc", "librustc_driver-", "libstd-"],
        r"rustc version (1\.\d{1,3}\.\d{1,2}(?:-(?:nightly|beta(?:\.\d{1,2})?))?) \(",
    ),
    // 3.4 and 4.5.
    binary(
        "sqlcipher",
        ("zetetic", "sqlcipher"),
        &["sqlcipher", "libsqlcipher"],
        r"\x00community\x00([4-9]\.\d{1,2}\.\d{1,2})\x00|fast_kdf_iter\x00(3\.\d\.\d)\x00",
    ),
    binary(
        "stack",
        ("haskell", "stack"),
        &["stack"],
        r"Version (\d\.\d{1,2}\.\d{1,2}), Git|/stack-(\d\.\d{1,2}\.\d{1,2})\x00",
    ),
    // Paths of its sources.
    binary("swipl", ("", ""), &["swipl", "libswipl"], r"/swipl-(\d{1,2}\.\d{1,2}\.\d{1,2})/"),
    text("tomcat", ("apache", "tomcat"), &["RELEASE-NOTES"], r"Apache Tomcat Version (\d{1,2}\.\d{1,2}\.\d{1,3})"),
    binary(
        "util-linux",
        ("kernel", "util-linux"),
        &["dmesg", "getopt", "lsblk", "mount"],
        r"\x00util-linux (2\.\d{2}(?:\.\d)?)\x00",
    ),
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
    // What is in a phar is not packed.
    text("wp-cli", ("wp-cli", "wp-cli"), &["bin/wp", "wp-cli.phar"], r"\swp-cli/wp-cli v?(\d\.\d{1,2}\.\d{1,2})\s"),
    binary("xz", ("tukaani", "xz"), &["xz"], r"\(XZ Utils\) (5\.\d{1,2}\.\d{1,2})"),
    // 1.5.
    sole("zstd", ("facebook", "zstandard"), &["zstd"], r"\x00v(1\.\d\.\d{1,2})\x00"),
];
