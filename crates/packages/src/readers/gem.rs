//! Ruby gems that are installed: the specification that RubyGems keeps of each.
//!
//! Format: <https://guides.rubygems.org/specification-reference/>: a program in Ruby, which is not run. RubyGems writes
//! it in one shape, with the identity in a comment:
//! <https://github.com/ruby/rubygems/blob/v3.6.9/lib/rubygems/stub_specification.rb>.

use portcullis_filetree::FileHeader;
use portcullis_model::{Package, PackageType, Reading, Warning};

use crate::{
    PackageReader, Selection,
    complete::{language_package, language_purl},
    fields,
};

/// Reads `specifications/*.gemspec`.
pub(crate) struct Gem;

/// A real one has a few kilobytes.
const LIMIT: usize = 4 << 20;

/// Most licences and needs taken of one gem.
const MAX_LISTED: usize = 1000;

impl PackageReader for Gem {
    fn name(&self) -> &'static str {
        "gem"
    }

    fn reads(&self) -> &'static str {
        "`**/specifications/*.gemspec`, `**/specifications/default/*.gemspec`"
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let folder = file.path.strip_suffix(".gemspec").and(Some(file.parent()))?;
        let folder = folder.strip_suffix("/default").unwrap_or(folder);
        let is_wanted = folder == "specifications" || folder.ends_with("/specifications");
        is_wanted.then_some(Selection::Whole { limit: LIMIT })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let text = fields::text(contents);
        let (mut name, mut version, mut platform) = (None, None, None);
        let mut licenses = Vec::new();
        let mut depends_on: Vec<String> = Vec::new();
        for line in text.lines().map(str::trim) {
            // A second such line names extensions.
            if let Some(stub) = line.strip_prefix("# stub: ").filter(|_| name.is_none()) {
                let mut words = stub.split(' ').map(|word| Some(word.to_owned()));
                (name, version, platform) = (words.next().flatten(), words.next().flatten(), words.next().flatten());
                continue;
            }
            let Some((_, field)) = line.split_once('.').filter(|(variable, _)| is_word(variable)) else { continue };
            match field.split(|character: char| !character.is_ascii_alphanumeric() && character != '_').next() {
                Some("name") => name = name.or_else(|| strings(field).next().map(str::to_owned)),
                Some("version") => version = version.or_else(|| strings(field).next().map(str::to_owned)),
                Some("license" | "licenses") => licenses.extend(strings(field).take(MAX_LISTED).map(str::to_owned)),
                Some("add_runtime_dependency" | "add_dependency") if depends_on.len() < MAX_LISTED => {
                    depends_on.extend(strings(field).next().map(str::to_owned));
                }
                _ => {}
            }
        }
        let is_number = version.as_ref().is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()));
        let (Some(name), Some(version), true) = (name, version, is_number) else {
            let warning = Warning::gap(file.path, "the specification of a gem has no name or no version");
            return Reading { warnings: vec![warning], ..Reading::default() };
        };
        let platform = platform.filter(|platform| platform != "ruby").unwrap_or_default();
        let purl = language_purl(PackageType::Gem, &name, &version).qualifier("platform", &platform);
        depends_on.sort();
        depends_on.dedup();
        let package = language_package(PackageType::Gem, purl, (name, version), None, file.path);
        Reading { packages: vec![Package { licenses, depends_on, ..package }], ..Reading::default() }
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The strings of a line, in the three ways that specifications write them: `"a"`, `'a'`, `%q<a>`.
fn strings(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let at = rest.find(['"', '\'', '%'])?;
        let (_, from) = rest.split_at_checked(at)?;
        let (open, close) = match from.get(..1)? {
            "%" if from.starts_with("%q<") => (3, '>'),
            "%" => return None,
            "'" => (1, '\''),
            _ => (1, '"'),
        };
        let inner = from.get(open..)?;
        let end = inner.find(close)?;
        rest = inner.get(end + 1..)?;
        inner.get(..end)
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{check, read};

    #[test]
    fn the_shape_that_rubygems_writes() {
        check(
            &Gem,
            "usr/lib/ruby/gems/3.1.0/specifications/nokogiri-1.13.0-x86_64-linux.gemspec",
            r#"# -*- encoding: utf-8 -*-
# stub: nokogiri 1.13.0 x86_64-linux lib

Gem::Specification.new do |s|
  s.name = "nokogiri".freeze
  s.version = "1.13.0"
  s.platform = "x86_64-linux".freeze

  s.required_rubygems_version = Gem::Requirement.new(">= 0".freeze) if s.respond_to? :required_rubygems_version=
  s.licenses = ["MIT".freeze, 'Ruby']
  s.rubygems_version = "3.3.5".freeze

  if s.respond_to? :specification_version then
    s.specification_version = 4
  end

  if s.respond_to? :add_runtime_dependency then
    s.add_runtime_dependency(%q<racc>.freeze, ["~> 1.4"])
    s.add_development_dependency(%q<rake>.freeze, ["~> 13.0"])
  else
    s.add_dependency(%q<racc>.freeze, ["~> 1.4"])
  end
end
"#,
            expect![[r#"
                gem nokogiri 1.13.0, under MIT | Ruby, purl pkg:gem/nokogiri@1.13.0?platform=x86_64-linux, needs racc
            "#]],
        );
    }

    #[test]
    fn a_specification_without_the_comment() {
        check(
            &Gem,
            "specifications/default/json-2.6.1.gemspec",
            "Gem::Specification.new do |spec|\n  spec.name = 'json'\n  spec.version = \"2.6.1\"\n  spec.summary = \"x.name = y\"\nend\n",
            expect![[r#"
                gem json 2.6.1, purl pkg:gem/json@2.6.1
            "#]],
        );
        check(
            &Gem,
            "specifications/x.gemspec",
            "Gem::Specification.new do |s|\n  s.name = 'x'\n  s.version = X::VERSION\nend\n",
            expect![[r#"
                gap in specifications/x.gemspec: the specification of a gem has no name or no version
            "#]],
        );
        for path in ["x.gemspec", "gems/x-1/x.gemspec", "specifications/x.rb", "my_specifications/x.gemspec"] {
            assert!(read(&Gem, path, b"").is_none(), "{path}");
        }
    }

    /// Ruby's own default gems, where Ruby is installed, against what it says of them.
    #[test]
    fn real_gems_are_read_as_rubygems_reads_them() {
        let program = "Gem::Specification.each { |s| puts [s.loaded_from, s.name, s.version].join(' ') }";
        let output = match std::process::Command::new("ruby").args(["-e", program]).output() {
            Ok(output) if output.status.success() => String::from_utf8(output.stdout).unwrap(),
            _ => {
                println!("skipped: ruby is not there");
                return;
            }
        };
        for line in output.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let Ok(contents) = std::fs::read(words[0]) else { continue };
            let reading = read(&Gem, words[0].trim_start_matches('/'), &contents).unwrap();
            let found: Vec<&str> = reading.packages.iter().flat_map(|p| [&*p.name, &*p.version]).collect();
            assert_eq!(found, words[1..], "{line}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(
            contents: Vec<u8>,
            text in r#"(s\.|# stub: |name|version|=|"|'|%q<|>|add_dependency|licenses| |é|\n|1){0,30}"#,
        ) {
            let header = FileHeader { path: "specifications/a.gemspec", size: 0, mode: 0, head: b"" };
            let _reading = Gem.read(&header, &contents);
            let _reading = Gem.read(&header, text.as_bytes());
        }
    }
}
