//! What an expression gives, as far as that can be told without evaluating it: a rule that gives a number is never true.

use cel::common::ast::{Expr, IdedExpr, LiteralValue};

/// What an expression gives that is neither true nor false, whatever there is; none where it may be one of these.
/// `of_name` tells it of names.
pub(crate) fn never_boolean(
    expression: &IdedExpr,
    of_name: &dyn Fn(&str) -> Option<&'static str>,
) -> Option<&'static str> {
    match &expression.expr {
        Expr::Literal(literal) => match literal {
            LiteralValue::Boolean(_) => None,
            LiteralValue::Double(_) | LiteralValue::Int(_) | LiteralValue::UInt(_) => Some("a number"),
            LiteralValue::String(_) | LiteralValue::Bytes(_) => Some("a text"),
            LiteralValue::Null => Some("null"),
        },
        Expr::List(_) => Some("a list"),
        Expr::Map(_) => Some("a map"),
        Expr::Ident(name) => of_name(name),
        Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
            ("_?_:_", [_, yes, no]) => {
                let yes = never_boolean(yes, of_name)?;
                never_boolean(no, of_name).map(|_| yes)
            }
            ("size" | "int" | "uint" | "double" | "-_" | "_-_" | "_*_" | "_/_" | "_%_", _) => Some("a number"),
            ("string", _) => Some("a text"),
            ("_+_", _) => Some("a sum"),
            _ => None,
        },
        // `map` and `filter` start from a list and give what it has become.
        Expr::Comprehension(walk) => match &walk.result.expr {
            Expr::Ident(name) if *name == walk.accu_var => never_boolean(&walk.accu_init, of_name),
            _ => never_boolean(&walk.result, of_name),
        },
        Expr::Select(_) | Expr::Struct(_) | Expr::Unspecified => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::parse;

    fn told(expression: &str) -> Option<&'static str> {
        never_boolean(&parse(expression).unwrap(), &|name| (name == "gaps").then_some("a number"))
    }

    #[test]
    fn what_can_never_be_true_is_told() {
        for expression in
            ["1", "-gaps", "gaps", "size(a)", "a.size()", "true ? 1 : gaps", "1 + 1", "a.map(x, x).size()", "int(a.b)"]
        {
            assert!(told(expression).is_some(), "{expression}");
        }
        for (expression, what) in
            [("'a'", "a text"), ("[true]", "a list"), ("a.map(x, true)", "a list"), ("a.filter(x, x)", "a list")]
        {
            assert_eq!(told(expression), Some(what), "{expression}");
        }
        assert_eq!(told("{'a': true}"), Some("a map"));
    }

    #[test]
    fn what_may_be_true_is_left_to_evaluation() {
        let expressions = [
            "true",
            "a",
            "a.b",
            "a[0]",
            "!a",
            "gaps > 0",
            "a ? b : 1",
            "a.all(x, x)",
            "a.exists(x, x)",
            "a.exists_one(x, x)",
            "has(a.b)",
            "a.contains('b')",
            "'a' in b",
            "a.map(x, x)[0]",
        ];
        for expression in expressions {
            assert_eq!(told(expression), None, "{expression}");
        }
    }
}
