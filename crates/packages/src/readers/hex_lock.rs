//! Elixir and Erlang packages that a project has locked: `mix.lock` and `rebar.lock`.
//!
//! Formats: <https://hexdocs.pm/mix/Mix.Tasks.Deps.html> and <https://rebar3.org/docs/configuration/dependencies/>. Both
//! are terms of their language, written by a program: one entry a line.

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Reading};

use crate::{
    PackageReader, Scope, Selection, fields, limits,
    lockfile::{Listing, Origin, is_of_others},
};

/// Reads `mix.lock` and `rebar.lock`.
pub(crate) struct HexLock;

impl PackageReader for HexLock {
    fn name(&self) -> &'static str {
        "hex-lock"
    }

    fn reads(&self) -> &'static str {
        "`**/mix.lock`, `**/rebar.lock`"
    }

    fn scope(&self) -> Scope {
        Scope::Declared
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let is_wanted = matches!(file.file_name(), "mix.lock" | "rebar.lock") && !is_of_others(file.path);
        is_wanted.then_some(Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let mut listing = Listing::new(PackageType::Hex, file);
        for line in fields::lines(contents) {
            let line = fields::text(line);
            let line = line.trim();
            if line.starts_with('"') {
                mix(line, &mut listing);
            } else {
                rebar(line, &mut listing);
            }
        }
        listing.finish()
    }
}

/// `"plug": {:hex, :plug, "1.14.2", …` or `"plug": {:git, "https://…", "commit", …`
fn mix(line: &str, listing: &mut Listing<'_>) {
    let Some((name, value)) = line.trim_start_matches('"').split_once("\": {") else { return };
    let quoted: Vec<&str> = value.split('"').skip(1).step_by(2).take(2).collect();
    if let Some(rest) = value.strip_prefix(":hex, :") {
        // The package may have another name than the application.
        let package = rest.split(',').next().unwrap_or(name).trim().trim_matches('"');
        match quoted.iter().find(|text| text.starts_with(|first: char| first.is_ascii_digit())) {
            Some(version) => listing.add(package, version, Vec::new()),
            None => listing.gap(format!("`{name}` has no version")),
        }
    } else if let (true, [url, commit]) = (value.starts_with(":git"), quoted.as_slice()) {
        listing.add_from(Origin::Repository(&format!("git+{url}@{commit}")), name, commit, Vec::new());
    }
}

/// `{<<"cowboy">>,{pkg,<<"cowboy">>,<<"2.9.0">>},0},` or `{<<"x">>,{git,"https://…",{ref,"commit"}},0}`
fn rebar(line: &str, listing: &mut Listing<'_>) {
    let line = line.trim_start_matches(['[', '{', ' ']);
    let quoted: Vec<&str> = line.split('"').skip(1).step_by(2).take(3).collect();
    match quoted.as_slice() {
        [_, package, version] if line.contains("{pkg,") => listing.add(package, version, Vec::new()),
        [name, url, commit] if line.contains("{git,") => {
            listing.add_from(Origin::Repository(&format!("git+{url}@{commit}")), name, commit, Vec::new());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::testing::{check, read};

    #[test]
    fn both_files_list_packages() {
        check(
            &HexLock,
            "mix.lock",
            r#"%{
  "decimal": {:hex, :decimal, "2.1.1", "5611dca5", [:mix], [], "hexpm", "53cfe5f4"},
  "app_name": {:hex, :"package_name", "1.0.0-rc.1", "ab", [:mix], [{:decimal, "~> 2.0", [hex: :decimal]}], "hexpm", "ab"},
  "own": {:git, "https://git.example/own.git", "0123abc", [branch: "main"]},
}
"#,
            expect![[r#"
                hex decimal 2.1.1, purl pkg:hex/decimal@2.1.1
                hex package_name 1.0.0-rc.1, purl pkg:hex/package_name@1.0.0-rc.1
                hex own 0123abc, purl pkg:hex/own@0123abc?vcs_url=git%2Bhttps:%2F%2Fgit.example%2Fown.git%400123abc
            "#]],
        );
        check(
            &HexLock,
            "app/rebar.lock",
            r#"{"1.2.0",
[{<<"cowboy">>,{pkg,<<"cowboy">>,<<"2.9.0">>},0},
 {<<"own">>,{git,"https://git.example/own.git",{ref,"0123abc"}},0}]}.
[
{pkg_hash,[
 {<<"cowboy">>, <<"865DD8B6607E14CF03282E10E934023A1BD8BE6F6BACF921A7E2A96D800CD452">>}]}
].
"#,
            expect![[r#"
                hex cowboy 2.9.0, purl pkg:hex/cowboy@2.9.0
                hex own 0123abc, purl pkg:hex/own@0123abc?vcs_url=git%2Bhttps:%2F%2Fgit.example%2Fown.git%400123abc
            "#]],
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(contents: Vec<u8>, text in "[\"{}:a,<>. 1\n]{0,60}") {
            read(&HexLock, "mix.lock", &contents);
            read(&HexLock, "mix.lock", text.as_bytes());
            read(&HexLock, "rebar.lock", text.as_bytes());
        }
    }
}
