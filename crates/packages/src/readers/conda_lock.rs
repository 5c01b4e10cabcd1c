//! Packages of Conda that a project asks for or has locked: `environment.yml`, `conda-lock.yml` and `pixi.lock`.
//!
//! Formats: <https://docs.conda.io/projects/conda/en/stable/user-guide/tasks/manage-environments.html>,
//! <https://conda.github.io/conda-lock/output/>, <https://pixi.sh/latest/workspace/lock_file/>. All of them name Python
//! packages beside Conda's.

use std::collections::HashMap;

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Reading};

use super::python_lock::{self, requirements};
use crate::{
    PackageReader, Scope, Selection, fields, limits,
    lockfile::{Listing, Origin, is_archive, is_of_others, reasons},
    tree::{self, Node},
};

/// Reads them.
pub(crate) struct CondaLock;

/// How one kind of file is read.
type Parse = fn(Listing<'_>, Listing<'_>, &Node) -> Vec<Reading>;

fn parser(name: &str) -> Option<Parse> {
    let stem = name.strip_suffix(".yml").or_else(|| name.strip_suffix(".yaml"));
    match stem {
        _ if name == "pixi.lock" => Some(pixi),
        Some(stem) if stem == "conda-lock" || stem.ends_with(".conda-lock") => Some(conda_lock),
        Some(stem) if is_environment(stem) => Some(environment),
        _ => None,
    }
}

/// `environment`, `environment-dev`, `dev-environment`.
fn is_environment(stem: &str) -> bool {
    let is_end = |rest: &str, separators: &[char]| rest.is_empty() || rest.starts_with(separators);
    stem.strip_prefix("environment").is_some_and(|rest| is_end(rest, &['-', '_', '.']))
        || stem.strip_suffix("environment").is_some_and(|rest| rest.ends_with(['-', '_', '.']))
}

/// Whether a file is a template of something else.
fn is_template(name: &str, text: &str) -> bool {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    is_environment(stem) && text.contains("{{") && !text.contains("dependencies")
}

impl PackageReader for CondaLock {
    fn name(&self) -> &'static str {
        "conda-lock"
    }

    fn reads(&self) -> &'static str {
        "`**/environment*.yml`, `**/*-environment.yml`, `**/conda-lock.yml`, `**/*.conda-lock.yml`, each also as `.yaml`, \
         and `**/pixi.lock`"
    }

    fn scope(&self) -> Scope {
        Scope::Declared
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        parser(file.file_name()).filter(|_| !is_of_others(file.path))?;
        Some(Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let Some(parse) = parser(file.file_name()) else { return Reading::default() };
        let Some(text) = fields::decode(contents) else { return Listing::unreadable(file, "it is not text") };
        let document = match tree::yaml(text.as_bytes()) {
            Ok(document) => document,
            // Others call files `environment.yml`, too: templates of Helm's are no YAML.
            Err(_) if is_template(file.file_name(), &text) => return Reading::default(),
            Err(why) => return Listing::unreadable(file, why),
        };
        let listings = (Listing::new(PackageType::Conda, file), Listing::new(PackageType::Pypi, file));
        let mut whole = Reading::default();
        for mut reading in parse(listings.0, listings.1, &document) {
            whole.packages.append(&mut reading.packages);
            whole.warnings.append(&mut reading.warnings);
        }
        whole
    }
}

/// `dependencies`: `name=1.2.3=build`, and lists of what other programs install, of which pip's alone is known.
fn environment(mut conda: Listing<'_>, mut pip: Listing<'_>, document: &Node) -> Vec<Reading> {
    let mut unpinned = 0_usize;
    for dependency in document.get("dependencies").items() {
        match dependency {
            Node::Text(spec) => match exact(spec) {
                Some((name, version)) => conda.add(&name, version, Vec::new()),
                None => unpinned += usize::from(!spec.is_empty()),
            },
            Node::Map(installers) => installers.iter().for_each(|(name, wanted)| installed(&mut pip, name, wanted)),
            Node::Nothing => {}
            Node::Flag(_) | Node::List(_) => conda.gap("an entry that names no package"),
        }
    }
    if unpinned > 0 {
        let packages = if unpinned == 1 { "1 package".to_owned() } else { format!("{unpinned} packages") };
        conda.note(format!("{packages} of Conda without an exact version: which one is meant is not known"));
    }
    vec![conda.finish(), pip.finish()]
}

/// `pip: [requests==2.31.0]`; a text alone is read as a list of it.
fn installed(pip: &mut Listing<'_>, installer: &str, wanted: &Node) {
    let is_known = match wanted {
        Node::Text(_) | Node::Nothing => true,
        Node::List(items) => items.iter().all(|item| matches!(item, Node::Text(_) | Node::Nothing)),
        Node::Flag(_) | Node::Map(_) => false,
    };
    if installer != "pip" || !is_known {
        pip.gap(format!("what `{installer}` installs was not read"));
    }
    let lines: Vec<&str> = wanted.texts().chain(wanted.text()).filter(|_| installer == "pip").collect();
    if !lines.is_empty()
        && let Err(why) = requirements::read(pip, lines.join("\n").as_bytes())
    {
        pip.gap(why);
    }
}

