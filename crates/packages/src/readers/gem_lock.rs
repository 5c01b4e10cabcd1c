//! Ruby gems that a project has locked: `Gemfile.lock` and `gems.locked`.
//!
//! Format: <https://bundler.io/guides/gemfile.html>, as written by
//! <https://github.com/ruby/rubygems/blob/bundler-v2.6.9/lib/bundler/lockfile_generator.rb>. The file does not say which
//! group needs a gem: all are listed.

use std::collections::HashMap;

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Reading};

use crate::{
    PackageReader, Scope, Selection, fields, limits,
    lockfile::{Listing, Origin, is_of_others},
};

/// Reads `Gemfile.lock`.
pub(crate) struct GemLock;

impl PackageReader for GemLock {
    fn name(&self) -> &'static str {
        "gem-lock"
    }

    fn reads(&self) -> &'static str {
        "`**/Gemfile.lock`, `**/gems.locked`"
    }

    fn scope(&self) -> Scope {
        Scope::Declared
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let is_wanted = matches!(file.file_name(), "Gemfile.lock" | "gems.locked") && !is_of_others(file.path);
        is_wanted.then_some(Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let text = fields::text(contents);
        let mut listing = Listing::new(PackageType::Gem, file);
        let gems = gems(&text);
        // Of several platforms' builds of a gem, one version.
        let versions: HashMap<&str, &str> = gems.iter().map(|gem| (gem.name, gem.version)).collect();
        for gem in &gems {
            if gem.version.is_empty() {
                listing.gap(format!("{} has no version", gem.name));
                continue;
            }
            let needs = gem.needs.iter().filter_map(|name| Some(format!("{name}@{}", versions.get(name)?)));
            listing.add_from(gem.origin, gem.name, gem.version, needs);
        }
        if gems.is_empty() && !text.contains("GEM") && !text.contains("DEPENDENCIES") {
            listing.gap("its packages were not read: it has none of a lockfile's sections");
        }
        listing.finish()
    }
}

/// A gem of the file.
struct Locked<'a> {
    origin: Origin<'a>,
    name: &'a str,
    version: &'a str,
    needs: Vec<&'a str>,
}

/// The gems, by how far a line is indented: sections at 0, their fields at 2, gems at 4, what those need at 6.
fn gems(text: &str) -> Vec<Locked<'_>> {
    let mut gems: Vec<Locked<'_>> = Vec::new();
    let (mut section, mut remote, mut is_in_specs) = ("", "", false);
    for line in text.lines() {
        let trimmed = line.trim_start();
        match line.len() - trimmed.len() {
            _ if trimmed.is_empty() => {}
            0 => (section, remote, is_in_specs) = (trimmed.trim_end(), "", false),
            2 => {
                remote = trimmed.strip_prefix("remote: ").unwrap_or(remote);
                is_in_specs = trimmed.trim_end() == "specs:";
            }
            4 if is_in_specs => {
                let origin = match section {
                    "GIT" => Origin::Repository(remote),
                    "PATH" => Origin::Local(remote),
                    // A plugin of Bundler is installed as gems are.
                    _ => Origin::Registry,
                };
                let gem = trimmed.trim_end();
                let (name, version) = gem.strip_suffix(')').and_then(|gem| gem.split_once(" (")).unwrap_or((gem, ""));
                // `1.13.0-x86_64-linux` is a build for one platform.
                let version = version.split('-').next().unwrap_or(version);
                gems.push(Locked { origin, name, version, needs: Vec::new() });
            }
            6 if is_in_specs => {
                if let Some(gem) = gems.last_mut() {
                    gem.needs.extend(trimmed.split_whitespace().next().map(|name| name.trim_end_matches('!')));
                }
            }
            _ => {}
        }
    }
    gems
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{check, read};

    #[test]
    fn sources_platforms_and_needs() {
        check(
            &GemLock,
            "Gemfile.lock",
            "GIT
  remote: https://git.example/fork.git
  revision: 0123456789abcdef
  branch: main
  specs:
    fork (0.1.0)
      rack (>= 2)

PATH
  remote: engines/mine
  specs:
    mine (1.0.0)

GEM
  remote: https://rubygems.org/
  specs:
    nokogiri (1.13.0)
      mini_portile2 (~> 2.7.0)
      racc (~> 1.4)
    nokogiri (1.13.0-x86_64-linux)
      racc (~> 1.4)
    racc (1.6.0)
    rack (2.2.4)

PLATFORMS
  ruby
  x86_64-linux

DEPENDENCIES
  fork!
  nokogiri (~> 1.13)

BUNDLED WITH
   2.3.5
",
            expect![[r#"
                gem fork 0.1.0, purl pkg:gem/fork@0.1.0?vcs_url=https:%2F%2Fgit.example%2Ffork.git, needs rack@2.2.4
                gem mine 1.0.0, purl pkg:gem/mine@1.0.0?repository_url=file:engines%2Fmine
                gem nokogiri 1.13.0, purl pkg:gem/nokogiri@1.13.0, needs racc@1.6.0
                gem racc 1.6.0, purl pkg:gem/racc@1.6.0
                gem rack 2.2.4, purl pkg:gem/rack@2.2.4
            "#]],
        );
        check(
            &GemLock,
            "gems.locked",
            "GEM\n  specs:\n    rack\n",
            expect![[r#"
            gap in gems.locked: rack has no version
        "#]],
        );
        check(&GemLock, "gems.locked", "GEM\n  remote: https://rubygems.org/\n  specs:\n", expect![""]);
        check(
            &GemLock,
            "gems.locked",
            "nothing of it\n",
            expect![[r#"
            gap in gems.locked: its packages were not read: it has none of a lockfile's sections
        "#]],
        );
        assert!(read(&GemLock, "usr/lib/ruby/gems/3.1.0/gems/a-1/Gemfile.lock", b"").is_none());
    }

    proptest! {
        #[test]
        fn never_panics(
            contents: Vec<u8>,
            text in r"(GEM\n|GIT\n|  specs:\n|  remote: x\n| {4}a|\(| \(1-x\)\n| {6}b!?|é|\)|\n| ){0,30}",
        ) {
            read(&GemLock, "Gemfile.lock", &contents);
            read(&GemLock, "Gemfile.lock", text.as_bytes());
        }
    }
}
