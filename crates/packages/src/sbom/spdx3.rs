//! SPDX 3 as JSON-LD: a flat graph of elements.
//!
//! Format: <https://spdx.github.io/spdx-spec/v3.0.1/serializations/>. Elements are read in the compact form that the
//! specification asks for; other forms of JSON-LD are not.

use portcullis_model::Distribution;
use serde::{Deserialize, Deserializer, de::DeserializeSeed};

use super::{
    gather::{Found, Gathered},
    loose::{Each, Text, Texts},
};

/// An element of the graph, of any class.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Element<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow, rename = "spdxId")]
    id: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow, rename = "software_packageVersion")]
    version: Text<'a>,
    #[serde(borrow, rename = "software_packageUrl")]
    purl: Text<'a>,
    #[serde(borrow, rename = "software_primaryPurpose")]
    purpose: Text<'a>,
    #[serde(rename = "externalIdentifier")]
    #[serde(borrow)]
    identifiers: Identifiers<'a>,
    #[serde(borrow, rename = "specVersion")]
    spec_version: Text<'a>,
    #[serde(borrow, rename = "rootElement")]
    roots: Texts<'a>,
    #[serde(borrow)]
    from: Text<'a>,
    #[serde(borrow)]
    to: Texts<'a>,
    #[serde(borrow, rename = "relationshipType")]
    relationship: Text<'a>,
}

/// The identifiers that count.
#[derive(Default)]
struct Identifiers<'a> {
    purl: Text<'a>,
    cpe: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Identifier<'a> {
    #[serde(borrow, rename = "externalIdentifierType")]
    kind: Text<'a>,
    #[serde(borrow)]
    identifier: Text<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Identifiers<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut identifiers = Identifiers::default();
        Each::new(|Identifier { kind, identifier }: Identifier<'de>| match &*kind.0 {
            "packageUrl" | "packageURL" | "purl" => identifiers.purl = identifier,
            "cpe23" | "cpe22" => identifiers.cpe = identifier,
            _ => {}
        })
        .deserialize(deserializer)?;
        Ok(identifiers)
    }
}

impl Element<'_> {
    pub(super) fn gather(self, gathered: &mut Gathered) {
        match &*self.kind.0 {
            "CreationInfo" if self.spec_version.0.starts_with("3.") => {
                gathered.format("SPDX");
                gathered.format_version(&self.spec_version.0);
            }
            "SpdxDocument" => {
                gathered.document_name(&self.name.0);
                self.roots.0.iter().for_each(|root| gathered.described(root));
            }
            "Relationship" | "LifecycleScopedRelationship" => self.relate(gathered),
            "software_Package" if self.purpose.0 == "operatingSystem" => {
                gathered.distribution(Distribution::named(&self.name.0, &self.version.0));
            }
            "software_Package" => {
                let purl = if self.purl.0.is_empty() { self.identifiers.purl.0 } else { self.purl.0 };
                let is_released = !self.version.0.is_empty();
                match &*self.purpose.0 {
                    "container" if purl.is_empty() => return gathered.subject(&self.name.0, &self.version.0),
                    "source" if purl.is_empty() => return,
                    "file" | "archive" | "other" if purl.is_empty() && !is_released => return,
                    _ => {}
                }
                gathered.add(Found {
                    reference: self.id.0,
                    name: self.name.0,
                    version: self.version.0,
                    purl,
                    cpe: self.identifiers.cpe.0,
                    ..Found::default()
                });
            }
            _ => {}
        }
    }

    fn relate(self, gathered: &mut Gathered) {
        for to in &self.to.0 {
            match &*self.relationship.0 {
                "dependsOn" => gathered.dependency(&self.from.0, to),
                "describes" => gathered.described(to),
                _ => {}
            }
        }
    }
}
