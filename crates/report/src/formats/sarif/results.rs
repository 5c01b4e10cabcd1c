//! Results: one per finding.

use std::collections::{BTreeMap, HashMap};

use portcullis_model::{Finding, FixState, Report};
use serde_json::json;
use serde_sarif::sarif::{Message, PropertyBag, Result as SarifResult, ResultLevel, Suppression};

use super::{
    MAX_TEXT,
    places::{Places, fingerprint},
    rules::{Rules, result_level, rule_id},
};
use crate::{
    RenderOptions,
    advice::{fixing_version, upgrade_command},
    text::limited,
    view::{fix_words, known_id},
};

pub(super) fn results(
    report: &Report,
    findings: &[&Finding],
    rules: &Rules,
    options: &RenderOptions,
) -> Vec<SarifResult> {
    // Two versions of a package in one place have one fingerprint: the second gets `:2`, as GitHub's own action does.
    let mut seen: HashMap<String, usize> = HashMap::new();
    let places = Places::of(report, options);
    findings
        .iter()
        .filter_map(|finding| {
            let hash = fingerprint(finding);
            let count = seen.entry(hash.clone()).or_insert(0);
            *count += 1;
            result(&places, finding, rules, format!("{hash}:{count}"))
        })
        .collect()
}

fn result(places: &Places, finding: &Finding, rules: &Rules, fingerprint: String) -> Option<SarifResult> {
    let id = rule_id(finding);
    let rule_index = rules.index_of(&id)?;
    let level = match result_level(finding.severity.level) {
        "error" => ResultLevel::Error,
        "warning" => ResultLevel::Warning,
        _ => ResultLevel::Note,
    };
    let mut result = SarifResult::builder()
        .rule_id(id)
        .rule_index(rule_index)
        .level(level)
        .message(Message::builder().text(words(finding)).build())
        .locations(vec![places.location(finding)])
        .partial_fingerprints(BTreeMap::from([("primaryLocationLineHash".to_owned(), fingerprint)]))
        .properties(properties(finding))
        .build();
    result.suppressions = suppression(finding).map(|suppression| vec![suppression]);
    Some(result)
}

fn words(finding: &Finding) -> String {
    let package = &finding.package;
    let mut text = format!(
        "{} {} ({}) is affected by {}",
        limited(&package.name, 200),
        limited(&package.version, 100),
        package.kind,
        limited(known_id(finding), 100)
    );
    let title = finding.title.trim().trim_end_matches('.');
    if !title.is_empty() {
        text.push_str(&format!(": {}", limited(title, 300)));
    }
    text.push_str(&format!(". {}", capital(&limited(&fix_words(finding), 200))));
    if let Some(command) = fixing_version(finding).and_then(|version| upgrade_command(package, version)) {
        text.push_str(&format!(": {}", limited(&command, 300)));
    }
    text.push('.');
    limited(&text, MAX_TEXT)
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

fn suppression(finding: &Finding) -> Option<Suppression> {
    let justification = match &finding.suppressed {
        Some(suppression) => {
            let expires = suppression.expires.map_or_else(String::new, |end| format!(" (until {end})"));
            format!("{}: {}{expires}", suppression.by, suppression.reason)
        }
        None if finding.state == FixState::NotAffected => {
            "its source says that this package is not affected".to_owned()
        }
        None => return None,
    };
    let suppression = Suppression::builder()
        .kind(json!("external"))
        .status(json!("accepted"))
        .justification(limited(&justification, MAX_TEXT));
    Some(suppression.build())
}

fn properties(finding: &Finding) -> PropertyBag {
    let package = &finding.package;
    let mut properties = BTreeMap::from([
        ("portcullis/package".to_owned(), json!(limited(&package.purl, MAX_TEXT))),
        ("portcullis/severity".to_owned(), json!(finding.severity.level)),
        ("portcullis/state".to_owned(), json!(finding.state)),
    ]);
    if let Some(version) = fixing_version(finding) {
        properties.insert("portcullis/fixedVersion".to_owned(), json!(limited(version, 100)));
    }
    if let Some(layer) = package.locations.first().and_then(|location| location.layer) {
        properties.insert("portcullis/layer".to_owned(), json!(layer));
    }
    PropertyBag::builder().additional_properties(properties).build()
}
