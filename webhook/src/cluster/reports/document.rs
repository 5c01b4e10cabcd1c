//! A Report as the API server takes it.
//!
//! Format: `Report` of `openreports.io/v1alpha1`,
//! <https://github.com/openreports/reports-api/blob/v0.2.1/config/crd/openreports.io_reports.yaml>.

use kube::api::ApiResource;
use portcullis_model::Digest;
use serde_json::{Map, Value, json};

use super::{
    results::{Found, Results, Word},
    scope::Scope,
};

/// By this label Reports are known as ours.
pub(super) const LABEL: (&str, &str) = ("app.kubernetes.io/managed-by", "portcullis-webhook");

pub(super) fn resource() -> ApiResource {
    let (group, version) = ("openreports.io".to_owned(), "v1alpha1".to_owned());
    ApiResource {
        api_version: format!("{group}/{version}"),
        group,
        version,
        kind: "Report".to_owned(),
        plural: "reports".to_owned(),
    }
}

/// The Report of what was found at a moment, in seconds of Unix time.
pub(super) fn document(namespace: &str, scope: &Scope, results: &Results, seconds: i64) -> Value {
    let Scope { kind, name, api_version, uid } = scope;
    let owner = json!({"apiVersion": api_version, "kind": kind, "name": name, "uid": uid});
    let mut about = owner.clone();
    about["namespace"] = namespace.into();
    let Results { found, is_cut } = results;
    let more = is_cut.then(Found::of_more);
    let found: Vec<&Found> = found.iter().chain(&more).collect();
    let count = |word: Word| found.iter().filter(|found| found.word == word).count();
    let summary: Map<String, Value> =
        Word::ALL.iter().map(|word| (word.as_str().to_owned(), count(*word).into())).collect();
    let resource = resource();
    json!({
        "apiVersion": resource.api_version, "kind": resource.kind,
        "metadata": {
            "name": scope.report_name(), "namespace": namespace, "labels": {LABEL.0: LABEL.1},
            // With its owner it goes away.
            "ownerReferences": [owner],
        },
        "source": "portcullis", "scope": about, "summary": summary,
        "results": found.iter().map(|found| found.document(seconds)).collect::<Vec<_>>(),
    })
}

/// What a Report says, but for the time and for what others wrote beside it: where that is the same, nothing is written.
pub(super) fn said(report: &Value) -> Digest {
    let mut results = report.get("results").cloned().unwrap_or_default();
    for result in results.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        result.remove("timestamp");
    }
    let field = |pointer: &str| report.pointer(pointer).cloned().unwrap_or_default();
    let mut said =
        json!([field("/metadata/ownerReferences"), field("/source"), field("/scope"), field("/summary"), results]);
    said.sort_all_objects();
    Digest::of(said.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use portcullis_model::Outcome;

    use super::*;
    use crate::cluster::reports::results::tests::{answer, of_image};

    fn scope() -> Scope {
        Scope { kind: "Deployment".into(), name: "app".into(), api_version: "apps/v1".into(), uid: "b5e1".into() }
    }

    fn report(result: Outcome, seconds: i64) -> Value {
        let results = of_image(vec![answer("baseline", false, &[(result, "evidence", "so it is")])]);
        document("team", &scope(), &results, seconds)
    }

    #[test]
    fn a_report_counts_what_it_holds_and_belongs_to_what_it_is_about() {
        let report = report(Outcome::Fail, 9);
        assert_eq!(report["summary"], json!({"fail": 1, "error": 0, "warn": 0, "skip": 0, "pass": 0}));
        assert_eq!(report["metadata"]["ownerReferences"][0]["uid"], "b5e1");
        assert_eq!(report["scope"]["namespace"], "team");
        assert_eq!(report["results"][0]["rule"], "evidence");
        let cut = Results { is_cut: true, ..of_image(Vec::new()) };
        let cut = document("team", &scope(), &cut, 9);
        assert_eq!((cut["results"].as_array().unwrap().len(), &cut["summary"]["skip"]), (2, &json!(2)));
    }

    #[test]
    fn the_time_and_what_others_write_change_nothing_and_the_rest_does() {
        let now = report(Outcome::Fail, 9);
        let mut stored = report(Outcome::Fail, 1);
        stored["metadata"]["managedFields"] = json!([{}]);
        stored["metadata"]["labels"]["team"] = "a".into();
        stored.sort_all_objects();
        assert_eq!(said(&now), said(&stored));
        assert_ne!(said(&now), said(&report(Outcome::Pass, 9)));
        for (pointer, value) in
            [("/summary/fail", json!(0)), ("/results/0/message", json!("")), ("/metadata/ownerReferences", json!([]))]
        {
            let mut other = now.clone();
            *other.pointer_mut(pointer).unwrap() = value;
            assert_ne!(said(&now), said(&other), "{pointer}");
        }
        assert_ne!(said(&now), said(&Value::Null));
    }
}
