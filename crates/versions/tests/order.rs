//! Properties of every scheme: what it orders is ordered totally, and nothing makes it panic or hang.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::cmp::Ordering;

use portcullis_versions::{MAX_LENGTH, SCHEMES, Scheme, VersionError};
use proptest::prelude::*;

/// Versions as each scheme writes them, as a regular expression to draw from.
fn versions(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Deb => "([0-2]:)?[0-9]{1,2}([.+~-]?[0-9a-z~]{1,3}){0,4}(-[0-9a-z.+~]{1,6})?",
        Scheme::Apk => {
            "[0-9]{1,2}(\\.[0-9]{1,2}){0,3}[a-b]?[12]?(_(alpha|beta|pre|rc|git|p)[0-2]?){0,2}(~[0-9a-f]{1,2})?([-.]r[0-2]?)?"
        }
        Scheme::Rpm => "([0-2]:)?[0-9a-b]{1,2}([._+~^][0-9a-b]{1,3}){0,3}(-[0-9a-b]{1,2}([.~^][0-9a-b]{1,2})?)?",
        Scheme::Pep440 => {
            "(1!)?[0-2](\\.[0-2]){0,3}([-._]?(a|b|rc|alpha|pre)[-._]?[0-2]?)?(-[01]|[-._]?post[0-2]?)?(\\.dev[0-2]?)?(\\+[a-b0-1](\\.[a-b0-1]{1,2}){0,2})?|[a-c]{1,3}-?[0-9]?"
        }
        Scheme::Maven => {
            "[0-2]?([.-]?([0-2]|a|b|m|x|alpha|rc|cr|SNAPSHOT|ga|Final|release|sp|snap|zz)){0,5}[.-]?[0-1]|[.-]?[0ax]([.-]|0|a1)?"
        }
        Scheme::Rubygems => "[0-2](\\.[0-2]|\\.?[ab]|\\.?pre|-[0-2a]){0,5}",
        Scheme::Packagist => "v?[0-2]([.-]?([0-2]|dev|a|beta|RC|rc|p|pl|x|stable)){0,4}|dev-[a-c]{1,2}",
        Scheme::Cran => "[0-2]([.-][0-2]){0,3}",
        Scheme::Conan => {
            "([0-2]?0?[0-2ab]{0,2}\\.){0,2}[0-2][ab]?(\\.0{1,2}){0,2}(-[0-2ab]{0,2}(\\.[01a]){0,2})?(\\+[0-2a](\\.0)?)?"
        }
        Scheme::Hackage => "[0-2](\\.[0-2]){0,3}(-[ab])?",
        Scheme::Nuget => {
            "[0-2](\\.[0-2]){0,4}(-([0-1aAbB]{1,2}|-?214748364[78])(\\.([0-1aB-]{1,2}|-?[29]0{9,10})){0,2})?(\\+[ab])?"
        }
        Scheme::Npm | Scheme::Julia | Scheme::Bitnami => {
            "v?[0-2](\\.[0-2]){0,3}(([-.]?[ab][0-1]?|-[0-1a-b]{1,2})(\\.[0-1a-b-]{1,2}){0,2})?(\\+[ab](\\.[01])?)?"
        }
        Scheme::Semver | Scheme::Dart => "v?[0-2](\\.[0-2]){0,3}(-[0-1a-b]{1,2}(\\.[0-1a-b-]{1,2}){0,2})?(\\+[a-b])?",
        Scheme::Go => {
            "(go|v)?[0-2](\\.[0-2]){0,2}((rc|beta)[0-2]|-(rc|beta|pre)\\.?[0-2](\\.[0-2]{1,2}){0,2})?(\\+incompatible)?"
        }
    }
}

fn scheme() -> impl Strategy<Value = Scheme> {
    prop::sample::select(SCHEMES)
}

