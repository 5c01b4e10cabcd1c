//! What an expression may cost, before it is evaluated. A walk over a list costs its body times the longest list that is
//! there, so walks inside one another multiply. Additions make lists and texts longer by what was there at the start, and
//! literals by what they hold. Other functions that let texts grow are not there, and additions inside walks are few.

use cel::{
    Value as Cel,
    common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue},
};
use serde_json::Value;

use crate::{
    expression::{Language, MAX_ADDITIONS, Scope, entries},
    judge::shown,
};

/// A pattern is a literal of at most so many bytes.
const MAX_PATTERN_BYTES: usize = 256;
/// What making and running a pattern costs.
const PATTERN_STEPS: u64 = 2_000;

const VARIABLES: &[&str] = &["object", "oldObject", "request", "namespaceObject", "params", "variables"];

/// The functions that a ValidatingAdmissionPolicy has and this engine does too, beside the operators.
const FUNCTIONS: &[&str] = &[
    "_?_:_",
    "_&&_",
    "_||_",
    "!_",
    "-_",
    "_-_",
    "_+_",
    "_*_",
    "_/_",
    "_%_",
    "_==_",
    "_!=_",
    "_>=_",
    "_<=_",
    "_>_",
    "_<_",
    "_[_]",
    "@in",
    "_in_",
    "@not_strictly_false",
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "string",
    "int",
    "uint",
    "double",
    "bool",
    "dyn",
    "type",
    "indexOf",
    "lastIndexOf",
    "substring",
];

static LANGUAGE: Language = Language { variables: VARIABLES, functions: FUNCTIONS, max_depth: 4 };

/// How large the inputs are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// The longest list, map or literal list.
    longest: u64,
    /// All values together.
    values: u64,
    /// The longest text, in bytes.
    text: u64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { longest: 1, values: 1, text: 1 }
    }
}

impl Sizes {
    /// All values together.
    pub(super) const fn values(&self) -> u64 {
        self.values
    }

    pub(super) fn add(&mut self, value: &Value) {
        self.values += 1;
        match value {
            Value::Array(values) => {
                self.longest = self.longest.max(values.len() as u64);
                values.iter().for_each(|value| self.add(value));
            }
            Value::Object(fields) => {
                self.longest = self.longest.max(fields.len() as u64);
                for (name, value) in fields {
                    self.text = self.text.max(name.len() as u64);
                    self.add(value);
                }
            }
            Value::String(text) => self.text = self.text.max(text.len() as u64),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// As [`Self::add`], of what an expression gave.
    pub(super) fn add_computed(&mut self, value: &Cel) {
        self.values += 1;
        match value {
            Cel::List(values) => {
                self.longest = self.longest.max(values.len() as u64);
                values.iter().for_each(|value| self.add_computed(value));
            }
            Cel::Map(map) => {
                self.longest = self.longest.max(map.map.len() as u64);
                map.map.values().for_each(|value| self.add_computed(value));
            }
            Cel::String(text) => self.text = self.text.max(text.len() as u64),
            _ => {}
        }
    }
}

/// Walks an expression, and bounds the steps that it may take.
pub(super) struct Cost<'a> {
    variables: &'a [&'a str],
    /// Of the inputs, before anything of the expression is counted.
    inputs: Sizes,
    /// Of the inputs with the literals and additions that were met so far.
    sizes: Sizes,
    scope: Scope,
}

