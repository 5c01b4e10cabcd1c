//! Providers that Terraform or OpenTofu has locked: `.terraform.lock.hcl`.
//!
//! Format: <https://developer.hashicorp.com/terraform/language/files/dependency-lock>: a block for each provider, written by
//! a program: one attribute a line.

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Reading};

use crate::{
    PackageReader, Scope, Selection, fields, limits,
    lockfile::{Listing, Origin, is_of_others},
};

/// Reads `.terraform.lock.hcl`.
pub(crate) struct TerraformLock;

impl PackageReader for TerraformLock {
    fn name(&self) -> &'static str {
        "terraform-lock"
    }

    fn reads(&self) -> &'static str {
        "`**/.terraform.lock.hcl`"
    }

    fn scope(&self) -> Scope {
        Scope::Declared
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let is_wanted = file.file_name() == ".terraform.lock.hcl" && !is_of_others(file.path);
        is_wanted.then_some(Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let mut listing = Listing::new(PackageType::Terraform, file);
        let mut provider = String::new();
        let mut has_providers = false;
        for line in fields::lines(contents) {
            let line = fields::text(line);
            let mut words = line.split_ascii_whitespace();
            match (words.next(), words.next(), words.next()) {
                (Some("provider"), Some(source), _) => {
                    has_providers = true;
                    let before = std::mem::replace(&mut provider, source.trim_matches('"').to_owned());
                    if !before.is_empty() {
                        listing.gap(format!("`{before}` has no version"));
                    }
                }
                (Some("version"), Some("="), Some(version)) if !provider.is_empty() => {
                    add(&std::mem::take(&mut provider), version.trim_matches('"'), &mut listing);
                }
                _ => {}
            }
        }
        let is_blank = |line: &[u8]| line.trim_ascii().is_empty() || line.trim_ascii_start().starts_with(b"#");
        if !has_providers && !fields::lines(contents).all(is_blank) {
            listing.lacks("provider");
        }
        if !provider.is_empty() {
            listing.gap(format!("`{provider}` has no version"));
        }
        listing.finish()
    }
}

/// `registry.terraform.io/hashicorp/aws`: the two public registries hold the same providers.
fn add(source: &str, version: &str, listing: &mut Listing<'_>) {
    let (host, name) = source.split_once('/').unwrap_or(("", source));
    let origin = match host {
        "" | "registry.terraform.io" | "registry.opentofu.org" => Origin::Registry,
        host => Origin::OtherRegistry(host),
    };
    listing.add_from(origin, name, version, Vec::new());
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::testing::{check, read};

    #[test]
    fn providers_are_listed() {
        check(
            &TerraformLock,
            ".terraform.lock.hcl",
            "# This file is maintained automatically.\nprovider \"registry.terraform.io/hashicorp/aws\" {\n  version     = \"4.67.0\"\n  constraints = \">= 4.0.0\"\n  hashes = [\n    \"h1:x\",\n  ]\n}\nprovider \"own.example/team/x\" {\n  version = \"1.0.0\"\n}\nprovider \"registry.terraform.io/a/none\" {\n}\nprovider \"registry.terraform.io/a/b\" {\n",
            expect![[r#"
                terraform hashicorp/aws 4.67.0, purl pkg:terraform/hashicorp/aws@4.67.0
                terraform team/x 1.0.0, purl pkg:terraform/team/x@1.0.0?repository_url=own.example
                gap in .terraform.lock.hcl: `registry.terraform.io/a/none` has no version
                gap in .terraform.lock.hcl: `registry.terraform.io/a/b` has no version
            "#]],
        );
    }

    #[test]
    fn a_file_without_providers_is_empty_or_a_gap() {
        for (contents, gaps) in [("# nothing\n\n", 0), ("", 0), ("a = 1\n", 1)] {
            assert_eq!(read(&TerraformLock, ".terraform.lock.hcl", contents.as_bytes()).unwrap().warnings.len(), gaps);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(contents: Vec<u8>, text in "(provider |version = |\"[a-z/.]*\"|\n){0,20}") {
            read(&TerraformLock, ".terraform.lock.hcl", &contents);
            read(&TerraformLock, ".terraform.lock.hcl", text.as_bytes());
        }
    }
}
