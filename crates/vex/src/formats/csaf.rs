//! CSAF 2.0, its VEX profile and the advisories of vendors:
//! <https://docs.oasis-open.org/csaf/csaf/v2.0/os/csaf-v2.0-os.html>.
//!
//! Products are ids in a tree. An id is a leaf with a package URL or CPE, or stands for one product *as part of* another:
//! `openssl` as part of `Red Hat Enterprise Linux 9`. What is said of it there holds nowhere else.

use std::collections::{BTreeMap, HashMap};

use portcullis_model::Timestamp;
use serde::Deserialize;

use super::{Draft, joined, time};
use crate::{Component, Product, Status};

#[derive(Deserialize)]
struct Record {
    document: DocumentRecord,
    #[serde(default)]
    product_tree: Option<TreeRecord>,
    #[serde(default)]
    vulnerabilities: Option<Vec<VulnerabilityRecord>>,
}

#[derive(Deserialize)]
struct DocumentRecord {
    #[serde(default)]
    tracking: Option<TrackingRecord>,
}

#[derive(Deserialize, Default)]
struct TrackingRecord {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    current_release_date: Option<String>,
}

#[derive(Deserialize)]
struct TreeRecord {
    #[serde(default)]
    branches: Option<Vec<BranchRecord>>,
    #[serde(default)]
    full_product_names: Option<Vec<ProductRecord>>,
    #[serde(default)]
    relationships: Option<Vec<RelationshipRecord>>,
}

#[derive(Deserialize)]
struct BranchRecord {
    #[serde(default)]
    branches: Option<Vec<Self>>,
    #[serde(default)]
    product: Option<ProductRecord>,
}

#[derive(Deserialize)]
struct ProductRecord {
    product_id: String,
    #[serde(default)]
    product_identification_helper: Option<HelperRecord>,
}

#[derive(Deserialize, Default)]
struct HelperRecord {
    #[serde(default)]
    cpe: Option<String>,
    #[serde(default)]
    purl: Option<String>,
    #[serde(default)]
    hashes: Option<Vec<HashesRecord>>,
}

#[derive(Deserialize)]
struct HashesRecord {
    #[serde(default)]
    file_hashes: Vec<FileHashRecord>,
}

