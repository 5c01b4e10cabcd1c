//! Which ecosystems to ask about an image's packages, and what is to be said of that: resolved once for an image.

use std::borrow::Cow;

use portcullis_model::{AdvisoryLookup, Distribution, Package, Timestamp};

use crate::{
    distributions::{Filed, Rule, rule, ubuntu_pro},
    end_of_life::end_of_life,
    third_parties::is_own,
};

/// How an image's distribution is asked about.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Its rule; none for a distribution that is not known.
    pub(crate) rule: Option<&'static Rule>,
    /// The ecosystems that the database covers, sorted unless one stands before the others.
    pub(crate) ecosystems: Vec<String>,
    /// Ubuntu Pro's, for the packages that come from there.
    pub(crate) pro: Option<String>,
    /// The last day on which its release gets fixes.
    pub(crate) end_of_life: Option<Timestamp>,
    /// What a reader of the report must know.
    pub(crate) notes: Vec<String>,
}

impl Plan {
    pub(crate) fn of(distribution: Option<&Distribution>, lookup: &dyn AdvisoryLookup) -> Self {
        let Some(distribution) = distribution else { return Self::default() };
        let mut notes = Vec::new();
        let Some(resolved) = resolve(distribution, &mut notes) else { return Self { notes, ..Self::default() } };
        // What its packages are and when it ends it knows itself, whose advisories ever it is matched with.
        let Some(rule) = rule(&distribution.id).or_else(|| rule(&resolved.id)) else {
            return Self { notes, ..Self::default() };
        };
        let covered = |names: Vec<String>| names.into_iter().filter(|name| lookup.covers(name));
        let ecosystems: Vec<String> = match &rule.filed {
            Filed::First(names) => {
                let mut names = covered(names(&resolved)).peekable();
                let hardened = std::iter::from_fn(|| names.next_if(|name| name.starts_with("Docker Hardened Images:")));
                let hardened: Vec<String> = hardened.collect();
                // They speak of what their vendor built, and not of the rest.
                names.next().map(|base| hardened.into_iter().chain([base]).collect()).unwrap_or_default()
            }
            Filed::Family(base, accepts) => {
                let is_wanted = |name: &String| {
                    let tail = name.strip_prefix(base).and_then(|rest| rest.strip_prefix(':'));
                    tail.is_some_and(|tail| accepts(&resolved, tail))
                };
                lookup.family(base).into_iter().filter(is_wanted).collect()
            }
        };
        if matches!(resolved, Cow::Owned(_)) {
            notes.extend(derivative_note(distribution, &resolved, &ecosystems));
        }
        let pro = ecosystems.iter().find_map(|name| ubuntu_pro(name)).filter(|name| lookup.covers(name));
        Self { rule: Some(rule), ecosystems, pro, end_of_life: end_of_life(rule, &resolved), notes }
    }
}

/// Whether a package of an operating system says that `distribution` published it: its advisories then speak of it. Not
/// where nothing is known of the distribution.
#[must_use]
pub fn is_of_distribution(package: &Package, distribution: &Distribution) -> bool {
    let known = rule(&distribution.id).or_else(|| rule(&resolve(distribution, &mut Vec::new())?.id));
    known.is_some_and(|rule| is_own(package, rule))
}

/// The distribution whose advisories are asked: itself, or the one that its packages are taken from without change.
/// `ID_LIKE` alone says nothing of that: what rebuilds, patches or picks packages has advisories of its own, or none.
fn resolve<'a>(distribution: &'a Distribution, notes: &mut Vec<String>) -> Option<Cow<'a, Distribution>> {
    let own = |id: &str, version: &str| {
        let codename = distribution.codename.clone();
        Cow::Owned(Distribution { id: id.into(), version_id: version.into(), codename, ..Distribution::default() })
    };
    match distribution.id.as_str() {
        // CentOS Stream runs ahead of Red Hat's releases; what CentOS Linux was is Red Hat's, rebuilt.
        "centos" if !distribution.name.contains("Stream") => {
            return Some(own("rhel", &distribution.version_id));
        }
        "centos" => {
            notes.push(
                "CentOS Stream runs ahead of Red Hat Enterprise Linux, whose advisories do not hold for it".into(),
            );
            return None;
        }
        // Debian's sources, built for an older processor: <https://www.raspbian.org>.
        "raspbian" => return Some(own("debian", &distribution.version_id)),
        // Debian's packages but for those that depend on systemd: <https://www.devuan.org>.
        "devuan" => {
            let number = match distribution.codename.as_deref() {
                Some("beowulf") => "10",
                Some("chimaera") => "11",
                Some("daedalus") => "12",
                Some("excalibur") => "13",
                _ => return None,
            };
            return Some(own("debian", number));
        }
        id if rule(id).is_some() => return Some(Cow::Borrowed(distribution)),
        _ => {}
    }
    // Mint, Pop!_OS, Zorin, LMDE and others use the archives of the release that they name.
    if let Some((parent, number)) = distribution.parent() {
        return Some(own(parent, number));
    }
    if let Some(relative) = distribution.id_like.first() {
        let name = label(distribution);
        notes.push(format!(
            "{name} calls itself like {relative}, whose advisories need not hold for it: none were used"
        ));
    }
    None
}

fn derivative_note(distribution: &Distribution, parent: &Distribution, ecosystems: &[String]) -> Option<String> {
    let ecosystem = ecosystems.first()?;
    let name = label(distribution);
    let (id, version) = (&parent.id, parent.release());
    Some(format!(
        "{name} is matched with the advisories of {id} {version} ({ecosystem}), which its packages are taken from: \
         its own changes are not known to them"
    ))
}

/// The distribution's name for people.
pub(crate) fn label(distribution: &Distribution) -> &str {
    if distribution.name.is_empty() { &distribution.id } else { &distribution.name }
}
