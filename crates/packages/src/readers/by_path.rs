//! Packages whose place says what they are: Lua's rocks, OCaml's packages, Terraform's providers, Erlang's applications,
//! Python's packed eggs.
//!
//! Formats: <https://github.com/luarocks/luarocks/blob/main/docs/file_locations.md> (`rocks-5.4/NAME/VERSION/`),
//! <https://opam.ocaml.org/doc/Manual.html> (`.opam-switch/packages/NAME.VERSION/opam`),
//! <https://developer.hashicorp.com/terraform/cli/config/config-file#implied-local-mirror-directories>
//! (`HOST/NAMESPACE/NAME/VERSION/OS_ARCH/`), <https://www.erlang.org/doc/system/release_structure.html>
//! (`NAME-VERSION/ebin/NAME.app`), <https://setuptools.pypa.io/en/latest/deprecated/python_eggs.html#filename-embedded-metadata>
//! (`NAME-VERSION-pyX.Y.egg`). Nothing of the files is read, but for applications of Erlang whose folder has no version,
//! as builds of Mix leave them: <https://www.erlang.org/doc/apps/kernel/app.html>.

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Reading, Warning, lookup_name};

use crate::{
    PackageReader, Selection, StreamReader,
    complete::{language_package, language_purl},
    fields,
};

/// Names packages by their paths.
pub(crate) struct ByPath;

impl PackageReader for ByPath {
    fn name(&self) -> &'static str {
        "by-path"
    }

    fn reads(&self) -> &'static str {
        "`**/lib/luarocks/rocks*/<name>/<version>/rock_manifest`, `**/.opam-switch/packages/<name>.<version>/opam`, \
         `**/<host>/<namespace>/<name>/<version>/<platform>/terraform-provider-*`, \
         `**/<name>-<version>/ebin/<name>.app`, `**/<name>/ebin/<name>.app`, `**/<name>-<version>-py<x.y>*.egg`"
    }

    /// `NAMESPACE/NAME/VERSION/OS_ARCH/FILE`.
    fn path_parts(&self) -> usize {
        5
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        if application(file.path).is_some() {
            return Some(Selection::Whole { limit: MAX_APPLICATION });
        }
        let found = found(file.path).or_else(|| egg(file))?;
        Some(Selection::Stream(Box::new(Named { path: file.path.to_owned(), found })))
    }

    /// An application of Erlang: `{application, name, [{vsn, "1.2.3"}, …]}.` All others are taken as streams.
    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let Some(name) = application(file.path) else { return Reading::default() };
        let text = fields::text(contents);
        let version = text.split_once("{vsn").and_then(|(_, rest)| rest.trim_start().strip_prefix(','));
        let version = version.and_then(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
        match version.filter(|version| version.starts_with(|first: char| first.is_ascii_digit())) {
            Some(version) => named(file.path, PackageType::Hex, name, version),
            None => {
                let warning = Warning::note(file.path, "an application of Erlang without a version");
                Reading { warnings: vec![warning], ..Reading::default() }
            }
        }
    }
}

/// Most bytes of a file of an application, which names its modules.
const MAX_APPLICATION: usize = 1 << 20;

/// The name of an application whose folder does not tell its version, but for those of Erlang and Elixir themselves, and
/// what was built for tests.
fn application(path: &str) -> Option<&str> {
    let mut parts = path.rsplit('/');
    let name = parts.next()?.strip_suffix(".app")?;
    let (ebin, folder) = (parts.next()?, parts.next()?);
    (ebin == "ebin" && folder == name && !is_own(name) && !path.contains("_build/test/")).then_some(name)
}

/// Whether an application is part of Erlang or of Elixir.
fn is_own(name: &str) -> bool {
    ERLANGS_OWN.contains(&name) || ELIXIRS_OWN.contains(&name)
}

/// Applications that are part of Elixir.
const ELIXIRS_OWN: [&str; 6] = ["eex", "elixir", "ex_unit", "iex", "logger", "mix"];

fn named(path: &str, kind: PackageType, name: &str, version: &str) -> Reading {
    let purl = language_purl(kind, name, version);
    let package = language_package(kind, purl, (name.to_owned(), version.to_owned()), None, path);
    Reading { packages: vec![package], ..Reading::default() }
}