impl<'a> Cost<'a> {
    pub(super) fn of(expression: &IdedExpr, variables: &'a [&'a str], sizes: &Sizes) -> Result<u64, String> {
        let mut cost = Self { variables, inputs: *sizes, sizes: *sizes, scope: Scope::new(&LANGUAGE) };
        cost.expression(expression, 0)
    }

    fn expression(&mut self, expression: &IdedExpr, depth: usize) -> Result<u64, String> {
        match &expression.expr {
            Expr::Ident(name) => self.name(name),
            Expr::Call(call) => self.call(call, depth),
            Expr::Comprehension(walk) => self.walk(walk, depth),
            Expr::Select(select) => match &select.operand.expr {
                Expr::Ident(name) if name == "variables" && !self.scope.is_bound(name) => {
                    let is_known = self.variables.contains(&select.field.as_str());
                    let unknown = || format!("there is no variable `{}` before this", shown(&select.field));
                    is_known.then_some(1).ok_or_else(unknown)
                }
                _ => Ok(1 + self.expression(&select.operand, depth)?),
            },
            // Lists can be added, so that what their literals hold adds up.
            Expr::List(list) => {
                self.sizes.longest = self.sizes.longest.saturating_add(list.elements.len() as u64);
                self.sum(list.elements.iter(), depth)
            }
            Expr::Map(map) => {
                self.sizes.longest = self.sizes.longest.max(map.entries.len() as u64);
                self.sum(entries(map), depth)
            }
            Expr::Literal(LiteralValue::String(text)) => {
                self.sizes.text = self.sizes.text.saturating_add(text.inner().len() as u64);
                Ok(1)
            }
            Expr::Literal(_) => Ok(1),
            Expr::Struct(_) | Expr::Unspecified => Err("there are no types of one's own".to_owned()),
        }
    }

    fn sum<'b>(&mut self, parts: impl Iterator<Item = &'b IdedExpr>, depth: usize) -> Result<u64, String> {
        let mut all = 1_u64;
        for part in parts {
            all = all.saturating_add(self.expression(part, depth)?);
        }
        Ok(all)
    }

    fn name(&self, name: &str) -> Result<u64, String> {
        match name {
            _ if self.scope.is_bound(name) => Ok(1),
            "variables" => Err("name one of them: `variables.name`".to_owned()),
            _ => self.scope.variable(name).map(|()| 1),
        }
    }

    fn call(&mut self, call: &CallExpr, depth: usize) -> Result<u64, String> {
        let name = call.func_name.as_str();
        self.scope.call(call, depth)?;
        let parts = call.target.iter().map(|target| &**target).chain(call.args.iter());
        let parts = self.sum(parts, depth)?;
        if name == "_+_" && depth == 0 {
            // Both sides are there already; each is made of inputs and of literals, which are counted by themselves.
            self.sizes.longest = self.sizes.longest.saturating_add(self.inputs.longest);
            self.sizes.text = self.sizes.text.saturating_add(self.inputs.text);
        }
        let is_literal = |part: &IdedExpr| matches!(part.expr, Expr::Literal(_));
        let own = match name {
            "matches" => {
                let pattern = call.args.last().filter(|part| is_literal(part));
                // A literal is shown in quotes: its length is at most so much more.
                let length = pattern.map(|part| format!("{:?}", part.expr).len());
                if length.is_none_or(|length| length > MAX_PATTERN_BYTES + 64) {
                    return Err(format!("`matches` takes a literal of at most {MAX_PATTERN_BYTES} bytes"));
                }
                PATTERN_STEPS.saturating_add(self.text())
            }
            "_==_" | "_!=_" if !call.args.iter().any(is_literal) => self.sizes.values / 4 + 1,
            "@in" | "_in_" => self.longest(),
            "_+_" => self.longest().max(self.text() / 16).saturating_add(1),
            _ => 1 + self.text() / 64,
        };
        Ok(own.saturating_add(parts))
    }

    fn walk(&mut self, walk: &ComprehensionExpr, depth: usize) -> Result<u64, String> {
        self.scope.deeper(depth)?;
        let range = self.expression(&walk.iter_range, depth)?;
        let before = self.scope.enter(walk)?;
        let once = self.sum([&walk.accu_init, &walk.result].into_iter(), depth + 1)?;
        let each = self.sum([&walk.loop_cond, &walk.loop_step].into_iter(), depth + 1)?;
        self.scope.leave(before);
        Ok(range.saturating_add(once).saturating_add(each.saturating_mul(self.longest())))
    }

    /// The longest list that may be there, after what additions inside walks make of it.
    fn longest(&self) -> u64 {
        self.sizes.longest.saturating_mul(1 << self.scope.additions().min(MAX_ADDITIONS))
    }

    /// As [`Self::longest`], of texts.
    fn text(&self) -> u64 {
        self.sizes.text.saturating_mul(1 << self.scope.additions().min(MAX_ADDITIONS))
    }
}
