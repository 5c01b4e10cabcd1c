//! Pods that a project has locked: `Podfile.lock`.
//!
//! Format: <https://guides.cocoapods.org/using/using-cocoapods.html#what-is-podfilelock>: YAML, `Name/Part (1.0.0)`. Parts
//! of a pod are the pod.

use portcullis_filetree::FileHeader;
use portcullis_model::{PackageType, Reading};

use crate::{
    PackageReader, Scope, Selection, limits,
    lockfile::{Listing, is_of_others},
    tree,
};

/// Reads `**/Podfile.lock`.
pub(crate) struct CocoapodsLock;

impl PackageReader for CocoapodsLock {
    fn name(&self) -> &'static str {
        "cocoapods-lock"
    }

    fn reads(&self) -> &'static str {
        "`**/Podfile.lock`"
    }

    fn scope(&self) -> Scope {
        Scope::Declared
    }

    fn select(&self, file: &FileHeader<'_>) -> Option<Selection> {
        let is_wanted = file.file_name() == "Podfile.lock" && !is_of_others(file.path);
        is_wanted.then_some(Selection::Whole { limit: limits::LOCKFILE })
    }

    fn read(&self, file: &FileHeader<'_>, contents: &[u8]) -> Reading {
        let document = match tree::yaml(contents) {
            Ok(document) => document,
            Err(why) => return Listing::unreadable(file, why),
        };
        let mut listing = Listing::new(PackageType::Cocoapods, file);
        // A project without pods has its version alone.
        if document.get("PODS").items().is_empty() && document.text_of("COCOAPODS").is_none() {
            listing.lacks("PODS");
        }
        for pod in document.get("PODS").items() {
            let text = pod.text().or_else(|| pod.keys().next()).unwrap_or_default();
            let named = text.strip_suffix(')').and_then(|text| text.split_once(" ("));
            let Some((name, version)) = named else {
                listing.gap("a pod has no version");
                continue;
            };
            let own = |needed: &&str| root(needed) != root(name);
            let needed: Vec<&str> = pod.entries().iter().flat_map(|(_, needed)| needed.texts()).filter(own).collect();
            let needed = needed.into_iter().map(|needed| root(needed).to_owned());
            listing.add(root(name), version, needed);
        }
        listing.finish()
    }
}

/// The pod that a part belongs to.
fn root(name: &str) -> &str {
    let name = name.split_once(" (").map_or(name, |(name, _)| name);
    name.split('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::testing::{check, read};

    #[test]
    fn what_is_locked_is_listed() {
        check(
            &CocoapodsLock,
            "ios/Podfile.lock",
            r##"PODS:
  - Alamofire (5.4.3)
  - Firebase/Core (7.0.0):
    - Firebase/CoreOnly
    - FirebaseAnalytics (= 7.0.0)
  - Firebase/CoreOnly (7.0.0)
  - FirebaseAnalytics (7.0.0)
DEPENDENCIES:
  - Alamofire
COCOAPODS: 1.11.0
"##,
            expect![[r#"
                cocoapods Alamofire 5.4.3, purl pkg:cocoapods/Alamofire@5.4.3
                cocoapods Firebase 7.0.0, purl pkg:cocoapods/Firebase@7.0.0, needs FirebaseAnalytics
                cocoapods FirebaseAnalytics 7.0.0, purl pkg:cocoapods/FirebaseAnalytics@7.0.0
            "#]],
        );
    }

    #[test]
    fn another_shape_is_a_gap() {
        check(
            &CocoapodsLock,
            "Podfile.lock",
            r#"{"version": "99", "elsewhere": []}"#,
            expect![[r#"
                gap in Podfile.lock: its packages were not read: `PODS` is missing
            "#]],
        );
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(contents: Vec<u8>, text in "[a-z\\[\\]{}:\", 0-9.@/#\n-]{0,80}") {
            read(&CocoapodsLock, "Podfile.lock", &contents);
            read(&CocoapodsLock, "Podfile.lock", text.as_bytes());
        }
    }
}
