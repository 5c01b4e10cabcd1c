//! What the file will hold, as numbers: the order of the advisories, the CVEs, and who lends whom a severity.

use portcullis_model::SeverityLevel;

use super::{
    groups::{Groups, Linked},
    names::Sorted,
    record::Head,
};
use crate::format::parse_cve;

/// No CVE, no record.
const NONE: u32 = u32::MAX;

/// What is decided before anything is written.
pub(super) struct Plan<'a> {
    linked: Linked<'a>,
    pub(super) ids: Sorted,
    pub(super) packages: Sorted,
    pub(super) groups: Groups,
    /// Records by their first package: neighbours in the file are neighbours in a scan, and share a block of text.
    pub(super) order: Vec<u32>,
    /// Ids of the CVEs that records of packages speak of, in the order of their numbers.
    pub(super) cves: Vec<u32>,
    /// The place of each id in `cves`.
    cve_places: Vec<u32>,
    /// The record with the best severity for each CVE, and for each group.
    lenders: Lenders,
}

struct Lenders {
    by_cve: Vec<u32>,
    by_group: Vec<u32>,
}

impl<'a> Plan<'a> {
    pub(super) fn of(linked: Linked<'a>, ids: Sorted, packages: Sorted, groups: Groups) -> Self {
        let heads = linked.heads;
        let mut order: Vec<u32> =
            (0..heads.len() as u32).filter(|&number| heads[number as usize].packages > 0).collect();
        order.sort_unstable_by_key(|&number| {
            let head = &heads[number as usize];
            (packages.places[head.first_package as usize], ids.places[head.id as usize])
        });
        let mut cve_places = vec![NONE; linked.ids.len()];
        let mut cves = Vec::new();
        for &number in &order {
            for &id in groups.cves(heads[number as usize].id) {
                if cve_places[id as usize] == NONE {
                    cve_places[id as usize] = 0;
                    cves.push(id);
                }
            }
        }
        cves.sort_unstable_by_key(|&id| parse_cve(linked.ids.get(id)));
        for (place, &id) in cves.iter().enumerate() {
            cve_places[id as usize] = place as u32;
        }
        let by_cve = vec![NONE; cves.len()];
        let by_group = vec![NONE; linked.ids.len()];
        let lenders = Lenders { by_cve, by_group };
        let mut plan = Self { linked, ids, packages, groups, order, cves, cve_places, lenders };
        plan.find_lenders();
        plan
    }

    /// The places of a record's CVEs.
    pub(super) fn cves_of(&self, head: &Head) -> impl Iterator<Item = u32> {
        self.groups.cves(head.id).iter().map(|&id| self.cve_places[id as usize])
    }

    /// The record whose severity is a record's own, or the best that is known of the same vulnerability.
    pub(super) fn rated<'b>(&'b self, head: &'b Head) -> &'b Head {
        if head.level != SeverityLevel::Unknown {
            return head;
        }
        let by_group = self.lenders.by_group[self.groups.group_of(head.id) as usize];
        let by_cve = self.only_cve(head).map_or(NONE, |place| self.lenders.by_cve[place]);
        let lenders = [by_group, by_cve].into_iter().filter_map(|number| self.linked.heads.get(number as usize));
        lenders.max_by_key(|lender| self.trust(lender)).unwrap_or(head)
    }

    /// A record of many CVEs has one severity for all of them: it says little of each.
    fn only_cve(&self, head: &Head) -> Option<usize> {
        match self.groups.cves(head.id) {
            &[id] => self.cve_places.get(id as usize).filter(|&&place| place != NONE).map(|&place| place as usize),
            _ => None,
        }
    }

    fn find_lenders(&mut self) {
        for (number, head) in self.linked.heads.iter().enumerate() {
            if head.level == SeverityLevel::Unknown {
                continue;
            }
            let group = self.groups.group_of(head.id) as usize;
            if self.is_better(head, self.lenders.by_group[group]) {
                self.lenders.by_group[group] = number as u32;
            }
            if let Some(place) = self.only_cve(head)
                && self.is_better(head, self.lenders.by_cve[place])
            {
                self.lenders.by_cve[place] = number as u32;
            }
        }
    }

    fn is_better(&self, head: &Head, known: u32) -> bool {
        self.linked.heads.get(known as usize).is_none_or(|known| self.trust(known) < self.trust(head))
    }

    /// Whose severity counts where a record has none: GitHub's, then NVD's, then any; one with a score before a word.
    fn trust(&self, head: &Head) -> (u8, bool, std::cmp::Reverse<u32>) {
        let id = self.linked.ids.get(head.id);
        let source = if id.starts_with("GHSA-") { 2 } else { u8::from(id.starts_with("CVE-")) };
        (source, head.score > 0, std::cmp::Reverse(self.ids.places[head.id as usize]))
    }
}
