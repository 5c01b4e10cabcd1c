//! Expressions of ValidatingAdmissionPolicies carry over: what is true of an object in the real API server's own policies
//! is true here.

use portcullis_policy::{WorkloadFacts, WorkloadReview, WorkloadRule, WorkloadRules};
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, eventually},
    kubectl::{Namespace, deployment},
};

/// All of these are true of [`subject`].
const TRUE: [&str; 40] = [
    "object.spec.replicas == 3",
    "oldObject == null",
    "object.metadata.name.startsWith('ap') && object.metadata.name.endsWith('p') && object.metadata.name.contains('p')",
    "object.spec.template.spec.containers.all(c, c.image.split('/')[0] == 'registry.example')",
    "object.spec.template.spec.containers.map(c, c.name).join(', ') == 'c0, c1'",
    "object.spec.template.spec.containers.exists_one(c, c.image.matches('.*:v2$'))",
    "object.spec.template.spec.containers.filter(c, has(c.resources.limits)).size() == 1",
    "'a,b,,c'.split(',') == ['a', 'b', '', 'c']",
    "''.split(',') == ['']",
    "'abc'.split('') == ['a', 'b', 'c']",
    "['x', 'y'].join() == 'xy' && [].join('-') == ''",
    "'Grüße'.lowerAscii() == 'grüße' && 'grüße'.upperAscii() == 'GRüßE'",
    "'  a b\\t\\n'.trim() == 'a b'",
    "'grüße'.charAt(2) == 'ü' && 'a'.charAt(1) == ''",
    "'grüße'.indexOf('ß') == 3 && 'abab'.lastIndexOf('ab') == 2 && 'a'.indexOf('b') == -1",
    "'grüße'.substring(2) == 'üße' && 'grüße'.substring(1, 3) == 'rü'",
    "quantity('1.5Gi') == quantity('1536Mi')",
    "quantity('200M').compareTo(quantity('0.2G')) == 0",
    "quantity('50M').compareTo(quantity('50Mi')) == -1 && quantity('50Mi').compareTo(quantity('50M')) == 1",
    "quantity('150Mi').isGreaterThan(quantity('100Mi')) && !quantity('50Mi').isGreaterThan(quantity('100Mi'))",
    "quantity('50M').isLessThan(quantity('100M')) && !quantity('1').isLessThan(quantity('1'))",
    "quantity('50k').add(20).sub(quantity('100k')).sub(-50000) == quantity('20')",
    "sign(quantity('-1.5')) == -1 && sign(quantity('0')) == 0 && sign(quantity('1n')) == 1",
    "isQuantity('1Gi') && isQuantity('12e6') && isQuantity('1E') && isQuantity('+0.5m') && isQuantity('-3')",
    "!isQuantity('') && !isQuantity('1Mx') && !isQuantity('1K') && !isQuantity('1.2.3') && !isQuantity('one')",
    "!isQuantity(' 1') && !isQuantity('1e') && !isQuantity('1ki') && !isQuantity('--1') && !isQuantity('1m5')",
    "quantity('.5') == quantity('500m') && quantity('5.') == quantity('5') && quantity('.') == quantity('0')",
    "quantity('-') == quantity('0') && quantity('Gi') == quantity('0') && quantity('007') == quantity('7')",
    "quantity('0.1n') == quantity('1n') && quantity('-0.1n') == quantity('-1n')",
    "quantity('9Ei') == quantity('8Ei') && quantity('10E').isGreaterThan(quantity('8Ei'))",
    "quantity('12E-3') == quantity('12m') && quantity('1e+2') == quantity('100')",
    "quantity('0.0000000001Ki') == quantity('103n')",
    "quantity(object.spec.template.spec.containers[0].resources.limits.memory).isLessThan(quantity('2Gi'))",
    "'app' in object.metadata.labels && !('other' in object.metadata.labels)",
    "object.metadata.labels['app'] == 'app'",
    "string(object.spec.replicas) + 'x' == '3x' && int('7') == 7 && double('1.5') == 1.5 && uint(3) == 3u",
    "type(object.spec.replicas) == int && type('a') == string && type([]) != map && size('grüße') == 5 && 7 / 2 == 3 && -7 % 3 == -1",
    "[1, 2] + [3] == [1, 2, 3] && {'a': 1}.all(k, k == 'a') && 1.0 == double(1)",
    "false || (object.spec.nothing == 1 || true)",
    "!has(object.spec.template.spec.hostNetwork) || !object.spec.template.spec.hostNetwork",
];

fn subject() -> Value {
    let mut object = deployment("app", 3, &["registry.example/team/a:v1", "registry.example/team/b:v2"]);
    object["metadata"]["labels"] = json!({"app": "app"});
    object["spec"]["template"]["spec"]["containers"][0]["resources"] = json!({"limits": {"memory": "1Gi"}});
    object
}

/// A policy of the API server's own, for one namespace.
fn in_force(namespace: &Namespace<'_>, name: &str, expressions: &[&str]) {
    let validations: Vec<Value> = expressions.iter().map(|text| json!({"expression": text, "message": text})).collect();
    let api = "admissionregistration.k8s.io/v1";
    let rule =
        json!({"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]});
    let policy = json!({"apiVersion": api, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": {
        "failurePolicy": "Fail", "matchConstraints": {"resourceRules": [rule]}, "validations": validations}});
    namespace.create(&policy).ok();
    let here = json!({"matchLabels": {"kubernetes.io/metadata.name": namespace.name}});
    let binding = json!({"apiVersion": api, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": here}}});
    namespace.create(&binding).ok();
}

#[test]
fn expressions_say_what_they_say_in_the_api_server() {
    let Some(cluster) = portcullis_tests::is_on().then(Cluster::shared).flatten() else { return };
    let namespace = Namespace::new(cluster, "expressions");
    // The last one is false: that it refuses says that all of them are asked.
    in_force(&namespace, "expressions", &TRUE);
    in_force(&namespace, "expressions-last", &["object.spec.replicas != 3"]);
    let subject = subject();
    let create = || namespace.kubectl_with(&["create", "--dry-run=server", "-o", "json", "-f", "-"], &subject);
    let told = eventually("the API server's policies are in force", || {
        let told = create();
        (!told.is_ok()).then_some(told)
    });
    told.refused("object.spec.replicas != 3");
    namespace.kubectl(&["delete", "validatingadmissionpolicybinding", "expressions-last"]).ok();
    // With the defaults that the API server sets, as webhooks get it.
    let admitted = eventually("the false one is gone, and the others are true", || {
        let told = create();
        told.is_ok().then(|| told.json())
    });

    let facts = WorkloadFacts {
        object: &admitted,
        old_object: None,
        pod_spec: "/spec/template/spec",
        request: None,
        namespace_object: None,
    };
    for expression in TRUE {
        let rule = WorkloadRule {
            name: "carried-over".to_owned(),
            expression: expression.to_owned(),
            message: None,
            message_expression: None,
            field: None,
            fix: None,
        };
        let asked = WorkloadRules { rules: vec![rule], ..WorkloadRules::default() };
        assert_eq!(WorkloadReview::new(facts).judge(&asked), [], "{expression}");
    }
}