/// Name and version, where the version is one alone: `name==1.2`, `name=1.2.3`, `name=1.2=build`, `channel::name …`.
/// `name=1.2` means whatever begins so.
fn exact(spec: &str) -> Option<(String, &str)> {
    let spec = spec.rsplit_once("::").map_or(spec, |(_, spec)| spec).trim();
    let spec = spec.split('[').next().unwrap_or(spec).trim();
    let end = spec.find([' ', '=', '<', '>', '!', '~'])?;
    let (name, rest) = spec.split_at_checked(end)?;
    let rest = rest.trim();
    let (version, is_exact) = match rest.strip_prefix("==") {
        Some(version) => (version.trim(), true),
        None => {
            let rest = rest.strip_prefix('=').unwrap_or(rest).trim();
            match rest.split_once(['=', ' ']) {
                Some((version, build)) => (version, !build.is_empty() && !build.contains('*')),
                None => (rest, rest.split('.').count() > 2),
            }
        }
    };
    let is_version = version.starts_with(|first: char| first.is_ascii_alphanumeric())
        && !version.contains(['*', ',', '|', '<', '>', '=', '!', '~', ' ']);
    (is_exact && is_version && !name.is_empty()).then(|| (name.to_ascii_lowercase(), version))
}

/// `package`: each for one platform.
fn conda_lock(mut conda: Listing<'_>, mut pip: Listing<'_>, document: &Node) -> Vec<Reading> {
    if !matches!(document.get("package"), Node::List(_)) {
        conda.lacks("package");
    }
    let mut names = HashMap::new();
    for package in document.get("package").items() {
        if let (Some(name), Some(version)) = (package.text_of("name"), package.text_of("version")) {
            names.insert((name, package.text_of("platform").unwrap_or_default()), version);
        }
    }
    for package in document.get("package").items() {
        let (Some(name), Some(version)) = (package.text_of("name"), package.text_of("version")) else {
            conda.gap("a package has no name or no version");
            continue;
        };
        // Only what is for development alone has a category of that name.
        if matches!(package.text_of("category"), Some("dev")) {
            conda.leave_out(reasons::DEVELOPMENT);
            continue;
        }
        let platform = package.text_of("platform").unwrap_or_default();
        let needs = package.get("dependencies").keys();
        let needs = needs.filter_map(|needed| Some(format!("{needed}@{}", names.get(&(needed, platform))?)));
        match package.text_of("manager") {
            Some("pip") => pip.add(&python_lock::normal(name), version, needs),
            _ => conda.add(name, version, needs),
        }
    }
    vec![conda.finish(), pip.finish()]
}

/// `packages`: each of Conda or PyPI, in the forms of several versions of the file.
fn pixi(mut conda: Listing<'_>, mut pip: Listing<'_>, document: &Node) -> Vec<Reading> {
    if !matches!(document.get("packages"), Node::List(_)) {
        conda.lacks("packages");
    }
    for package in document.get("packages").items() {
        // `conda: <place>`; up to version 5 `kind: conda`, and `url` or `path`.
        let kind = package.text_of("kind");
        let old = || package.text_of("url").or_else(|| package.text_of("path"));
        let place = |form: &str| package.text_of(form).or_else(|| old().filter(|_| kind == Some(form)));
        let (name, version) = (package.text_of("name"), package.text_of("version"));
        if let Some(place) = place("conda") {
            let (name, version) = match name.zip(version).or_else(|| of_file(place)) {
                Some((name, version)) => (Some(name), Some(version)),
                None => (name, version),
            };
            of_pixi(&mut conda, pixi_origin(place), name, version);
        } else if let Some((name, place)) = package.text_of("conda_source").and_then(source) {
            of_pixi(&mut conda, pixi_origin(place), Some(name), version);
        } else if let Some(place) = place("pypi") {
            of_pixi(&mut pip, pixi_origin(place), name.map(python_lock::normal).as_deref(), version);
        } else {
            conda.gap("a package that is neither Conda's nor PyPI's");
        }
    }
    vec![conda.finish(), pip.finish()]
}

fn of_pixi(listing: &mut Listing<'_>, origin: Origin<'_>, name: Option<&str>, version: Option<&str>) {
    match (origin, name, version) {
        (_, Some(name), Some(version)) => listing.add_from(origin, name, version, []),
        // What is built from a tree may get its version then: a project's own folder needs none.
        (Origin::Local(path), _, None) if !is_archive(path) => {}
        (Origin::Repository(_), Some(name), None) => listing.add_from(origin, name, "", []),
        _ => listing.gap("a package has no name or no version"),
    }
}

/// What the place of a package says of where it comes from; that of an index's or a channel's is an address.
fn pixi_origin(place: &str) -> Origin<'_> {
    match place.strip_prefix("file:") {
        Some(path) => Origin::Local(path.strip_prefix("//").unwrap_or(path)),
        None if place.starts_with("git+") => Origin::Repository(place),
        None if place.contains("://") => Origin::Registry,
        None => Origin::Local(place),
    }
}

/// `name[1a2b3c4d] @ place`, of what is built from its source.
fn source(identifier: &str) -> Option<(&str, &str)> {
    let (name, rest) = identifier.split_once('[')?;
    let (_, place) = rest.split_once(']')?;
    Some((name, place.trim_start().strip_prefix('@')?.trim_start()))
}

/// `…/name-1.2.3-build.conda`
fn of_file(address: &str) -> Option<(&str, &str)> {
    let file = address.rsplit('/').next()?;
    let stem = file.strip_suffix(".conda").or_else(|| file.strip_suffix(".tar.bz2"))?;
    let (rest, _) = stem.rsplit_once('-')?;
    rest.rsplit_once('-').filter(|(name, version)| !name.is_empty() && !version.is_empty())
}

#[cfg(test)]
mod tests {
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
}
