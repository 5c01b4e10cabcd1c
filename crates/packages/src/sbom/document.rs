//! JSON documents of every format: one pass over the top-level fields, whatever their order.
//!
//! Attestations hold a document of their own: in-toto (<https://github.com/in-toto/attestation/tree/main/spec/v1>) as
//! the predicate, DSSE (<https://github.com/secure-systems-lab/dsse/blob/master/envelope.md>) in Base64. Nothing here
//! verifies a signature.

use std::fmt;

use base64::{Engine as _, engine::general_purpose};
use serde::{
    Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{
    SbomError,
    cyclonedx::{Components, Dependency, Metadata},
    gather::Gathered,
    loose::{Each, Loose, Text, Texts, passed_over},
    spdx, spdx3, syft,
};

/// Envelopes inside envelopes.
const MAX_DEPTH: usize = 6;

/// Reads one document after the other: most files have one, a `.jsonl` of attestations has several.
pub(super) fn read(bytes: &[u8], gathered: &mut Gathered) -> Result<(), SbomError> {
    read_at(bytes, gathered, 0)
}

fn read_at(bytes: &[u8], gathered: &mut Gathered, depth: usize) -> Result<(), SbomError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    loop {
        let mut payloads = Vec::new();
        Document { gathered, depth, payloads: &mut payloads }
            .deserialize(&mut deserializer)
            .map_err(SbomError::Json)?;
        for payload in payloads {
            if depth >= MAX_DEPTH {
                gathered.too_deep();
                break;
            }
            read_at(&payload, gathered, depth + 1)?;
        }
        let Err(more) = deserializer.end() else { return Ok(()) };
        // What follows must be another object.
        if !more.is_syntax() || depth > 0 {
            return Err(SbomError::Json(more));
        }
    }
}

/// A document, or what holds one.
struct Document<'s> {
    gathered: &'s mut Gathered,
    depth: usize,
    /// The documents that it holds as text: together they are smaller than it.
    payloads: &'s mut Vec<Vec<u8>>,
}

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bill of materials")
    }

    passed_over!(visit_bool(bool), visit_unit(), visit_u64(u64), visit_i64(i64), visit_f64(f64));

    /// `cosign attest` of old wrote the document as a string in its predicate.
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.payloads.push(text.as_bytes().to_vec());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { gathered, depth, payloads } = self;
        while list.next_element_seed(Document { gathered, depth: depth + 1, payloads })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { gathered, depth, payloads } = self;
        while let Some(Text(key)) = map.next_key()? {
            if cyclonedx_field(&key, &mut map, gathered)?
                || spdx_field(&key, &mut map, gathered)?
                || syft_field(&key, &mut map, gathered)?
            {
                continue;
            }
            match &*key {
                // The last is what GitHub's dependency graph gives.
                "predicate" | "Data" | "dsseEnvelope" | "sbom" if depth < MAX_DEPTH => {
                    map.next_value_seed(Document { gathered, depth: depth + 1, payloads })?;
                }
                "payload" => {
                    let Text(text) = map.next_value()?;
                    payloads.extend(decode(&text));
                }
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }
}

fn cyclonedx_field<'de, A: MapAccess<'de>>(key: &str, map: &mut A, gathered: &mut Gathered) -> Result<bool, A::Error> {
    match key {
        "bomFormat" => {
            let Text(format) = map.next_value()?;
            if format == "CycloneDX" {
                gathered.format("CycloneDX");
            }
        }
        "specVersion" => gathered.format_version(&map.next_value::<Text<'_>>()?.0),
        "components" => map.next_value_seed(Components(gathered))?,
        "metadata" => map.next_value_seed(Metadata(gathered))?,
        "dependencies" => map.next_value_seed(Each::new(|dependency: Dependency<'_>| dependency.gather(gathered)))?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn spdx_field<'de, A: MapAccess<'de>>(key: &str, map: &mut A, gathered: &mut Gathered) -> Result<bool, A::Error> {
    match key {
        "spdxVersion" => {
            let Text(version) = map.next_value()?;
            if let Some(version) = version.strip_prefix("SPDX-") {
                gathered.format("SPDX");
                gathered.format_version(version);
            }
        }
        "name" => gathered.document_name(&map.next_value::<Text<'_>>()?.0),
        "documentDescribes" => {
            map.next_value::<Texts<'_>>()?.0.iter().for_each(|reference| gathered.described(reference));
        }
        "packages" => map.next_value_seed(Each::new(|package: spdx::Package<'_>| package.gather(gathered)))?,
        "relationships" => {
            map.next_value_seed(Each::new(|relationship: spdx::Relationship<'_>| relationship.gather(gathered)))?;
        }
        "hasExtractedLicensingInfos" => {
            map.next_value_seed(Each::new(|license: spdx::ExtractedLicense<'_>| license.gather(gathered)))?;
        }
        "@graph" => map.next_value_seed(Each::new(|element: spdx3::Element<'_>| element.gather(gathered)))?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn syft_field<'de, A: MapAccess<'de>>(key: &str, map: &mut A, gathered: &mut Gathered) -> Result<bool, A::Error> {
    match key {
        "artifacts" => {
            gathered.format("Syft");
            map.next_value_seed(Each::new(|artifact: syft::Artifact<'_>| artifact.gather(gathered)))?;
        }
        "distro" => map.next_value::<Loose<syft::Distro<'_>>>()?.0.gather(gathered),
        "source" => map.next_value::<Loose<syft::Source<'_>>>()?.0.gather(gathered),
        "artifactRelationships" => {
            map.next_value_seed(Each::new(|relationship: syft::Relationship<'_>| relationship.gather(gathered)))?;
        }
        "schema" => gathered.format_version(&map.next_value::<Loose<syft::Schema<'_>>>()?.0.version.0),
        _ => return Ok(false),
    }
    Ok(true)
}

/// The payload of an envelope; either alphabet of Base64, as the specification asks.
fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').as_bytes();
    general_purpose::STANDARD_NO_PAD.decode(text).or_else(|_error| general_purpose::URL_SAFE_NO_PAD.decode(text)).ok()
}
