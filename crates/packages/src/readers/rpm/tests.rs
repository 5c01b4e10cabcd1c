//! Databases that rpm wrote, and such as nobody should write.

use expect_test::{Expect, expect};
use portcullis_model::Reading;

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
