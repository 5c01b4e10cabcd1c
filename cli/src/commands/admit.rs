//! `portcullis admit`: the webhook's whole decision, on the desk.

use std::fmt::Write as _;

use portcullis_admission::{Gate, ManifestDecision, Options, PolicySet};
use portcullis_attest::TrustRoot;
use portcullis_errors::printable;
use portcullis_policy::{Exemption, ExitStatus};

use crate::{
    args::{AdmitArgs, SourceArgs},
    diagnostics::{Failure, Outcome},
    output, settings,
    settings::Access,
    signing,
};

pub(crate) fn run(args: &AdmitArgs) -> Outcome {
    let AdmitArgs { filename, policy, exemption, trusted_root, source } = args;
    let now = settings::clock();
    let mut policies = Vec::new();
    for path in policy {
        policies.extend(settings::policies(path, now)?);
    }
    let mut exemptions = Vec::new();
    for path in exemption {
        exemptions.extend(Exemption::parse(&settings::read_text(path)?, &path.display().to_string(), now)?);
    }
    let set = PolicySet { policies, exemptions, ..PolicySet::default() };
    let root = trusted_root.as_deref().map(|path| signing::trust_root(Some(path))).transpose()?;
    let decisions = decide(&settings::read_text(filename)?, set, root, source)?;
    output::print(&as_text(&decisions))?;
    let is_denied = decisions.iter().any(|decision| !decision.decision.allowed);
    Ok(if is_denied { ExitStatus::Deny } else { ExitStatus::Pass })
}

/// Asks the gate about every document of a manifest.
pub(crate) fn decide(
    manifests: &str,
    policies: impl Into<PolicySet>,
    trust_root: Option<TrustRoot>,
    source: &SourceArgs,
) -> Result<Vec<ManifestDecision>, Failure> {
    let access = Access::new(source)?;
    let (client, runtime) = access.registry()?;
    let options = Options { enforce_workloads: true, time_limit: source.timeout, trust_root, ..Options::default() };
    let gate = Gate::new(policies, client.clone(), options)?;
    let decisions = runtime.block_on(gate.admit_manifest(manifests, None))?;
    if decisions.is_empty() {
        return Err(Failure::new("there is nothing in the manifest that runs an image"));
    }
    Ok(decisions)
}

/// What the API server would tell.
pub(crate) fn as_text(decisions: &[ManifestDecision]) -> String {
    let mut text = String::new();
    for ManifestDecision { document: _, kind, namespace, name, decision } in decisions {
        let place = namespace.as_ref().map_or_else(String::new, |namespace| format!("{namespace}/"));
        let answer = if decision.allowed { "admitted" } else { "refused" };
        // Writing to a String cannot fail.
        _ = writeln!(text, "{} {}{}: {answer}", printable(kind, 60), printable(&place, 70), printable(name, 260));
        for line in decision.message.iter().flat_map(|message| message.lines()) {
            _ = writeln!(text, "  {}", printable(line, 600));
        }
        for warning in &decision.warnings {
            _ = writeln!(text, "  warning: {}", printable(warning, 200));
        }
        for pin in &decision.pins {
            _ = writeln!(text, "  pinned {} to {}", printable(&pin.path, 200), printable(&pin.value, 400));
        }
    }
    text
}
