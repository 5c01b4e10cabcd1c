//! Results: one for each place of a finding.

use std::collections::BTreeMap;

use portcullis_model::{Finding, FixState, Report, SeverityLevel};
use serde_json::json;
use serde_sarif::sarif::{Message, PropertyBag, Result as SarifResult, ResultLevel, Suppression};

use super::{
    MAX_TEXT,
    places::{Places, former_location, layer},
    rules::{Rules, result_level, rule_id},
};
use crate::{
    RenderOptions,
    advice::{Commands, fixing_version},
    baseline::{Alert, Changes, Known},
    text::limited,
    view::{View, fix_words, known_id, suppression_words, written},
};

pub(super) fn results(
    report: &Report,
    view: &View<'_>,
    alerts: &[Alert<'_>],
    rules: &Rules,
    changes: Option<&Changes<'_>>,
    options: &RenderOptions,
) -> Vec<SarifResult> {
    let places = Places::of(report, options);
    let state = |key: &str| changes.map(|changes| json!(if changes.is_new_key(key) { "new" } else { "unchanged" }));
    let here = alerts.iter().filter_map(|alert| {
        let mut result = result(&places, alert, rules, &view.commands)?;
        result.baseline_state = state(&alert.key);
        Some(result)
    });
    let gone =
        changes.into_iter().flat_map(|changes| &changes.absent).filter_map(|(key, known)| absent(key, known, rules));
    here.chain(gone).collect()
}

/// What was there, and is gone.
fn absent(key: &str, known: &Known, rules: &Rules) -> Option<SarifResult> {
    let Known { id, text, level, place, counts: _ } = known;
    let result = SarifResult::builder()
        .rule_index(rules.index_of(id)?)
        .rule_id(id.clone())
        .level(level_of(*level))
        .message(Message::builder().text(limited(&format!("{text} was affected by {id}."), MAX_TEXT)).build())
        .locations(vec![former_location(place)])
        .partial_fingerprints(BTreeMap::from([("primaryLocationLineHash".to_owned(), limited(key, 100))]))
        .baseline_state(json!("absent"))
        .build();
    Some(result)
}

fn level_of(level: SeverityLevel) -> ResultLevel {
    match result_level(level) {
        "error" => ResultLevel::Error,
        "warning" => ResultLevel::Warning,
        _ => ResultLevel::Note,
    }
}

fn result(places: &Places<'_>, alert: &Alert<'_>, rules: &Rules, commands: &Commands<'_>) -> Option<SarifResult> {
    let Alert { key, finding, path } = alert;
    let id = rule_id(finding);
    let rule_index = rules.index_of(&id)?;
    let mut result = SarifResult::builder()
        .rule_id(id)
        .rule_index(rule_index)
        .level(level_of(finding.severity.level))
        .message(Message::builder().text(words(finding, commands)).build())
        .locations(vec![places.location(finding, path)])
        .partial_fingerprints(BTreeMap::from([("primaryLocationLineHash".to_owned(), key.clone())]))
        .properties(properties(finding, path))
        .build();
    result.suppressions = suppression(finding).map(|suppression| vec![suppression]);
    Some(result)
}

fn words(finding: &Finding, commands: &Commands<'_>) -> String {
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
    if let Some(command) = commands.fix(finding) {
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
        Some(_) => suppression_words(finding),
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

fn properties(finding: &Finding, path: &str) -> PropertyBag {
    let package = &finding.package;
    let mut properties = BTreeMap::from([
        ("portcullis/package".to_owned(), json!(limited(&package.purl, MAX_TEXT))),
        ("portcullis/severity".to_owned(), json!(finding.severity.level)),
        ("portcullis/state".to_owned(), json!(finding.state)),
    ]);
    if let Some(version) = fixing_version(finding) {
        properties.insert("portcullis/fixedVersion".to_owned(), json!(limited(&written(package, version), 100)));
    }
    if let Some(layer) = layer(finding, path) {
        properties.insert("portcullis/layer".to_owned(), json!(layer));
    }
    PropertyBag::builder().additional_properties(properties).build()
}
