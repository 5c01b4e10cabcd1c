//! `portcullis admit`: the webhook's whole decision, on the desk.

use std::{collections::BTreeMap, fmt::Write as _};

use portcullis_admission::{Gate, ManifestAnswer, ManifestDecision, Options, PolicySet, Skipped};
use portcullis_attest::TrustRoot;
use portcullis_errors::{count_of, printable};
use portcullis_policy::{Exemption, ExitStatus};

use crate::{
    args::{AdmitArgs, Global, SourceArgs},
    diagnostics::{Failure, Outcome, say},
    output, settings,
    settings::Access,
    signing,
};

/// So many kinds of objects that run nothing are named.
const KINDS_TOLD: usize = 12;

pub(crate) fn run(args: &AdmitArgs, global: &Global) -> Outcome {
    let AdmitArgs { filename, policy, exemption, namespace, trusted_root, source } = args;
    let now = settings::clock();
    let mut policies = Vec::new();
    for path in policy {
        policies.extend(settings::policies(path, now)?);
    }
    let mut exemptions = Vec::new();
    for path in exemption {
        exemptions.extend(Exemption::parse(&settings::read_text(path)?, &path.display().to_string(), now)?);
    }
    let of_namespaces = exemptions.iter().any(|exemption| !exemption.spec.namespaces.is_empty());
    let set = PolicySet { policies, exemptions, ..PolicySet::default() };
    let root = trusted_root.as_deref().map(|path| signing::trust_root(Some(path))).transpose()?;
    let answer = decide(&settings::read_text(filename)?, namespace.as_deref(), set, root, source)?;
    output::print(&as_text(&answer))?;
    if !global.quiet {
        notes(&answer, of_namespaces).iter().for_each(|note| say(note));
    }
    Ok(match (answer.is_denied(), answer.is_incomplete()) {
        (true, _) => ExitStatus::Deny,
        (false, true) => ExitStatus::Incomplete,
        (false, false) => ExitStatus::Pass,
    })
}

/// Asks the gate about every document of a manifest.
pub(crate) fn decide(
    manifests: &str,
    namespace: Option<&str>,
    policies: impl Into<PolicySet>,
    trust_root: Option<TrustRoot>,
    source: &SourceArgs,
) -> Result<ManifestAnswer, Failure> {
    let access = Access::new(source)?;
    let (client, runtime) = access.registry()?;
    let options = Options { enforce_workloads: true, time_limit: source.timeout, trust_root, ..Options::default() };
    let gate = Gate::new(policies, client.clone(), options)?;
    let answer = runtime.block_on(gate.admit_manifest(manifests, namespace))?;
    if answer.decisions.is_empty() && !answer.is_incomplete() {
        return Err(Failure::new("there is nothing in the manifest that runs an image"));
    }
    Ok(answer)
}

/// What the API server would tell, and what it is not asked about.
pub(crate) fn as_text(answer: &ManifestAnswer) -> String {
    let ManifestAnswer { decisions, skipped } = answer;
    let mut text = String::new();
    for one in decisions {
        tell(one, &mut text);
    }
    for Skipped { document, kind, namespace, name, image, meant } in skipped {
        let Some(image) = image else { continue };
        let object = match kind.as_str() {
            "" => format!("document {document}"),
            _ => called(kind, namespace.as_deref(), name),
        };
        // Writing to a String cannot fail.
        _ = writeln!(text, "{object}: not looked at");
        _ = writeln!(text, "  its kind is not known here, and it names an image: {}", printable(image, 400));
        if let Some(meant) = meant {
            _ = writeln!(text, "  kinds are written with capitals: did you mean {meant}?");
        }
    }
    text
}

fn called(kind: &str, namespace: Option<&str>, name: &str) -> String {
    let place = namespace.map_or_else(String::new, |namespace| format!("{namespace}/"));
    format!("{} {}{}", printable(kind, 60), printable(&place, 70), printable(name, 260))
}

fn tell(one: &ManifestDecision, text: &mut String) {
    let ManifestDecision { document: _, kind, namespace, name, decision, unasked } = one;
    let answer = match decision.allowed {
        true if one.is_open() => "not known",
        true => "admitted",
        false => "refused",
    };
    // Writing to a String cannot fail.
    _ = writeln!(text, "{}: {answer}", called(kind, namespace.as_deref(), name));
    for line in decision.message.iter().flat_map(|message| message.lines()) {
        _ = writeln!(text, "  {}", printable(line, 600));
    }
    for policy in unasked {
        let (name, namespace) = (printable(&policy.policy, 100), printable(&policy.namespace, 70));
        let word = if policy.audit { "warning: " } else { "" };
        _ = writeln!(
            text,
            "  {word}[{name}] is of the namespace {namespace}, and was not asked: the object names none"
        );
    }
    for warning in &decision.warnings {
        _ = writeln!(text, "  warning: {}", printable(warning, 200));
    }
    for pin in &decision.pins {
        _ = writeln!(text, "  pinned {} to {}", printable(&pin.path, 200), printable(&pin.value, 400));
    }
}

/// What is said beside the answer. `of_namespaces`: whether an exemption names some.
fn notes(answer: &ManifestAnswer, of_namespaces: bool) -> Vec<String> {
    let ManifestAnswer { decisions, skipped } = answer;
    let mut notes = Vec::new();
    let unseen = skipped.iter().filter(|one| one.image.is_some()).count();
    if unseen > 0 {
        let objects = count_of(unseen, "object that names an image was", "objects that name images were");
        notes.push(format!("note: {objects} not looked at; in a cluster, the webhook sees the Pods that come of them"));
    }
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for one in skipped.iter().filter(|one| one.image.is_none()) {
        let kind = if one.kind.is_empty() { "without a kind" } else { &one.kind };
        *kinds.entry(printable(kind, 60)).or_default() += 1;
    }
    if !kinds.is_empty() {
        let more = kinds.len().saturating_sub(KINDS_TOLD);
        let mut told: Vec<String> =
            kinds.iter().take(KINDS_TOLD).map(|(kind, count)| format!("{count} {kind}")).collect();
        told.extend((more > 0).then(|| format!("and {more} other kinds")));
        notes.push(format!("note: passed over, as no container is in them: {}", told.join(", ")));
    }
    let is_nowhere = |one: &ManifestDecision| one.namespace.is_none();
    if decisions.iter().any(|one| !one.unasked.is_empty()) {
        notes.push("hint: say by --namespace where objects are to go that name no namespace".to_owned());
    } else if of_namespaces && decisions.iter().any(|one| is_nowhere(one) && !one.decision.allowed) {
        let note = "note: exemptions of namespaces were not asked about objects that name none: give --namespace";
        notes.push(note.to_owned());
    }
    notes
}
