//! Which records speak of the same vulnerability, and which CVEs it has.
//!
//! Aliases are symmetric and transitive (a union-find over ids); `upstream` is followed one way, from a
//! distribution's record to what it is about. All ids are numbers here.
//!
//! A record may be an alias of several that have nothing in common, as that of a release is which fixes eight
//! vulnerabilities. So what names CVEs itself is of those alone, and no alias of what names others.

use std::collections::{HashMap, HashSet};

use super::{
    names::{Names, Sorted},
    record::Head,
};
use crate::format::parse_cve;

/// Most ids of one alias group shown, and CVEs of one record. An update of a kernel fixes hundreds.
pub(super) const MAX_IDS: usize = 2000;

/// Most ids looked at to find the CVEs of one record: a group may have any number of them.
const MAX_VISITED: usize = 20_000;

/// No record, no closure.
const NONE: u32 = u32::MAX;

/// The records and the ids that they name.
#[derive(Clone, Copy)]
pub(super) struct Linked<'a> {
    pub(super) heads: &'a [Head],
    /// Aliases and upstream ids of all records.
    pub(super) links: &'a [u32],
    /// The record of each id, plus one; 0 for none.
    pub(super) by_id: &'a [u32],
    pub(super) ids: &'a Names,
}

impl<'a> Linked<'a> {
    fn aliases(self, head: &Head) -> &'a [u32] {
        &self.links[head.links..head.links + head.aliases as usize]
    }

    fn upstream(self, head: &Head) -> &'a [u32] {
        let start = head.links + head.aliases as usize;
        &self.links[start..start + head.upstream as usize]
    }

    fn record(self, id: u32) -> Option<&'a Head> {
        let number = self.by_id.get(id as usize)?.checked_sub(1)?;
        self.heads.get(number as usize)
    }
}

pub(super) struct Groups {
    /// The group of each id: the least of its members.
    group: Vec<u32>,
    /// Ids by group, in their order within.
    members: Vec<u32>,
    /// Where the members of each group end.
    ends: Vec<u32>,
    /// The list of each group in `cves`.
    closure: Vec<u32>,
    /// CVEs of each closure, and where they end.
    cves: Vec<u32>,
    cve_ends: Vec<u32>,
    /// The CVEs that records name themselves, where their groups have others; of those CVEs themselves.
    own: HashMap<u32, Own>,
    /// Ids of records with more aliases or CVEs than are kept.
    pub(super) cut: Vec<u32>,
}

/// What a record says of itself, apart from what its group does.
#[derive(Default)]
struct Own {
    cves: Vec<u32>,
    /// Its aliases.
    named: HashSet<u32>,
}

impl Groups {
    pub(super) fn of(linked: Linked<'_>, sorted: &Sorted) -> Self {
        let mut group: Vec<u32> = (0..linked.ids.len()).map(|id| id as u32).collect();
        for head in linked.heads {
            for &alias in linked.aliases(head) {
                let (a, b) = (root(&mut group, head.id), root(&mut group, alias));
                group[a.max(b) as usize] = a.min(b);
            }
        }
        let mut ends = vec![0; group.len()];
        for id in 0..group.len() {
            let root = root(&mut group, id as u32);
            group[id] = root;
            ends[root as usize] += 1;
        }
        // From sizes to starts; filling moves each start to its end.
        let mut start = 0;
        for end in &mut ends {
            start += std::mem::replace(end, start);
        }
        let mut members = vec![0; group.len()];
        for &id in &sorted.order {
            let end = &mut ends[group[id as usize] as usize];
            members[*end as usize] = id;
            *end += 1;
        }
        let closure = vec![NONE; group.len()];
        let mut groups = Self {
            group,
            members,
            ends,
            closure,
            cves: Vec::new(),
            cve_ends: Vec::new(),
            own: HashMap::new(),
            cut: Vec::new(),
        };
        for head in linked.heads {
            let root = groups.group_of(head.id);
            if groups.closure[root as usize] == NONE && !groups.close(root, linked) {
                groups.cut.push(head.id);
            }
            if groups.members(root).len() > MAX_IDS {
                groups.cut.push(head.id);
            }
        }
        for head in linked.heads {
            groups.keep_own(head, linked);
        }
        // What has no record is of itself alone.
        let apart: Vec<u32> = groups.own.keys().flat_map(|&id| groups.of_closure(id)).copied().collect();
        for cve in apart {
            groups.own.entry(cve).or_insert_with(|| Own { cves: vec![cve], ..Own::default() });
        }
        groups
    }

