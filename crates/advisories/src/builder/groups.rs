//! Which records speak of the same vulnerability, and which CVEs it has.
//!
//! Aliases are symmetric and transitive (a union-find over ids); `upstream` is followed one way, from a
//! distribution's record to what it is about.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::{format::parse_cve, normalise::Normalised};

/// Most ids of one alias group shown, and CVEs of one record. An update of a kernel fixes hundreds.
const MAX_IDS: usize = 2000;

/// Most steps along `upstream`.
const MAX_STEPS: usize = 8;

pub(super) struct Groups<'a> {
    /// Group of each id that is a record's or an alias.
    group: HashMap<&'a str, usize>,
    /// Ids of each group, sorted.
    members: Vec<BTreeSet<&'a str>>,
    by_id: HashMap<&'a str, &'a Normalised>,
}

impl<'a> Groups<'a> {
    pub(super) fn of(records: &'a [Normalised]) -> Self {
        let mut index = HashMap::new();
        let mut parents: Vec<usize> = Vec::new();
        for record in records {
            let own = node(&mut index, &mut parents, &record.id);
            for alias in &record.aliases {
                let other = node(&mut index, &mut parents, alias);
                let (a, b) = (root(&mut parents, own), root(&mut parents, other));
                parents[a.max(b)] = a.min(b);
            }
        }
        let mut members: Vec<BTreeSet<&str>> = vec![BTreeSet::new(); parents.len()];
        let mut group = HashMap::with_capacity(index.len());
        for (&id, &node) in &index {
            let root = root(&mut parents, node);
            members[root].insert(id);
            group.insert(id, root);
        }
        let by_id = records.iter().map(|record| (record.id.as_str(), record)).collect();
        Self { group, members, by_id }
    }

    /// Every other id of the record's vulnerability, sorted.
    pub(super) fn aliases(&self, record: &Normalised) -> Vec<&'a str> {
        let Some(&group) = self.group.get(record.id.as_str()) else { return Vec::new() };
        self.members[group].iter().copied().filter(|id| *id != record.id).take(MAX_IDS).collect()
    }

    /// The CVEs that the record speaks of, sorted.
    pub(super) fn cves(&self, record: &'a Normalised) -> BTreeSet<(u16, u32)> {
        let mut cves = BTreeSet::new();
        let mut seen = HashSet::new();
        let mut pending: Vec<(&str, usize)> = vec![(&record.id, 0)];
        pending.extend(self.aliases(record).into_iter().map(|id| (id, 0)));
        while let Some((id, steps)) = pending.pop() {
            if cves.len() >= MAX_IDS || !seen.insert(id) {
                continue;
            }
            cves.extend(parse_cve(id));
            if steps < MAX_STEPS
                && let Some(found) = self.by_id.get(id)
            {
                pending.extend(found.upstream.iter().map(|id| (id.as_str(), steps + 1)));
                // What is upstream may itself be known by other names.
                if steps > 0 {
                    pending.extend(self.aliases(found).into_iter().map(|id| (id, steps + 1)));
                }
            } else if steps > 0
                && let Some(&group) = self.group.get(id)
            {
                pending.extend(self.members[group].iter().map(|id| (*id, MAX_STEPS)));
            }
        }
        cves
    }
}

fn node<'a>(index: &mut HashMap<&'a str, usize>, parents: &mut Vec<usize>, id: &'a str) -> usize {
    *index.entry(id).or_insert_with(|| {
        parents.push(parents.len());
        parents.len() - 1
    })
}

fn root(parents: &mut [usize], mut node: usize) -> usize {
    while parents[node] != node {
        parents[node] = parents[parents[node]];
        node = parents[node];
    }
    node
}
