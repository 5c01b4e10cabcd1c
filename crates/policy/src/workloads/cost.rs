//! What an expression may cost, before it is evaluated. A walk over a list costs its body times the longest list that is
//! there, so walks inside one another multiply. Additions make lists and texts longer by what was there at the start,
//! literals by what they hold, and what takes texts apart or joins them by what they may be. Additions inside walks are
//! few.
//!
//! The engine copies a value wholly where a literal keeps it, where lists are added, where a walk binds it, where it is the
//! answer, and where an operator does not take it: the error holds it, and `||` goes on after an error. Each of these counts
//! with all that the value holds.

mod sizes;

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue};

pub(super) use self::sizes::Sizes;
use self::sizes::TEXT_BYTES;
use super::expressions::quantity;
use crate::{
    expression::{Language, MAX_ADDITIONS, Scope, entries},
    judge::shown,
};

/// A pattern is a literal of at most so many bytes.
const MAX_PATTERN_BYTES: usize = 256;
/// What making and running a pattern costs.
const PATTERN_STEPS: u64 = 2_000;

const VARIABLES: &[&str] = &["object", "oldObject", "request", "namespaceObject", "params", "variables"];

/// What `type` gives.
const TYPES: [&str; 9] = ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "uint"];

/// What a ValidatingAdmissionPolicy has and this engine does too, beside what all expressions may call.
const FUNCTIONS: [&str; 14] = [
    "matches",
    "uint",
    "bool",
    "dyn",
    "type",
    "indexOf",
    "lastIndexOf",
    "substring",
    "charAt",
    "lowerAscii",
    "upperAscii",
    "trim",
    "split",
    "join",
];

pub(super) static LANGUAGE: Language =
    Language { variables: VARIABLES, functions: &[&FUNCTIONS, &quantity::FUNCTIONS], max_depth: 4 };

/// Walks an expression, and bounds the steps that it may take.
pub(super) struct Cost<'a> {
    variables: &'a [&'a str],
    /// Of the inputs, before anything of the expression is counted.
    inputs: Sizes,
    /// Of the inputs with the literals and additions that were met so far.
    sizes: Sizes,
    scope: Scope,
    /// The names of the innermost walk, for what it walks over, and how often it goes around at most.
    walked: Vec<&'a str>,
    rounds: u64,
}

