//! Go modules that a project requires: `go.mod`.
//!
//! Format: <https://go.dev/ref/mod#go-mod-file>. Since Go 1.17 the file names every module that a build needs; before, it
//! names those that the project itself asks for, and `go.sum` has to name the others. A module that is replaced by a folder keeps its name
//! and version, as in programs: they say the most.

use std::{borrow::Cow, collections::BTreeMap};

use portcullis_filetree::FileHeader;
use portcullis_model::{Completion, PackageType, Reading};

use super::go::modules::STDLIB_LICENSE;
use crate::{
    PackageReader, Scope, Selection, fields, limits,
    lockfile::{Listing, Origin, is_of_others},
};

/// Reads `go.mod`.
pub(crate) struct GoMod;

/// Most modules of one file: each replacement is looked up for each.
const MAX_MODULES: usize = 50_000;

impl PackageReader for GoMod {
    fn name(&self) -> &'static str {
        "go-mod"
    }

    fn reads(&self) -> &'static str {
        "`**/go.mod`"
    }

    fn scope(&self) -> Scope {
        Scope::Declared
    }

    /// It names the `go.sum` beside it.
    fn path_parts(&self) -> usize {
        usize::MAX
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let is_wanted = file.file_name() == "go.mod" && is_of_project(file);
        is_wanted.then_some(Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let mut listing = Listing::new(PackageType::Golang, file);
        let text = fields::text(contents);
        let mut module = Module::default();
        // The directive of the block that is open.
        let mut block = None;
        for line in text.lines() {
            let words: Vec<Cow<'_, str>> = words(line);
            let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
            match (block, words.as_slice()) {
                (_, []) => {}
                (Some(_), [")"]) => block = None,
                (Some(directive), arguments) => module.add(directive, arguments, &mut listing),
                (None, [directive, "("]) => block = Some(known(directive)),
                (None, [directive, arguments @ ..]) => module.add(known(directive), arguments, &mut listing),
            }
        }
        if block.is_some() {
            listing.gap("it ends inside a block");
        }
        let completion = module.completion(file);
        module.tell(&mut listing);
        Reading { completion: completion.map(Box::new), ..listing.finish() }
    }
}

/// Whether a file is the project's own.
pub(super) fn is_of_project(file: &FileHeader<'_>) -> bool {
    // What tests read is no module of the project: <https://pkg.go.dev/cmd/go#hdr-Package_lists_and_patterns>.
    let is_of_tests = || file.parent().split('/').any(|folder| folder == "testdata");
    !is_of_others(file.path) && !is_of_tests()
}

/// What a line says, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Directive {
    Module,
    Go,
    Toolchain,
    Require,
    Replace,
    Other,
}

fn known(word: &str) -> Directive {
    match word {
        "module" => Directive::Module,
        "go" => Directive::Go,
        "toolchain" => Directive::Toolchain,
        "require" => Directive::Require,
        "replace" => Directive::Replace,
        _ => Directive::Other,
    }
}

/// What the file says.
#[derive(Default)]
struct Module {
    is_named: bool,
    go: String,
    toolchain: String,
    /// Name and version.
    required: Vec<(String, String)>,
    /// By name and version; an empty version is any.
    replaced: BTreeMap<(String, String), (String, String)>,
}

impl Module {
    fn add(&mut self, directive: Directive, arguments: &[&str], listing: &mut Listing<'_>) {
        match (directive, arguments) {
            (Directive::Other, _) => {}
            (Directive::Module, [_]) => self.is_named = true,
            (Directive::Go, [version]) => self.go = (*version).to_owned(),
            (Directive::Toolchain, [version]) => self.toolchain = (*version).to_owned(),
            (Directive::Require | Directive::Replace, _)
                if self.required.len() + self.replaced.len() >= MAX_MODULES =>
            {
                listing.gap(format!("it names more than {MAX_MODULES} modules: the others were not read"));
            }
            (Directive::Require, [name, version]) => self.required.push(((*name).to_owned(), (*version).to_owned())),
            (Directive::Replace, [name, rest @ ..]) => {
                let (version, rest) = match rest {
                    ["=>", new @ ..] => ("", new),
                    [version, "=>", new @ ..] => (*version, new),
                    _ => return listing.gap(format!("the replacement of `{name}` was not understood")),
                };
                match rest {
                    [new, new_version] => {
                        let key = ((*name).to_owned(), version.to_owned());
                        self.replaced.insert(key, ((*new).to_owned(), (*new_version).to_owned()));
                    }
                    // A folder.
                    [_] => {}
                    _ => listing.gap(format!("the replacement of `{name}` was not understood")),
                }
            }
            _ => listing.gap("a line was not understood"),
        }
    }

