//! The order of versions, in every ecosystem that OSV names: one file per scheme under `schemes/`, one line each in
//! the table below.
//!
//! Ecosystems: <https://ossf.github.io/osv-schema/#defined-ecosystems>. Advisories hold versions that their own
//! ecosystem would refuse today, so a scheme orders more than it [accepts](Scheme::accepts); what it cannot order is
//! a [`VersionError`], never a guess.

mod numbers;
mod schemes;

use std::cmp::Ordering;

pub use schemes::{SCHEMES, Scheme};

/// The longest version that is compared, in bytes. Real ones have fewer than 100; a longer one is an attack.
pub const MAX_LENGTH: usize = 1024;

/// Why two versions could not be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// One of them is no version of the scheme.
    #[error("`{text}` is not a version that {scheme} can order")]
    Malformed {
        /// Its first characters.
        text: String,
        /// The scheme's name.
        scheme: &'static str,
    },
    /// One of them is longer than [`MAX_LENGTH`].
    #[error("a version of {length} bytes is longer than {MAX_LENGTH} bytes")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
}

impl Scheme {
    /// The scheme of an ecosystem as OSV writes it. What follows the first colon, such as a release, does not matter
    /// (`Debian:12`, `Packagist:https://…`), but for vendors who rebuild other ecosystems' packages (`Echo:PyPI`).
    #[must_use]
    pub fn of_ecosystem(ecosystem: &str) -> Option<Self> {
        let (base, suffix) = ecosystem.split_once(':').unwrap_or((ecosystem, ""));
        if REBUILDERS.contains(&base) && !suffix.is_empty() {
            let inner = suffix.split(':').next().unwrap_or(suffix);
            return Self::named_like(inner);
        }
        Self::named_like(base)
    }

    /// The scheme whose ecosystems include `ecosystem`, in any case.
    fn named_like(ecosystem: &str) -> Option<Self> {
        SCHEMES
            .iter()
            .copied()
            .find(|scheme| scheme.ecosystems().iter().any(|known| known.eq_ignore_ascii_case(ecosystem)))
    }

    /// Compares two versions.
    ///
    /// # Errors
    /// When one of them is no version of the scheme, or longer than [`MAX_LENGTH`].
    pub fn compare(self, a: &str, b: &str) -> Result<Ordering, VersionError> {
        self.checked(a, b, self.definition().compare)
    }

    /// Compares an installed version with the bound of an advisory's range, by the rules of the ecosystem's own range
    /// specifiers where these differ from its order: PEP 440 ignores a local label that the bound does not have
    /// (`2.0+cu118` is in `<=2.0`), Composer and R count `2.0` and `2.0.0` as the same.
    ///
    /// # Errors
    /// As [`Self::compare`].
    pub fn compare_to_bound(self, installed: &str, bound: &str) -> Result<Ordering, VersionError> {
        self.checked(installed, bound, self.definition().compare_to_bound)
    }

    /// The first of `versions` that is after `version`; the first of all where none is known to be.
    #[must_use]
    pub fn first_after<'a>(self, versions: &'a [String], version: &str) -> Option<&'a str> {
        let is_after = |other: &&String| self.compare(other, version) == Ok(Ordering::Greater);
        versions.iter().find(is_after).or(versions.first()).map(String::as_str)
    }

    /// Whether the ecosystem's own tools would accept `text` as a version. More than this can be compared.
    #[must_use]
    pub fn accepts(self, text: &str) -> bool {
        text.len() <= MAX_LENGTH && (self.definition().accepts)(text)
    }

    /// Its name in messages and in the documentation.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.definition().name
    }

    /// The ecosystems whose versions it orders, as OSV writes them, without a suffix.
    #[must_use]
    pub fn ecosystems(self) -> &'static [&'static str] {
        self.definition().ecosystems
    }

    fn checked(self, a: &str, b: &str, compare: schemes::Compare) -> Result<Ordering, VersionError> {
        let length = a.len().max(b.len());
        if length > MAX_LENGTH {
            return Err(VersionError::TooLong { length });
        }
        let plain = numbers::compare_plain(a, b, self.definition().plain);
        plain.or_else(|| compare(a, b)).ok_or_else(|| {
            // A scheme only says that it could not: the culprit is the one that it cannot compare with itself.
            let culprit = if compare(a, a).is_none() { a } else { b };
            VersionError::Malformed { text: culprit.chars().take(100).collect(), scheme: self.name() }
        })
    }
}

/// The highest of `versions`, each with the scheme that orders it; none where two cannot be compared.
pub fn highest<'a>(versions: impl IntoIterator<Item = (Scheme, &'a str)>) -> Option<&'a str> {
    let mut versions = versions.into_iter();
    let (_, first) = versions.next()?;
    versions.try_fold(first, |best, (scheme, version)| {
        Some(if scheme.compare(version, best).ok()?.is_gt() { version } else { best })
    })
}

impl std::fmt::Display for Scheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// Vendors whose ecosystems name, after the colon, the ecosystem that they rebuild.
const REBUILDERS: &[&str] = &["Docker Hardened Images", "Echo", "Root", "Seal", "TuxCare"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn lists_of_numbers_compare_as_each_scheme_says(
            scheme in prop::sample::select(SCHEMES),
            a in "[0-9]{0,2}(\\.[0-9]{1,2}){0,5}|0{0,3}[0-9]{1,22}(\\.{1,2}[01]){0,4}\\.?",
            b in "[0-9]{0,2}(\\.[0-9]{1,2}){0,5}|0{0,3}[0-9]{1,22}(\\.{1,2}[01]){0,4}\\.?",
            zeros in 0_usize..4,
        ) {
            let schemes::Definition { compare, compare_to_bound, plain, .. } = *scheme.definition();
            // One that begins the other, too.
            for b in [b, format!("{a}{}", ".0".repeat(zeros)), format!("{a}.1")] {
                let Some(order) = numbers::compare_plain(&a, &b, plain) else { continue };
                prop_assert_eq!(compare(&a, &b), Some(order), "{} {} {}", scheme, a, b);
                prop_assert_eq!(compare_to_bound(&a, &b), Some(order), "{} {} {}", scheme, a, b);
            }
        }
    }
}
