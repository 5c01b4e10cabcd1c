//! Perl distributions: what those who install them leave.
//!
//! Formats: `perllocal.pod`, to which each installation is added
//! (<https://metacpan.org/dist/ExtUtils-MakeMaker/view/lib/ExtUtils/Command/MM.pm>), `.meta/<distribution>/install.json` of
//! cpanm (<https://metacpan.org/dist/App-cpanminus>), and `.packlist`, the files of one module
//! (<https://metacpan.org/dist/ExtUtils-Install/view/lib/ExtUtils/Packlist.pm>).

use std::collections::BTreeMap;

use portcullis_filetree::FileHeader;
use portcullis_model::{OwnedPaths, PackageType, PathHash, Reading};
use serde::Deserialize;

use crate::{PackageReader, Selection, fields, limits, lockfile::Listing};

/// Reads records of installations.
pub(crate) struct Cpan;

/// The files of the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Local,
    Install,
    Packlist,
}

fn kind_of(file: &FileHeader<'_>) -> Option<Kind> {
    match file.file_name() {
        "perllocal.pod" => Some(Kind::Local),
        "install.json" => file.parent().rsplit('/').nth(1).filter(|folder| *folder == ".meta").map(|_| Kind::Install),
        ".packlist" => module_of(file.path).map(|_| Kind::Packlist),
        _ => None,
    }
}

impl PackageReader for Cpan {
    fn name(&self) -> &'static str {
        "cpan"
    }

    fn reads(&self) -> &'static str {
        "`**/perllocal.pod`, `**/.meta/*/install.json`, `**/auto/**/.packlist`"
    }

    /// A module has as many folders as its name has parts.
    fn path_parts(&self) -> usize {
        usize::MAX
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        kind_of(file).map(|_| Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let mut listing = Listing::new(PackageType::Cpan, file);
        match kind_of(file) {
            Some(Kind::Local) => local(contents, &mut listing),
            Some(Kind::Install) => install(contents, &mut listing),
            Some(Kind::Packlist) => return packlist(file, contents),
            None => {}
        }
        listing.finish()
    }
}

/// Advisories and other tools name distributions, whose names are mostly those of their first module.
fn distribution(module: &str) -> String {
    module.replace("::", "-")
}

/// `=head2 … C<Module> L<Foo::Bar|Foo::Bar>`, and further down `C<VERSION: 1.2>`: of two of a name, the later counts.
fn local(contents: &[u8], listing: &mut Listing<'_>) {
    let mut versions: BTreeMap<String, String> = BTreeMap::new();
    let mut module = None;
    for line in fields::lines(contents) {
        let line = fields::text(line);
        if line.starts_with("=head2 ") {
            let link = line.split_once("C<Module> L<").and_then(|(_, rest)| rest.split_once(['|', '>']));
            module = link.map(|(name, _)| distribution(name));
        } else if let Some(version) = line.strip_prefix("C<VERSION: ").and_then(|rest| rest.strip_suffix('>'))
            && let Some(name) = module.take()
        {
            versions.insert(name, version.to_owned());
        }
    }
    versions.iter().for_each(|(name, version)| listing.add(name, version.trim_start_matches('v'), []));
}

/// What cpanm notes: the distribution's own name and version in one, and those of the module that was asked for.
#[derive(Deserialize)]
struct Install {
    #[serde(default)]
    dist: String,
    name: String,
    #[serde(default)]
    version: serde_json::Value,
}

fn install(contents: &[u8], listing: &mut Listing<'_>) {
    match serde_json::from_slice::<Install>(contents) {
        Ok(Install { dist, name, version }) => {
            let version = match &version {
                serde_json::Value::String(version) => version.clone(),
                serde_json::Value::Number(version) => version.to_string(),
                _ => String::new(),
            };
            let named = split(&dist).map(|(name, version)| (name.to_owned(), version.to_owned()));
            let (name, version) = named.unwrap_or_else(|| (distribution(&name), version));
            let version = version.trim_start_matches('v');
            if version.is_empty() {
                listing.gap(format!("the distribution `{name}` has no version"));
            } else {
                listing.add(&name, version, []);
            }
        }
        Err(error) => listing.gap(format!("its distribution was not read: {error}")),
    }
}

/// `libwww-perl` and `6.67` of `libwww-perl-6.67`: distributions are not always called like their module.
fn split(dist: &str) -> Option<(&str, &str)> {
    let (name, version) = dist.rsplit_once('-')?;
    let is_version = version.trim_start_matches('v').starts_with(|first: char| first.is_ascii_digit());
    (is_version && !name.is_empty()).then_some((name, version))
}

/// `Foo-Bar` of `…/auto/Foo/Bar/.packlist`.
fn module_of(path: &str) -> Option<String> {
    let folder = path.strip_suffix("/.packlist")?;
    let (_, module) = folder.rsplit_once("/auto/")?;
    (!module.is_empty()).then(|| module.replace('/', "-"))
}

