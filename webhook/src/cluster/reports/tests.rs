//! Rounds at an API server that refuses, or that is gone.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{Method, StatusCode},
};
use portcullis_model::Outcome;
use serde_json::json;

use super::{
    results::tests::{answer, of_image},
    *,
};

/// What was asked of it, but for lists. It refuses whatever is in the namespace `full`.
type Asked = Arc<Mutex<Vec<(Method, String, Value)>>>;

async fn answer_api(State(asked): State<Asked>, request: Request) -> (StatusCode, Json<Value>) {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    if method == Method::GET && path.ends_with("/replicasets/shop-1") {
        let owner =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop", "uid": "d", "controller": true});
        let metadata = json!({"name": "shop-1", "uid": "shop-1", "ownerReferences": [owner]});
        let found = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata});
        return (StatusCode::OK, Json(found));
    }
    if method == Method::GET && path.contains("/replicasets/") {
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "InternalError",
            "code": 500, "message": "etcd has no leader"});
        return (StatusCode::INTERNAL_SERVER_ERROR, Json(status));
    }
    if method == Method::GET {
        let stale = |namespace: &str, name: &str| json!({"metadata": {"namespace": namespace, "name": name}});
        let items = [stale("team", "portcullis-old"), stale("full", "portcullis-old"), stale("team", "theirs")];
        return (StatusCode::OK, Json(json!({"metadata": {}, "items": items})));
    }
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    asked.lock().unwrap().push((method, path.clone(), serde_json::from_slice(&body).unwrap_or_default()));
    if path.contains("/full/") {
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden",
            "code": 403, "message": "exceeded quota"});
        return (StatusCode::FORBIDDEN, Json(status));
    }
    (StatusCode::OK, Json(json!({"metadata": {"name": "any"}})))
}

async fn reports() -> (Asked, Reports) {
    let asked = Asked::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer_api).with_state(Arc::clone(&asked));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (asked, Reports::new(Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap()))
}

fn of_pod(namespace: &str, name: &str, policy: &str, result: Outcome) -> OfPod {
    of_pod_behind("StatefulSet", namespace, name, policy, result)
}

fn of_pod_behind(kind: &str, namespace: &str, name: &str, policy: &str, result: Outcome) -> OfPod {
    let owner = json!({"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": name, "controller": true});
    let pod = json!({"metadata": {"name": "p", "uid": "p", "ownerReferences": [owner]}});
    let results = of_image(vec![answer(policy, false, &[(result, "rule", "so it is")])]);
    OfPod { namespace: namespace.to_owned(), scope: Scope::of(&pod).unwrap(), results }
}

#[tokio::test]
async fn a_namespace_that_refuses_holds_up_no_other_and_one_that_goes_on_is_not_written_yet() {
    let (asked, reports) = reports().await;
    let mut round = reports.begin().await.unwrap();
    for name in ["a", "b"] {
        round.take(of_pod("full", name, "one", Outcome::Pass));
    }
    round.take(of_pod("team", "app", "one", Outcome::Pass));
    round.write(Some("team")).await;
    let paths = |asked: &Asked| asked.lock().unwrap().iter().map(|(_, path, _)| path.clone()).collect::<Vec<_>>();
    assert!(paths(&asked).len() == 2 && paths(&asked).iter().all(|path| path.contains("/namespaces/full/reports/")));

    // The next page has more of the same owner.
    round.take(of_pod("team", "app", "two", Outcome::Fail));
    round.end().await;
    let of_team: Vec<_> =
        asked.lock().unwrap().iter().filter(|(_, path, _)| path.contains("/team/")).cloned().collect();
    let [(written, _, report), (removed, path, _)] = of_team.as_slice() else { panic!("{of_team:?}") };
    assert_eq!((written, removed), (&Method::PATCH, &Method::DELETE));
    assert!(path.ends_with("/portcullis-old"), "what others call theirs stays: {path}");
    assert_eq!((&report["summary"]["pass"], &report["summary"]["fail"]), (&json!(1), &json!(1)));
    let problem = reports.problem.lock().unwrap().clone().unwrap();
    assert!(problem.starts_with("full/portcullis-") && problem.contains("exceeded quota"), "{problem}");
}

