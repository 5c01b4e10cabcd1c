//! CycloneDX 1.6 as XML: another spelling of the JSON document, in the order that the schema asks for.
//!
//! Format: <https://cyclonedx.org/docs/1.6/xml/>.

use std::{fmt::Write as _, io};

use portcullis_model::{Digest, Report};
use serde_json::Value;

use super::cyclonedx_json::Document;
use crate::{
    RenderOptions, ReportError, ReportFormat,
    text::{limited, markup},
};

/// `-o cyclonedx-xml`
pub(crate) struct CycloneDxXml;

impl ReportFormat for CycloneDxXml {
    fn name(&self) -> &'static str {
        "cyclonedx-xml"
    }

    fn describe(&self) -> &'static str {
        "CycloneDX 1.6 as XML"
    }

    fn extension(&self) -> &'static str {
        "cdx.xml"
    }

    fn media_type(&self) -> &'static str {
        "application/vnd.cyclonedx+xml"
    }

    fn lists_packages(&self) -> bool {
        true
    }

    fn write(&self, report: &Report, _: &RenderOptions, out: &mut dyn io::Write) -> Result<(), ReportError> {
        let document = Document::of(report);
        let fields: Value =
            document.head().into_iter().chain(document.middle()).map(|(n, v)| (n.to_owned(), v)).collect();
        let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
        let mut xml = Xml { text, depth: 0, out, failure: None };
        let attributes = [
            ("xmlns", "http://cyclonedx.org/schema/bom/1.6".to_owned()),
            ("serialNumber", string(&fields, "serialNumber").to_owned()),
            ("version", "1".to_owned()),
        ];
        xml.element("bom", &attributes, |xml| {
            metadata(xml, fields.get("metadata").unwrap_or(&Value::Null));
            xml.each("components", document.components(), component);
            xml.list("dependencies", &fields, |xml, dependency| {
                let attributes = [("ref", reference(string(dependency, "ref")))];
                xml.element("dependency", &attributes, |xml| {
                    for on in strings(dependency, "dependsOn") {
                        xml.empty("dependency", &[("ref", reference(on))]);
                    }
                });
            });
            xml.list("compositions", &fields, |xml, composition| {
                xml.element("composition", &[], |xml| {
                    xml.text("aggregate", composition);
                    xml.element("assemblies", &[], |xml| {
                        for assembly in strings(composition, "assemblies") {
                            xml.empty("assembly", &[("ref", reference(assembly))]);
                        }
                    });
                });
            });
            xml.each("vulnerabilities", document.vulnerabilities(), vulnerability);
        });
        xml.pass_on();
        xml.failure.map_or(Ok(()), |failure| Err(failure.into()))
    }
}

fn metadata(xml: &mut Xml<'_>, metadata: &Value) {
    xml.element("metadata", &[], |xml| {
        xml.text("timestamp", metadata);
        let tools = metadata.get("tools").unwrap_or(&Value::Null);
        xml.element("tools", &[], |xml| xml.list("components", tools, component));
        if let Some(target) = metadata.get("component") {
            component(xml, target);
        }
        properties(xml, metadata);
    });
}

fn component(xml: &mut Xml<'_>, component: &Value) {
    let mut attributes = vec![("type", string(component, "type").to_owned())];
    if component.get("bom-ref").is_some() {
        attributes.push(("bom-ref", reference(string(component, "bom-ref"))));
    }
    xml.element("component", &attributes, |xml| {
        for field in ["publisher", "name", "version", "description"] {
            xml.text(field, component);
        }
        xml.list("hashes", component, |xml, hash| {
            xml.leaf("hash", &[("alg", string(hash, "alg").to_owned())], string(hash, "content"));
        });
        xml.list("licenses", component, |xml, entry| match entry.get("license") {
            Some(license) => xml.element("license", &[], |xml| {
                xml.text("id", license);
                xml.text("name", license);
            }),
            None => xml.text("expression", entry),
        });
        xml.text("cpe", component);
        // One that is cut would be another one.
        if string(component, "purl").len() <= 2_000 {
            xml.text("purl", component);
        }
        properties(xml, component);
    });
}

fn properties(xml: &mut Xml<'_>, value: &Value) {
    xml.list("properties", value, |xml, property| {
        xml.leaf("property", &[("name", string(property, "name").to_owned())], string(property, "value"));
    });
}