/// A package that a path names.
struct Found {
    kind: PackageType,
    name: String,
    version: String,
}

fn found(path: &str) -> Option<Found> {
    let mut parts = path.rsplit('/');
    let file = parts.next()?;
    let mut next = || parts.next().unwrap_or_default();
    let package = |kind, name: &str, version: &str| {
        // A rock of a repository's newest state has the version `scm-1`.
        let is_version = |first: char| first.is_ascii_digit() || first == 'v' || kind == PackageType::Luarocks;
        let is_named = !name.is_empty() && version.starts_with(is_version);
        is_named.then(|| Found { kind, name: name.to_owned(), version: version.to_owned() })
    };
    match file {
        "rock_manifest" => {
            let (version, name, tree, folder) = (next(), next(), next(), next());
            (tree.starts_with("rocks") && folder == "luarocks")
                .then(|| package(PackageType::Luarocks, name, version))
                .flatten()
        }
        "opam" => {
            let (package_folder, packages, switch) = (next(), next(), next());
            let (name, version) = package_folder.split_once('.')?;
            (packages == "packages" && switch == ".opam-switch")
                .then(|| package(PackageType::Opam, name, version))
                .flatten()
        }
        _ if file.starts_with("terraform-provider-") => {
            let (platform, version, name, namespace, host) = (next(), next(), next(), next(), next());
            (platform.contains('_') && host.contains('.'))
                .then(|| package(PackageType::Terraform, &format!("{namespace}/{name}"), version))
                .flatten()
        }
        _ => {
            let name = file.strip_suffix(".app")?;
            let (ebin, folder) = (next(), next());
            // The applications of Erlang itself have versions of their own, which no advisory of Hex speaks of.
            let is_of_erlang = path.contains("erlang/lib/") || path.contains("/erts-");
            let version = folder.strip_prefix(name)?.strip_prefix('-')?;
            (ebin == "ebin" && !is_of_erlang && !is_own(name))
                .then(|| package(PackageType::Hex, name, version))
                .flatten()
        }
    }
}

/// A packed egg of Python: its name has no hyphens but those between its parts.
fn egg(file: &FileHeader<'_>) -> Option<Found> {
    let mut parts = file.file_name().strip_suffix(".egg")?.splitn(3, '-');
    let (name, version, python) = (parts.next()?, parts.next()?, parts.next()?);
    // Of a hard link only the name is known.
    let is_packed = (file.head.is_empty() || file.head.starts_with(b"PK")) && python.starts_with("py");
    let is_named = !name.is_empty() && version.starts_with(|first: char| first.is_ascii_digit());
    let name = lookup_name("PyPI", name).into_owned();
    (is_packed && is_named).then(|| Found { kind: PackageType::Pypi, name, version: version.replace('_', "-") })
}

/// Applications of Erlang that releases carry with them: <https://www.erlang.org/doc/applications.html>.
const ERLANGS_OWN: [&str; 36] = [
    "asn1",
    "common_test",
    "compiler",
    "crypto",
    "debugger",
    "dialyzer",
    "diameter",
    "edoc",
    "eldap",
    "erl_interface",
    "erts",
    "et",
    "eunit",
    "ftp",
    "inets",
    "jinterface",
    "kernel",
    "megaco",
    "mnesia",
    "observer",
    "odbc",
    "os_mon",
    "parsetools",
    "public_key",
    "reltool",
    "runtime_tools",
    "sasl",
    "snmp",
    "ssh",
    "ssl",
    "stdlib",
    "syntax_tools",
    "tftp",
    "tools",
    "wx",
    "xmerl",
];

struct Named {
    path: String,
    found: Found,
}

impl StreamReader for Named {
    fn feed(&mut self, _: &[u8]) -> bool {
        false
    }