/// Both may stand behind one Deployment: what is known of the one alone would be written over what was known of both.
#[tokio::test]
async fn an_owner_that_cannot_be_read_leaves_the_reports_of_its_namespace_as_they_are() {
    let (asked, reports) = reports().await;
    let mut round = reports.begin().await.unwrap();
    round.take(of_pod_behind("ReplicaSet", "team", "shop-1", "one", Outcome::Pass));
    round.take(of_pod_behind("ReplicaSet", "team", "shop-2", "one", Outcome::Fail));
    round.take(of_pod_behind("ReplicaSet", "other", "shop-1", "one", Outcome::Pass));
    round.end().await;
    let asked = asked.lock().unwrap();
    let of_team: Vec<_> = asked.iter().filter(|(_, path, _)| path.contains("/team/")).collect();
    assert!(of_team.is_empty(), "{of_team:?}");
    assert!(asked.iter().any(|(method, path, _)| method == Method::PATCH && path.contains("/other/")));
    assert!(reports.problem.lock().unwrap().as_ref().unwrap().contains("etcd has no leader"));
}

#[tokio::test]
async fn nothing_is_removed_once_the_api_server_is_gone() {
    let reports = Reports::new(Client::try_from(kube::Config::new("http://127.0.0.1:9".parse().unwrap())).unwrap());
    assert!(reports.begin().await.is_none() && reports.problem.lock().unwrap().is_some());
    let (asked, reachable) = self::reports().await;
    let mut round = Round { reports: &reports, ..reachable.begin().await.unwrap() };
    round.take(of_pod("team", "app", "one", Outcome::Pass));
    round.take(of_pod("team", "other", "one", Outcome::Pass));
    round.write(None).await;
    assert!(round.is_silent && !round.known.is_empty());
    round.end().await;
    assert!(asked.lock().unwrap().is_empty());
}

/// Whoever makes a Pod writes its owners, and the API server takes any name there.
#[tokio::test]
async fn an_owner_that_can_have_no_such_name_does_not_end_the_round() {
    let (asked, reports) = reports().await;
    let mut round = reports.begin().await.unwrap();
    for name in ["shop 1", "../../secrets/shop", "shop?watch=true", "."] {
        round.take(of_pod_behind("ReplicaSet", "team", name, "one", Outcome::Fail));
    }
    round.take(of_pod("team", "app", "one", Outcome::Pass));
    round.end().await;
    let asked = asked.lock().unwrap();
    let kinds: Vec<_> = asked.iter().filter_map(|(_, _, report)| report.pointer("/scope/kind")?.as_str()).collect();
    assert_eq!(kinds, ["Pod", "StatefulSet"]);
}

#[tokio::test]
async fn what_fails_is_kept_where_there_are_too_many() {
    let (_asked, reports) = reports().await;
    let mut round = reports.begin().await.unwrap();
    for number in 0..MAX_IN_NAMESPACE + 20 {
        round.take(of_pod("team", &format!("app-{number:04}"), "one", Outcome::Pass));
    }
    round.take(of_pod("team", "bad", "one", Outcome::Fail));
    round.take(of_pod("team", "bad", "two", Outcome::Fail));
    let held = &round.held["team"];
    assert!(round.cut.contains("team") && held.len() == MAX_IN_NAMESPACE);
    let bad = held.iter().find(|(scope, _)| scope.name == "bad").unwrap().1;
    assert_eq!(bad.found.len(), 2);
}

/// What is left out runs still: whoever makes many owners would else remove the Reports of others in the namespace.
#[tokio::test]
async fn nothing_is_removed_where_there_are_too_many() {
    let (asked, reports) = reports().await;
    let mut round = reports.begin().await.unwrap();
    for number in 0..=MAX_IN_NAMESPACE {
        round.take(of_pod("team", &format!("app-{number:04}"), "one", Outcome::Fail));
    }
    round.end().await;
    let asked = asked.lock().unwrap();
    let removed: Vec<_> = asked.iter().filter(|(method, _, _)| method == Method::DELETE).collect();
    let [(_, path, _)] = removed.as_slice() else { panic!("{removed:?}") };
    assert!(path.contains("/full/"), "{path}");
}
