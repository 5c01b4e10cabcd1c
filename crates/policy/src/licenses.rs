//! The rules of `licenses`: what a package declares, against a list of SPDX ids.
//!
//! Expressions: <https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/>. Of `A OR B` the user may choose, so
//! both must be denied; of `A AND B` one is enough. What is no expression is compared as it stands.

use portcullis_errors::count_of;
use portcullis_model::{Package, PackageType, normalised_license};

use crate::{
    Action, LicenseRules,
    judge::{Reasons, shown, some_of},
};

pub(crate) fn judge(rules: &LicenseRules, packages: &[Package], reasons: &mut Reasons) {
    let names = names(&rules.deny);
    let denied = |id: &str| names.iter().any(|deny| deny.eq_ignore_ascii_case(id));
    let mut found = Vec::new();
    let mut undeclared = 0_usize;
    for package in packages {
        // A known program declares nothing by itself: that is for the package that its file belongs to.
        let is_its_owner_s = package.kind == PackageType::Generic && package.owned_by.is_some();
        undeclared += usize::from(package.licenses.is_empty() && !is_its_owner_s);
        for license in package.licenses.iter().filter(|license| is_denied(license, &denied)) {
            found.push(format!("{} {} ({})", shown(&package.name), shown(&package.version), shown(license)));
        }
    }
    found.sort();
    found.dedup();
    if !found.is_empty() {
        let packages = count_of(found.len(), "package", "packages");
        let named = some_of(found.into_iter());
        let message = format!("{packages} under a licence that is not accepted: {named}");
        reasons.fail("licenses.deny", message);
    }
    if undeclared > 0 {
        let message = format!("{} without a declared licence", count_of(undeclared, "package", "packages"));
        reasons.act(rules.undeclared.unwrap_or(Action::Audit), "licenses.undeclared", message);
    }
}

/// Inventories name licences in the words of SPDX where they can: a list in other words means the same.
fn names(deny: &[String]) -> Vec<String> {
    deny.iter().flat_map(|name| [name.clone(), normalised_license(name)]).collect()
}

/// The longest expression that is taken apart, and how deep its parentheses may go.
const MAX_TOKENS: usize = 1_000;
const MAX_DEPTH: usize = 32;

fn is_denied(license: &str, denied: &dyn Fn(&str) -> bool) -> bool {
    if denied(license.trim()) {
        return true;
    }
    let spaced = license.replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<_> = spaced.split_whitespace().take(MAX_TOKENS + 1).collect();
    let mut expression = Expression { tokens: &tokens, denied };
    let answer = expression.alternatives(0);
    // Text that is no expression, such as `GNU GPL version 2 (or later)`, was compared above.
    answer.filter(|_| expression.tokens.is_empty() && tokens.len() <= MAX_TOKENS).unwrap_or(false)
}

struct Expression<'a> {
    tokens: &'a [&'a str],
    denied: &'a dyn Fn(&str) -> bool,
}

impl Expression<'_> {
    /// `A OR B`: denied if every alternative is.
    fn alternatives(&mut self, depth: usize) -> Option<bool> {
        let mut denied = self.parts(depth)?;
        while self.take("OR") {
            denied &= self.parts(depth)?;
        }
        Some(denied)
    }

    /// `A AND B`: denied if any part is.
    fn parts(&mut self, depth: usize) -> Option<bool> {
        let mut denied = self.part(depth)?;
        while self.take("AND") {
            denied |= self.part(depth)?;
        }
        Some(denied)
    }

    fn part(&mut self, depth: usize) -> Option<bool> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        if *first == "(" {
            if depth == MAX_DEPTH {
                return None;
            }
            let inner = self.alternatives(depth + 1)?;
            return self.take(")").then_some(inner);
        }
        if matches!(*first, ")" | "AND" | "OR" | "WITH") {
            return None;
        }
        let mut denied = (self.denied)(first);
        if self.take("WITH") {
            // An exception gives further permissions: the pair can be denied by name, or by its licence alone.
            let (exception, rest) = self.tokens.split_first()?;
            self.tokens = rest;
            denied |= (self.denied)(&format!("{first} WITH {exception}"));
        }
        Some(denied)
    }

    fn take(&mut self, word: &str) -> bool {
        match self.tokens.split_first() {
            Some((first, rest)) if first.eq_ignore_ascii_case(word) => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn expressions_leave_the_choice_to_the_user() {
        let denied = |id: &str| ["GPL-3.0-only", "AGPL-3.0-only"].iter().any(|deny| deny.eq_ignore_ascii_case(id));
        for (license, expected) in [
            ("GPL-3.0-only", true),
            ("gpl-3.0-ONLY", true),
            ("GPL-3.0-or-later", false),
            ("MIT OR GPL-3.0-only", false),
            ("AGPL-3.0-only OR GPL-3.0-only", true),
            ("MIT AND GPL-3.0-only", true),
            ("MIT AND (Apache-2.0 OR GPL-3.0-only)", false),
            ("(MIT AND GPL-3.0-only) OR AGPL-3.0-only", true),
            ("GPL-3.0-only WITH GCC-exception-3.1", true),
            ("not GPL-3.0-only", false),
            ("MIT OR", false),
            ("", false),
        ] {
            assert_eq!(is_denied(license, &denied), expected, "{license}");
        }
    }

    #[test]
    fn a_list_in_other_words_means_the_same() {
        let names = names(&["GPL-2.0".to_owned(), "Expat".to_owned(), "Own words".to_owned()]);
        let denied = |id: &str| names.iter().any(|deny| deny.eq_ignore_ascii_case(id));
        for license in ["GPL-2.0", "GPL-2.0-only", "MIT AND ISC", "expat", "own words"] {
            assert!(is_denied(license, &denied), "{license}");
        }
        assert!(!is_denied("GPL-2.0-or-later", &denied));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "([()]| AND | OR | WITH |MIT|.){0,80}") {
            is_denied(&text, &|id| id == "MIT");
        }
    }

    #[test]
    fn depth_is_bounded() {
        is_denied(&"(".repeat(1_000_000), &|_| true);
    }
}
