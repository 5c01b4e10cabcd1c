//! The rules of a policy that are expressions, in CEL: <https://github.com/google/cel-spec>.
//!
//! The cost is bounded before anything is evaluated: an expression has at most [`MAX_NODES`] nodes, and the long
//! lists (`findings`, `packages`) may be walked one after the other, but never inside one another. So the time is
//! linear in what was found. Every function is named in `expression`.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use cel::{
    Context, Env, Value,
    common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr},
    objects::Key,
};
use portcullis_model::{Finding, Package};

use crate::{
    Facts, Rule,
    expression::{Language, Scope, entries, parse},
    judge::{Reasons, shown},
    plain::never_boolean,
};

/// The most nodes of an expression, macros expanded.
const MAX_NODES: usize = 500;

/// What an expression can speak of: the long lists first.
const VARIABLES: &[&str] = &["findings", "packages", "gaps", "starterDatabase"];

/// The lists that can be long.
const LONG: [&str; 2] = ["findings", "packages"];

/// The most macros inside one another are three.
static LANGUAGE: Language = Language { variables: VARIABLES, functions: &[], max_depth: 3 };

/// Those that may take a long list as a whole: they are linear in it, and give none back inside another value.
const OVER_LISTS: [&str; 15] = [
    "_?_:_",
    "_&&_",
    "_||_",
    "!_",
    "_+_",
    "_==_",
    "_!=_",
    "_<_",
    "_<=_",
    "_>_",
    "_>=_",
    "_[_]",
    "@in",
    "size",
    "@not_strictly_false",
];

/// Why an expression is refused; none if it can be evaluated.
pub(crate) fn problem(rule: &Rule) -> Option<String> {
    compile(rule).err()
}

fn compile(rule: &Rule) -> Result<IdedExpr, String> {
    let expression = parse(&rule.expression)?;
    let mut check = Check { nodes: 0, scope: Scope::new(&LANGUAGE) };
    check.expression(&expression, 0, true)?;
    match never_boolean(&expression, &of_name) {
        Some(what) => Err(format!("it gives {what}, and is never true or false")),
        None => Ok(expression),
    }
}

/// What the names of long lists and numbers stand for.
fn of_name(name: &str) -> Option<&'static str> {
    if LONG.contains(&name) { Some("a list") } else { (name == "gaps").then_some("a number") }
}

/// Judges by every rule, in their order.
pub(crate) fn judge(rules: &[Rule], facts: &Facts<'_>, reasons: &mut Reasons) {
    if rules.is_empty() {
        return;
    }
    static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));
    let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
    let compiled: Vec<_> = rules.iter().map(|rule| (rule, compile(rule))).collect();
    let uses = |name: &str| {
        compiled
            .iter()
            .any(|(_, program)| program.as_ref().is_ok_and(|program| program.references().has_variable(name)))
    };
    if uses("findings") {
        let counting = facts.findings.iter().filter(|finding| finding.is_counting());
        context.add_variable_from_value("findings", Value::List(Arc::new(counting.map(finding).collect())));
    }
    if uses("packages") {
        context
            .add_variable_from_value("packages", Value::List(Arc::new(facts.packages.iter().map(package).collect())));
    }
    let gaps = facts.warnings.iter().filter(|warning| warning.kind == portcullis_model::WarningKind::Gap).count();
    context.add_variable_from_value("gaps", int(gaps));
    context.add_variable_from_value("starterDatabase", Value::Bool(facts.database.starter));
    for (rule, expression) in &compiled {
        let name = format!("rules.{}", shown(&rule.name));
        let outcome = expression.as_ref().map_err(Clone::clone).and_then(|expression| evaluate(expression, &context));
        match outcome {
            Ok(true) => {}
            Ok(false) => {
                let message = rule.message.as_deref().unwrap_or(&rule.expression);
                reasons.fail(&name, shown(message));
            }
            Err(why) => reasons.unknown(&name, format!("the rule could not be evaluated: {}", shown(&why))),
        }
    }
}

fn evaluate(expression: &IdedExpr, context: &Context<'_, '_>) -> Result<bool, String> {
    match Value::resolve(expression, context) {
        Ok(Value::Bool(answer)) => Ok(answer),
        Ok(other) => Err(format!("it gives a {} in place of true or false", other.type_of())),
        Err(error) => Err(error.to_string()),
    }
}

fn text(value: &str) -> Value {
    Value::String(Arc::new(value.to_owned()))
}

