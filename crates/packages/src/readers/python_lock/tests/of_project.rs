//! What counts of a project's own description, and what is left out of it.

use super::*;

/// What `path` lists, as `name@version`, and how many warnings there are.
fn listed(path: &str, text: &str) -> (Vec<String>, usize) {
    let reading = read(&PythonLock, path, text.as_bytes()).unwrap();
    let names = reading.packages.iter().map(|package| format!("{}@{}", package.name, package.version));
    (names.collect(), reading.warnings.len())
}

#[test]
fn the_last_keyword_of_setup_py_tells_what_is_for_development() {
    for (text, expected, left_out) in [
        ("setup(\n name='app',\n tests_require=TESTS,\n install_requires=['django==2.2.0'],\n)", 1, 0),
        ("setup(tests_require=['six==1.0'] + MORE, install_requires=['django==2.2.0'])", 1, 1),
        ("setup(tests_require=['six==1.0', ('toml==1.0')], **more('django==2.2.0'))", 1, 2),
        ("tests_require = [\n 'six==1.0',\n]\nREQS.append('django==2.2.0')", 1, 1),
        ("tests_require += ['six==1.0']\nif tests_require == 1: REQS.append('django==2.2.0')", 1, 1),
        ("E={'dev': ['black==24.1.0']}\nREQS.append('django==2.2.0')", 1, 1),
        ("E={'dev': # why\n ['black==24.1.0'], 'all': ['django==2.2.0']}", 1, 1),
        ("E={'dev': 'black==24.1.0', **more('django==2.2.0')}", 1, 1),
        ("E={'dev': more('django==2.2.0')}", 1, 0),
        ("if argv[1] == 'test': REQS.append('django==2.2.0')", 1, 0),
        ("if argv[1] == 'test': # why\n    REQS.append('django==2.2.0')", 1, 0),
        ("tests_require = 'six==1.0\nREQS.append('django==2.2.0')", 1, 1),
    ] {
        let (names, _) = listed("setup.py", text);
        assert_eq!(names, vec!["django@2.2.0"; expected], "{text}");
        let reading = read(&PythonLock, "setup.py", text.as_bytes()).unwrap();
        let notes: Vec<&str> = reading.warnings.iter().map(|warning| warning.message.as_str()).collect();
        let start = format!("{left_out} package");
        assert_eq!(notes.iter().filter(|note| note.starts_with(&start)).count(), usize::from(left_out > 0), "{text}");
        assert_eq!(notes.len(), usize::from(left_out > 0), "{text}");
    }
}

#[test]
fn a_quote_behind_a_backslash_ends_no_text() {
    for text in [
        r"setup(description='It\'s good', install_requires=['django==2.2.0'])",
        r#"setup(description="a \"b\" \\", install_requires=["django==2.2.0"])"#,
        "setup(description='a \\\n b', install_requires=['django==2.2.0'])",
        "setup(description='a \\\r\n b', install_requires=['django==2.2.0'])",
        r#"setup(description="""a \""" b""", install_requires=["django==2.2.0"])"#,
    ] {
        assert_eq!(listed("setup.py", text), (vec!["django@2.2.0".to_owned()], 0), "{text}");
    }
    assert_eq!(listed("setup.py", "a = 'b\\"), (Vec::new(), 0));
}

#[test]
fn comments_of_setup_cfg_are_none_of_its_packages() {
    let text = "[options]\ninstall_requires =\n    django==2.2.0\n#six==1.0\n    ; old==1.0\n;[other]\n    # a==1.0\n    celery==4.4.7\n";
    assert_eq!(listed("setup.cfg", text), (vec!["django@2.2.0".to_owned(), "celery@4.4.7".to_owned()], 0));
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
