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
        let text = fields::text(contents);
        let is_whole =
            if file.file_name() == "mix.lock" { mix(&text, &mut listing) } else { rebar(&text, &mut listing) };
        if !is_whole {
            listing.gap("it does not begin and end as a lockfile does: packages may be missing");
        }
        listing.finish()
    }
}

/// A map, an entry a line; false if it is none.
fn mix(text: &str, listing: &mut Listing<'_>) -> bool {
    for line in text.lines().map(str::trim).filter(|line| line.starts_with('"')) {
        if mix_entry(line, listing).is_none() {
            listing.gap(format!("an entry that was not understood: {}", line.chars().take(100).collect::<String>()));
        }
    }
    text.trim_start().starts_with("%{") && text.trim_end().ends_with('}')
}

/// `"plug": {:hex, :plug, "1.14.2", …` or `"plug": {:git, "https://…", "commit", …`
fn mix_entry(line: &str, listing: &mut Listing<'_>) -> Option<()> {
    let (name, value) = line.trim_start_matches('"').split_once("\": {")?;
    let mut quoted = value.split('"').skip(1).step_by(2);
    if let Some(rest) = value.strip_prefix(":hex, :") {
        // The package may have another name than the application.
        let package = rest.split(',').next().unwrap_or(name).trim().trim_matches('"');
        let version = quoted.take(2).find(|text| text.starts_with(|first: char| first.is_ascii_digit()))?;
        listing.add(package, version, Vec::new());
        return Some(());
    }
    if value.starts_with(":path") {
        listing.leave_out("a folder of the project's own");
        return Some(());
    }
    value.strip_prefix(":git")?;
    let (url, commit) = (quoted.next()?, quoted.next()?);
    listing.add_from(Origin::Repository(&format!("git+{url}@{commit}")), name, commit, Vec::new());
    Some(())
}

/// `{<<"cowboy">>,{pkg,<<"cowboy">>,<<"2.9.0">>},0},` or `{<<"x">>,{git,"https://…",{ref,"commit"}},0}`, over several
/// lines where one would be too long; false if there is no list.
fn rebar(text: &str, listing: &mut Listing<'_>) -> bool {
    // Behind the list stand hashes, which name the packages again.
    let list = text.split("{pkg_hash").next().unwrap_or(text);
    let list: String = list.chars().filter(|character| !character.is_whitespace()).collect();
    for entry in list.split("{<<\"").skip(1) {
        if rebar_entry(entry, listing).is_none() {
            listing.gap(format!("an entry that was not understood: {}", entry.chars().take(100).collect::<String>()));
        }
    }
    // Without dependencies, and without its version before it in older files, it is empty.
    list.starts_with(['[', '{']) && (list.contains("].") || list.contains("]}."))
}

/// What follows `{<<"`.
fn rebar_entry(entry: &str, listing: &mut Listing<'_>) -> Option<()> {
    let (name, value) = entry.split_once("\">>,{")?;
    let mut quoted = value.split('"').skip(1).step_by(2);
    let (first, second) = (quoted.next()?, quoted.next()?);
    if value.starts_with("pkg,") {
        listing.add(first, second, Vec::new());
        return Some(());
    }
    // `git`, and `git_subdir` for a part of a repository.
    value.strip_prefix("git")?;
    listing.add_from(Origin::Repository(&format!("git+{first}@{second}")), name, second, Vec::new());
    Some(())
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
  "local": {:path, "../local", []},
  "own": {:git, "https://git.example/own.git", "0123abc", [branch: "main"]},
}
"#,
            expect![[r#"
                hex decimal 2.1.1, purl pkg:hex/decimal@2.1.1
                hex package_name 1.0.0-rc.1, purl pkg:hex/package_name@1.0.0-rc.1
                hex own 0123abc, purl pkg:hex/own@0123abc?vcs_url=git%2Bhttps:%2F%2Fgit.example%2Fown.git%400123abc
                note in mix.lock: 1 package left out: a folder of the project's own
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

    /// As rebar3 prints what is longer than a line.
    #[test]
    fn entries_over_several_lines_are_read_and_others_are_gaps() {
        check(
            &HexLock,
            "rebar.lock",
            r#"{"1.2.0",
[{<<"prometheus_process_collector">>,
  {pkg,<<"prometheus_process_collector">>,<<"1.6.0">>},
  0},
 {<<"cowlib">>,
  {git,"https://git.example/cowlib",
       {ref,"cc04201c1d0e1d5603cd1cde037ab729b192634c"}},
  1},
 {<<"other">>,{hg,"https://hg.example/other",{ref,"0123"}},0}]}.
"#,
            expect![[r#"
                hex prometheus_process_collector 1.6.0, purl pkg:hex/prometheus_process_collector@1.6.0
                hex cowlib cc04201c1d0e1d5603cd1cde037ab729b192634c, purl pkg:hex/cowlib@cc04201c1d0e1d5603cd1cde037ab729b192634c?vcs_url=git%2Bhttps:%2F%2Fgit.example%2Fcowlib%40cc04201c1d0e1d5603cd1cde037ab729b192634c
                gap in rebar.lock: an entry that was not understood: other">>,{hg,"https://hg.example/other",{ref,"0123"}},0}]}.
            "#]],
        );
        check(
            &HexLock,
            "mix.lock",
            "%{\n  \"a\": {:svn, \"x\"},\n}\n",
            expect![[r#"
                gap in mix.lock: an entry that was not understood: "a": {:svn, "x"},
            "#]],
        );
        for (path, contents, gaps) in
            [("mix.lock", "%{\n}\n", 0), ("rebar.lock", "[].\n", 0), ("mix.lock", "<<<", 1), ("rebar.lock", "x", 1)]
        {
            assert_eq!(read(&HexLock, path, contents.as_bytes()).unwrap().warnings.len(), gaps, "{path}: {contents}");
        }
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
