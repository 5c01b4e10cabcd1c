//! Texts as the tools write them.

mod of_project;

use expect_test::expect;
use proptest::prelude::*;

use super::*;
use crate::testing::{check, read};

#[test]
fn other_files_that_requirements_name_are_awaited() {
    check(
        &PythonLock,
        "requirements.txt",
        "-r prod.txt\n-rprod.txt # again\n--requirement=../base.txt\n--requirement 'a b.txt'\n-c constraints.txt\n\
         --constraint https://me:secret@pins.example/c.txt\n--requirements x\n-e .\n-r last.txt\\",
        expect![[r#"
            gap without ../base.txt here: it asks for what ../base.txt names, which is not read
            gap without a b.txt here: it asks for what a b.txt names, which is not read
            gap without last.txt here: it asks for what last.txt names, which is not read
            gap without prod.txt here: it asks for what prod.txt names, which is not read
            note without constraints.txt here: it takes versions from constraints.txt, which is not read
            note without https://me:secret@pins.example/c.txt here: it takes versions from https://pins.example/c.txt, which is not read
            note in requirements.txt: 1 requirement without an exact version (`==`): which one is meant is not known
        "#]],
    );
    let many: String = (0..10_100).map(|file| format!("-r {file}.txt\n")).collect();
    let reading = read(&PythonLock, "requirements.txt", many.as_bytes()).unwrap();
    assert!(reading.warnings.iter().any(|warning| warning.message.starts_with("100 more entries")));
}

#[test]
fn requirements_that_are_pinned_count() {
    check(
        &PythonLock,
        "requirements-prod.txt",
        r"# pip-compile
--index-url https://pypi.example/simple
-r base.txt
 Flask == 2.0.0
urllib3===1.26.20
celery[redis, pytest]==4.4.7 ; python_version < '3.8' # why
argh==0.26.2 \
    --hash=sha256:a9b3aaa1904eeb78e32394cd46c6f37ac0fb4af6dc488daa58971bdc7d7fcaf3 \
    --hash=sha256:e9535b8c84dc9571a48999094fda7f33e63c3f1b74f3e5f3ac0105a58405bb65
zope.interface (==5.0)
local-version==1.2.3+gcr.2
a>=1.0,==1.5
requests == 2.8.*
sqlalchemy >= 1.0.0, != 3.0.0
bare
==2.3.4
-e ./here
https://pypi.example/b-1.0.zip
name @ git+https://git.example/name@v1.0
# nothing==1.0
near==2.0#why
template=={{ version }}",
        expect![[r#"
            pypi flask 2.0.0, purl pkg:pypi/flask@2.0.0
            pypi urllib3 1.26.20, purl pkg:pypi/urllib3@1.26.20
            pypi celery 4.4.7, purl pkg:pypi/celery@4.4.7
            pypi argh 0.26.2, purl pkg:pypi/argh@0.26.2
            pypi zope-interface 5.0, purl pkg:pypi/zope-interface@5.0
            pypi local-version 1.2.3+gcr.2, purl pkg:pypi/local-version@1.2.3%2Bgcr.2
            pypi a 1.5, purl pkg:pypi/a@1.5
            pypi near 2.0, purl pkg:pypi/near@2.0
            gap without base.txt here: it asks for what base.txt names, which is not read
            note in requirements-prod.txt: 8 requirements without an exact version (`==`): which one is meant is not known
        "#]],
    );
    assert!(read(&PythonLock, "site-packages/a/requirements.txt", b"a==1").is_none());
    assert!(read(&PythonLock, "requirements/base.txt", b"a==1").is_some());
    assert!(read(&PythonLock, "test-requirements.txt", b"a==1").is_some());
    check(
        &PythonLock,
        "requirements.txt",
        "a\0=\0=\x001\0",
        expect![[r#"
        gap in requirements.txt: its packages were not read: it is not text
    "#]],
    );
}

#[test]
fn requirements_may_be_utf_16() {
    let units: Vec<u16> = "a==1\r\nb==2\r\n".encode_utf16().collect();
    let little: Vec<u8> = [0xfeff].iter().chain(&units).flat_map(|unit| unit.to_le_bytes()).collect();
    let big: Vec<u8> = [0xfeff].iter().chain(&units).flat_map(|unit| unit.to_be_bytes()).collect();
    for contents in [little, big] {
        let reading = read(&PythonLock, "requirements.txt", &contents).unwrap();
        let purls: Vec<&str> = reading.packages.iter().map(|package| package.purl.as_str()).collect();
        assert_eq!(purls, ["pkg:pypi/a@1", "pkg:pypi/b@2"]);
    }
}

#[test]
fn what_a_project_s_own_description_pins_counts() {
    check(
        &PythonLock,
        "pyproject.toml",
        r#"
[build-system]
requires = ["setuptools==68.0.0"]

[project]
name = "app"
dependencies = ["Django == 2.2.0", "flask>=2", "celery[redis]==4.4.7; python_version < '3.8'"]

[project.optional-dependencies]
s3 = ["boto3==1.34.0"]
test = ["pytest==8.0.0"]
"#,
        expect![[r#"
            pypi django 2.2.0, purl pkg:pypi/django@2.2.0
            pypi celery 4.4.7, purl pkg:pypi/celery@4.4.7
            pypi boto3 1.34.0, purl pkg:pypi/boto3@1.34.0
            note in pyproject.toml: 1 package left out: needed for development alone
        "#]],
    );
    check(
        &PythonLock,
        "setup.cfg",
        "[metadata]\nversion = 1\n[options]\npython_requires = ==3.8\ninstall_requires =\n  # why\n  django==2.2.0\n\n\
         \x20 six\n\ttoml ==0.10.2 ; python_version<'3.11'\nzip_safe = x==1\n[options.extras_require]\nyaml = pyyaml==6.0; x>1\n\
         docs = sphinx==7.0\n[flake8]\nmax = a==1\n",
        expect![[r#"
            pypi django 2.2.0, purl pkg:pypi/django@2.2.0
            pypi toml 0.10.2, purl pkg:pypi/toml@0.10.2
            pypi pyyaml 6.0, purl pkg:pypi/pyyaml@6.0
            note in setup.cfg: 1 package left out: needed for development alone
        "#]],
    );
    check(
        &PythonLock,
        "setup.py",
        r#"
"""Of one==1.0 and others.
two==2.0
"""
import setuptools  # "three==3.0"
if version == '4.0': pass
setuptools.setup(
    name='app', version="5==0",
    install_requires=['django==2.2.0', "six>=1", 'toml[a] == 0.10.2 ; python_version<"3.11"', f'x=={y}', 'z==%s' % z],
    tests_require=['pytest==8.0.0'],
    extras_require={'yaml': ['pyyaml==6.0'], "dev": ["black==24.1.0"]},
    setup_requires="wheel==0.42", other='unended==1.0
    )
"#,
        expect![[r#"
            pypi two 2.0, purl pkg:pypi/two@2.0
            pypi 5 0, purl pkg:pypi/5@0
            pypi django 2.2.0, purl pkg:pypi/django@2.2.0
            pypi toml 0.10.2, purl pkg:pypi/toml@0.10.2
            pypi pyyaml 6.0, purl pkg:pypi/pyyaml@6.0
            pypi unended 1.0, purl pkg:pypi/unended@1.0
            note in setup.py: 3 packages left out: needed for development alone
        "#]],
    );
    let template = r#"{% if a %}[project]{% endif %}"#;
    check(
        &PythonLock,
        "pyproject.toml",
        template,
        expect![[r#"
        note in pyproject.toml: it is a template of such a file: what it will ask for is not known
    "#]],
    );
    // One that names packages is not passed over.
    check(
        &PythonLock,
        "pyproject.toml",
        "[project # {% a %}\ndependencies = ['a==1']",
        expect![[r#"
        gap in pyproject.toml: its packages were not read: unclosed table, expected `]`
    "#]],
    );
    check(
        &PythonLock,
        "pyproject.toml",
        "[project",
        expect![[r#"
        gap in pyproject.toml: its packages were not read: unclosed table, expected `]`
    "#]],
    );
    for path in ["pyproject.toml", "setup.cfg", "setup.py"] {
        assert!(read(&PythonLock, &format!("site-packages/a/{path}"), b"").is_none());
        assert_eq!(read(&PythonLock, path, b"\xff\0").unwrap().warnings.len(), 1, "{path}");
    }
}

#[test]
fn poetry_marks_groups_by_two_means() {
    check(
        &PythonLock,
        "poetry.lock",
        r#"
[[package]]
name = "Anyio"
version = "4.3.0"
optional = false
category = "main"

[package.dependencies]
idna = ">=2.8"
trio = {version = ">=0.23", optional = true}
absent = "*"

[[package]]
name = "idna"
version = "3.10"
optional = false
groups = ["dev", "main"]

[[package]]
name = "trio"
version = "0.23.0"

[package.source]
type = "git"
url = "https://git.example/trio.git"
reference = "main"
resolved_reference = "0123456"

[[package]]
name = "pytest"
version = "8.0.0"
groups = ["dev"]

[[package]]
name = "black"
version = "8.0.0"
category = "dev"

[[package]]
name = "broken"

[metadata]
lock-version = "2.0"
"#,
        expect![[r#"
            pypi anyio 4.3.0, purl pkg:pypi/anyio@4.3.0, needs idna@3.10
            pypi idna 3.10, purl pkg:pypi/idna@3.10
            pypi trio 0.23.0, purl pkg:pypi/trio@0.23.0?vcs_url=https:%2F%2Fgit.example%2Ftrio.git
            gap in poetry.lock: broken: a package without a name, or without a version
            note in poetry.lock: 2 packages left out: needed for development alone
        "#]],
    );
    check(
        &PythonLock,
        "poetry.lock",
        "[tool.poetry]\nname = 'x'\n",
        expect![[r#"
        gap in poetry.lock: its packages were not read: it is no lockfile
    "#]],
    );
}

#[test]
fn pdm_has_groups_and_an_entry_for_each_set_of_extras() {
    check(
        &PythonLock,
        "pdm.lock",
        r#"
[metadata]
groups = ["default", "dev"]
lock_version = "4.4.1"

[[package]]
name = "coverage"
version = "7.4.1"
groups = ["default"]

[[package]]
name = "coverage"
version = "7.4.1"
extras = ["toml"]
groups = ["default"]
dependencies = [
    "coverage==7.4.1",
    "tomli; python_full_version <= \"3.11.0a6\"",
]

[[package]]
name = "tomli"
version = "2.0.1"
groups = ["default"]

[[package]]
name = "pytest"
version = "8.0.1"
groups = ["dev", "tests"]

[[package]]
name = "redis"
version = "5.0.0"
groups = ["cache", "tests"]
"#,
        expect![[r#"
            pypi coverage 7.4.1, purl pkg:pypi/coverage@7.4.1, needs tomli@2.0.1
            pypi tomli 2.0.1, purl pkg:pypi/tomli@2.0.1
            pypi redis 5.0.0, purl pkg:pypi/redis@5.0.0
            note in pdm.lock: 1 package left out: needed for development alone
        "#]],
    );
}

#[test]
fn uv_is_followed_from_the_project() {
    check(
        &PythonLock,
        "uv.lock",
        r#"
version = 1
requires-python = ">=3.11"

[[package]]
name = "app"
version = "0.1.0"
source = { virtual = "." }
dependencies = [
    { name = "httpx", extra = ["http2"] },
    { name = "numpy", version = "2.0.0", source = { registry = "https://pypi.org/simple" }, marker = "python_full_version >= '3.13'" },
]

[package.optional-dependencies]
web = [{ name = "fork" }]

[package.dev-dependencies]
dev = [{ name = "pytest" }]

[[package]]
name = "httpx"
version = "0.27.0"
source = { registry = "https://pypi.org/simple" }

[package.optional-dependencies]
http2 = [{ name = "h2" }]

[[package]]
name = "h2"
version = "4.0.0"
source = { registry = "https://pypi.org/simple" }

[[package]]
name = "numpy"
version = "1.26.0"
source = { registry = "https://pypi.org/simple" }

[[package]]
name = "numpy"
version = "2.0.0"
source = { registry = "https://pypi.org/simple" }

[[package]]
name = "fork"
version = "1.0.0"
source = { git = "https://git.example/fork.git?rev=main#0123456" }

[[package]]
name = "pytest"
version = "8.0.0"
source = { registry = "https://pypi.org/simple" }
"#,
        expect![[r#"
            pypi app 0.1.0, purl pkg:pypi/app@0.1.0?repository_url=file:., needs fork@1.0.0 httpx@0.27.0 numpy@2.0.0
            pypi httpx 0.27.0, purl pkg:pypi/httpx@0.27.0, needs h2@4.0.0
            pypi h2 4.0.0, purl pkg:pypi/h2@4.0.0
            pypi numpy 2.0.0, purl pkg:pypi/numpy@2.0.0
            pypi fork 1.0.0, purl pkg:pypi/fork@1.0.0?vcs_url=https:%2F%2Fgit.example%2Ffork.git%3Frev%3Dmain%230123456
            note in uv.lock: 2 packages left out: needed for development alone
        "#]],
    );
}

#[test]
fn uv_locks_scripts_too() {
    check(
        &PythonLock,
        "bin/tool.py.lock",
        r#"
version = 1
revision = 2
requires-python = ">=3.12"

[manifest]
requirements = [{ name = "requests", specifier = ">=2" }]

[[package]]
name = "requests"
version = "2.32.0"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "idna" }]

[[package]]
name = "idna"
version = "3.10"
source = { registry = "https://pypi.org/simple" }
"#,
        expect![[r#"
            pypi requests 2.32.0, purl pkg:pypi/requests@2.32.0, needs idna@3.10
            pypi idna 3.10, purl pkg:pypi/idna@3.10
        "#]],
    );
}

#[test]
fn pipenv_and_pylock() {
    check(
        &PythonLock,
        "Pipfile.lock",
        r#"{"_meta": {"hash": {"sha256": "x"}, "pipfile-spec": 6}, "default": {
            "requests": {"hashes": ["sha256:x"], "index": "pypi", "version": "==2.31.0"},
            "fork": {"git": "https://git.example/fork.git", "ref": "0123456"},
            "here": {"editable": true, "path": "."}, "broken": {"version": "*"}},
          "develop": {"pytest": {"version": "==8.0.0"}, "requests": {"version": "==2.31.0"}}}"#,
        expect![[r#"
            pypi requests 2.31.0, purl pkg:pypi/requests@2.31.0
            pypi fork , purl pkg:pypi/fork?vcs_url=https:%2F%2Fgit.example%2Ffork.git
            pypi here , purl pkg:pypi/here?repository_url=file:.
            gap in Pipfile.lock: broken has no version
            note in Pipfile.lock: 1 package left out: needed for development alone
        "#]],
    );
    check(
        &PythonLock,
        "pylock.toml",
        r#"
lock-version = "1.0"
created-by = "a tool"

[[packages]]
name = "attrs"
version = "25.1.0"
requires-python = ">=3.8"
wheels = [{name = "attrs-25.1.0-py3-none-any.whl", hashes = {sha256 = "x"}}]

[[packages]]
name = "cattrs"
version = "24.1.2"
dependencies = [{name = "attrs"}]

[[packages]]
name = "fork"
vcs = {type = "git", url = "https://git.example/fork.git", commit-id = "0123456"}

[[packages]]
name = "broken"
"#,
        expect![[r#"
            pypi attrs 25.1.0, purl pkg:pypi/attrs@25.1.0
            pypi cattrs 24.1.2, purl pkg:pypi/cattrs@24.1.2, needs attrs@25.1.0
            pypi fork , purl pkg:pypi/fork?vcs_url=https:%2F%2Fgit.example%2Ffork.git
            gap in pylock.toml: broken: a package without a version
        "#]],
    );
}

/// Each of many packages needs each of many of one name.
#[test]
fn many_versions_of_one_name_are_read_in_linear_time() {
    let entry = |index: usize| {
        format!("[[package]]\nname = \"a\"\nversion = \"{index}\"\ndependencies = [{{ name = \"a\" }}]\n")
    };
    let lock: String = (0..20_000).map(entry).collect();
    let start = std::time::Instant::now();
    for path in ["uv.lock", "poetry.lock", "pylock.toml"] {
        let own = "version = 1\n[[package]]\nname = \"own\"\nsource = { virtual = \".\" }\ndependencies = [{ name = \"a\" }]\n";
        let text = format!("{own}{lock}")
            .replace("[[package]]", if path == "pylock.toml" { "[[packages]]" } else { "[[package]]" });
        let text = if path == "poetry.lock" {
            text.replace("dependencies = [{ name = \"a\" }]", "dependencies = { a = \"*\" }")
        } else {
            text
        };
        let reading = read(&PythonLock, path, text.as_bytes()).unwrap();
        assert!(reading.packages.len() >= 20_000, "{path}: {}", reading.packages.len());
    }
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

proptest! {
    #[test]
    fn no_description_of_a_project_makes_it_panic(
        text in r#"(["'=:#;é\[\]{}(),+\\ \n]|"""|a==1|\[options\]\n|install_requires|tests_require){0,24}"#,
    ) {
        for path in ["pyproject.toml", "setup.cfg", "setup.py"] {
            read(&PythonLock, path, text.as_bytes());
        }
    }

    #[test]
    fn never_panics(
        contents: Vec<u8>,
        line in r"( |a|\[b\]|==|1\.0|\*|;|#|-e|@|--hash=|\\\n|\n|é|\(|\)|,){0,20}",
        toml in r#"(\[\[packages?\]\]\n|name = "[ab]"\n|version = "1"\n|dependencies = \["a", \{ name = "b" \}\]\n|source = \{ virtual = "" \}\n|groups = \[\]\n){0,12}"#,
    ) {
        for path in [
            "requirements.txt", "poetry.lock", "pdm.lock", "uv.lock", "pylock.toml", "Pipfile.lock", "pyproject.toml",
            "setup.cfg", "setup.py",
        ] {
            read(&PythonLock, path, &contents);
            read(&PythonLock, path, line.as_bytes());
            read(&PythonLock, path, toml.as_bytes());
        }
    }
}
