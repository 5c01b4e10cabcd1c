//! `portcullis verify`: find the evidence of an image, check it, judge it; what the webhook would do.

mod explain;

use std::fmt::Write as _;

use portcullis_admission::{Gate, ImageDecision, Options, Unmatched};
use portcullis_attest::{Discovery, TrustRoot, discover};
use portcullis_errors::printable;
use portcullis_image::Source;
use portcullis_model::{Outcome as Answer, Timestamp};
use portcullis_policy::{ExitStatus, Policy};
use serde_json::json;

use crate::{
    args::{AuthorityArgs, SourceArgs, VerifyArgs},
    diagnostics::{Failure, Outcome},
    output, settings,
    settings::Access,
    signing,
};
use explain::Explanation;

pub(crate) fn run(args: &VerifyArgs) -> Outcome {
    let VerifyArgs { image, authority, policy, max_age, json, explain, source } = args;
    let image = in_registry(image)?;
    let now = settings::clock();
    let policies = match policy {
        Some(path) => settings::policies(path, now)?,
        None => authority_policy(authority, max_age.as_deref(), now)?,
    };
    let root = authority.trusted_root.as_deref().map(|path| signing::trust_root(Some(path))).transpose()?;
    let decision = decide(image, policies.clone(), root.clone(), source)?;
    let text = match explain {
        Some(shape) => {
            let discovery = evidence_of(&decision, source)?;
            Explanation::new(&decision, &discovery, &policies, root.as_ref(), now)?.render(*shape)
        }
        None if *json => as_json(&decision),
        None => as_text(&decision),
    };
    output::print(&text)?;
    Ok(status(&decision))
}

/// The name of an image in a registry, of whatever else a target may be.
fn in_registry(target: &str) -> Result<&str, Failure> {
    let is_path = target.starts_with(['/', '.', '~']) || target.ends_with(".tar");
    match Source::of_scheme(target)? {
        None if !is_path => Ok(target),
        // `registry:NAME`, `docker://NAME`
        Some(Source::Registry(_)) => {
            Ok(target.split_once(':').map_or(target, |(_, name)| name.trim_start_matches('/')))
        }
        source => {
            let hint = match source {
                Some(Source::Docker(name)) => {
                    format!("for an image of a registry that is called so, write registry:docker:{name}")
                }
                Some(Source::OciDirectory { .. }) => {
                    "`portcullis evidence list` checks what lies in an OCI layout; the gate judges images of registries"
                        .to_owned()
                }
                _ => "name the image in its registry: registry.example/team/app:v1".to_owned(),
            };
            Err(Failure::usage(format!("`{target}` is no image in a registry, where evidence is looked for"))
                .with_hint(hint))
        }
    }
}

/// What lies beside the image that was decided on; nothing where it is not known which that is.
fn evidence_of(decision: &ImageDecision, source: &SourceArgs) -> Result<Discovery, Failure> {
    let (Some(reference), Some(digest)) = (&decision.reference, &decision.digest) else {
        return Ok(Discovery::default());
    };
    let access = Access::new(source)?;
    let (client, runtime) = access.registry()?;
    Ok(runtime.block_on(discover(client, reference, digest, &[])))
}

/// The policy of the flags: a fresh enough PASSED, with findings and inventory, signed by this authority.
pub(super) fn authority_policy(
    authority: &AuthorityArgs,
    max_age: Option<&str>,
    now: Timestamp,
) -> Result<Vec<Policy>, Failure> {
    let AuthorityArgs { key, certificate_identity, certificate_oidc_issuer, trusted_root: _ } = authority;
    let authority = match (key, certificate_identity, certificate_oidc_issuer) {
        (Some(key), ..) => json!({"key": settings::verifying_key(key)?.to_pem()}),
        (None, Some(identity), Some(issuer)) => json!({"identity": identity, "issuer": issuer}),
        _ => {
            return Err(Failure::usage("say whom to trust")
                .with_hint("--key, --policy, or --certificate-identity with --certificate-oidc-issuer"));
        }
    };
    let mut evidence = json!({"authorities": [authority], "require": ["vulnerabilities", "sbom"]});
    if let (Some(age), Some(fields)) = (max_age, evidence.as_object_mut()) {
        fields.insert("maxAge".into(), age.into());
    }
    let document = json!({
        "apiVersion": "portcullis.dev/v1alpha1",
        "kind": "ImagePolicy",
        "metadata": {"name": "flags"},
        "spec": {"evidence": evidence},
    });
    Ok(Policy::parse(&document.to_string(), "the flags", now)?)
}

/// Asks the gate.
pub(crate) fn decide(
    image: &str,
    policies: Vec<Policy>,
    trust_root: Option<TrustRoot>,
    source: &SourceArgs,
) -> Result<ImageDecision, Failure> {
    let access = Access::new(source)?;
    let (client, runtime) = access.registry()?;
    let options = Options { unmatched: Unmatched::Deny, time_limit: source.timeout, trust_root, ..Options::default() };
    let gate = Gate::new(policies, client.clone(), options)?;
    Ok(runtime.block_on(gate.image(image, None)))
}

/// The exit status of a decision: the worst answer counts, and only policies in audit mode soften a denial.
fn status(decision: &ImageDecision) -> ExitStatus {
    let worst = |audit: bool| {
        let answers = decision.answers.iter().filter(|answer| answer.audit == audit);
        answers.map(|answer| answer.judgement.result).max().unwrap_or(Answer::Pass)
    };
    match (worst(false), worst(true)) {
        (Answer::Fail, _) => ExitStatus::Deny,
        (Answer::Unknown, _) | (_, Answer::Unknown) => ExitStatus::Incomplete,
        (Answer::Pass, Answer::Fail) => ExitStatus::Audit,
        (Answer::Pass, Answer::Pass) => ExitStatus::Pass,
    }
}

pub(crate) fn as_text(decision: &ImageDecision) -> String {
    let ImageDecision { image, reference, digest: _, answers } = decision;
    let mut text = String::new();
    let name = reference.as_ref().map_or_else(|| printable(image, 300), ToString::to_string);
    // Writing to a String cannot fail.
    _ = writeln!(text, "{name}");
    for answer in answers {
        let mode = if answer.audit { " (audit)" } else { "" };
        _ = writeln!(text, "  {}{mode}  policy {}", answer.judgement.result, printable(&answer.policy, 100));
        for reason in &answer.judgement.reasons {
            _ = writeln!(text, "    {:<8} {}: {}", reason.result, reason.rule, printable(&reason.message, 400));
        }
        if let Some(fix) = &answer.fix {
            _ = writeln!(text, "    fix: {}", printable(fix, 400));
        }
    }
    text
}

fn as_json(decision: &ImageDecision) -> String {
    let answers: Vec<_> = decision
        .answers
        .iter()
        .map(|answer| {
            json!({
                "policy": answer.policy,
                "policyDigest": answer.policy_digest,
                "audit": answer.audit,
                "result": answer.judgement.result,
                "reasons": answer.judgement.reasons,
                "fix": answer.fix,
            })
        })
        .collect();
    let document = json!({
        "image": decision.image,
        "reference": decision.reference,
        "digest": decision.digest,
        "admitted": decision.is_admitted(),
        "answers": answers,
    });
    format!("{document:#}\n")
}
