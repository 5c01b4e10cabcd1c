//! What counts of a project's own description, and what is left out of it.

use super::*;

/// What `path` lists, as `name@version`, and how many warnings there are.
fn listed(path: &str, text: &str) -> (Vec<String>, usize) {
    let reading = read(&PythonLock, path, text.as_bytes()).unwrap();
    let names = reading.packages.iter().map(|package| format!("{}@{}", package.name, package.version));
    (names.collect(), reading.warnings.len())
}

/// That of `filelock`, beside a script, and not one of uv's.
#[test]
fn an_empty_lock_of_a_script_is_nothing() {
    assert_eq!(listed("tool.py.lock", ""), (Vec::new(), 0));
    assert_eq!(listed("tool.py.lock", "what\n").1, 1);
    assert_eq!(listed("uv.lock", "").1, 1);
}

#[test]
fn a_file_of_pipenv_s_may_lie_at_an_address() {
    check(
        &PythonLock,
        "Pipfile.lock",
        r#"{"_meta": {}, "default": {"a": {"file": "https://me:TOKEN@git.example/x.zip"}, "b": {"file": "./b-1.0.zip"},
            "c": {"file": "file:///srv/c-1.0.whl", "version": "==1.0"}, "d": {"file": "https://TOKEN@git.example/d?x"}}}"#,
        expect![[r#"
            pypi a , purl pkg:pypi/a?download_url=https:%2F%2Fgit.example%2Fx.zip
            pypi b , purl pkg:pypi/b?download_url=file:.%2Fb-1.0.zip
            pypi c 1.0, purl pkg:pypi/c@1.0?download_url=file:%2Fsrv%2Fc-1.0.whl
            pypi d , purl pkg:pypi/d?download_url=https:%2F%2Fgit.example%2Fd%3Fx
        "#]],
    );
}