    /// Keeps the CVEs that a record names itself, if it is in a group of more.
    fn keep_own(&mut self, head: &Head, linked: Linked<'_>) {
        let all = match self.of_closure(head.id) {
            // What is upstream is another's to name.
            all if all.len() > 1 && head.upstream == 0 => all,
            _ => return,
        };
        let named: HashSet<u32> = linked.aliases(head).iter().copied().collect();
        let cves: Vec<u32> = all.iter().copied().filter(|cve| named.contains(cve) || *cve == head.id).collect();
        if !cves.is_empty() {
            self.own.insert(head.id, Own { cves, named });
        }
    }

    pub(super) fn group_of(&self, id: u32) -> u32 {
        self.group[id as usize]
    }

    /// Every id of a group, in their order.
    fn members(&self, root: u32) -> &[u32] {
        let start = (root as usize).checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.members[start as usize..self.ends[root as usize] as usize]
    }

    /// Every other id of the record's vulnerability, in their order.
    pub(super) fn aliases(&self, id: u32) -> impl Iterator<Item = u32> {
        let own = self.own.get(&id);
        let is_alias = move |other: u32| match (own, self.own.get(&other)) {
            (Some(own), Some(other)) => other.cves.iter().any(|cve| own.cves.contains(cve)),
            (Some(own), None) => own.named.contains(&other),
            (None, _) => true,
        };
        let members = self.members(self.group_of(id)).iter().copied().take(2 * MAX_IDS);
        members.filter(move |&other| other != id && is_alias(other)).take(MAX_IDS)
    }

    /// The CVEs that the record speaks of, in the order of their numbers.
    pub(super) fn cves(&self, id: u32) -> &[u32] {
        if let Some(own) = self.own.get(&id) {
            return &own.cves;
        }
        self.of_closure(id)
    }

    /// Those of its group, and of what is upstream of that.
    fn of_closure(&self, id: u32) -> &[u32] {
        let closure = self.closure[self.group_of(id) as usize] as usize;
        let start = closure.checked_sub(1).map_or(0, |before| self.cve_ends[before]);
        &self.cves[start as usize..self.cve_ends[closure] as usize]
    }

    /// Follows what is upstream of a group; false if that has no end.
    fn close(&mut self, start: u32, linked: Linked<'_>) -> bool {
        let mut cves = Vec::new();
        let mut seen = HashSet::from([start]);
        let mut pending = vec![start];
        let mut is_whole = true;
        let mut left = MAX_VISITED;
        while let Some(root) = pending.pop() {
            let members = self.members(root);
            is_whole &= members.len() <= left;
            let members = &members[..members.len().min(left)];
            left -= members.len();
            for &id in members {
                cves.extend(parse_cve(linked.ids.get(id)).map(|cve| (cve, id)));
                for &upstream in linked.record(id).into_iter().flat_map(|head| linked.upstream(head)) {
                    let root = self.group_of(upstream);
                    if seen.contains(&root) {
                        continue;
                    }
                    if seen.len() > MAX_IDS {
                        is_whole = false;
                        continue;
                    }
                    seen.insert(root);
                    pending.push(root);
                }
            }
        }
        cves.sort_unstable();
        is_whole &= cves.len() <= MAX_IDS;
        self.closure[start as usize] = self.cve_ends.len() as u32;
        self.cves.extend(cves.into_iter().take(MAX_IDS).map(|(_, id)| id));
        self.cve_ends.push(self.cves.len() as u32);
        is_whole
    }
}

fn root(parents: &mut [u32], mut node: u32) -> u32 {
    while parents[node as usize] != node {
        let next = parents[parents[node as usize] as usize];
        parents[node as usize] = next;
        node = next;
    }
    node
}
