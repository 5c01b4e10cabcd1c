//! OSV records, as their sources write them: <https://ossf.github.io/osv-schema/>.
//!
//! Only what the database holds is read, and leniently: a wrong type in a field that does not matter must not lose
//! the record. What decides whether a package is affected is read strictly: a record that is broken there is an error,
//! rather than half a record.

use std::borrow::Cow;

use serde::{
    Deserialize,
    de::{IgnoredAny, MapAccess},
};

use crate::lenient::{AnyList, Lenient, List, Part, Text};

/// A record.
#[derive(Debug, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) modified: Lenient<Text>,
    #[serde(default)]
    pub(crate) published: Lenient<Text>,
    #[serde(default)]
    pub(crate) withdrawn: Option<IgnoredAny>,
    #[serde(default)]
    pub(crate) aliases: List<String>,
    #[serde(default)]
    pub(crate) upstream: List<String>,
    #[serde(default)]
    pub(crate) related: List<String>,
    #[serde(default)]
    pub(crate) summary: Lenient<Text>,
    #[serde(default)]
    pub(crate) details: Lenient<Text>,
    #[serde(default)]
    pub(crate) severity: Lenient<AnyList<SeverityRecord>>,
    #[serde(default)]
    pub(crate) affected: List<AffectedRecord>,
    #[serde(default)]
    pub(crate) references: Lenient<AnyList<ReferenceRecord>>,
    #[serde(default)]
    pub(crate) database_specific: Lenient<Specific>,
}

#[derive(Debug, Default)]
pub(crate) struct SeverityRecord {
    pub(crate) kind: String,
    pub(crate) score: String,
}

impl<'de> Part<'de> for SeverityRecord {
    fn object<A: MapAccess<'de>>(&mut self, object: A) -> Result<(), A::Error> {
        let Self { kind, score } = self;
        texts(object, [("type", kind), ("score", score)])
    }
}

#[derive(Debug, Default)]
pub(crate) struct ReferenceRecord {
    pub(crate) kind: String,
    pub(crate) url: String,
}

impl<'de> Part<'de> for ReferenceRecord {
    fn object<A: MapAccess<'de>>(&mut self, object: A) -> Result<(), A::Error> {
        let Self { kind, url } = self;
        texts(object, [("type", kind), ("url", url)])
    }
}

/// Reads the fields of an object that are wanted, and are texts.
fn texts<'de, A: MapAccess<'de>, const N: usize>(
    mut object: A,
    mut wanted: [(&str, &mut String); N],
) -> Result<(), A::Error> {
    while let Some(key) = object.next_key::<Cow<'_, str>>()? {
        match wanted.iter_mut().find(|(name, _)| *name == key) {
            Some((_, field)) => **field = object.next_value::<Lenient<Text>>()?.0.0.unwrap_or_default(),
            None => _ = object.next_value::<IgnoredAny>()?,
        }
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
pub(crate) struct AffectedRecord {
    #[serde(default)]
    pub(crate) package: Option<PackageRecord>,
    #[serde(default)]
    pub(crate) ranges: List<RangeRecord>,
    #[serde(default)]
    pub(crate) versions: List<String>,
    #[serde(default)]
    pub(crate) severity: Lenient<AnyList<SeverityRecord>>,
    #[serde(default)]
    pub(crate) ecosystem_specific: Lenient<Specific>,
    #[serde(default)]
    pub(crate) database_specific: Lenient<Specific>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PackageRecord {
    #[serde(default)]
    pub(crate) ecosystem: String,
    #[serde(default)]
    pub(crate) name: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RangeRecord {
    #[serde(default, rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) events: List<EventRecord>,
}

/// One of the four is set; a source that sets two at once writes a broken record, which is warned of.
#[derive(Debug, Deserialize)]
pub(crate) struct EventRecord {
    #[serde(default)]
    pub(crate) introduced: Option<String>,
    #[serde(default)]
    pub(crate) fixed: Option<String>,
    #[serde(default)]
    pub(crate) last_affected: Option<String>,
    #[serde(default)]
    pub(crate) limit: Option<String>,
}

/// What sources say in words of their own, in `database_specific` and `ecosystem_specific`.
#[derive(Debug, Default)]
pub(crate) struct Specific {
    /// GitHub's word.
    pub(crate) severity: Text,
    pub(crate) ubuntu_priority: Text,
    /// Debian's word.
    pub(crate) urgency: Text,
    pub(crate) status: Text,
    pub(crate) fix_state: Text,
    pub(crate) note: Text,
    pub(crate) cwe_ids: AnyList<Text>,
    /// SUSE lists the binary packages of a source package: `[{"name": "version"}, …]`.
    pub(crate) binaries: AnyList<Keys>,
}

impl<'de> Part<'de> for Specific {
    fn object<A: MapAccess<'de>>(&mut self, mut object: A) -> Result<(), A::Error> {
        while let Some(key) = object.next_key::<Cow<'_, str>>()? {
            let field = match &*key {
                "severity" => &mut self.severity,
                "ubuntu_priority" => &mut self.ubuntu_priority,
                "urgency" => &mut self.urgency,
                "status" => &mut self.status,
                "fix_state" => &mut self.fix_state,
                "note" => &mut self.note,
                "cwe_ids" => {
                    self.cwe_ids = object.next_value::<Lenient<_>>()?.0;
                    continue;
                }
                "binaries" => {
                    self.binaries = object.next_value::<Lenient<_>>()?.0;
                    continue;
                }
                _ => {
                    object.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *field = object.next_value::<Lenient<_>>()?.0;
        }
        Ok(())
    }
}

/// The names of an object's fields: `{"libssl3": "3.0.2", …}`, or `{"binary_name": "libssl3", …}`.
#[derive(Debug, Default)]
pub(crate) struct Keys(pub(crate) Vec<String>);

impl<'de> Part<'de> for Keys {
    fn object<A: MapAccess<'de>>(&mut self, mut object: A) -> Result<(), A::Error> {
        while let Some(key) = object.next_key::<String>()? {
            match key.as_str() {
                // Ubuntu's form of the list: the name is a value, not a key.
                "binary_name" => self.0.extend(object.next_value::<Lenient<Text>>()?.0.0),
                "binary_version" => drop(object.next_value::<IgnoredAny>()?),
                _ => {
                    object.next_value::<IgnoredAny>()?;
                    self.0.push(key);
                }
            }
        }
        Ok(())
    }
}
