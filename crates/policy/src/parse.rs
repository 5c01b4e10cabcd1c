//! Reads policy documents from YAML, with bounds, and says where something is wrong.

use std::fmt;

use portcullis_errors::Hint;
use portcullis_model::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::{DuplicateKeyPolicy, NonFiniteFloatPolicy, Options, options::MergeKeyPolicy};

use crate::{
    Document, Exemption, ExemptionDocument, Policy, Problem,
    locate::Node,
    resource::{is_of, stored},
};

/// The largest policy file.
pub const MAX_POLICY_BYTES: usize = 1024 * 1024;

/// Why a policy was refused: `file:line: message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    /// The file, as the caller named it.
    pub file: String,
    /// Line and column, both from 1; none where no place is to blame.
    pub place: Option<(u64, u64)>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some((line, _)) = self.place {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for PolicyError {}

impl Hint for PolicyError {
    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

/// See [`Policy::parse`].
pub(crate) fn parse(text: &str, file: &str, now: Timestamp) -> Result<Vec<Policy>, PolicyError> {
    let documents = match documents::<Document>(text, file) {
        Ok(documents) => documents,
        Err(error) => {
            let kinds = ["ImagePolicy", "ClusterImagePolicy"];
            return of_cluster(text, file, &kinds, error, |object| Policy::from_resource(object, now));
        }
    };
    let policies: Vec<Policy> = documents.into_iter().map(Policy::from).collect();
    for (index, policy) in policies.iter().enumerate() {
        refuse_problem(text, file, index, policy.check(now))?;
        let is_twin = |other: &&Policy| {
            (other.kind, &other.namespace, &other.name) == (policy.kind, &policy.namespace, &policy.name)
        };
        if policies.iter().take(index).any(|other| is_twin(&other)) {
            return Err(twin(text, file, index, policy.kind.as_str(), &policy.name));
        }
    }
    Ok(policies)
}

/// A file of another kind beside policies, with the same bounds and the same words for what is wrong.
pub(crate) fn one<T: serde::de::DeserializeOwned>(text: &str, file: &str) -> Result<T, PolicyError> {
    if text.len() > MAX_POLICY_BYTES {
        let message = format!("{} bytes; the limit is {MAX_POLICY_BYTES}", text.len());
        return Err(PolicyError { file: file.to_owned(), place: None, message, hint: None });
    }
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| from_yaml(&error, file))
}

/// See [`Exemption::parse`].
pub(crate) fn exemptions(text: &str, file: &str, now: Timestamp) -> Result<Vec<Exemption>, PolicyError> {
    let documents = match documents::<ExemptionDocument>(text, file) {
        Ok(documents) => documents,
        Err(error) => {
            let kinds = ["PolicyExemption"];
            return of_cluster(text, file, &kinds, error, |object| Exemption::from_resource(object, now));
        }
    };
    let exemptions: Vec<Exemption> = documents.into_iter().map(Exemption::from).collect();
    for (index, exemption) in exemptions.iter().enumerate() {
        refuse_problem(text, file, index, exemption.check(now))?;
        if exemptions.iter().take(index).any(|other| other.name == exemption.name) {
            return Err(twin(text, file, index, "PolicyExemption", &exemption.name));
        }
    }
    Ok(exemptions)
}

/// Whether a text holds a document of one of these kinds, alone or in a list.
pub(crate) fn holds(text: &str, kinds: &[&str]) -> bool {
    // What is too large or no YAML is told by those who read it.
    if text.len() > MAX_POLICY_BYTES {
        return false;
    }
    let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options()).unwrap_or_default();
    let is_one = |object: &Value| object.get("kind").and_then(Value::as_str).is_some_and(|kind| kinds.contains(&kind));
    let in_list =
        |object: &Value| object.get("items").and_then(Value::as_array).is_some_and(|all| all.iter().any(is_one));
    documents.iter().any(|object| is_one(object) || in_list(object))
}

/// What `kubectl get -o yaml` wrote; the error where it is not that.
fn of_cluster<T>(
    text: &str,
    file: &str,
    kinds: &[&str],
    error: PolicyError,
    read: impl Fn(&Value) -> Result<T, Vec<Problem>>,
) -> Result<Vec<T>, PolicyError> {
    let objects = stored(text).unwrap_or_default().into_iter().filter(|object| is_of(object, kinds));
    let objects: Vec<Value> = objects.collect();
    if objects.is_empty() {
        return Err(error);
    }
    let read = objects.iter().map(|object| {
        read(object).map_err(|problems| {
            let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let problem = problems.into_iter().next();
            let (told, hint) =
                problem.map(|one| (format!("{}: {}", one.field, one.message), one.hint)).unwrap_or_default();
            refused(file, None, format!("{} `{}`: {told}", text("/kind"), text("/metadata/name")), hint)
        })
    });
    read.collect()
}

fn refused(file: &str, place: Option<(u64, u64)>, message: String, hint: Option<String>) -> PolicyError {
    PolicyError { file: file.to_owned(), place, message, hint }
}