fn vulnerability(xml: &mut Xml<'_>, vulnerability: &Value) {
    let attributes = [("bom-ref", reference(string(vulnerability, "bom-ref")))];
    xml.element("vulnerability", &attributes, |xml| {
        xml.text("id", vulnerability);
        source(xml, vulnerability);
        xml.list("references", vulnerability, |xml, other| {
            xml.element("reference", &[], |xml| {
                xml.text("id", other);
                source(xml, other);
            });
        });
        xml.list("ratings", vulnerability, |xml, rating| {
            xml.element("rating", &[], |xml| {
                source(xml, rating);
                if let Some(score) = rating.get("score") {
                    xml.leaf("score", &[], &score.to_string());
                }
                for field in ["severity", "method", "vector"] {
                    xml.text(field, rating);
                }
            });
        });
        xml.list("cwes", vulnerability, |xml, cwe| xml.leaf("cwe", &[], &cwe.to_string()));
        xml.text("description", vulnerability);
        xml.text("recommendation", vulnerability);
        xml.list("advisories", vulnerability, |xml, advisory| {
            xml.element("advisory", &[], |xml| xml.text("url", advisory));
        });
        xml.text("published", vulnerability);
        if let Some(found) = vulnerability.get("analysis") {
            analysis(xml, found);
        }
        xml.list("affects", vulnerability, |xml, target| {
            xml.element("target", &[], |xml| {
                xml.leaf("ref", &[], &reference(string(target, "ref")));
                xml.list("versions", target, |xml, version| {
                    xml.element("version", &[], |xml| {
                        xml.text("version", version);
                        xml.text("status", version);
                    });
                });
            });
        });
        properties(xml, vulnerability);
    });
}

fn analysis(xml: &mut Xml<'_>, analysis: &Value) {
    xml.element("analysis", &[], |xml| {
        xml.text("state", analysis);
        let responses: Vec<_> = strings(analysis, "response").collect();
        if !responses.is_empty() {
            xml.element("responses", &[], |xml| {
                responses.iter().for_each(|response| xml.leaf("response", &[], response));
            });
        }
        xml.text("detail", analysis);
    });
}

fn source(xml: &mut Xml<'_>, value: &Value) {
    if let Some(source) = value.get("source") {
        xml.element("source", &[], |xml| xml.text("name", source));
    }
}

fn string<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn strings<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a str> {
    value.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// A reference in full, or its hash where texts are cut: two must never become one.
fn reference(text: &str) -> String {
    let is_safe = text.len() <= 2_000 && text.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    if is_safe { text.to_owned() } else { Digest::of(text.as_bytes()).to_string() }
}

/// Writes elements, one a line.
struct Xml<'a> {
    /// What is not written yet.
    text: String,
    depth: usize,
    out: &'a mut dyn io::Write,
    /// Why nothing more is written.
    failure: Option<io::Error>,
}

/// So much text is held before it is written.
const MAX_HELD: usize = 64 << 10;

impl Xml<'_> {
    /// Writes what there is.
    fn pass_on(&mut self) {
        if self.failure.is_none() {
            self.failure = self.out.write_all(self.text.as_bytes()).err();
        }
        self.text.clear();
    }

    fn element(&mut self, name: &str, attributes: &[(&str, String)], children: impl FnOnce(&mut Self)) {
        self.open(name, attributes);
        self.text.push_str(">\n");
        self.depth += 1;
        children(self);
        self.depth -= 1;
        self.indent();
        // Writing to a String cannot fail.
        _ = writeln!(self.text, "</{name}>");
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, String)]) {
        self.open(name, attributes);
        self.text.push_str("/>\n");
    }

    fn leaf(&mut self, name: &str, attributes: &[(&str, String)], text: &str) {
        self.open(name, attributes);
        _ = writeln!(self.text, ">{}</{name}>", markup(text));
    }

    /// The field of that name as an element, where it is there.
    fn text(&mut self, name: &str, value: &Value) {
        if let Some(text) = value.get(name).and_then(Value::as_str) {
            // The schema's limit for versions is 1,024 characters, escapes included.
            let text = if name == "version" { limited(text, 1_000) } else { text.to_owned() };
            self.leaf(name, &[], &text);
        }
    }

    /// The field of that name as an element around its items, where there are any.
    fn list(&mut self, name: &str, value: &Value, mut item: impl FnMut(&mut Self, &Value)) {
        let items = value.get(name).and_then(Value::as_array).filter(|items| !items.is_empty());
        if let Some(items) = items {
            self.element(name, &[], |xml| items.iter().for_each(|value| item(xml, value)));
        }
    }

    /// An element around items that are made one at a time, where there are any.
    fn each(&mut self, name: &str, items: impl Iterator<Item = Value>, mut item: impl FnMut(&mut Self, &Value)) {
        let mut items = items.peekable();
        if items.peek().is_some() {
            self.element(name, &[], |xml| {
                for value in items {
                    item(xml, &value);
                    if xml.text.len() > MAX_HELD {
                        xml.pass_on();
                    }
                }
            });
        }
    }

    fn open(&mut self, name: &str, attributes: &[(&str, String)]) {
        self.indent();
        self.text.push('<');
        self.text.push_str(name);
        for (name, value) in attributes {
            _ = write!(self.text, " {name}=\"{}\"", markup(value));
        }
    }

    fn indent(&mut self) {
        self.text.extend(std::iter::repeat_n("  ", self.depth));
    }
}