    fn finish(self: Box<Self>) -> Reading {
        let Found { kind, name, version } = self.found;
        named(&self.path, kind, &name, &version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{read, render};

    #[test]
    fn paths_name_packages() {
        for (path, expected) in [
            (
                "usr/local/lib/luarocks/rocks-5.4/lpeg/1.1.0-1/rock_manifest",
                "luarocks lpeg 1.1.0-1, purl pkg:luarocks/lpeg@1.1.0-1\n",
            ),
            (
                "usr/local/lib/luarocks/rocks-5.4/own/scm-1/rock_manifest",
                "luarocks own scm-1, purl pkg:luarocks/own@scm-1\n",
            ),
            ("home/opam/.opam/5.1/.opam-switch/packages/lwt.5.7.0/opam", "opam lwt 5.7.0, purl pkg:opam/lwt@5.7.0\n"),
            (
                "srv/.terraform/providers/registry.terraform.io/hashicorp/aws/4.67.0/linux_amd64/terraform-provider-aws_v4.67.0_x5",
                "terraform hashicorp/aws 4.67.0, purl pkg:terraform/hashicorp/aws@4.67.0\n",
            ),
            ("app/lib/cowboy-2.9.0/ebin/cowboy.app", "hex cowboy 2.9.0, purl pkg:hex/cowboy@2.9.0\n"),
        ] {
            assert_eq!(render(&read(&ByPath, path, b"x").unwrap()), expected);
        }
        for path in [
            "opam",
            "srv/app/lib/eunit-2.8/ebin/eunit.app",
            "srv/app/lib/logger-1.15.7/ebin/logger.app",
            "usr/lib/erlang/lib/ssh-5.0/ebin/ssh.app",
            "a/lib/x-/ebin/x.app",
            "srv/opam/x.1/opam",
            "x.app",
        ] {
            assert!(read(&ByPath, path, b"x").is_none(), "{path}");
        }
    }

    #[test]
    fn a_packed_egg_is_known_by_its_name() {
        for (path, expected) in [
            ("site-packages/monotonic-1.6-py3.10.egg", "pypi monotonic 1.6, purl pkg:pypi/monotonic@1.6\n"),
            (
                "a/Zope.Event_x-1.0_1-py2.7-linux-x86_64.egg",
                "pypi zope-event-x 1.0-1, purl pkg:pypi/zope-event-x@1.0-1\n",
            ),
        ] {
            assert_eq!(render(&read(&ByPath, path, b"PK\x03\x04").unwrap()), expected);
        }
        for (path, head) in
            [("a/x-1-py3.egg", "x"), ("a/x-1.egg", "PK"), ("a/x-one-py3.egg", "PK"), ("a/-1-py3.egg", "PK")]
        {
            assert!(read(&ByPath, path, head.as_bytes()).is_none(), "{path}");
        }
    }

    #[test]
    fn an_application_of_erlang_may_tell_its_version_itself() {
        let app = "srv/app/_build/prod/lib/cowboy/ebin/cowboy.app";
        for (text, expected) in [
            (
                "{application,cowboy,\n  [{description,\"x\"},\n  {vsn, \"2.9.0\"},{modules,[]}]}.",
                "hex cowboy 2.9.0, purl pkg:hex/cowboy@2.9.0\n".to_owned(),
            ),
            (
                "{application,cowboy,[{vsn,git}]}.",
                format!("note in {app}: an application of Erlang without a version\n"),
            ),
        ] {
            assert_eq!(render(&read(&ByPath, app, text.as_bytes()).unwrap()), expected);
        }
        for path in [
            "usr/local/lib/elixir/lib/mix/ebin/mix.app",
            "srv/_build/test/lib/mox/ebin/mox.app",
            "lib/cowboy/cowboy.app",
        ] {
            assert!(read(&ByPath, path, b"{vsn,\"1\"}").is_none(), "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_path_makes_it_panic(path in "([a-z.-]{0,6}/){0,6}(opam|rock_manifest|x.app|terraform-provider-x|é)") {
            read(&ByPath, &path, b"x");
        }

        #[test]
        fn no_bytes_make_it_panic(contents: Vec<u8>, text in r#"(\{vsn|,| |"1|"|\}){0,9}"#) {
            read(&ByPath, "x/ebin/x.app", &contents);
            read(&ByPath, "x/ebin/x.app", text.as_bytes());
        }
    }
}
