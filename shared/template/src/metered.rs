//! Adds metering to a template's syntax tree at each operation that can be expensive.
//!
//! MiniJinja evaluates operators without considering the cost of reading their operands. Here each
//! operand passes through one of the internal filters below, which charge the
//! [`Meter`](crate::meter::Meter) and convert numbers of a document to MiniJinja's own. Their names
//! cannot be written in a template. Each loop's body and each piece of constant text pass through
//! the formatter, so that the meter counts them too.

use minijinja::Value;
use minijinja::machinery::Span;
use minijinja::machinery::ast::{
    BinOp, BinOpKind, Call, CallArg, Compare, CompareOp, Const, EmitExpr, Expr, Filter,
    FilterBlock, ForLoop, GetAttr, GetItem, IfCond, IfExpr, List, Map, Set, SetBlock, Slice,
    Spanned, Stmt, Template, Test, Tuple, UnaryOp, UnaryOpKind, Var, WithBlock,
};

/// Charges for the length of a text.
pub(crate) const TEXT: &str = "#text";
/// Charges for everything that the value contains.
pub(crate) const DEEP: &str = "#deep";
/// Charges for sorting the value's items.
pub(crate) const SORTED: &str = "#sorted";
/// Charges for everything that the value contains, and converts it to MiniJinja's own types for
/// operators.
pub(crate) const NATIVE: &str = "#native";
/// Charges for iterating over the value's items without reading them.
pub(crate) const SLICED: &str = "#sliced";
/// Charges for a text that was created.
pub(crate) const MADE: &str = "#made";
/// Converts a lazy sequence to a list.
pub(crate) const LIST: &str = "#list";
/// Rejects long names of attributes.
pub(crate) const NAME: &str = "#name";

/// Filters that read, write or compare everything that their input contains.
const DEEP_FILTERS: &[&str] = &[
    "capitalize",
    "e",
    "escape",
    "indent",
    "join",
    "lines",
    "lower",
    "replace",
    "safe",
    "split",
    "string",
    "title",
    "trim",
    "upper",
];

/// Filters that sort or compare the items of their input.
const SORTING_FILTERS: &[&str] = &["dictsort", "max", "min", "sort", "unique"];

/// The longest constant text that is not charged.
const FREE_BYTES_MAX: usize = 64;

/// Filters that calculate with numbers.
const NUMERIC_FILTERS: &[&str] = &["abs", "bool", "date", "float", "int", "round", "sum"];

/// Returns a statement with metering.
pub(crate) fn statement<'s>(stmt: &Stmt<'s>) -> Stmt<'s> {
    match stmt {
        Stmt::Template(node) => Stmt::Template(Spanned::new(
            Template {
                children: statements(&node.children),
            },
            node.span(),
        )),
        Stmt::EmitRaw(node) => emit(constant(
            Value::from_safe_string(node.raw.to_owned()),
            node.span(),
        )),
        Stmt::EmitExpr(node) => Stmt::EmitExpr(Spanned::new(
            EmitExpr {
                expr: expression(&node.expr),
            },
            node.span(),
        )),
        Stmt::IfCond(node) => {
            let condition = IfCond {
                expr: expression(&node.expr),
                true_body: statements(&node.true_body),
                false_body: statements(&node.false_body),
            };
            Stmt::IfCond(Spanned::new(condition, node.span()))
        }
        Stmt::ForLoop(node) => {
            Stmt::ForLoop(Spanned::new(for_loop(node, node.span()), node.span()))
        }
        Stmt::WithBlock(node) => {
            let assign =
                |(target, value): &(Expr<'s>, Expr<'s>)| (copied(target), expression(value));
            let block = WithBlock {
                assignments: node.assignments.iter().map(assign).collect(),
                body: statements(&node.body),
            };
            Stmt::WithBlock(Spanned::new(block, node.span()))
        }
        Stmt::Set(node) => Stmt::Set(Spanned::new(
            Set {
                target: copied(&node.target),
                expr: expression(&node.expr),
            },
            node.span(),
        )),
        Stmt::SetBlock(node) => {
            let (target, filter) = (copied(&node.target), node.filter.as_ref().map(expression));
            Stmt::SetBlock(Spanned::new(
                SetBlock {
                    target,
                    filter,
                    body: statements(&node.body),
                },
                node.span(),
            ))
        }
        Stmt::FilterBlock(node) => {
            let (filter, filter_span) = (expression(&node.filter), node.filter_span);
            Stmt::FilterBlock(Spanned::new(
                FilterBlock {
                    filter,
                    filter_span,
                    body: statements(&node.body),
                },
                node.span(),
            ))
        }
        // The shape check rejects these statements.
        Stmt::AutoEscape(node) => emit(constant(Value::from(""), node.span())),
        Stmt::Macro(node) => emit(constant(Value::from(""), node.span())),
        Stmt::CallBlock(node) => emit(constant(Value::from(""), node.span())),
        Stmt::Do(node) => emit(constant(Value::from(""), node.span())),
    }
}

