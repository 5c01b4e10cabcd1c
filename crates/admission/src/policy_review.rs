//! Policies and exemptions under review: one that cannot be used is refused when it is written, with what is wrong and
//! what to do.

use portcullis_errors::{advised, printable};
use portcullis_model::Timestamp;
use portcullis_policy::{Exemption, GROUP_VERSION, Policy, Problem};
use serde_json::{Value, json};

use crate::{
    Gate, ReadyPolicy, ReviewError,
    review::{Request, request, reviewed},
};

/// The most that is told of one object.
const MAX_PROBLEMS: usize = 10;

impl Gate {
    /// Answers a review of an `ImagePolicy`, a `ClusterImagePolicy` or a `PolicyExemption`.
    ///
    /// # Errors
    /// When the body is no review that can be answered.
    pub fn review_policy(&self, body: &[u8]) -> Result<Value, ReviewError> {
        let body: Value = serde_json::from_slice(body).map_err(|error| ReviewError::Malformed(error.to_string()))?;
        let request = request(body)?;
        let problems = self.problems_of(&request);
        let mut response = json!({"uid": request.uid, "allowed": problems.is_empty()});
        if !problems.is_empty() {
            let message = format!("[portcullis] {}", problems.join("\n"));
            tracing::warn!(uid = request.uid, message, "refused a policy");
            response["status"] = json!({"code": 422, "reason": "Invalid", "message": message});
        }
        Ok(reviewed(response))
    }

    fn problems_of(&self, request: &Request) -> Vec<String> {
        let Request { uid: _, kind, operation, namespace: _, object, old_object, rest: _ } = request;
        match operation.as_str() {
            "CREATE" => {}
            // Labels, finalizers and the like may change, whatever stands in the policy.
            "UPDATE" if old_object.is_object() && object.get("spec") == old_object.get("spec") => return Vec::new(),
            "UPDATE" => {}
            "DELETE" => return Vec::new(),
            other => return vec![format!("the operation `{}` is not decided here", printable(other, 40))],
        }
        if kind.api_version() != GROUP_VERSION {
            return vec![format!("`{}` is no policy's version", printable(&kind.api_version(), 100))];
        }
        let now = self.now();
        let problems = match kind.kind.as_str() {
            "ImagePolicy" | "ClusterImagePolicy" => self.problems_of_policy(object, now),
            "PolicyExemption" => problems_of_exemption(object, now),
            other => vec![format!("`{}` is no policy", printable(other, 100))],
        };
        problems.into_iter().take(MAX_PROBLEMS).collect()
    }

    fn problems_of_policy(&self, object: &Value, now: Timestamp) -> Vec<String> {
        let policy = match Policy::from_resource(object, now) {
            Ok(policy) => policy,
            Err(problems) => return problems.iter().map(Problem::line).collect(),
        };
        let expired: Vec<String> = policy.check(now).iter().map(Problem::line).collect();
        match ReadyPolicy::new(policy, self.trust_root()) {
            Err(error) => vec![advised(&error)],
            Ok(_ready) => expired,
        }
    }
}

fn problems_of_exemption(object: &Value, now: Timestamp) -> Vec<String> {
    match Exemption::from_resource(object, now) {
        Ok(exemption) => exemption.check(now).iter().map(Problem::line).collect(),
        Err(problems) => problems.iter().map(Problem::line).collect(),
    }
}
