//! CycloneDX as JSON: components, nested to any depth, and what depends on what.
//!
//! Format: <https://cyclonedx.org/docs/1.7/json/>. The properties are those that Portcullis, Syft
//! (<https://github.com/anchore/syft/wiki>) and Trivy (<https://trivy.dev/latest/docs/supply-chain/sbom/>) write.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{
    gather::{Found, Gathered},
    loose::{Each, Loose, Text, Texts, passed_over},
};

/// A list of components.
pub(super) struct Components<'s>(pub(super) &'s mut Gathered);

impl<'de> DeserializeSeed<'de> for Components<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Components<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("components")
    }

    passed_over!(visit_str(&str), visit_bool(bool), visit_unit(), visit_u64(u64), visit_i64(i64), visit_f64(f64));

    /// As everywhere: an object in the place of a list counts as its only item.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        Component { gathered: self.0, is_root: false }.visit_map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Component { gathered: self.0, is_root: false })?.is_some() {}
        Ok(())
    }
}

/// `metadata`: what the document describes.
pub(super) struct Metadata<'s>(pub(super) &'s mut Gathered);

impl<'de> DeserializeSeed<'de> for Metadata<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Metadata<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("metadata")
    }

    passed_over!(visit_str(&str), visit_bool(bool), visit_unit(), visit_u64(u64), visit_i64(i64), visit_f64(f64));

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        super::loose::drain(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "component" => map.next_value_seed(Component { gathered: self.0, is_root: true })?,
                // Syft writes what it knows of the distribution here.
                "properties" => {
                    let mut facts = Facts::default();
                    map.next_value_seed(Each::new(|Property { name, value }| facts.add(&name.0, value.0)))?;
                    facts.gather_distribution(self.0);
                }
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }
}

/// One component; those inside of it first.
struct Component<'s> {
    gathered: &'s mut Gathered,
    /// Whether it is what the document describes.
    is_root: bool,
}

impl<'de> DeserializeSeed<'de> for Component<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Component<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a component")
    }

    passed_over!(visit_str(&str), visit_bool(bool), visit_unit(), visit_u64(u64), visit_i64(i64), visit_f64(f64));

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        super::loose::drain(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut found = Fields::default();
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "components" => map.next_value_seed(Components(self.gathered))?,
                "properties" => {
                    map.next_value_seed(Each::new(|Property { name, value }| found.facts.add(&name.0, value.0)))?;
                }
                "licenses" => map.next_value_seed(Each::new(|choice: LicenseChoice<'_>| {
                    found.found.licenses.extend(choice.into_text());
                }))?,
                "supplier" => found.supplier = map.next_value::<Loose<Organization<'de>>>()?.0.name.0,
                "evidence" => found.occurrences(map.next_value::<Loose<Evidence<'de>>>()?.0),
                "bom-ref" | "type" | "name" | "group" | "version" | "purl" | "cpe" | "publisher" | "description"
                | "scope" => found.set(&key, map.next_value::<Text<'de>>()?.0),
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        found.gather(self.gathered, self.is_root);
        Ok(())
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Property<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    value: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Organization<'a> {
    #[serde(borrow)]
    name: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LicenseChoice<'a> {
    #[serde(borrow)]
    license: Loose<License<'a>>,
    #[serde(borrow)]
    expression: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct License<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
}

impl LicenseChoice<'_> {
    fn into_text(self) -> Option<String> {
        let License { id, name } = self.license.0;
        [id.0, name.0, self.expression.0].into_iter().find(|text| !text.is_empty()).map(Cow::into_owned)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Evidence<'a> {
    #[serde(borrow)]
    occurrences: Occurrences<'a>,
}

/// Where a component was seen.
#[derive(Default)]
struct Occurrences<'a>(Vec<Cow<'a, str>>);

#[derive(Default, Deserialize)]
#[serde(default)]
struct Occurrence<'a> {
    #[serde(borrow)]
    location: Text<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Occurrences<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut places = Vec::new();
        Each::new(|Occurrence { location }: Occurrence<'de>| places.push(location.0)).deserialize(deserializer)?;
        Ok(Self(places))
    }
}

/// `dependencies`: a component and what it needs.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Dependency<'a> {
    #[serde(borrow, rename = "ref")]
    reference: Text<'a>,
    #[serde(borrow, rename = "dependsOn")]
    depends_on: Texts<'a>,
}

impl Dependency<'_> {
    pub(super) fn gather(self, gathered: &mut Gathered) {
        for needed in &self.depends_on.0 {
            gathered.dependency(&self.reference.0, needed);
        }
    }
}

/// What is known of a component before it is a package: both spellings of the format fill it.
#[derive(Default)]
pub(super) struct Fields<'a> {
    pub(super) found: Found<'a>,
    pub(super) facts: Facts<'a>,
    pub(super) supplier: Cow<'a, str>,
    kind: Cow<'a, str>,
    description: Cow<'a, str>,
    is_excluded: bool,
}

impl<'a> Fields<'a> {
    /// Takes a field by its name in JSON.
    pub(super) fn set(&mut self, field: &str, value: Cow<'a, str>) {
        match field {
            "bom-ref" => self.found.reference = value,
            "type" => self.kind = value,
            "name" => self.found.name = value,
            "group" => self.found.group = value,
            "version" => self.found.version = value,
            "purl" => self.found.purl = value,
            "cpe" => self.found.cpe = value,
            "publisher" => self.found.vendor = value,
            "description" => self.description = value,
            "scope" => self.is_excluded = value == "excluded",
            _ => {}
        }
    }

    fn occurrences(&mut self, evidence: Evidence<'a>) {
        self.found.places.extend(evidence.occurrences.0.into_iter().map(|place| (place, None)));
    }

    /// Hands over the package that the component is, if it is one.
    pub(super) fn gather(self, gathered: &mut Gathered, is_root: bool) {
        let Self { mut found, facts, supplier, kind, description, is_excluded } = self;
        if is_root {
            gathered.subject(&found.name, &found.version);
        }
        if kind == "operating-system" {
            facts.gather_system(gathered, &found, &description);
            return;
        }
        if is_excluded {
            gathered.left_out(&found.name);
            return;
        }
        facts.complete(&mut found);
        if found.vendor.is_empty() {
            found.vendor = supplier;
        }
        let is_image = ["pkg:oci/", "pkg:docker/"].iter().any(|kind| found.purl.starts_with(kind));
        if is_root && is_image {
            gathered.image(&found.purl);
            return;
        }
        // What holds others, and what is no software, needs a purl to be a package.
        let is_plain = match &*kind {
            "library" | "framework" | "firmware" | "device-driver" | "" => true,
            "application" | "platform" => !found.version.is_empty(),
            _ => false,
        };
        if !found.purl.is_empty() || is_plain && !is_root {
            gathered.add(found);
        }
    }
}

mod facts;

pub(super) use facts::Facts;