fn statements<'s>(statements: &[Stmt<'s>]) -> Vec<Stmt<'s>> {
    statements.iter().map(statement).collect()
}

fn for_loop<'s>(node: &ForLoop<'s>, span: Span) -> ForLoop<'s> {
    let mut body = vec![emit(constant(Value::from(""), span))];
    body.extend(node.body.iter().map(statement));
    ForLoop {
        target: copied(&node.target),
        iter: through(TEXT, expression(&node.iter)),
        filter_expr: node
            .filter_expr
            .as_ref()
            .map(|expr| through(TEXT, expression(expr))),
        recursive: node.recursive,
        body,
        else_body: statements(&node.else_body),
    }
}

/// Returns an expression with metering.
fn expression<'s>(expr: &Expr<'s>) -> Expr<'s> {
    match expr {
        Expr::Var(_) | Expr::Const(_) | Expr::List(_) | Expr::Tuple(_) | Expr::Map(_) => {
            copied(expr)
        }
        Expr::Slice(node) => {
            let bound = |bound: &Option<Expr<'s>>| bound.as_ref().map(native);
            let expr = through(SLICED, expression(&node.expr));
            let slice = Slice {
                expr,
                start: bound(&node.start),
                stop: bound(&node.stop),
                step: bound(&node.step),
            };
            through(LIST, Expr::Slice(Spanned::new(slice, node.span())))
        }
        Expr::UnaryOp(node) => {
            let (op, operand) = match node.op {
                UnaryOpKind::Not => (UnaryOpKind::Not, expression(&node.expr)),
                UnaryOpKind::Neg => (UnaryOpKind::Neg, native(&node.expr)),
            };
            Expr::UnaryOp(Spanned::new(UnaryOp { op, expr: operand }, node.span()))
        }
        Expr::BinOp(node) => {
            let operand = |expr: &Expr<'s>| match node.op {
                BinOpKind::ScAnd | BinOpKind::ScOr => expression(expr),
                BinOpKind::Concat => through(DEEP, expression(expr)),
                _ => native(expr),
            };
            let (left, right) = (operand(&node.left), operand(&node.right));
            let operation = Expr::BinOp(Spanned::new(
                BinOp {
                    op: node.op,
                    left,
                    right,
                },
                node.span(),
            ));
            match node.op {
                BinOpKind::Add | BinOpKind::Concat => through(MADE, operation),
                _ => operation,
            }
        }
        Expr::Compare(node) => {
            let ops = node
                .ops
                .iter()
                .map(|op| CompareOp {
                    op: op.op,
                    expr: native(&op.expr),
                })
                .collect();
            Expr::Compare(Spanned::new(
                Compare {
                    expr: native(&node.expr),
                    ops,
                },
                node.span(),
            ))
        }
        Expr::IfExpr(node) => {
            let choice = IfExpr {
                test_expr: expression(&node.test_expr),
                true_expr: expression(&node.true_expr),
                false_expr: node.false_expr.as_ref().map(expression),
            };
            Expr::IfExpr(Spanned::new(choice, node.span()))
        }
        Expr::Filter(node) => {
            let filter = Expr::Filter(Spanned::new(filter(node), node.span()));
            if DEEP_FILTERS.contains(&node.name) {
                through(MADE, filter)
            } else {
                filter
            }
        }
        Expr::Test(node) => {
            let test = Test {
                name: node.name,
                expr: through(TEXT, expression(&node.expr)),
                args: arguments(&node.args, native),
            };
            Expr::Test(Spanned::new(test, node.span()))
        }
        Expr::GetAttr(node) => Expr::GetAttr(Spanned::new(
            GetAttr {
                expr: expression(&node.expr),
                name: node.name,
            },
            node.span(),
        )),
        Expr::GetItem(node) => {
            let item = GetItem {
                expr: through(TEXT, expression(&node.expr)),
                subscript_expr: native(&node.subscript_expr),
            };
            Expr::GetItem(Spanned::new(item, node.span()))
        }
        Expr::Call(node) => Expr::Call(Spanned::new(
            Call {
                expr: copied(&node.expr),
                args: arguments(&node.args, native),
            },
            node.span(),
        )),
    }
}

