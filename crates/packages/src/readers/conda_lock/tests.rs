//! Files as Conda, conda-lock and pixi write them.

use expect_test::expect;

use super::*;
use crate::testing::{check, read};
use portcullis_model::WarningKind;

#[test]
fn environments_name_conda_s_packages_and_pip_s() {
    check(
        &CondaLock,
        "environment.yml",
        "name: science\nchannels:\n  - conda-forge\ndependencies:\n  - python=3.11\n  - numpy=1.26.4\n  - openssl=3.1=h1_0\n\
         \x20 - conda-forge::zlib==1.3\n  - scipy>=1.10\n  - bzip2 1.0.8 h5eee18b_6\n  - any\n  - pip:\n    - Requests==2.31.0\n\
         \x20   - flask\n",
        expect![[r#"
            conda numpy 1.26.4, purl pkg:conda/numpy@1.26.4
            conda openssl 3.1, purl pkg:conda/openssl@3.1
            conda zlib 1.3, purl pkg:conda/zlib@1.3
            conda bzip2 1.0.8, purl pkg:conda/bzip2@1.0.8
            pypi requests 2.31.0, purl pkg:pypi/requests@2.31.0
            note in environment.yml: 3 packages of Conda without an exact version: which one is meant is not known
            note in environment.yml: 1 requirement without an exact version (`==`): which one is meant is not known
        "#]],
    );
    check(&CondaLock, "environment.yaml", "spec:\n  dependencies: none\n", expect![[""]]);
    check(
        &CondaLock,
        "env/dev-environment.yml",
        "dependencies: [\n",
        expect![[r#"
        gap in env/dev-environment.yml: its packages were not read: unclosed bracket '[' at line 1, column 15
    "#]],
    );
    check(&CondaLock, "templates/environment.yaml", "{{ if .Values.a }}: [\n", expect![[""]]);
}

#[test]
fn what_cannot_be_read_is_a_gap() {
    for (path, text) in [
        ("pixi.lock", "packages: [\n"),
        ("pixi.lock", "{{ a }}: [\n"),
        ("conda-lock.yml", "package: [\n"),
        ("environment.yml", "channels: [\n"),
        ("environment.yml", "dependencies:\n  - {{ a }}: [\n"),
        ("environment.yml", "d\0"),
    ] {
        let reading = read(&CondaLock, path, text.as_bytes()).unwrap();
        let gaps = reading.warnings.iter().filter(|warning| warning.kind == WarningKind::Gap);
        assert_eq!(gaps.count(), 1, "{path}: {text}");
    }
}

#[test]
fn environments_may_begin_with_a_mark() {
    let text = "dependencies:\n  - numpy=1.26.4\n";
    let utf16 = text.encode_utf16();
    let low: Vec<u8> = [0xff, 0xfe].into_iter().chain(utf16.clone().flat_map(u16::to_le_bytes)).collect();
    let high: Vec<u8> = [0xfe, 0xff].into_iter().chain(utf16.flat_map(u16::to_be_bytes)).collect();
    for contents in [low, high, format!("\u{feff}{text}").into_bytes()] {
        let reading = read(&CondaLock, "environment.yml", &contents).unwrap();
        assert_eq!(reading.packages.len(), 1, "{contents:?}");
    }
}

#[test]
fn what_others_than_conda_and_pip_install_is_a_gap() {
    check(
        &CondaLock,
        "environment.yml",
        "dependencies:\n  - pip: requests==2.31.0\n  - npm: [left-pad@1.0.0]\n  - pip: [{a: b}, flask==3.0.0]\n  - pip:\n\
         \x20 - [a=1.2.3]\n  -\n  - pip: |\n      a==1\n      b==2\n",
        expect![[r#"
            pypi requests 2.31.0, purl pkg:pypi/requests@2.31.0
            pypi flask 3.0.0, purl pkg:pypi/flask@3.0.0
            pypi a 1, purl pkg:pypi/a@1
            pypi b 2, purl pkg:pypi/b@2
            gap in environment.yml: an entry that names no package
            gap in environment.yml: what `npm` installs was not read
            gap in environment.yml: what `pip` installs was not read
        "#]],
    );
}

#[test]
fn entries_of_pixi_that_are_not_understood_are_gaps() {
    check(
        &CondaLock,
        "pixi.lock",
        "version: 6\npackages:\n- pypi: https://files.example/requests-2.31.0-py3-none-any.whl\n- pypi: ./\n\
         - kind: pypi\n  name: own\n  path: .\n- other: https://x.example/a\n  name: a\n  version: '1'\n",
        expect![[r#"
            gap in pixi.lock: a package that is neither Conda's nor PyPI's
            gap in pixi.lock: a package has no name or no version
        "#]],
    );
}

#[test]
fn where_packages_of_pixi_come_from_is_told() {
    check(
        &CondaLock,
        "pixi.lock",
        "version: 6\npackages:\n- pypi: git+https://me:secret@git.example/fork.git?rev=main#0123456\n  name: Fork\n  version: '1.0'\n\
         - pypi: git+ssh://git@git.example/made.git@0123456\n  name: made\n- pypi: ../own\n  name: own\n  version: 0.1.0\n\
         - pypi: ./unversioned\n  name: unversioned\n- conda: .\n  name: whole\n  version: '2.0'\n- conda: ../other\n\
         - conda: file:///srv/channel/noarch/local-1.0-0.conda\n- conda_source: a[1a2b3c4d] @ ./a\n  version: '1.0'\n\
         - conda_source: b[1a2b3c4d] @ git+https://git.example/b.git?tag=v1#0123456\n- conda_source: broken\n\
         - kind: pypi\n  name: click\n  version: 8.1.7\n  url: direct+https://git.example/click-8.1.7-py3-none-any.whl\n",
        expect![[r#"
            conda whole 2.0, purl pkg:conda/whole@2.0?repository_url=file:.
            conda local 1.0, purl pkg:conda/local@1.0?download_url=file:%2Fsrv%2Fchannel%2Fnoarch%2Flocal-1.0-0.conda
            conda a 1.0, purl pkg:conda/a@1.0?repository_url=file:.%2Fa
            conda b , purl pkg:conda/b?vcs_url=git%2Bhttps:%2F%2Fgit.example%2Fb.git%3Ftag%3Dv1%230123456
            pypi fork 1.0, purl pkg:pypi/fork@1.0?vcs_url=git%2Bhttps:%2F%2Fgit.example%2Ffork.git%3Frev%3Dmain%230123456
            pypi made , purl pkg:pypi/made?vcs_url=git%2Bssh:%2F%2Fgit%40git.example%2Fmade.git%400123456
            pypi own 0.1.0, purl pkg:pypi/own@0.1.0?repository_url=file:..%2Fown
            pypi click 8.1.7, purl pkg:pypi/click@8.1.7
            gap in pixi.lock: a package that is neither Conda's nor PyPI's
        "#]],
    );
}

#[test]
fn lockfiles_are_read() {
    check(
        &CondaLock,
        "conda-lock.yml",
        "version: 1\nmetadata: {}\npackage:\n- name: numpy\n  version: 1.26.4\n  manager: conda\n  platform: linux-64\n  dependencies:\n\
         \x20   libblas: '>=3.9.0'\n    absent: ''\n  category: main\n- name: libblas\n  version: 3.9.0\n  manager: conda\n  platform: linux-64\n\
         - name: Typing_Extensions\n  version: 4.9.0\n  manager: pip\n  platform: linux-64\n- name: pytest\n  version: '8'\n  category: dev\n- {}\n",
        expect![[r#"
            conda numpy 1.26.4, purl pkg:conda/numpy@1.26.4, needs libblas@3.9.0
            conda libblas 3.9.0, purl pkg:conda/libblas@3.9.0
            pypi typing-extensions 4.9.0, purl pkg:pypi/typing-extensions@4.9.0
            gap in conda-lock.yml: a package has no name or no version
            note in conda-lock.yml: 1 package left out: needed for development alone
        "#]],
    );
    check(
        &CondaLock,
        "pixi.lock",
        "version: 6\nenvironments: {}\npackages:\n- conda: https://conda.example/linux-64/libgcc-ng-13.2.0-h80_5.conda\n  sha256: x\n\
         - pypi: https://files.example/requests-2.31.0-py3-none-any.whl\n  name: requests\n  version: 2.31.0\n\
         - pypi: ./\n  name: own\n  version: 0.1.0\n\
         - pypi: ./vendor/foo-1.0.tar.gz\n  name: foo\n  version: '1.0'\n- kind: conda\n  name: zlib\n  version: '1.3'\n  url: https://conda.example/x.conda\n\
         - conda: https://conda.example/odd\n",
        expect![[r#"
            conda libgcc-ng 13.2.0, purl pkg:conda/libgcc-ng@13.2.0
            conda zlib 1.3, purl pkg:conda/zlib@1.3
            pypi requests 2.31.0, purl pkg:pypi/requests@2.31.0
            pypi own 0.1.0, purl pkg:pypi/own@0.1.0?repository_url=file:.%2F
            pypi foo 1.0, purl pkg:pypi/foo@1.0?download_url=file:.%2Fvendor%2Ffoo-1.0.tar.gz
            gap in pixi.lock: a package has no name or no version
        "#]],
    );
    for path in ["conda-lock.yml", "pixi.lock"] {
        assert_eq!(read(&CondaLock, path, b"a: 1").unwrap().warnings.len(), 1, "{path}");
    }
    assert!(read(&CondaLock, "environments.yml", b"").is_none());
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(contents: Vec<u8>, text in r"(dependencies:|packages?:|- |pip:|[a=<:.\[\]1 ]|\n|  ){0,24}") {
        for path in ["environment.yml", "conda-lock.yml", "pixi.lock"] {
            read(&CondaLock, path, &contents);
            read(&CondaLock, path, text.as_bytes());
        }
    }
}