    /// What the file leaves to `go.sum`.
    fn completion(&self, file: &FileHeader<'_>) -> Option<Completion> {
        let numbers = |version: &str| -> Option<(u32, u32)> {
            let mut parts = version.split('.');
            let minor = parts.nth(1)?;
            let digits = minor.find(|character: char| !character.is_ascii_digit()).unwrap_or(minor.len());
            Some((version.split('.').next()?.parse().ok()?, minor.get(..digits)?.parse().ok()?))
        };
        // Without the line it counts as 1.16: <https://go.dev/ref/mod#go-mod-file-go>.
        let is_partial = !self.required.is_empty() && numbers(&self.go).is_none_or(|version| version < (1, 17));
        is_partial.then(|| Completion::Needed {
            by: format!("{}sum", file.path.strip_suffix("mod").unwrap_or_default()),
            // What is replaced in all versions is not built.
            settled: self.replaced.keys().filter(|(_, version)| version.is_empty()).map(|(name, _)| name.clone()).collect(),
            note: "it was written for Go 1.16 or older and names no module that the required ones need: go.sum does, and \
                   may name some that no build needs"
                .to_owned(),
            gap: "it was written for Go 1.16 or older and names no module that the required ones need: those were not read, \
                  as there is no go.sum"
                .to_owned(),
        })
    }

    fn tell(self, listing: &mut Listing<'_>) {
        let Self { is_named, go: _, toolchain, required, replaced } = self;
        if !is_named {
            listing.lacks("module");
        }
        if let Some(version) = toolchain.strip_prefix("go") {
            let version = version.split('-').next().unwrap_or(version);
            let licenses = vec![STDLIB_LICENSE.to_owned()];
            listing.add_licensed(Origin::Registry, "stdlib", version, licenses, []);
        }
        for (name, version) in required {
            let of_version = replaced.get(&(name.clone(), version.clone()));
            let new = of_version.or_else(|| replaced.get(&(name.clone(), String::new())));
            let (name, version) = new.unwrap_or(&(name, version)).clone();
            listing.add(&name, &version, []);
        }
    }
}