fn filter<'s>(node: &Filter<'s>) -> Filter<'s> {
    let cost = match node.name {
        name if DEEP_FILTERS.contains(&name) => DEEP,
        name if SORTING_FILTERS.contains(&name) => SORTED,
        name if NUMERIC_FILTERS.contains(&name) => NATIVE,
        _ => TEXT,
    };
    let attribute = node.args.iter().find_map(|arg| match arg {
        CallArg::Kwarg("attribute", value @ Expr::Const(_)) if cost == SORTED => {
            Some(copied(value))
        }
        _ => None,
    });
    let args = attribute.map(CallArg::Pos).into_iter().collect();
    let expr = node
        .expr
        .as_ref()
        .map(|expr| through_with(cost, expression(expr), args));
    let attribute_at = match node.name {
        "rejectattr" | "selectattr" | "sum" => Some(0),
        "join" => Some(1),
        _ => None,
    };
    let mut args = arguments(&node.args, |expr| match node.name {
        "d" | "default" => expression(expr),
        _ => native(expr),
    });
    for (at, arg) in args.iter_mut().enumerate() {
        match arg {
            CallArg::Pos(value) if attribute_at == Some(at) => *value = through(NAME, taken(value)),
            CallArg::Kwarg(name, value) if *name == "attribute" => {
                *value = through(NAME, taken(value))
            }
            _ => {}
        }
    }
    Filter {
        name: node.name,
        expr,
        args,
    }
}

fn arguments<'s>(args: &[CallArg<'s>], read: impl Fn(&Expr<'s>) -> Expr<'s>) -> Vec<CallArg<'s>> {
    let argument = |arg: &CallArg<'s>| match arg {
        CallArg::Pos(value) => CallArg::Pos(read(value)),
        CallArg::Kwarg(name, value) => CallArg::Kwarg(name, read(value)),
        CallArg::PosSplat(value) => CallArg::PosSplat(read(value)),
        CallArg::KwargSplat(value) => CallArg::KwargSplat(read(value)),
    };
    args.iter().map(argument).collect()
}

/// Returns an operand in the form that operators need.
fn native<'s>(expr: &Expr<'s>) -> Expr<'s> {
    through(NATIVE, expression(expr))
}

/// Passes an expression through an internal filter. Numbers, booleans and short texts of the
/// template itself need none.
fn through<'s>(filter: &'static str, expr: Expr<'s>) -> Expr<'s> {
    match &expr {
        Expr::Const(constant)
            if constant
                .value
                .as_str()
                .is_none_or(|text| text.len() <= FREE_BYTES_MAX) =>
        {
            expr
        }
        _ => through_with(filter, expr, Vec::new()),
    }
}

fn through_with<'s>(filter: &'static str, expr: Expr<'s>, args: Vec<CallArg<'s>>) -> Expr<'s> {
    let span = expr.span();
    Expr::Filter(Spanned::new(
        Filter {
            name: filter,
            expr: Some(expr),
            args,
        },
        span,
    ))
}

fn emit<'s>(expr: Expr<'s>) -> Stmt<'s> {
    let span = expr.span();
    Stmt::EmitExpr(Spanned::new(EmitExpr { expr }, span))
}

fn constant<'s>(value: Value, span: Span) -> Expr<'s> {
    Expr::Const(Spanned::new(Const { value }, span))
}

/// Takes the expression out of its place, in order to wrap it.
fn taken<'s>(expr: &mut Expr<'s>) -> Expr<'s> {
    let span = expr.span();
    std::mem::replace(expr, constant(Value::from(()), span))
}

/// Copies a name, a constant or the target of an assignment.
fn copied<'s>(expr: &Expr<'s>) -> Expr<'s> {
    let all = |items: &[Expr<'s>]| items.iter().map(copied).collect::<Vec<_>>();
    match expr {
        Expr::Var(node) => Expr::Var(Spanned::new(Var { id: node.id }, node.span())),
        Expr::Const(node) => constant(node.value.clone(), node.span()),
        Expr::List(node) => Expr::List(Spanned::new(
            List {
                items: all(&node.items),
            },
            node.span(),
        )),
        Expr::Tuple(node) => Expr::Tuple(Spanned::new(
            Tuple {
                items: all(&node.items),
            },
            node.span(),
        )),
        Expr::Map(node) => Expr::Map(Spanned::new(
            Map {
                keys: all(&node.keys),
                values: all(&node.values),
            },
            node.span(),
        )),
        Expr::GetAttr(node) => Expr::GetAttr(Spanned::new(
            GetAttr {
                expr: copied(&node.expr),
                name: node.name,
            },
            node.span(),
        )),
        other => expression(other),
    }
}
