//! Actions that the workflows of a repository use.
//!
//! Format: <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax>: `uses: owner/name@ref`. An
//! action that is pinned to a commit has the version that the comment behind it names, as is the custom.

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Purl, Reading};

use crate::{
    PackageReader, Scope, Selection,
    complete::language_package,
    fields,
    lockfile::{Listing, is_of_others},
};

/// Reads workflows, and actions that are made of others.
pub(crate) struct GithubActions;

/// A real one has a few kilobytes.
const LIMIT: usize = 4 << 20;

impl PackageReader for GithubActions {
    fn name(&self) -> &'static str {
        "github-actions"
    }

    fn reads(&self) -> &'static str {
        "`**/.github/workflows/*.yml`, `**/.github/workflows/*.yaml`, `**/action.yml`, `**/action.yaml`"
    }

    fn scope(&self) -> Scope {
        Scope::Declared
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let name = file.file_name();
        let is_yaml = name.ends_with(".yml") || name.ends_with(".yaml");
        let is_workflow = || file.parent() == ".github/workflows" || file.parent().ends_with("/.github/workflows");
        let is_wanted = is_yaml && (matches!(name, "action.yml" | "action.yaml") || is_workflow());
        (is_wanted && !is_of_others(file.path)).then_some(Selection::Whole { limit: LIMIT })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let mut listing = Listing::new(PackageType::Github, file);
        for line in fields::lines(contents) {
            let line = fields::text(line);
            // `- uses: …`, `- {uses: …, with: {…}}`.
            let line = line.trim_start_matches(['-', '{', ' ', '\t']);
            let Some(value) = line.strip_prefix("uses:") else { continue };
            let (value, comment) = value.split_once(" #").unwrap_or((value, ""));
            let value = if value.contains("${{") { value } else { value.split([',', '}']).next().unwrap_or(value) };
            add(value.trim().trim_matches(['"', '\'']), comment.trim(), &mut listing);
        }
        listing.finish()
    }
}

fn add(action: &str, comment: &str, listing: &mut Listing<'_>) {
    // Of this repository, or an image.
    if action.starts_with("./") || action.starts_with("docker://") || action.contains("${{") {
        return;
    }
    let Some((path, reference)) = action.split_once('@') else { return };
    let mut parts = path.splitn(3, '/');
    let (Some(owner), Some(name)) = (parts.next(), parts.next()) else { return };
    let inside = parts.next().unwrap_or_default();
    let is_commit = reference.len() == 40 && reference.bytes().all(|byte| byte.is_ascii_hexdigit());
    let told = comment.split_whitespace().next().unwrap_or_default();
    let is_version = told.trim_start_matches('v').starts_with(|first: char| first.is_ascii_digit());
    let version = if is_commit && is_version { told } else { reference };
    let mut purl = Purl::new(PackageType::Github, owner, name, version);
    if version != reference {
        purl = purl.qualifier("vcs_url", &format!("git+https://github.com/{owner}/{name}@{reference}"));
    }
    // Advisories name the repository; some name the folder in it.
    let full = if inside.is_empty() { format!("{owner}/{name}") } else { format!("{owner}/{name}/{inside}") };
    let names = (full, version.to_owned());
    let mut package = language_package(PackageType::Github, purl, names, None, listing.path());
    if !inside.is_empty() {
        package.purl.push_str(&format!("#{inside}"));
    }
    listing.add_package(package);
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::testing::{check, read};

    #[test]
    fn actions_of_others_are_listed() {
        check(
            &GithubActions,
            ".github/workflows/ci.yml",
            "jobs:\n  a:\n    steps:\n      - uses: actions/checkout@v4\n      - name: x\n        uses: \"tj-actions/changed-files@0e58ed8671d6b60d0890c21b07f8835ace038e67\" # v35.9.2\n      - uses: github/codeql-action/init@v2.1.0\n      - uses: ./own\n      - uses: docker://alpine:3\n      - { uses: actions/cache@v3, with: {path: x} }\n  b:\n    uses: ./.github/workflows/b.yml\n",
            expect![[r#"
                github actions/checkout v4, purl pkg:github/actions/checkout@v4
                github tj-actions/changed-files v35.9.2, purl pkg:github/tj-actions/changed-files@v35.9.2?vcs_url=git%2Bhttps:%2F%2Fgithub.com%2Ftj-actions%2Fchanged-files%400e58ed8671d6b60d0890c21b07f8835ace038e67
                github github/codeql-action/init v2.1.0, purl pkg:github/github/codeql-action@v2.1.0#init
                github actions/cache v3, purl pkg:github/actions/cache@v3
            "#]],
        );
        assert!(read(&GithubActions, "workflows/ci.yml", b"").is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(contents: Vec<u8>, text in "(uses: |[a-z/@#\"' .-]){0,30}") {
            read(&GithubActions, "action.yml", &contents);
            read(&GithubActions, "action.yml", text.as_bytes());
        }
    }
}