impl<'a> Cost<'a> {
    pub(super) fn of(expression: &'a IdedExpr, variables: &'a [&'a str], sizes: &Sizes) -> Result<u64, String> {
        let scope = Scope::new(&LANGUAGE);
        let mut cost = Self { variables, inputs: *sizes, sizes: *sizes, scope, walked: Vec::new(), rounds: 1 };
        let steps = cost.expression(expression, 0)?;
        Ok(steps.saturating_add(if is_plain(expression) { 0 } else { cost.values() }))
    }

    fn expression(&mut self, expression: &'a IdedExpr, depth: usize) -> Result<u64, String> {
        match &expression.expr {
            Expr::Ident(name) => self.name(name),
            Expr::Call(call) => self.call(call, depth),
            Expr::Comprehension(walk) => self.walk(walk, depth),
            Expr::Select(select) => match &select.operand.expr {
                Expr::Ident(name) if name == "variables" && !self.scope.is_bound(name) => {
                    if select.test {
                        return Err("a variable is always there: ask `has` for one of its fields".to_owned());
                    }
                    let is_known = self.variables.contains(&select.field.as_str());
                    let unknown = || format!("there is no variable `{}` before this", shown(&select.field));
                    is_known.then_some(1).ok_or_else(unknown)
                }
                _ => Ok(1 + self.expression(&select.operand, depth)?),
            },
            // Lists can be added, so that what their literals hold adds up.
            Expr::List(list) => {
                self.sizes.longest = self.sizes.longest.saturating_add(list.elements.len() as u64);
                let parts = self.sum(list.elements.iter(), depth)?;
                Ok(parts.saturating_add(self.kept(list.elements.iter())))
            }
            Expr::Map(map) => {
                self.sizes.longest = self.sizes.longest.max(map.entries.len() as u64);
                let parts = self.sum(entries(map), depth)?;
                Ok(parts.saturating_add(self.kept(entries(map))))
            }
            Expr::Literal(LiteralValue::String(text)) => {
                let length = text.inner().len() as u64;
                self.sizes.text = self.sizes.text.saturating_add(length);
                self.sizes.values = self.sizes.values.saturating_add(length / TEXT_BYTES);
                Ok(1)
            }
            Expr::Literal(LiteralValue::Double(_)) => {
                self.sizes.has_fractions = true;
                Ok(1)
            }
            Expr::Literal(_) => Ok(1),
            Expr::Struct(_) | Expr::Unspecified => Err("there are no types of one's own".to_owned()),
        }
    }

    /// What a literal copies. It holds that, beside what there was before.
    fn kept(&mut self, parts: impl Iterator<Item = &'a IdedExpr>) -> u64 {
        let copies = parts.map(|part| if is_borrowed(part) { self.held(part) } else { 1 });
        let copies = copies.fold(0, u64::saturating_add);
        self.sizes.values = self.sizes.values.saturating_add(copies);
        copies
    }

    /// The most values that an expression gives each time.
    fn held(&self, expression: &IdedExpr) -> u64 {
        match root(expression) {
            // All rounds of a walk together see what it walks over once.
            Some(name) if self.walked.contains(&name) => self.values() / self.rounds + 1,
            // Inputs do not grow.
            Some("params") if !self.scope.is_bound("params") => self.inputs.params,
            Some(name) if !self.scope.is_bound(name) => self.inputs.values,
            _ => self.values(),
        }
    }

    /// What an error holds of these, which an operator does not take.
    fn refused(&self, parts: &[IdedExpr]) -> u64 {
        let copied = parts.iter().map(|part| match &part.expr {
            Expr::Literal(_) => self.length(part) / TEXT_BYTES,
            _ if is_plain(part) => self.text() / TEXT_BYTES,
            _ => self.held(part),
        });
        copied.fold(1, u64::saturating_add)
    }

    fn sum(&mut self, parts: impl Iterator<Item = &'a IdedExpr>, depth: usize) -> Result<u64, String> {
        let mut all = 1_u64;
        for part in parts {
            all = all.saturating_add(self.expression(part, depth)?);
        }
        Ok(all)
    }

    fn name(&self, name: &str) -> Result<u64, String> {
        match name {
            _ if self.scope.is_bound(name) || TYPES.contains(&name) => Ok(1),
            "variables" => Err("name one of them: `variables.name`".to_owned()),
            _ => self.scope.variable(name).map(|()| 1),
        }
    }

    fn call(&mut self, call: &'a CallExpr, depth: usize) -> Result<u64, String> {
        let name = call.func_name.as_str();
        self.scope.call(call, depth)?;
        let parts = call.target.iter().map(|target| &**target).chain(call.args.iter());
        let parts = self.sum(parts, depth)?;
        if name == "_+_" && depth == 0 {
            // Both sides are there already; each is made of inputs and of literals, which are counted by themselves.
            self.sizes.longest = self.sizes.longest.saturating_add(self.inputs.longest);
            self.sizes.text = self.sizes.text.saturating_add(self.inputs.text);
            self.sizes.values = self.sizes.values.saturating_add(self.inputs.values);
        }
        self.sizes.has_fractions |= name == "double";
        let own = self.own(call)?;
        self.gives(call);
        Ok(own.saturating_add(parts))
    }

    /// What a call makes that was not there before.
    fn gives(&mut self, call: &CallExpr) {
        let made = match call.func_name.as_str() {
            "split" => {
                // At most a text for each byte, and one more.
                self.sizes.longest = self.sizes.longest.max(self.sizes.text.saturating_add(1));
                self.target(call).saturating_add(1)
            }
            "join" => {
                let most = self.values().saturating_add(self.between(call));
                self.sizes.text = self.sizes.text.saturating_add(most.saturating_mul(TEXT_BYTES));
                self.joined(call)
            }
            "substring" | "charAt" | "lowerAscii" | "upperAscii" | "trim" | "string" => self.target(call) / TEXT_BYTES,
            _ => 0,
        };
        self.sizes.values = self.sizes.values.saturating_add(made);
    }

    /// How long the texts of a list are together, with what stands between them; each [`TEXT_BYTES`] are one.
    fn joined(&self, call: &CallExpr) -> u64 {
        let texts = call.target.as_deref().map_or_else(|| self.values(), |part| self.held(part));
        texts.saturating_add(self.between(call))
    }

    /// What stands between the texts of a list.
    fn between(&self, call: &CallExpr) -> u64 {
        let between = call.args.first().map_or(0, |part| self.length(part));
        self.longest().saturating_mul(between / TEXT_BYTES + 1)
    }

    /// The most bytes of the text whose function is called.
    fn target(&self, call: &CallExpr) -> u64 {
        call.target.as_deref().map_or_else(|| self.text(), |part| self.length(part))
    }

    /// The most bytes of a text, each time.
    fn length(&self, part: &IdedExpr) -> u64 {
        match (&part.expr, root(part)) {
            (Expr::Literal(LiteralValue::String(text)), _) => text.inner().len() as u64,
            (Expr::Literal(_), _) => 0,
            // A part of something.
            (Expr::Call(call), _) => match (call.func_name.as_str(), call.args.first()) {
                ("_[_]", Some(whole)) => self.length(whole),
                ("lowerAscii" | "upperAscii" | "trim" | "substring" | "charAt" | "split", _) => self.target(call),
                _ => self.text(),
            },
            // As of [`Self::held`].
            (_, Some(name)) if self.walked.contains(&name) => {
                let all = self.values().saturating_mul(TEXT_BYTES);
                self.text().min(all / self.rounds + 1)
            }
            (_, Some(name)) if !self.scope.is_bound(name) => self.inputs.text,
            _ => self.text(),
        }
    }

    /// How often a walk goes around at most.
    fn rounds(&self, range: &IdedExpr) -> u64 {
        match root(range) {
            // Inputs do not grow.
            Some(name) if !self.scope.is_bound(name) => self.inputs.longest,
            _ => self.longest(),
        }
    }

    /// What a call takes beside its parts.
    fn own(&self, call: &CallExpr) -> Result<u64, String> {
        let is_literal = |part: &IdedExpr| matches!(part.expr, Expr::Literal(_));
        let own = match call.func_name.as_str() {
            "matches" => {
                let pattern = call.args.last().filter(|part| is_literal(part));
                // A literal is shown in quotes: its length is at most so much more.
                let length = pattern.map(|part| format!("{:?}", part.expr).len());
                if length.is_none_or(|length| length > MAX_PATTERN_BYTES + 64) {
                    return Err(format!("`matches` takes a literal of at most {MAX_PATTERN_BYTES} bytes"));
                }
                PATTERN_STEPS.saturating_add(self.text())
            }
            "_==_" | "_!=_" if !call.args.iter().any(is_literal) => self.values() / 4 + 1,
            "@in" | "_in_" if call.args.first().is_none_or(is_literal) => self.longest(),
            "@in" | "_in_" => {
                let key = self.refused(call.args.get(..1).unwrap_or_default());
                self.longest().max(self.values() / 4).saturating_add(key)
            }
            "_+_" => {
                let longer = self.longest().max(self.text() / 16).saturating_add(1);
                // What a walk adds to its own result is moved; to texts and numbers nothing else can be added.
                let is_moved = |part: &IdedExpr| matches!(&part.expr, Expr::Ident(name) if name.starts_with('@'));
                let is_copied = !call.args.iter().any(|part| is_plain(part) || is_moved(part));
                let refused = if call.args.iter().any(is_moved) { 0 } else { self.refused(&call.args) };
                longer.max(if is_copied { self.values() } else { 0 }).max(refused)
            }
            "_-_" | "_*_" | "_/_" | "_%_" => self.refused(&call.args),
            // What has no order is refused by its type alone where it stands on the left.
            "_<_" | "_<=_" | "_>_" | "_>=_" => self.refused(call.args.get(1..).unwrap_or_default()),
            // A list is held by the error where the index has a fraction; else a map holds what is no key.
            "_[_]" if self.sizes.has_fractions => self.refused(&call.args),
            "_[_]" => self.refused(call.args.get(1..).unwrap_or_default()),
            "_&&_" | "_||_" | "!_" | "_?_:_" | "@not_strictly_false" => 1,
            _ => self.of_texts(call),
        };
        Ok(own)
    }

    /// What a function of texts takes.
    fn of_texts(&self, call: &CallExpr) -> u64 {
        match call.func_name.as_str() {
            // What is looked for is compared at every place.
            "indexOf" | "lastIndexOf" => {
                // Of the longest: two that are long in the same round are not so in each.
                let is_literal = call.args.first().is_some_and(|part| matches!(part.expr, Expr::Literal(_)));
                let sought =
                    if is_literal { call.args.first().map_or(0, |part| self.length(part)) } else { self.text() };
                self.target(call).saturating_mul(sought / TEXT_BYTES + 1) / 4 + 1
            }
            "split" => self.target(call).saturating_mul(2) + 1,
            "join" => self.joined(call),
            _ => {
                let texts = call.target.iter().map(|target| &**target).chain(&call.args);
                texts.map(|part| self.length(part) / TEXT_BYTES).fold(1, u64::saturating_add)
            }
        }
    }

    fn walk(&mut self, walk: &'a ComprehensionExpr, depth: usize) -> Result<u64, String> {
        self.scope.deeper(depth)?;
        let range = self.expression(&walk.iter_range, depth)?;
        // Each element is copied to be bound.
        let bound = self.held(&walk.iter_range);
        let rounds = self.rounds(&walk.iter_range);
        let before = self.scope.enter(walk)?;
        let walked = [Some(walk.iter_var.as_str()), walk.iter_var2.as_deref()].into_iter().flatten().collect();
        let outer = std::mem::replace(&mut self.walked, walked);
        let outer_rounds = std::mem::replace(&mut self.rounds, rounds);
        let once = self.sum([&walk.accu_init, &walk.result].into_iter(), depth + 1)?;
        let values = self.sizes.values;
        let each = self.sum([&walk.loop_cond, &walk.loop_step].into_iter(), depth + 1)?;
        if matches!(walk.accu_init.expr, Expr::List(_)) {
            // What one round keeps is kept by all.
            let kept = (self.sizes.values - values).saturating_mul(self.rounds(&walk.iter_range));
            self.sizes.values = values.saturating_add(kept);
        }
        self.walked = outer;
        self.rounds = outer_rounds;
        self.scope.leave(before);
        let all = each.saturating_mul(self.rounds(&walk.iter_range));
        Ok([range, bound, once, all].into_iter().fold(0, u64::saturating_add))
    }

    /// The longest list that may be there, after what additions inside walks make of it.
    fn longest(&self) -> u64 {
        self.sizes.longest.saturating_mul(1 << self.scope.additions().min(MAX_ADDITIONS))
    }

    /// As [`Self::longest`], of texts.
    fn text(&self) -> u64 {
        self.sizes.text.saturating_mul(1 << self.scope.additions().min(MAX_ADDITIONS))
    }

    /// As [`Self::longest`], of all values together.
    fn values(&self) -> u64 {
        self.sizes.values.saturating_mul(1 << self.scope.additions().min(MAX_ADDITIONS))
    }
}

/// Whether what an expression gives is there already, so that keeping it copies it. All else is made anew, and moved.
fn is_borrowed(expression: &IdedExpr) -> bool {
    match &expression.expr {
        Expr::Ident(_) => true,
        Expr::Select(select) => !select.test,
        Expr::Call(call) => matches!(call.func_name.as_str(), "_?_:_" | "_[_]" | "dyn"),
        _ => false,
    }
}

/// Whether an expression gives a truth, a number or a text, whatever the values are.
fn is_plain(expression: &IdedExpr) -> bool {
    match &expression.expr {
        Expr::Literal(_) => true,
        Expr::Call(call) if call.func_name == "_?_:_" => call.args.iter().skip(1).all(is_plain),
        Expr::Call(call) if call.func_name == "_+_" => call.args.iter().any(is_plain),
        Expr::Comprehension(walk) => is_plain(&walk.accu_init),
        Expr::Call(_) => !is_borrowed(expression),
        Expr::Select(select) => select.test,
        _ => false,
    }
}

/// The name that a path of fields starts at.
fn root(expression: &IdedExpr) -> Option<&str> {
    let mut expression = expression;
    while let Expr::Select(select) = &expression.expr {
        expression = &select.operand;
    }
    match &expression.expr {
        Expr::Ident(name) => Some(name),
        _ => None,
    }
}
