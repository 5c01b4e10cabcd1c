//! CycloneDX as XML.
//!
//! Format: <https://cyclonedx.org/docs/1.7/xml/>. No entity is expanded but those that XML itself defines, and nothing
//! that a document points to is fetched.

use std::borrow::Cow;

use quick_xml::{
    Reader, XmlVersion,
    escape::resolve_predefined_entity,
    events::{BytesStart, Event},
};

use super::{
    SbomError,
    cyclonedx::{Facts, Fields},
    gather::Gathered,
};

/// Elements inside elements.
const MAX_DEPTH: usize = 256;

/// Most bytes of one text kept.
const MAX_TEXT: usize = 64 << 10;

/// The namespace, before the version.
const NAMESPACE: &str = "http://cyclonedx.org/schema/bom/";

/// Reads a document.
pub(super) fn read(bytes: &[u8], gathered: &mut Gathered) -> Result<(), SbomError> {
    let text = String::from_utf8_lossy(bytes);
    let mut reader = Reader::from_str(&text);
    let mut walk = Walk {
        gathered,
        path: Vec::new(),
        components: Vec::new(),
        dependencies: Vec::new(),
        facts: Facts::default(),
        text: String::new(),
        property: String::new(),
    };
    loop {
        let at = reader.buffer_position();
        let failed = |why: String| SbomError::Xml { at, why };
        match reader.read_event().map_err(|error| failed(error.to_string()))? {
            Event::Start(element) => {
                if walk.path.len() >= MAX_DEPTH {
                    return Err(failed(format!("more than {MAX_DEPTH} elements inside each other")));
                }
                walk.open(&element);
            }
            Event::Empty(element) => {
                walk.open(&element);
                walk.close();
            }
            Event::End(_) => walk.close(),
            Event::Text(text) => walk.add(&text.xml10_content()),
            Event::CData(text) => walk.add(&text.xml10_content()),
            Event::GeneralRef(name) => match (resolve_predefined_entity(&name), name.resolve_char_ref()) {
                (Some(text), _) => walk.add(text),
                (None, Ok(Some(character))) => walk.add(character.encode_utf8(&mut [0; 4])),
                _ => walk.add(&format!("&{};", &*name)),
            },
            Event::Eof if walk.path.is_empty() => return Ok(()),
            Event::Eof => return Err(failed("it ends inside an element".to_owned())),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

/// Where in the document the reader is.
struct Walk<'s> {
    gathered: &'s mut Gathered,
    path: Vec<&'static str>,
    /// The components that are open; those that are no part of the inventory too.
    components: Vec<Fields<'static>>,
    /// The `ref` of the dependencies that are open.
    dependencies: Vec<String>,
    /// What the document's own properties say.
    facts: Facts<'static>,
    text: String,
    property: String,
}

impl Walk<'_> {
    fn open(&mut self, element: &BytesStart<'_>) {
        self.text.clear();
        let name = known(element.local_name().as_ref());
        match name {
            "bom" if self.path.is_empty() => {
                let namespaces =
                    element.attributes().flatten().filter(|attribute| attribute.key.as_ref().starts_with("xmlns"));
                for attribute in namespaces {
                    if let Some(version) = attribute.value.strip_prefix(NAMESPACE) {
                        self.gathered.format("CycloneDX");
                        self.gathered.format_version(version);
                    }
                }
            }
            "component" => {
                let mut fields = Fields::default();
                for field in ["type", "bom-ref"] {
                    fields.set(field, attribute(element, field).into());
                }
                self.components.push(fields);
            }
            "dependency" => {
                let reference = attribute(element, "ref");
                if let Some(from) = self.dependencies.last() {
                    self.gathered.dependency(from, &reference);
                }
                self.dependencies.push(reference);
            }
            "property" => self.property = attribute(element, "name"),
            _ => {}
        }
        self.path.push(name);
    }

    fn add(&mut self, text: &str) {
        if self.text.len() + text.len() <= MAX_TEXT {
            self.text.push_str(text);
        }
    }

    fn close(&mut self) {
        let text = std::mem::take(&mut self.text);
        let text = text.trim();
        let value = || Cow::<'static, str>::Owned(text.to_owned());
        match (self.path.as_slice(), self.components.last_mut()) {
            ([.., "component", field], Some(fields)) => match *field {
                "component" | "components" => {}
                field => fields.set(field, value()),
            },
            ([.., "component", "supplier", "name"], Some(fields)) => fields.supplier = value(),
            (
                [.., "component", "licenses", "license", "id" | "name"] | [.., "component", "licenses", "expression"],
                Some(fields),
            ) => {
                fields.found.licenses.push(text.to_owned());
            }
            ([.., "component", "properties", "property"], Some(fields)) => fields.facts.add(&self.property, value()),
            ([.., "occurrences", "occurrence", "location"], Some(fields)) => fields.found.places.push((value(), None)),
            ([_, "metadata", "properties", "property"], _) => self.facts.add(&self.property, value()),
            _ => {}
        }
        match self.path.pop() {
            Some("component") => self.end_component(),
            Some("dependency") => _ = self.dependencies.pop(),
            Some("metadata") => std::mem::take(&mut self.facts).gather_distribution(self.gathered),
            _ => {}
        }
    }

    /// Tools, ancestors and services have components too, which are no part of the inventory.
    fn end_component(&mut self) {
        let Some(fields) = self.components.pop() else { return };
        let is_part = self.path.iter().all(|name| matches!(*name, "bom" | "metadata" | "components" | "component"));
        if is_part {
            let is_root = self.path.last() == Some(&"metadata");
            fields.gather(self.gathered, is_root);
        }
    }
}

fn attribute(element: &BytesStart<'_>, name: &str) -> String {
    let attribute = element.attributes().flatten().find(|attribute| attribute.key.as_ref() == name);
    let value = attribute.and_then(|attribute| attribute.normalized_value(XmlVersion::Implicit1_0).ok());
    value.map_or_else(String::new, Cow::into_owned)
}

/// The names that count.
fn known(name: &str) -> &'static str {
    const NAMES: [&str; 27] = [
        "bom",
        "metadata",
        "components",
        "component",
        "name",
        "group",
        "version",
        "purl",
        "cpe",
        "publisher",
        "description",
        "scope",
        "supplier",
        "licenses",
        "license",
        "id",
        "expression",
        "properties",
        "property",
        "dependencies",
        "dependency",
        "evidence",
        "occurrences",
        "occurrence",
        "location",
        "tools",
        "pedigree",
    ];
    NAMES.into_iter().find(|known| *known == name).unwrap_or("")
}
