//! Databases that rpm wrote, and such as nobody should write.

use expect_test::{Expect, expect};
use portcullis_model::{PathHash, Reading};
use portcullis_testkit::{RpmPackage, rpm_database, rpm_database_of};
use proptest::prelude::*;

use super::*;
use crate::testing::{self, check};

fn real(file: &str) -> Option<Reading> {
    let name = file.rsplit_once('/').unwrap().1;
    testing::read(&Rpm, &format!("var/lib/rpm/{name}"), &testing::data(&format!("pkgdb/rpm/{file}"))?)
}

#[track_caller]
fn check_real(file: &str, some: &[&str], expected: Expect) {
    let Some(mut reading) = real(file) else { return };
    let owned: usize = reading.owned.iter().map(|owned| owned.paths.len()).sum();
    let needs: usize = reading.packages.iter().map(|package| package.depends_on.len()).sum();
    let mut text = format!(
        "{} packages, {} of them own {owned} files, {needs} needs\n",
        reading.packages.len(),
        reading.owned.len()
    );
    reading.packages.retain(|package| some.contains(&package.name.as_str()));
    reading.owned.clear();
    text.push_str(&testing::render(&reading));
    expected.assert_eq(&text);
}

#[test]
fn real_databases_are_read() {
    check_real(
        "cbl-mariner-2.0-sqlite/rpmdb.sqlite",
        &["openssl", "openssl-libs", "bash", "tdnf"],
        expect![[r#"
            129 packages, 128 of them own 6282 files, 513 needs
            rpm openssl-libs 1.1.1k-7.cm2 from openssl 1.1.1k-7.cm2, for x86_64, by Microsoft Corporation, under OpenSSL, needs glibc
            rpm openssl 1.1.1k-7.cm2, for x86_64, by Microsoft Corporation, under OpenSSL, needs glibc libgcc openssl-libs
            rpm bash 5.1.8-1.cm2, for x86_64, by Microsoft Corporation, under GPLv3, needs coreutils glibc grep readline
            rpm tdnf 2.1.0-8.cm2, for x86_64, by Microsoft Corporation, under LGPLv2.1 AND GPLv2, needs bash curl curl-libs glibc libsolv openssl-libs rpm-libs tdnf-cli-libs
        "#]],
    );
    check_real(
        "sle15-bci-ndb/Packages.db",
        &["openssl-1_1", "bash", "libzypp"],
        expect![[r#"
            35 packages, 35 of them own 1703 files, 80 needs
            rpm bash 4.4-19.6.1, for x86_64, by SUSE LLC <https://www.suse.com/>, under GPL-3.0-or-later, needs glibc libreadline7
        "#]],
    );
    check_real(
        "libuuid-bdb/Packages",
        &["libuuid"],
        expect![[r#"
            1 packages, 1 of them own 5 files, 0 needs
            rpm libuuid 2.32.1-42.el8_8 from util-linux 2.32.1-42.el8_8, for x86_64, by Red Hat, Inc., under BSD
        "#]],
    );
    check_real(
        "scalibr-epoch-bdb/Packages",
        &["hello"],
        expect![[r#"
            1 packages, 1 of them own 1 files, 0 needs
            rpm hello 1:0.0.1-rls, for x86_64, under GPL
        "#]],
    );
    check_real(
        "syft-bdb/Packages",
        &["dive"],
        expect![[r#"
            1 packages, 1 of them own 1 files, 0 needs
            rpm dive 0.9.2-1, for x86_64, by Alex Goodman, under MIT
        "#]],
    );
    check_real(
        "grype-sles-bdb/Packages",
        &["dive"],
        expect![[r#"
            1 packages, 1 of them own 1 files, 0 needs
            rpm dive 0.9.2-1, for x86_64, by Alex Goodman, under MIT
        "#]],
    );
    check_real(
        "grype-centos-bdb/Packages",
        &["dive"],
        expect![[r#"
            1 packages, 1 of them own 1 files, 0 needs
            rpm dive 0.9.2-1, for x86_64, by Alex Goodman, under MIT
        "#]],
    );
    check_real(
        "empty-sqlite/rpmdb.sqlite",
        &[],
        expect![[r#"
        0 packages, 0 of them own 0 files, 0 needs
        gap in var/lib/rpm/rpmdb.sqlite: it has no table of packages
    "#]],
    );
}

#[test]
fn what_a_log_holds_is_a_gap() {
    check(
        &Rpm,
        "var/lib/rpm/rpmdb.sqlite-wal",
        "x",
        expect![[r#"
        gap in var/lib/rpm/rpmdb.sqlite-wal: changes that were not yet written to the rpm database lie in this log, which is not read
    "#]],
    );
    assert!(testing::read(&Rpm, "var/lib/rpm/rpmdb.sqlite-wal", b"").is_none());
}

const NDB: &str = "usr/lib/sysimage/rpm/Packages.db";

#[test]
fn what_a_header_says_is_read() {
    let packages = [
        RpmPackage::new("nodejs", "1:18.18.2-2.module+el8.9.0+20329+a4f4d5f4")
            .source_rpm("nodejs-18.18.2-2.module+el8.9.0+20329+a4f4d5f4.src.rpm")
            .module_label("nodejs:18:8090020231019152822:a75119d5")
            .vendor("Red Hat, Inc.")
            .requires("/bin/sh")
            .requires("libssl.so.1.1()(64bit)")
            .requires("rpmlib(CompressedFileNames)")
            .requires("nobody(has)")
            .requires("nodejs(abi)")
            .provides("nodejs(abi)")
            .file("/usr/bin/node")
            // A directory, one that is only named, one that was not installed.
            .file_as("/usr/lib/node_modules", 0o040_755, 0, 0)
            .file_as("/var/log/node.log", 0o100_644, 1 << 6, 0)
            .file_as("/usr/share/man/node.1", 0o100_644, 0, 2)
            .file_as("/usr/bin/nodejs", 0o120_777, 0, 0),
        RpmPackage::new("gpg-pubkey", "8483c65d-5ccc5b19"),
        RpmPackage::new("openssl-libs", "0:1.1.1k-9.el8_7")
            .source_rpm("openssl-1.1.1k-9.el8_7.src.rpm")
            .text(1015, "somebody")
            .provides("libssl.so.1.1()(64bit)"),
        RpmPackage::new("bash", "4.4.20-4.el8_6").source_rpm("(none)").file("/usr/bin/sh"),
    ];
    let contents = rpm_database(&packages);
    check(
        &Rpm,
        NDB,
        &contents,
        expect![[r#"
        rpm nodejs 1:18.18.2-2.module+el8.9.0+20329+a4f4d5f4, for x86_64, by Red Hat, Inc., needs bash openssl-libs
        rpm openssl-libs 1.1.1k-9.el8_7 from openssl 1.1.1k-9.el8_7, for x86_64, by somebody
        rpm bash 4.4.20-4.el8_6, for x86_64
        nodejs owns 2 paths
        bash owns 1 paths
    "#]],
    );
    let reading = testing::read(&Rpm, NDB, &contents).unwrap();
    assert_eq!(reading.packages[0].module.as_deref(), Some("nodejs:18"));
    assert_eq!(reading.owned[0].paths, ["usr/bin/node", "usr/bin/nodejs"].map(PathHash::of));
}

#[test]
fn a_manifest_is_read() {
    let lines = "openssl-libs\t3.3.0-1.azl3\t1\t1\tMicrosoft Corporation\t(none)\t1\tx86_64\t0\topenssl-3.3.0-1.azl3.src.rpm\n\
                 ca-certificates\t3.0.0-7.azl3\t1\t1\tMicrosoft Corporation\t1\t1\tnoarch\t1\tca-certificates-3.0.0-7.azl3.src.rpm\n\
                 \nbroken\n";
    check(
        &Rpm,
        MANIFEST,
        lines,
        expect![[r#"
        rpm openssl-libs 3.3.0-1.azl3 from openssl 3.3.0-1.azl3, for x86_64, by Microsoft Corporation
        rpm ca-certificates 1:3.0.0-7.azl3, for noarch, by Microsoft Corporation
        gap in var/lib/rpmmanifest/container-manifest-2: line 4 is not a package with a name and a version
    "#]],
    );
}

#[test]
fn damaged_headers_cost_themselves_alone() {
    let whole = RpmPackage::new("whole", "1-1").header();
    let mut cut = RpmPackage::new("cut", "1-1").file("/a").header();
    cut.truncate(cut.len() - 4);
    // 2^32 - 1 tags.
    let mut many = whole.clone();
    many[..4].fill(0xff);
    let mut far = whole.clone();
    // The name lies far outside of the store.
    far[8 + 16 + 8..][..4].fill(0xff);
    let headers =
        [cut, many, far, vec![], RpmPackage::new("", "1").header(), RpmPackage::new("old", "").header(), whole];
    check(
        &Rpm,
        NDB,
        rpm_database_of(&headers),
        expect![[r#"
        rpm cut 1-1, for x86_64
        rpm whole 1-1, for x86_64
        gap in usr/lib/sysimage/rpm/Packages.db: header 1 is too short for what it claims to hold
        gap in usr/lib/sysimage/rpm/Packages.db: header 2 is too short for what it claims to hold
        gap in usr/lib/sysimage/rpm/Packages.db: header 3 has no package name or no version
        gap in usr/lib/sysimage/rpm/Packages.db: header 4 is too short for what it claims to hold
        gap in usr/lib/sysimage/rpm/Packages.db: header 5 has no package name or no version
        gap in usr/lib/sysimage/rpm/Packages.db: header 6 (`old`) has no package name or no version
    "#]],
    );
}

#[test]
fn an_index_that_is_damaged_is_a_gap() {
    let whole = rpm_database(&[RpmPackage::new("bash", "5-1"), RpmPackage::new("zlib", "1-1")]);
    // The second slot has no magic: rpm itself would not open such a database.
    let mut slot = whole.clone();
    slot[48] = b'X';
    check(
        &Rpm,
        NDB,
        &slot,
        expect![[r#"
        rpm bash 5-1, for x86_64
        gap in usr/lib/sysimage/rpm/Packages.db: entry 3 of its index is none
    "#]],
    );
    // No index at all, and a version that nobody knows.
    for (at, byte) in [(12, 0), (4, 1)] {
        let mut contents = whole.clone();
        contents[at] = byte;
        check(
            &Rpm,
            NDB,
            &contents,
            expect![[r#"
            gap in usr/lib/sysimage/rpm/Packages.db: it does not start as rpm's own does
        "#]],
        );
    }
}

#[test]
fn a_database_that_is_cut_or_is_none_is_a_gap() {
    for name in ["rpmdb.sqlite", "Packages.db", "Packages"] {
        for contents in [&b""[..], b"x", b"SQLite format 3\0", b"RpmP\0\0\0\0"] {
            let reading = testing::read(&Rpm, &format!("var/lib/rpm/{name}"), contents).unwrap();
            assert_eq!((reading.packages.len(), reading.warnings.len()), (0, 1), "{name}: {reading:?}");
        }
    }
    for (file, least) in
        [("cbl-mariner-2.0-sqlite/rpmdb.sqlite", 40), ("sle15-bci-ndb/Packages.db", 10), ("libuuid-bdb/Packages", 0)]
    {
        let Some(whole) = testing::data(&format!("pkgdb/rpm/{file}")) else { return };
        let path = format!("var/lib/rpm/{}", file.rsplit_once('/').unwrap().1);
        let reading = testing::read(&Rpm, &path, &whole[..whole.len() / 2]).unwrap();
        assert!(reading.packages.len() >= least, "{file}: {}", reading.packages.len());
        let gaps: Vec<&str> = reading.warnings.iter().map(|warning| warning.message.as_str()).collect();
        assert!(
            gaps.iter().any(|gap| gap.contains("it ends after") || gap.contains("is not where")),
            "{file}: {gaps:?}"
        );
        assert!(gaps.len() <= 101, "{file}: {}", gaps.len());
    }
}

#[test]
fn pages_that_a_hash_does_not_name_are_a_gap() {
    let mut contents = berkeley_start();
    contents.resize(65 * 512, 0);
    let path = "var/lib/rpm/Packages";
    assert_eq!(testing::read(&Rpm, path, &contents).unwrap().warnings, []);
    contents.resize(66 * 512, 0);
    check(
        &Rpm,
        path,
        &contents,
        expect![[r#"
        gap in var/lib/rpm/Packages: it ends after 33792 bytes, and names but 33280: what lies behind them is not read
    "#]],
    );
}

/// A database in SQLite whose only leaf says twenty thousand times that the same chain of pages is a package.
fn many_rows_of_one_chain() -> Vec<u8> {
    const PAGE: usize = 65_536;
    let mut pages = vec![0_u8; 40 * PAGE];
    pages[..16].copy_from_slice(b"SQLite format 3\0");
    pages[16..18].copy_from_slice(&1_u16.to_be_bytes());
    // The schema: one row about the table at page 2.
    let row = b"\x06\x17\x1d\x1d\x01\x0ftablePackagesPackages\x02sql!";
    let at = PAGE - row.len() - 2;
    pages[100..108].copy_from_slice(&[13, 0, 0, 0, 1, 0, 0, 0]);
    pages[108..110].copy_from_slice(&(at as u16).to_be_bytes());
    pages[at..at + 2].copy_from_slice(&[row.len() as u8, 1]);
    pages[at + 2..PAGE].copy_from_slice(row);
    let leaf = &mut pages[PAGE..2 * PAGE];
    leaf[..5].copy_from_slice(&[13, 0, 0, 0x4e, 0x20]);
    leaf[8..8 + 40_000].copy_from_slice(&[0xc0, 0x00].repeat(20_000));
    // A row of two megabytes, that goes on at page 3.
    leaf[0xc000..0xc004].copy_from_slice(&[0x80 | 0x7f, 0x80 | 0x7f, 0x00, 0x01]);
    for page in 2..40 {
        pages[page * PAGE..][..4].copy_from_slice(&(page as u32 + 2).to_be_bytes());
    }
    pages
}

#[test]
fn the_same_bytes_do_not_count_again_and_again() {
    let contents = many_rows_of_one_chain();
    let start = std::time::Instant::now();
    let reading = testing::read(&Rpm, "var/lib/rpm/rpmdb.sqlite", &contents).unwrap();
    assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(reading.packages.len(), 0);
    assert_eq!(reading.warnings.len(), 101, "{:?}", reading.warnings.first());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn nothing_panics_on_any_bytes(contents: Vec<u8>, magic in 0..3_usize) {
        let berkeley = berkeley_start();
        let starts = [
            &b"SQLite format 3\0\x02\0\x01\x01\0\x40\x20\x20"[..],
            b"RpmP\0\0\0\0\0\0\0\0\x01\0\0\0",
            &berkeley,
        ];
        let start = starts[magic];
        let contents = [start, &contents].concat();
        for path in ["var/lib/rpm/rpmdb.sqlite", NDB, "var/lib/rpm/Packages", MANIFEST] {
            testing::read(&Rpm, path, &contents);
        }
    }

    #[test]
    fn nothing_panics_on_real_databases_with_wrong_bytes(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..40),
        cut in any::<prop::sample::Index>(),
        is_cut: bool,
    ) {
        for file in ["cbl-mariner-2.0-sqlite/rpmdb.sqlite", "sle15-bci-ndb/Packages.db", "libuuid-bdb/Packages"] {
            let Some(mut contents) = testing::data(&format!("pkgdb/rpm/{file}")) else { return Ok(()) };
            let len = contents.len();
            for (index, byte, is_near) in &changes {
                // Half of them in the first pages, where the structure is.
                contents[index.index(if *is_near { 8192 } else { len })] = *byte;
            }
            if is_cut {
                contents.truncate(cut.index(len));
            }
            testing::read(&Rpm, &format!("var/lib/rpm/{}", file.rsplit_once('/').unwrap().1), &contents);
        }
    }
}

/// The start of a hash of Berkeley DB with pages of 512 bytes.
fn berkeley_start() -> Vec<u8> {
    let mut start = vec![0; 72];
    start[12..16].copy_from_slice(&0x0006_1561_u32.to_le_bytes());
    start[20..24].copy_from_slice(&512_u32.to_le_bytes());
    start[32..36].copy_from_slice(&64_u32.to_le_bytes());
    start
}