/// The words of a line, without its comment. A word may be quoted.
fn words(line: &str) -> Vec<Cow<'_, str>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    // No line that is understood has more.
    while !rest.is_empty() && !rest.starts_with("//") && words.len() < 8 {
        let quote = rest.chars().next().filter(|character| matches!(character, '"' | '`'));
        let (word, after) = match quote {
            Some(quote) => {
                let inner = rest.get(1..).unwrap_or_default();
                let (word, after) = inner.split_once(quote).unwrap_or((inner, ""));
                (Cow::Borrowed(word), after)
            }
            None => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                // `require(` opens a block, too.
                match word.strip_suffix('(').filter(|before| !before.is_empty()) {
                    Some(before) => {
                        words.push(Cow::Borrowed(before));
                        (Cow::Borrowed("("), after)
                    }
                    None => (Cow::Borrowed(word), after),
                }
            }
        };
        words.push(word);
        rest = after.trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{check, read};

    #[test]
    fn requirements_replacements_and_the_toolchain_are_read() {
        check(
            &GoMod,
            "app/go.mod",
            "module example.com/app // the app\n\ngo 1.22.0\n\ntoolchain go1.22.3\n\nrequire github.com/a/b/v2 v2.0.1\n\
             require (\n\tgithub.com/c/d v1.0.0 // indirect\n\t\"golang.org/x/net\" v0.17.0\n\tlocal/e v0.1.0\n\
             \tgithub.com/f/g v1.2.0\n)\n\nreplace (\n\tgithub.com/c/d => github.com/fork/d v1.0.1\n)\n\
             replace local/e => ../e\nreplace github.com/f/g v1.1.0 => github.com/f/g v1.1.1\n\
             exclude github.com/x/y v1.0.0\nretract [v1.0.0, v1.1.0] // broken\ntool golang.org/x/tools/cmd/stringer\n",
            expect![[r#"
                golang stdlib 1.22.3, under BSD-3-Clause, purl pkg:golang/stdlib@1.22.3
                golang github.com/a/b/v2 v2.0.1, purl pkg:golang/github.com/a/b/v2@v2.0.1
                golang github.com/fork/d v1.0.1, purl pkg:golang/github.com/fork/d@v1.0.1
                golang golang.org/x/net v0.17.0, purl pkg:golang/golang.org/x/net@v0.17.0
                golang local/e v0.1.0, purl pkg:golang/local/e@v0.1.0
                golang github.com/f/g v1.2.0, purl pkg:golang/github.com/f/g@v1.2.0
            "#]],
        );
    }

    #[test]
    fn older_files_do_not_name_all() {
        check(
            &GoMod,
            "go.mod",
            "module a\ngo 1.16\nrequire(\n  b/c v1.0.0\n)\n",
            expect![[r#"
                golang b/c v1.0.0, purl pkg:golang/b/c@v1.0.0
            "#]],
        );
        let needs = |text: &str| match read(&GoMod, "app/go.mod", text.as_bytes()).unwrap().completion.as_deref() {
            Some(Completion::Needed { by, settled, .. }) => format!("{by} {settled:?}"),
            _ => String::new(),
        };
        assert_eq!(needs("module a\ngo 1.16\nrequire b/c v1.0.0\nreplace b/d => ./d\n"), "app/go.sum []");
        assert_eq!(needs("module a\nrequire b/c v1.0.0\nreplace b/d => e/d v1.0.0\n"), "app/go.sum [\"b/d\"]");
        assert_eq!(needs("module a\ngo 1.17\nrequire b/c v1.0.0\n"), "");
        assert_eq!(needs("module a\ngo 1.9\n"), "");
        check(&GoMod, "go.mod", "module a\n", expect![[""]]);
    }

    #[test]
    fn what_is_not_understood_is_a_gap() {
        check(
            &GoMod,
            "go.mod",
            "go 1.21\nrequire a\nreplace b c\nrequire (\n",
            expect![[r#"
                gap in go.mod: a line was not understood
                gap in go.mod: the replacement of `b` was not understood
                gap in go.mod: it ends inside a block
                gap in go.mod: its packages were not read: `module` is missing
            "#]],
        );
    }

    #[test]
    fn modules_of_others_are_theirs() {
        for path in ["root/go/pkg/mod/a@v1/go.mod", "app/vendor/a/go.mod", "app/x/testdata/go.mod", "go.mod.orig"] {
            assert!(read(&GoMod, path, b"module a\n").is_none(), "{path}");
        }
    }

    /// The modules of this machine's store, where Go is installed.
    #[test]
    fn real_files_are_understood() {
        let Ok(library) = std::fs::read("/usr/local/go/src/go.mod") else {
            println!("skipped: Go is not there");
            return;
        };
        let reading = read(&GoMod, "src/go.mod", &library).unwrap();
        assert!(reading.packages.iter().any(|package| package.name == "golang.org/x/net"), "{reading:?}");
        assert_eq!(reading.warnings, []);
    }

    proptest! {
        #[test]
        fn nothing_panics(
            contents: Vec<u8>,
            text in "((module|go|require|replace|toolchain|=>|\\(|\\)|//|\"|`|v1|a/b|é)[ \n]{0,2}){0,20}",
        ) {
            read(&GoMod, "go.mod", &contents);
            read(&GoMod, "go.mod", text.as_bytes());
        }
    }
}