fn texts(values: &[impl AsRef<str>]) -> Value {
    Value::List(Arc::new(values.iter().map(|value| text(value.as_ref())).collect()))
}

fn int(value: usize) -> Value {
    Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

fn object(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let fields: HashMap<Key, Value> = fields.into_iter().map(|(name, value)| (Key::from(name), value)).collect();
    Value::Map(fields.into())
}

/// Texts are empty and numbers 0.0 where there is nothing, so that a comparison is never an error.
fn finding(finding: &Finding) -> Value {
    let package = &finding.package;
    object([
        ("id", text(&finding.id)),
        ("cve", text(finding.cve.as_deref().unwrap_or_default())),
        ("aliases", texts(&finding.aliases)),
        ("title", text(&finding.title)),
        ("severity", text(finding.severity.level.as_str())),
        ("score", Value::Float(finding.severity.score.unwrap_or_default())),
        ("state", text(finding.state.as_str())),
        ("fixedVersions", texts(&finding.fixed_versions)),
        ("lastAffected", text(finding.last_affected.as_deref().unwrap_or_default())),
        ("kev", Value::Bool(finding.kev)),
        ("epss", Value::Float(finding.epss.map_or(0.0, |epss| epss.score))),
        ("published", text(&finding.published.map_or_else(String::new, |time| time.to_string()))),
        ("cwes", texts(&finding.cwes)),
        (
            "package",
            object([
                ("type", text(package.kind.as_str())),
                ("name", text(&package.name)),
                ("version", text(&package.version)),
                ("purl", text(&package.purl)),
                ("path", text(package.locations.first().map_or("", |location| &location.path))),
            ]),
        ),
    ])
}

fn package(package: &Package) -> Value {
    object([
        ("type", text(package.kind.as_str())),
        ("name", text(&package.name)),
        ("version", text(&package.version)),
        ("purl", text(&package.purl)),
        ("source", text(package.source.as_ref().map_or("", |source| &source.name))),
        ("vendor", text(package.vendor.as_deref().unwrap_or_default())),
        ("licenses", texts(&package.licenses)),
        ("path", text(package.locations.first().map_or("", |location| &location.path))),
    ])
}

/// Walks an expression, and refuses what could cost more than its length times that of the lists.
struct Check {
    nodes: usize,
    scope: Scope,
}

impl Check {
    /// `long`: whether a long list may stand here.
    fn expression(&mut self, expression: &IdedExpr, depth: usize, long: bool) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(format!("it has more than {MAX_NODES} parts"));
        }
        match &expression.expr {
            Expr::Ident(name) => self.name(name, long),
            Expr::Call(call) => self.call(call, depth, long),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, depth, long),
            Expr::Select(select) => self.expression(&select.operand, depth, long),
            Expr::List(list) => list.elements.iter().try_for_each(|element| self.expression(element, depth, false)),
            Expr::Map(map) => entries(map).try_for_each(|part| self.expression(part, depth, false)),
            Expr::Literal(_) => Ok(()),
            Expr::Struct(_) | Expr::Unspecified => Err("there are no types of one's own".to_owned()),
        }
    }

    fn name(&self, name: &str, long: bool) -> Result<(), String> {
        if self.scope.is_bound(name) {
            return Ok(());
        }
        self.scope.variable(name)?;
        if LONG.contains(&name) && !long {
            return Err(format!("`{name}` may be walked on its own, not inside another list or walk"));
        }
        Ok(())
    }

    fn call(&mut self, call: &CallExpr, depth: usize, long: bool) -> Result<(), String> {
        self.scope.call(call, depth)?;
        let name = call.func_name.as_str();
        // A size is a number wherever it stands; only inside a walk it would be counted again and again.
        let long = (long && OVER_LISTS.contains(&name)) || (name == "size" && depth == 0);
        call.target.iter().try_for_each(|target| self.expression(target, depth, long))?;
        call.args.iter().try_for_each(|argument| self.expression(argument, depth, long))
    }

    fn comprehension(&mut self, walk: &ComprehensionExpr, depth: usize, long: bool) -> Result<(), String> {
        self.scope.deeper(depth)?;
        self.expression(&walk.iter_range, depth, long)?;
        let before = self.scope.enter(walk)?;
        for part in [&walk.accu_init, &walk.loop_cond, &walk.loop_step, &walk.result] {
            self.expression(part, depth + 1, false)?;
        }
        self.scope.leave(before);
        Ok(())
    }
}
