//! What of the evidence beside an image is outdated: later verdicts stand in its place.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use portcullis_model::{CLOCK_SKEW_SECONDS, Digest, Timestamp};

use crate::{Candidate, Format, VerificationSummary, Verified, Verifier};

/// The manifests that may go, sorted: verdicts of the verifier's authorities beyond the `keep` newest ones of each policy,
/// repository and program, and what these alone rest on. Everybody else's evidence stays, and so do verdicts of the
/// future, which nobody counts.
#[must_use]
pub fn outdated(
    candidates: &[Candidate],
    verifier: &Verifier,
    image: &Digest,
    now: Timestamp,
    keep: usize,
) -> Vec<Digest> {
    let own: Vec<_> = candidates
        .iter()
        .filter(|candidate| candidate.format == Format::Bundle)
        .filter_map(|candidate| verifier.verify(candidate, image, now).ok())
        .collect();
    let mut groups: BTreeMap<_, Vec<Verified<VerificationSummary>>> = BTreeMap::new();
    for verdict in own.iter().filter_map(|statement| statement.clone().summary().ok()) {
        if verdict.time_verified.seconds_since(now) <= CLOCK_SKEW_SECONDS {
            let repository = verdict.resource().map(|resource| resource.name());
            groups.entry((verdict.policy_digest(), repository, verdict.verifier.id.clone())).or_default().push(verdict);
        }
    }
    let (mut kept, mut old) = (Vec::new(), Vec::new());
    for mut verdicts in groups.into_values() {
        verdicts.sort_by_key(|verdict| (Reverse(verdict.time_verified), *verdict.manifest()));
        old.extend(verdicts.split_off(keep.min(verdicts.len())));
        kept.extend(verdicts);
    }
    let needed = rests_on(&kept);
    let mut bundles = rests_on(&old);
    bundles.extend(old.iter().map(|verdict| verdict.bundle().hex()));
    // Only what an authority has signed is its to remove.
    let own: BTreeSet<String> = own.iter().map(|statement| statement.bundle().hex()).collect();
    let is_outdated = |candidate: &Candidate| {
        let bundle = Digest::of(&candidate.bytes).hex();
        bundles.contains(&bundle) && own.contains(&bundle) && !needed.contains(&bundle)
    };
    // A manifest may hold several bundles: it goes when all of them may.
    let staying: BTreeSet<Digest> =
        candidates.iter().filter(|candidate| !is_outdated(candidate)).map(|candidate| candidate.manifest).collect();
    let going: BTreeSet<Digest> = candidates.iter().map(|candidate| candidate.manifest).collect();
    going.difference(&staying).copied().collect()
}

/// The bundles that verdicts name as what they rest on.
fn rests_on(verdicts: &[Verified<VerificationSummary>]) -> BTreeSet<String> {
    let inputs = verdicts.iter().flat_map(|verdict| &verdict.input_attestations);
    inputs.filter_map(|input| input.digest.get("sha256").cloned()).collect()
}

#[cfg(test)]
mod tests {
    use portcullis_model::{Inputs, Outcome, PolicyRef, Verdict};
    use portcullis_registry::Reference;
    use serde_json::json;

    use super::*;
    use crate::{Authority, Bundle, InputAttestation, SigningKey, Statement, predicate_type};

    struct Beside {
        image: Digest,
        at: Reference,
        candidates: Vec<Candidate>,
    }

    impl Beside {
        fn add(&mut self, bundle: &Bundle) -> Digest {
            let manifest = Digest::of(format!("manifest {}", self.candidates.len()).as_bytes());
            self.add_to(bundle, manifest);
            manifest
        }

        fn add_to(&mut self, bundle: &Bundle, manifest: Digest) {
            let bytes = bundle.bytes().clone();
            self.candidates.push(Candidate { bytes, format: Format::Bundle, manifest, claimed_type: None });
        }

        fn statement(&self, text: &str) -> Statement {
            Statement::new("app", &self.image, predicate_type::CYCLONEDX, json!({"text": text}))
        }

        fn verdict(&self, policy: &str, time: i64, rests_on: &[&Bundle]) -> Statement {
            let policy = PolicyRef { name: policy.into(), digest: Digest::of(policy.as_bytes()), audit: false };
            let digest = Digest::of(b"input");
            let inputs = Inputs {
                image: Some(self.image),
                inventory: digest,
                database: digest,
                policy: policy.digest,
                engine: "portcullis/0".into(),
                vex: Vec::new(),
            };
            let verdict = Verdict {
                result: Outcome::Pass,
                policy,
                reasons: Vec::new(),
                inputs,
                time: Timestamp::from_unix(time),
            };
            let inputs = rests_on.iter().map(|bundle| InputAttestation::new("x", &bundle.digest())).collect();
            VerificationSummary::of(&verdict, &self.at, &self.image, inputs).statement(&self.at, &self.image).unwrap()
        }
    }

    #[test]
    fn only_what_later_verdicts_of_the_same_policy_replace_goes() {
        let (key, stranger) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let at: Reference = "registry.example/team/app:v1".parse().unwrap();
        let mut beside = Beside { image: Digest::of(b"image"), at, candidates: Vec::new() };
        let now = Timestamp::from_unix(1_800_000_000);
        let sign = |statement: &Statement, key: &SigningKey| Bundle::sign(statement, key, now).unwrap();

        let [first, shared, latest] = ["first", "shared", "latest"].map(|text| sign(&beside.statement(text), &key));
        let foreign = sign(&beside.statement("foreign"), &stranger);
        let first_at = beside.add(&first);
        for bundle in [&shared, &latest, &foreign] {
            beside.add(bundle);
        }
        let old = sign(&beside.verdict("baseline", 1_799_000_000, &[&first, &shared, &foreign]), &key);
        let old_at = beside.add(&old);
        for (policy, time, rests_on) in [
            ("baseline", 1_799_999_000, vec![&shared, &latest]),
            // Another policy's only verdict, and one that nobody counts.
            ("strict", 1_798_000_000, vec![]),
            ("baseline", 1_900_000_000, vec![]),
        ] {
            let verdict = sign(&beside.verdict(policy, time, &rests_on), &key);
            beside.add(&verdict);
        }
        let unrelated = sign(&beside.statement("provenance"), &key);
        beside.add(&unrelated);
        beside.add(&sign(&beside.verdict("baseline", 1_700_000_000, &[]), &stranger));

        let verifier = Verifier::new(vec![Authority::Key { name: "ours".into(), key: key.verifying_key().clone() }]);
        let gone = |beside: &Beside, keep| outdated(&beside.candidates, &verifier, &beside.image, now, keep);
        let mut expected = vec![first_at, old_at];
        expected.sort_unstable();
        assert_eq!(gone(&beside, 1), expected);
        assert_eq!(gone(&beside, 2), []);
        // A manifest that holds something else, too, stays.
        beside.add_to(&foreign, first_at);
        assert_eq!(gone(&beside, 1), [old_at]);
    }
}