fn documents<D: DeserializeOwned>(text: &str, file: &str) -> Result<Vec<D>, PolicyError> {
    if text.len() > MAX_POLICY_BYTES {
        let message = format!("a policy of {} bytes; the limit is {MAX_POLICY_BYTES}", text.len());
        return Err(refused(file, None, message, None));
    }
    let documents: Vec<D> =
        serde_saphyr::from_multiple_with_options(text, options()).map_err(|error| from_yaml(&error, file))?;
    if documents.is_empty() {
        let hint = "a policy starts with `apiVersion: portcullis.dev/v1alpha1`; see docs/policy.md";
        return Err(refused(file, None, "no policy in it".to_owned(), Some(hint.to_owned())));
    }
    Ok(documents)
}

fn refuse_problem(text: &str, file: &str, index: usize, problems: Vec<Problem>) -> Result<(), PolicyError> {
    match problems.into_iter().next() {
        Some(Problem { field, message, hint, expired: _ }) => {
            Err(refused(file, place(text, index, &field), message, hint))
        }
        None => Ok(()),
    }
}

fn twin(text: &str, file: &str, index: usize, kind: &str, name: &str) -> PolicyError {
    let (place, hint) = (place(text, index, "metadata.name"), Some("rename one of them".to_owned()));
    refused(file, place, format!("a second {kind} `{name}`"), hint)
}

/// Bounds that no policy written by a person comes near, and that no bomb gets past.
pub(crate) fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 32,
            max_documents: 256,
            max_nodes: 200_000,
            max_events: 500_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_total_scalar_bytes: 4 * MAX_POLICY_BYTES,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        with_snippet: false,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
    }
}

/// Where `field` of document `index` stands. Read a second time, since only a refusal needs places.
fn place(text: &str, index: usize, field: &str) -> Option<(u64, u64)> {
    let documents: Vec<Node> = serde_saphyr::from_multiple_with_options(text, options()).ok()?;
    documents.get(index)?.place(field)
}

pub(crate) fn from_yaml(error: &serde_saphyr::Error, file: &str) -> PolicyError {
    use serde_saphyr::Error as E;
    let place = error.location().map(|location| (location.line(), location.column())).filter(|(line, _)| *line > 0);
    let (message, hint) = match error.without_snippet() {
        E::SerdeUnknownField { field, expected, .. } => {
            (format!("unknown field `{field}`"), Some(suggestion(field, expected)))
        }
        E::SerdeUnknownVariant { variant, expected, .. } => {
            (format!("unknown value `{variant}`"), Some(suggestion(variant, expected)))
        }
        E::SerdeMissingField { field, .. } => (format!("`{field}` is missing"), None),
        E::Budget { .. } | E::AliasReplayLimitExceeded { .. } | E::AliasExpansionLimitExceeded { .. } => (
            "too large or too deep for a policy".to_owned(),
            Some("write it out without anchors and aliases".to_owned()),
        ),
        E::InvalidScalar { .. } => ("not a value of the right kind".to_owned(), None),
        E::ExternallyTaggedEnumExpectedScalarOrMapping { .. } => ("one word is expected here".to_owned(), None),
        E::Unexpected { expected: "mapping start", .. } => {
            ("fields are expected here (`name: value`)".to_owned(), None)
        }
        other => (first_line(&other.render_with_formatter(&serde_saphyr::UserMessageFormatter)), None),
    };
    PolicyError { file: file.to_owned(), place, message, hint }
}

/// The message without the place that this module tells itself.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let line = line.rsplit_once(" at line ").map_or(line, |(message, _)| message);
    line.trim_start_matches("error: ").to_owned()
}

/// The word that was meant, if one is near; else all that there are.
fn suggestion(word: &str, expected: &[&'static str]) -> String {
    let near = expected.iter().map(|known| (distance(word, known), known)).min();
    match near {
        Some((distance, known)) if distance <= 1 + word.len() / 4 => format!("did you mean `{known}`?"),
        _ => format!("there {}", one_of(expected)),
    }
}

fn one_of(words: &[&'static str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => "is nothing to choose from".to_owned(),
        [only] => format!("is only {only}"),
        [others @ .., last] => format!("are {} and {last}", others.join(", ")),
    }
}

/// Edit distance (insert, delete, replace) without regard to case; words of a policy are short.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<_> = left.to_lowercase().chars().take(64).collect();
    let right: Vec<_> = right.to_lowercase().chars().collect();
    let mut previous: Vec<usize> = (0..=right.len()).collect();
    for (row, a) in left.iter().enumerate() {
        let mut diagonal = row;
        let mut before = row + 1;
        let mut current = vec![before];
        for (b, above) in right.iter().zip(previous.iter().skip(1)) {
            let cost = (diagonal + usize::from(a != b)).min(before + 1).min(above + 1);
            diagonal = *above;
            before = cost;
            current.push(cost);
        }
        previous = current;
    }
    previous.last().copied().unwrap_or(0)
}