fn three_of_one() -> impl Strategy<Value = (Scheme, String, String, String)> {
    scheme().prop_flat_map(|scheme| {
        let version = || proptest::string::string_regex(versions(scheme)).unwrap();
        (Just(scheme), version(), version(), version())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn the_order_is_total((scheme, a, b, c) in three_of_one()) {
        let compare = |x: &str, y: &str| scheme.compare(x, y);
        prop_assert_eq!(compare(&a, &a), Ok(Ordering::Equal));
        let (ab, bc, ac) = (compare(&a, &b).unwrap(), compare(&b, &c).unwrap(), compare(&a, &c).unwrap());
        prop_assert_eq!(compare(&b, &a), Ok(ab.reverse()));
        if ab == bc {
            prop_assert_eq!(ac, ab, "{} {:?} {} {:?} {}", a, ab, b, bc, c);
        }
        if ab.is_eq() {
            prop_assert_eq!(ac, bc);
        }
        if bc.is_eq() {
            prop_assert_eq!(ac, ab);
        }
    }

    #[test]
    fn nothing_panics(scheme in scheme(), a in ".{0,40}", b in "[0-9a-zA-Z.:_~^+!\\-é ]{0,40}") {
        for (x, y) in [(&a, &b), (&a, &a), (&b, &b)] {
            prop_assert_eq!(scheme.compare(x, y).ok(), scheme.compare(y, x).ok().map(Ordering::reverse));
            _ = scheme.compare_to_bound(x, y);
            prop_assert!(!scheme.accepts(x) || scheme.compare(x, x) == Ok(Ordering::Equal));
        }
    }
}

#[test]
fn what_is_too_long_or_empty_is_refused() {
    let long = "1.".repeat(MAX_LENGTH);
    for &scheme in SCHEMES {
        assert_eq!(scheme.compare("1", &long), Err(VersionError::TooLong { length: 2 * MAX_LENGTH }), "{scheme}");
        assert!(!scheme.accepts(&long), "{scheme}");
        for empty in ["", " "] {
            assert!(matches!(scheme.compare("1", empty), Err(VersionError::Malformed { .. })), "{scheme} {empty:?}");
        }
    }
}

#[test]
fn the_error_names_the_culprit() {
    let error = Scheme::Deb.compare("1.0", "x:1").unwrap_err();
    assert_eq!(error.to_string(), "`x:1` is not a version that deb can order");
}

#[test]
fn ecosystems_are_found_with_and_without_a_release() {
    for (ecosystem, scheme) in [
        ("Debian:12", Some(Scheme::Deb)),
        ("Ubuntu:Pro:22.04:LTS", Some(Scheme::Deb)),
        ("Alpine:v3.18", Some(Scheme::Apk)),
        ("Wolfi", Some(Scheme::Apk)),
        ("PyPI", Some(Scheme::Pep440)),
        ("npm", Some(Scheme::Npm)),
        ("Go", Some(Scheme::Go)),
        ("crates.io", Some(Scheme::Semver)),
        ("Echo", Some(Scheme::Deb)),
        ("Echo:PyPi", Some(Scheme::Pep440)),
        ("Root:Alpine:3.18", Some(Scheme::Apk)),
        ("Red Hat:enterprise_linux:9::appstream", Some(Scheme::Rpm)),
        ("openSUSE:Leap 15.5", Some(Scheme::Rpm)),
        ("Maven:https://repo1.maven.org/maven2", Some(Scheme::Maven)),
        ("RubyGems", Some(Scheme::Rubygems)),
        ("Packagist:https://packages.drupal.org/8", Some(Scheme::Packagist)),
        ("NuGet", Some(Scheme::Nuget)),
        ("Pub", Some(Scheme::Dart)),
        ("Hex", Some(Scheme::Semver)),
        ("SwiftURL", Some(Scheme::Semver)),
        ("Bitnami", Some(Scheme::Bitnami)),
        ("Julia", Some(Scheme::Julia)),
        ("CRAN", Some(Scheme::Cran)),
        ("GHC", Some(Scheme::Hackage)),
        ("ConanCenter", Some(Scheme::Conan)),
        ("GIT", None),
        ("", None),
    ] {
        assert_eq!(Scheme::of_ecosystem(ecosystem), scheme, "{ecosystem}");
    }
}

#[test]
fn a_local_label_does_not_leave_a_range_that_names_none() {
    let compare = |a, b| Scheme::Pep440.compare_to_bound(a, b).unwrap();
    assert_eq!(compare("2.0.0+cu118", "2.0.0"), Ordering::Equal);
    assert_eq!(compare("2.0.0+cu118", "2.0.0+cu117"), Ordering::Greater);
    assert_eq!(Scheme::Pep440.compare("2.0.0+cu118", "2.0.0"), Ok(Ordering::Greater));
}

/// Answers of `packaging` 26 and of dpkg 1.21, whose other answers on some 40,000 drawn pairs are these orders', too.
#[test]
fn separators_that_nothing_follows_are_as_the_tools_take_them() {
    let compare = |a, b| Scheme::Pep440.compare(a, b).unwrap();
    for (a, b, order) in [
        ("0.10.1a", "0.10.1a-", Ordering::Equal),
        ("12", "1350b.", Ordering::Less),
        ("28c_", "17b2", Ordering::Greater),
        ("47beta.dev11", "47beta._dev11", Ordering::Equal),
        ("1.0rc-.post1", "1.0rc0.post1", Ordering::Equal),
        ("1.0.post_", "1.0.post0", Ordering::Equal),
    ] {
        assert_eq!(compare(a, b), order, "{a} {b}");
        assert!(Scheme::Pep440.accepts(a) && Scheme::Pep440.accepts(b), "{a} {b}");
    }
    assert!(!Scheme::Pep440.accepts("1.0.") && !Scheme::Pep440.accepts("1.0a.."));
    assert!(Scheme::Deb.accepts("1-1") && !Scheme::Deb.accepts("1-"));
}

/// Answers of NuGet.Versioning 6.3 and 6.13.
#[test]
fn identifiers_of_nuget_are_numbers_while_they_fit_in_32_bits() {
    let compare = |a, b| Scheme::Nuget.compare(a, b).unwrap();
    for (a, b, order) in [
        ("1.0-ci.2147483647", "1.0-ci.1a", Ordering::Less),
        ("1.0-ci.2147483648", "1.0-ci.1a", Ordering::Greater),
        ("1.0-ci.20260101120000", "1.0-ci.202601021200", Ordering::Less),
        ("1.0-ci.20260101120000", "1.0-ci.2147483647", Ordering::Greater),
        ("1.0--1", "1.0-0", Ordering::Less),
        ("1.0--2147483648", "1.0--1", Ordering::Less),
        ("1.0--2147483649", "1.0-0", Ordering::Greater),
        ("1.0--01", "1.0--1", Ordering::Equal),
    ] {
        assert_eq!(compare(a, b), order, "{a} {b}");
        assert_eq!(compare(b, a), order.reverse(), "{b} {a}");
    }
}

/// Answers of R 4.2, 4.5 and 4.6: of `compareVersion`, and of the operators of `package_version`.
#[test]
fn zeros_at_the_end_do_not_take_a_package_of_r_out_of_a_range() {
    for (a, b) in [("1.0", "1.0.0"), ("0.1-1", "0.1.1.0"), ("1.4", "1.4-0")] {
        assert_eq!(Scheme::Cran.compare(a, b), Ok(Ordering::Less), "{a} {b}");
        assert_eq!(Scheme::Cran.compare_to_bound(a, b), Ok(Ordering::Equal), "{a} {b}");
        assert_eq!(Scheme::Cran.compare_to_bound(b, a), Ok(Ordering::Equal), "{b} {a}");
    }
    assert_eq!(Scheme::Cran.compare_to_bound("1.10", "1.9-0"), Ok(Ordering::Greater));
}

/// Answers of Conan 2.34, but for the last but one: to it, `10` comes before `1a`.
#[test]
fn words_of_conan_follow_their_numbers() {
    for (a, b, order) in [
        ("1.1.1w", "1.1.1", Ordering::Greater),
        ("9e", "9d", Ordering::Greater),
        ("cci.20210118", "cci.20200203", Ordering::Greater),
        ("1.0", "1.0.0", Ordering::Equal),
        ("1.0-rc.0", "1.0-rc", Ordering::Equal),
        ("1.0-rc1", "1.0", Ordering::Less),
        ("1.0-", "1.0-0", Ordering::Greater),
        ("1.0-", "1.0-a", Ordering::Less),
        ("1.0+1", "1.0", Ordering::Greater),
        ("1.0-rc+2", "1.0+1", Ordering::Less),
        ("2", "10", Ordering::Less),
        ("10", "1a", Ordering::Greater),
        ("1a", "2", Ordering::Less),
    ] {
        assert_eq!(Scheme::Conan.compare(a, b), Ok(order), "{a} {b}");
    }
}

/// Answers of NuGet.Versioning 6.13, `pub_semver` 2.2, Julia 1.5 and Cabal 3.4.
#[test]
fn what_the_tools_refuse_is_not_accepted() {
    for (scheme, accepted, refused) in [
        (
            Scheme::Nuget,
            &["1", "01.2.3.4", " 1.2 ", "2147483647.0", "1.0-0a.0+007"][..],
            &["v1.2", "2147483648.0", "1.0-01", "1.0-a.00"][..],
        ),
        (Scheme::Dart, &["01.2.3", "1.2.3-00+0"], &["1.2", "1.2.3 ", "v1.2.3", "9223372036854775808.0.0"]),
        (
            Scheme::Julia,
            &["0.7", "5+10", "V1", "6.12RC", "01.2.3-18446744073709551615"],
            &["1.2.rc1", "1.2.3.4", "4294967296.0", "1.2.3-18446744073709551616", " 1"],
        ),
        (Scheme::Hackage, &["0.1", "999999999"], &["1.01", "1000000000", "1."]),
        (Scheme::Semver, &["1.2.3-a+b"], &["1.2.3 ", "1.2.3-01"]),
    ] {
        for text in accepted {
            assert!(scheme.accepts(text), "{scheme} {text}");
        }
        for text in refused {
            assert!(!scheme.accepts(text), "{scheme} {text}");
        }
    }
}

#[test]
fn bounds_are_met_as_each_ecosystem_writes_its_ranges() {
    let compare = |scheme: Scheme, a, b| scheme.compare_to_bound(a, b).unwrap();
    assert_eq!(compare(Scheme::Rpm, "1.2-3", "1.2"), Ordering::Equal);
    assert_eq!(compare(Scheme::Rpm, "1.2", "1.2-3"), Ordering::Less);
    assert_eq!(compare(Scheme::Packagist, "2.0", "2.0.0"), Ordering::Equal);
    assert_eq!(compare(Scheme::Packagist, "v2.0-RC1", "2.0.0-rc.1"), Ordering::Equal);
    assert_eq!(compare(Scheme::Packagist, "2.0.0+abc", "2"), Ordering::Equal);
    assert_eq!(compare(Scheme::Packagist, "2.0.0.1", "2.0"), Ordering::Greater);
    assert_eq!(compare(Scheme::Rubygems, "1.19.3-x86_64-linux", "1.19.3"), Ordering::Equal);
    assert_eq!(compare(Scheme::Rubygems, "1.19.3-rc1", "1.19.3"), Ordering::Less);
    assert_eq!(compare(Scheme::Bitnami, "2.3.1-4", "2.3.1"), Ordering::Equal);
    assert_eq!(compare(Scheme::Bitnami, "2.3.1-rc.4", "2.3.1"), Ordering::Less);
}

/// What Composer's `VersionParser` makes of branches.
#[test]
fn branches_of_composer_are_the_end_of_their_numbers_or_unknown() {
    let compare = |a, b| Scheme::Packagist.compare_to_bound(a, b);
    for (installed, bound, order) in [
        ("1.x-dev", "1.5", Ordering::Greater),
        ("1.x-dev", "2.0", Ordering::Less),
        ("1.0.x-dev", "1.0.7", Ordering::Greater),
        ("1.0.x-dev", "1.1.0", Ordering::Less),
        ("v2.X.dev", "2.*-dev", Ordering::Equal),
        ("1.0-dev", "1.0", Ordering::Less),
        ("9999999-dev", "8.0", Ordering::Greater),
        ("dev-master", "dev-master", Ordering::Equal),
    ] {
        assert_eq!(compare(installed, bound), Ok(order), "{installed} {bound}");
    }
    for branch in ["dev-master", "DEV-feature/x", "master"] {
        for other in ["1.0", "dev-main", "dev-bar"] {
            assert!(compare(branch, other).is_err() && compare(other, branch).is_err(), "{branch} {other}");
        }
    }
}

/// Each led in a circle: the order that the words of Maven's rules give is none.
#[test]
fn maven_has_no_circles() {
    let orders: [&[&str]; 3] = [
        &["1-alpha", "1", "1.sp", "1-1", "1.1"],
        &["1-0.alpha", "1", "1-a", "1-0.1", "1.0.1"],
        &["1-rc", "1-rc.1", "1-rc-1", "1-rc2", "1-SNAPSHOT", "1.ga.1", "1.x"],
    ];
    for order in orders {
        for (at, a) in order.iter().enumerate() {
            for b in order.iter().skip(at + 1) {
                assert_eq!(Scheme::Maven.compare(a, b), Ok(Ordering::Less), "{a} {b}");
            }
        }
    }
}