#[derive(Deserialize)]
struct FileHashRecord {
    #[serde(default)]
    algorithm: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
struct RelationshipRecord {
    full_product_name: ProductRecord,
    product_reference: String,
    relates_to_product_reference: String,
}

#[derive(Deserialize)]
struct VulnerabilityRecord {
    #[serde(default)]
    cve: Option<String>,
    #[serde(default)]
    ids: Option<Vec<IdRecord>>,
    #[serde(default)]
    product_status: Option<StatusRecord>,
    #[serde(default)]
    flags: Option<Vec<FlagRecord>>,
    #[serde(default)]
    threats: Option<Vec<ThreatRecord>>,
}

#[derive(Deserialize)]
struct IdRecord {
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
struct StatusRecord {
    #[serde(default)]
    known_not_affected: Vec<String>,
    #[serde(default)]
    fixed: Vec<String>,
    #[serde(default)]
    first_fixed: Vec<String>,
    #[serde(default)]
    known_affected: Vec<String>,
    #[serde(default)]
    first_affected: Vec<String>,
    #[serde(default)]
    last_affected: Vec<String>,
    #[serde(default)]
    under_investigation: Vec<String>,
}

#[derive(Deserialize)]
struct FlagRecord {
    #[serde(default)]
    label: String,
    #[serde(default)]
    date: Option<String>,
    #[serde(default)]
    product_ids: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct ThreatRecord {
    #[serde(default)]
    category: String,
    #[serde(default)]
    details: String,
    #[serde(default)]
    product_ids: Option<Vec<String>>,
}

pub(super) fn read(bytes: &[u8], draft: &mut Draft) -> Result<(), serde_json::Error> {
    let Record { document, product_tree, vulnerabilities } = serde_json::from_slice(bytes)?;
    let TrackingRecord { id, status, current_release_date } = document.tracking.unwrap_or_default();
    draft.id = id.unwrap_or_default();
    let released = time(current_release_date.as_deref());
    // A draft is for its party's own use, or to ask others what they think: nobody stands by it yet.
    let is_draft = status.is_some_and(|status| status.eq_ignore_ascii_case("draft"));
    if is_draft {
        draft.problem("it is a draft: it rules nothing out".into());
    }
    let tree = product_tree.map(|tree| Tree::of(tree, draft)).unwrap_or_default();
    for record in vulnerabilities.into_iter().flatten() {
        gather(record, &tree, released, is_draft, draft);
    }
    Ok(())
}

fn gather(record: VulnerabilityRecord, tree: &Tree, released: Option<Timestamp>, is_draft: bool, draft: &mut Draft) {
    let VulnerabilityRecord { cve, ids, product_status, flags, threats } = record;
    let ids: Vec<String> = cve.into_iter().chain(ids.into_iter().flatten().map(|id| id.text)).collect();
    let Some(status) = product_status else { return };
    let mut flag_of: HashMap<&str, &FlagRecord> = HashMap::new();
    for flag in flags.iter().flatten() {
        flag.product_ids.iter().flatten().for_each(|id| _ = flag_of.insert(id, flag));
    }
    let mut impact_of: HashMap<&str, &str> = HashMap::new();
    for threat in threats.iter().flatten().filter(|threat| threat.category == "impact") {
        threat.product_ids.iter().flatten().for_each(|id| _ = impact_of.insert(id, &threat.details));
    }
    let of_status = [
        (Status::NotAffected, vec![status.known_not_affected]),
        (Status::Fixed, vec![status.fixed, status.first_fixed]),
        (Status::Affected, vec![status.known_affected, status.first_affected, status.last_affected]),
        (Status::UnderInvestigation, vec![status.under_investigation]),
    ];
    for (status, lists) in of_status.into_iter().filter(|(status, _)| !is_draft || !status.rules_out()) {
        // Products of one reason and one day are one statement.
        let mut groups: HashMap<(String, Option<Timestamp>), Vec<Product>> = HashMap::new();
        let mut order = Vec::new();
        for id in lists.iter().flatten() {
            let Some(product) = tree.product(id) else {
                draft
                    .problem("a product is not told by a package URL or digest: what is said of it is left out".into());
                continue;
            };
            let flag = flag_of.get(id.as_str()).filter(|_| status == Status::NotAffected);
            let impact = impact_of.get(id.as_str()).filter(|_| status == Status::NotAffected).copied();
            let reason = joined(flag.map(|flag| flag.label.as_str()), impact);
            let made = flag.and_then(|flag| time(flag.date.as_deref())).or(released);
            let key = (reason, made);
            if !groups.contains_key(&key) {
                order.push(key.clone());
            }
            groups.entry(key).or_default().push(product);
        }
        for key in order {
            let products = groups.remove(&key).unwrap_or_default();
            draft.statement(ids.clone(), products, status, key.0, key.1);
        }
    }
}

/// The products by id.
#[derive(Default)]
struct Tree(BTreeMap<String, Product>);

impl Tree {
    fn of(record: TreeRecord, draft: &mut Draft) -> Self {
        let TreeRecord { branches, full_product_names, relationships } = record;
        let mut leaves: BTreeMap<String, Component> = BTreeMap::new();
        full_product_names.into_iter().flatten().for_each(|product| leaf(product, &mut leaves));
        branches.into_iter().flatten().for_each(|branch| walk(branch, &mut leaves));
        let mut products = BTreeMap::new();
        for RelationshipRecord { full_product_name, product_reference, relates_to_product_reference } in
            relationships.into_iter().flatten()
        {
            let (Some(part), Some(whole)) = (leaves.get(&product_reference), leaves.get(&relates_to_product_reference))
            else {
                continue;
            };
            if part.is_nameless() {
                continue;
            }
            let product = if whole.is_nameless() {
                // A platform: known by its CPE, or by its name alone, which tells nothing.
                if whole.platforms.is_empty() {
                    continue;
                }
                let mut component = part.clone();
                component.platforms.clone_from(&whole.platforms);
                Product { whole: draft.component(component), parts: Vec::new() }
            } else {
                let (whole, part) = (whole.clone(), Component { platforms: Vec::new(), ..part.clone() });
                let whole = draft.component(Component { platforms: Vec::new(), ..whole });
                Product { whole, parts: vec![draft.component(part)] }
            };
            products.insert(full_product_name.product_id, product);
        }
        for (id, component) in leaves {
            if !component.is_nameless() && !products.contains_key(&id) {
                let component = Component { platforms: Vec::new(), ..component };
                products.insert(id, Product { whole: draft.component(component), parts: Vec::new() });
            }
        }
        Self(products)
    }

    fn product(&self, id: &str) -> Option<Product> {
        self.0.get(id).cloned()
    }
}

/// serde_json bounds how deep a tree can be.
fn walk(branch: BranchRecord, leaves: &mut BTreeMap<String, Component>) {
    branch.product.into_iter().for_each(|product| leaf(product, leaves));
    branch.branches.into_iter().flatten().for_each(|branch| walk(branch, leaves));
}

fn leaf(record: ProductRecord, leaves: &mut BTreeMap<String, Component>) {
    let ProductRecord { product_id, product_identification_helper } = record;
    let HelperRecord { cpe, purl, hashes } = product_identification_helper.unwrap_or_default();
    let mut component = Component::default();
    purl.iter().for_each(|purl| component.add(purl));
    let hashes = hashes.iter().flatten().flat_map(|hashes| &hashes.file_hashes);
    let hashes = hashes.filter(|hash| hash.algorithm.eq_ignore_ascii_case("sha256"));
    hashes.for_each(|hash| component.add(&format!("sha256:{}", hash.value.to_ascii_lowercase())));
    component.platforms.extend(cpe);
    leaves.insert(product_id, component);
}
