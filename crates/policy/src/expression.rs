//! What all expressions of policies have in common: bounds on their text, the names that they may use, and how often they
//! may add inside walks. What may be walked, and what that costs, is said by the two kinds of rules themselves.

use cel::{
    common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, MapExpr},
    parser::PrattParser,
};

use crate::judge::shown;

/// The longest expression, in bytes.
const MAX_BYTES: usize = 4_096;
/// The most nodes of an expression as it is parsed, macros expanded.
const MAX_PARSED_NODES: usize = 5_000;
/// The most parentheses, operators and calls inside one another.
const MAX_NESTING: u16 = 48;
/// The most levels of what is parsed: `a.b.c` and `1 + 2 + 3` need no parentheses to become deep, and whatever walks them
/// uses the stack.
const MAX_LEVELS: usize = 32;
/// The most additions inside walks: each may double a text or a list that the next walk starts from.
pub(crate) const MAX_ADDITIONS: u32 = 4;

/// The operators and functions of all expressions. None is for regular expressions, times or texts that grow.
const FUNCTIONS: [&str; 27] = [
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
    "string",
    "int",
    "double",
];

/// An expression within bounds of length and nesting.
pub(crate) fn parse(expression: &str) -> Result<IdedExpr, String> {
    if expression.len() > MAX_BYTES {
        return Err(format!("an expression of {} bytes; the limit is {MAX_BYTES}", expression.len()));
    }
    // The crate's other parser overflows the stack on a thousand parentheses.
    let parser = PrattParser::new().max_recursion_depth(MAX_NESTING).max_expression_node_count(MAX_PARSED_NODES);
    let parsed = parser.parse(expression).map_err(|errors| {
        let first = errors.errors.first();
        first.map_or_else(
            || "it cannot be parsed".to_owned(),
            |error| format!("it cannot be parsed: {} (column {})", shown(&error.msg), error.pos.1),
        )
    })?;
    if is_deep(&parsed) { Err(format!("it is more than {MAX_LEVELS} levels deep")) } else { Ok(parsed) }
}

/// Whether an expression has more levels than are walked. It uses no stack for that itself.
fn is_deep(expression: &IdedExpr) -> bool {
    let mut left = vec![(expression, 1)];
    while let Some((one, level)) = left.pop() {
        if level > MAX_LEVELS {
            return true;
        }
        left.extend(parts(one).into_iter().map(|part| (part, level + 1)));
    }
    false
}

/// What an expression is made of, in the order in which it is evaluated.
pub(crate) fn parts(expression: &IdedExpr) -> Vec<&IdedExpr> {
    match &expression.expr {
        Expr::Call(call) => call.target.iter().map(|target| &**target).chain(&call.args).collect(),
        Expr::Select(select) => vec![&*select.operand],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => entries(map).collect(),
        Expr::Comprehension(walk) => {
            vec![&walk.iter_range, &walk.accu_init, &walk.loop_cond, &walk.loop_step, &walk.result]
        }
        // Nothing is made of types of one's own: they are refused as they are met.
        Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => Vec::new(),
    }
}

/// What a kind of expression may name.
#[derive(Debug)]
pub(crate) struct Language {
    pub(crate) variables: &'static [&'static str],
    /// The functions beside those of all expressions, in groups.
    pub(crate) functions: &'static [&'static [&'static str]],
    /// The most macros (`exists`, `all`, `map`, …) inside one another.
    pub(crate) max_depth: usize,
}

/// Where a walk through an expression stands.
pub(crate) struct Scope {
    language: &'static Language,
    /// The names that macros have bound here.
    bound: Vec<String>,
    additions: u32,
}

impl Scope {
    pub(crate) const fn new(language: &'static Language) -> Self {
        Self { language, bound: Vec::new(), additions: 0 }
    }

    /// How many additions inside walks were met so far.
    pub(crate) const fn additions(&self) -> u32 {
        self.additions
    }

    pub(crate) fn is_bound(&self, name: &str) -> bool {
        name.starts_with('@') || self.bound.iter().any(|bound| bound == name)
    }

    /// Whether a name that no macro has bound is one.
    pub(crate) fn variable(&self, name: &str) -> Result<(), String> {
        let known = self.language.variables;
        let unknown = || format!("there is no `{}`; there are `{}`", shown(name), known.join("`, `"));
        known.contains(&name).then_some(()).ok_or_else(unknown)
    }

    /// Whether a function may be called here.
    pub(crate) fn call(&mut self, call: &CallExpr, depth: usize) -> Result<(), String> {
        let name = call.func_name.as_str();
        if !FUNCTIONS.contains(&name) && !self.language.functions.iter().any(|group| group.contains(&name)) {
            return Err(format!("there is no function `{}`", shown(name)));
        }
        // What macros add to their own result is no addition of the author's.
        let is_of_macro = call.args.iter().any(|part| matches!(&part.expr, Expr::Ident(name) if name.starts_with('@')));
        if name == "_+_" && depth > 0 && !is_of_macro {
            self.additions += 1;
            if self.additions > MAX_ADDITIONS {
                return Err(format!("more than {MAX_ADDITIONS} additions are inside walks"));
            }
        }
        Ok(())
    }

    /// Whether a walk may stand at this depth.
    pub(crate) fn deeper(&self, depth: usize) -> Result<(), String> {
        let most = self.language.max_depth;
        if depth == most { Err(format!("more than {most} walks are inside one another")) } else { Ok(()) }
    }

    /// Binds the names of a walk. What it gives back takes them away again.
    pub(crate) fn enter(&mut self, walk: &ComprehensionExpr) -> Result<usize, String> {
        let before = self.bound.len();
        for name in [Some(&walk.iter_var), walk.iter_var2.as_ref(), Some(&walk.accu_var)].into_iter().flatten() {
            if self.language.variables.contains(&name.as_str()) {
                return Err(format!("`{name}` is a name already"));
            }
            self.bound.push(name.clone());
        }
        Ok(before)
    }

    pub(crate) fn leave(&mut self, before: usize) {
        self.bound.truncate(before);
    }
}

/// The keys and values of a literal map.
pub(crate) fn entries(map: &MapExpr) -> impl Iterator<Item = &IdedExpr> {
    map.entries.iter().flat_map(|entry| match &entry.expr {
        EntryExpr::MapEntry(entry) => [Some(&entry.key), Some(&entry.value)].into_iter().flatten(),
        EntryExpr::StructField(field) => [Some(&field.value), None].into_iter().flatten(),
    })
}
