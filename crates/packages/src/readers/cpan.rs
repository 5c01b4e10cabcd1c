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

/// What cpanm notes.
#[derive(Deserialize)]
struct Install {
    name: String,
    version: serde_json::Value,
}

fn install(contents: &[u8], listing: &mut Listing<'_>) {
    match serde_json::from_slice::<Install>(contents) {
        Ok(Install { name, version }) => {
            let version = version.as_str().map_or_else(|| version.to_string(), str::to_owned);
            listing.add(&distribution(&name), version.trim_start_matches('v'), []);
        }
        Err(error) => listing.gap(format!("its distribution was not read: {error}")),
    }
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
