//! What a ValidatingAdmissionPolicy has and expressions here have not: who brings such an expression along is told what
//! is missing, and what to do instead.
//!
//! The libraries: <https://kubernetes.io/docs/reference/using-api/cel/>.

use cel::common::ast::{Expr, IdedExpr};

use crate::expression::{parse, parts};

/// Names that are known from Kubernetes, and what to do without them.
struct Library {
    names: &'static [&'static str],
    hint: &'static str,
}

/// Rules about images may use none of these names, and those about workloads some of them. The hints are for the latter.
const LIBRARIES: &[Library] = &[
    Library {
        names: &["authorizer", "serviceAccount", "requestResource", "allowed", "errored"],
        hint: "what somebody may do is not asked here: compare `request.userInfo`, or keep this rule in a \
               ValidatingAdmissionPolicy",
    },
    Library {
        names: &["isInteger", "asInteger", "asApproximateFloat"],
        hint: "quantities do not become numbers here: use `isLessThan`, `isGreaterThan` or `compareTo`",
    },
    Library {
        names: &["semver", "isSemver", "major", "minor", "patch"],
        hint: "there are no semantic versions here: use `startsWith` or `matches`",
    },
    Library {
        names: &["quantity", "isQuantity", "sign", "add", "sub", "isGreaterThan", "isLessThan", "compareTo"],
        hint: "quantities are for rules about workloads",
    },
    Library {
        names: &["url", "isURL", "getScheme", "getHost", "getHostname", "getPort", "getEscapedPath", "getQuery"],
        hint: "there are no URLs here: use `startsWith`, `contains` or `matches`",
    },
    Library {
        names: &["cidr", "isCIDR", "containsIP", "containsCIDR", "prefixLength", "masked"],
        hint: "there are no ranges of addresses here: use `startsWith` or `matches`",
    },
    Library {
        names: &["ip", "isIP", "isCanonical", "family", "isLoopback", "isUnspecified", "isGlobalUnicast"],
        hint: "there are no IP addresses here: use `startsWith` or `matches`",
    },
    Library {
        names: &["format", "validate"],
        hint: "neither texts nor names are formatted here: join texts by `+` and `string(…)`, and check names by `matches`",
    },
    Library {
        names: &["optional", "orValue", "hasValue", "optMap", "optFlatMap"],
        hint: "there are no optional values here: use `has(…) ? … : …`",
    },
    Library {
        names: &["timestamp", "duration", "getFullYear", "getHours", "getSeconds"],
        hint: "there are no times here: keep this rule in a ValidatingAdmissionPolicy",
    },
    Library {
        names: &["replace", "reverse", "quote"],
        hint: "texts are not written anew here: use `split` and `join`, `substring`, `indexOf` or `matches`",
    },
    Library {
        names: &["split", "join", "lowerAscii", "upperAscii", "trim", "charAt"],
        hint: "functions that make texts are for rules about workloads",
    },
    Library {
        names: &["find", "findAll"],
        hint: "what matches is not given here: use `matches`, or `indexOf` and `substring`",
    },
    Library {
        names: &["sets", "math", "isSorted", "sum", "min", "max", "slice", "flatten", "sort", "distinct"],
        hint: "functions over whole lists are not here, but `size` and the macros: `all`, `exists`, `filter`, `map`",
    },
];

/// A name that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Absent {
    pub(crate) name: &'static str,
    pub(crate) hint: &'static str,
}

/// The first name of an expression that is refused, as it is evaluated, that Kubernetes has and this has not: it is none
/// of these groups of functions.
pub(crate) fn absent(expression: &str, functions: &[&[&str]]) -> Option<Absent> {
    match parse(expression) {
        Ok(parsed) => Search { functions, bound: Vec::new() }.of(&parsed),
        // `.?` and `[?…]`: the parser knows them, and does not take them.
        Err(why) if why.contains("unsupported syntax") => known("optional"),
        Err(_) => None,
    }
}

struct Search<'a> {
    functions: &'a [&'a [&'a str]],
    /// The names that walks have bound.
    bound: Vec<String>,
}

impl Search<'_> {
    fn of(&mut self, expression: &IdedExpr) -> Option<Absent> {
        let before = self.bound.len();
        if let Expr::Comprehension(walk) = &expression.expr {
            self.bound.extend([Some(&walk.iter_var), walk.iter_var2.as_ref()].into_iter().flatten().cloned());
        }
        let within = parts(expression).into_iter().find_map(|part| self.of(part));
        self.bound.truncate(before);
        within.or_else(|| match &expression.expr {
            Expr::Ident(name) if !self.bound.contains(name) => known(name),
            Expr::Call(call) if self.functions.iter().any(|group| group.contains(&call.func_name.as_str())) => None,
            Expr::Call(call) => known(&call.func_name),
            _ => None,
        })
    }
}

fn known(name: &str) -> Option<Absent> {
    LIBRARIES.iter().find_map(|Library { names, hint }| {
        names.iter().find(|known| **known == name).map(|name| Absent { name, hint })
    })
}