/// One file a line, with what else is known of it behind it.
fn packlist(file: &FileHeader<'_>, contents: &[u8]) -> Reading {
    let paths = fields::lines(contents).filter_map(|line| {
        let line = fields::text(line);
        let path = line.split(" type=").next().unwrap_or_default();
        path.starts_with('/').then(|| PathHash::of(path))
    });
    let paths: Vec<PathHash> = paths.collect();
    let owned = module_of(file.path).filter(|_| !paths.is_empty()).map(|package| OwnedPaths {
        kind: PackageType::Cpan,
        package,
        paths,
    });
    Reading { owned: owned.into_iter().collect(), ..Reading::default() }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{check, read};

    #[test]
    fn the_last_installation_of_a_module_counts() {
        check(
            &Cpan,
            "usr/local/lib/x86_64-linux-gnu/perl/5.36.0/perllocal.pod",
            "=head2 Sun Nov 29 2026: C<Module> L<JSON::XS|JSON::XS>\n\n=over 4\n\n=item *\n\nC<installed into: /usr/local>\n\n\
             =item *\n\nC<VERSION: 4.02>\n\n=back\n\n=head2 Sun: C<Module> L<JSON::XS|JSON::XS>\n\nC<VERSION: v4.03>\n\n\
             =head2 Sun: C<Module> L<Moo>\n\nC<VERSION: 2.005005>\n\n=head2 else\n\nC<VERSION: 1>\n",
            expect![[r#"
                cpan JSON-XS 4.03, purl pkg:cpan/JSON-XS@4.03
                cpan Moo 2.005005, purl pkg:cpan/Moo@2.005005
            "#]],
        );
    }

    #[test]
    fn what_cpanm_notes_is_read() {
        let path = "usr/local/lib/perl5/x86_64-linux/.meta/Moo-2.005005/install.json";
        check(
            &Cpan,
            path,
            r#"{"name":"Moo","version":"2.005005","dist":"Moo-2.005005","provides":{}}"#,
            expect![[r#"
                cpan Moo 2.005005, purl pkg:cpan/Moo@2.005005
            "#]],
        );
        for (contents, expected) in [
            (r#"{"name":"LWP","version":"6.67","dist":"libwww-perl-6.67"}"#, "libwww-perl 6.67"),
            (r#"{"name":"Foo::Bar","version":"v1.2","dist":"Foo-Bar-v1.2"}"#, "Foo-Bar 1.2"),
            (r#"{"name":"Foo::Bar","version":null,"dist":"Foo-Bar-1.2"}"#, "Foo-Bar 1.2"),
            // A trial has its number before its last dash.
            (r#"{"name":"Foo::Bar","version":"1.2","dist":"Foo-Bar-1.2-TRIAL"}"#, "Foo-Bar 1.2"),
            (r#"{"name":"Foo::Bar","version":1.5}"#, "Foo-Bar 1.5"),
        ] {
            let reading = read(&Cpan, path, contents.as_bytes()).unwrap();
            let [package] = reading.packages.as_slice() else { panic!("{contents}: {reading:?}") };
            assert_eq!(format!("{} {}", package.name, package.version), expected, "{contents}");
        }
        for version in
            ["", ",\"version\":null", ",\"version\":[1]", ",\"version\":{}", ",\"version\":\"\"", ",\"version\":true"]
        {
            let reading = read(&Cpan, path, format!(r#"{{"name":"Foo::Bar"{version}}}"#).as_bytes()).unwrap();
            let gaps: Vec<&str> = reading.warnings.iter().map(|warning| warning.message.as_str()).collect();
            assert_eq!(
                (reading.packages.len(), gaps),
                (0, vec!["the distribution `Foo-Bar` has no version"]),
                "{version}"
            );
        }
        check(
            &Cpan,
            path,
            "{}",
            expect![[r#"
                gap in usr/local/lib/perl5/x86_64-linux/.meta/Moo-2.005005/install.json: its distribution was not read: missing field `name` at line 1 column 2
            "#]],
        );
        assert!(read(&Cpan, "srv/install.json", b"{}").is_none());
    }

    #[test]
    fn lists_of_files_are_claims() {
        let path = "usr/local/lib/x86_64-linux-gnu/perl/5.36.0/auto/JSON/XS/.packlist";
        let reading = read(&Cpan, path, b"/usr/local/bin/json_xs\n/usr/local/lib/JSON/XS.so type=file\n").unwrap();
        let paths = ["usr/local/bin/json_xs", "usr/local/lib/JSON/XS.so"].map(PathHash::of).to_vec();
        assert_eq!(reading.owned, [OwnedPaths { kind: PackageType::Cpan, package: "JSON-XS".into(), paths }]);
        assert!(read(&Cpan, ".packlist", b"").is_none());
    }

    proptest! {
        #[test]
        fn nothing_panics(
            contents: Vec<u8>,
            text in "((=head2 C<Module> L<|C<VERSION: |/|\\{\"name\":\"a\",\"version\":)[a-z:|>é]{0,4}\n){0,8}",
        ) {
            for path in ["a/perllocal.pod", "a/.meta/b/install.json", "a/auto/b/.packlist"] {
                read(&Cpan, path, &contents);
                read(&Cpan, path, text.as_bytes());
            }
        }
    }
}
