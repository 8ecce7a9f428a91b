//! Checks the constructs of a template.
//!
//! Fuel charges for steps and for text, but not for the size that a value would have as text. A
//! list that contains another one twice, repeated sixty times, is small in memory but practically
//! endless as text. So a template cannot create lists or maps from its input: literals are
//! constants, nothing doubles a list, and values stay parts of the message with their original
//! size.

use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, ForLoop, Stmt};

use crate::TemplateError;

/// The permitted filters: MiniJinja's useful ones and Waybill's own. `map` accepts only an
/// attribute.
const FILTERS: &[&str] = &[
    "abs",
    "attr",
    "bool",
    "capitalize",
    "count",
    "d",
    "date",
    "default",
    "dictsort",
    "e",
    "escape",
    "ext",
    "first",
    "float",
    "indent",
    "int",
    "items",
    "join",
    "json",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slug",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
];

/// Filters whose result is a number.
const NUMERIC: &[&str] = &["abs", "count", "float", "int", "length", "round", "sum"];

/// Checks a whole template, and returns an error for the first thing that is not allowed.
pub(crate) fn check(statement: &Stmt<'_>) -> Result<(), TemplateError> {
    match statement {
        Stmt::Template(template) => statements(&template.children),
        Stmt::EmitRaw(_) => Ok(()),
        Stmt::EmitExpr(emit) => expression(&emit.expr),
        Stmt::IfCond(condition) => {
            expression(&condition.expr)?;
            statements(&condition.true_body)?;
            statements(&condition.false_body)
        }
        Stmt::ForLoop(each) => for_loop(each, each.span().start_line.into()),
        Stmt::WithBlock(with) => {
            with.assignments
                .iter()
                .try_for_each(|(_, value)| expression(value))?;
            statements(&with.body)
        }
        Stmt::Set(set) => expression(&set.expr),
        Stmt::SetBlock(set) => {
            set.filter.iter().try_for_each(expression)?;
            statements(&set.body)
        }
        Stmt::FilterBlock(block) => {
            expression(&block.filter)?;
            statements(&block.body)
        }
        Stmt::AutoEscape(block) => Err(refused(
            block.span().start_line.into(),
            "autoescape cannot be changed",
        )),
        Stmt::Macro(block) => Err(refused(
            block.span().start_line.into(),
            "macros are not available",
        )),
        Stmt::CallBlock(block) => Err(refused(
            block.span().start_line.into(),
            "call is not available",
        )),
        Stmt::Do(block) => Err(refused(
            block.span().start_line.into(),
            "do is not available",
        )),
    }
}

fn statements(statements: &[Stmt<'_>]) -> Result<(), TemplateError> {
    statements.iter().try_for_each(check)
}

fn for_loop(each: &ForLoop<'_>, line: usize) -> Result<(), TemplateError> {
    if each.recursive {
        return Err(refused(line, "loops cannot be recursive"));
    }
    expression(&each.iter)?;
    each.filter_expr.iter().try_for_each(expression)?;
    statements(&each.body)?;
    statements(&each.else_body)
}

fn expression(expr: &Expr<'_>) -> Result<(), TemplateError> {
    let line = usize::from(expr.span().start_line);
    match expr {
        Expr::Var(_) | Expr::Const(_) => Ok(()),
        Expr::List(_) | Expr::Tuple(_) | Expr::Map(_) if is_constant(expr) => Ok(()),
        Expr::List(_) | Expr::Tuple(_) | Expr::Map(_) => {
            Err(refused(line, "lists and maps can hold constants only"))
        }
        Expr::Slice(slice) => {
            expression(&slice.expr)?;
            [&slice.start, &slice.stop, &slice.step]
                .into_iter()
                .flatten()
                .try_for_each(expression)
        }
        Expr::UnaryOp(unary) => expression(&unary.expr),
        Expr::BinOp(binary) => {
            let (left, right) = (&binary.left, &binary.right);
            match binary.op {
                BinOpKind::Add if !(is_plain(left) || is_plain(right)) => {
                    return Err(refused(
                        line,
                        "+ needs a number on one side, such as a|float; ~ concatenates texts",
                    ));
                }
                BinOpKind::Mul if !(is_number(left) && is_number(right)) => {
                    return Err(refused(
                        line,
                        "* needs numbers on both sides, such as a|float * 100",
                    ));
                }
                _ => {}
            }
            expression(left)?;
            expression(right)
        }
        Expr::Compare(compare) => {
            expression(&compare.expr)?;
            compare
                .ops
                .iter()
                .try_for_each(|operand| expression(&operand.expr))
        }
        Expr::IfExpr(choice) => {
            expression(&choice.test_expr)?;
            expression(&choice.true_expr)?;
            choice.false_expr.iter().try_for_each(expression)
        }
        Expr::Filter(filter) => {
            if !FILTERS.contains(&filter.name) {
                return Err(refused(line, format!("there is no filter {}", filter.name)));
            }
            if filter.name == "map"
                && !filter
                    .args
                    .iter()
                    .all(|arg| matches!(arg, CallArg::Kwarg("attribute" | "default", _)))
            {
                return Err(refused(line, "map takes attribute= and default= only"));
            }
            filter.expr.iter().try_for_each(expression)?;
            arguments(&filter.args)
        }
        Expr::Test(test) => {
            expression(&test.expr)?;
            arguments(&test.args)
        }
        Expr::GetAttr(member) => expression(&member.expr),
        Expr::GetItem(item) => {
            expression(&item.expr)?;
            expression(&item.subscript_expr)
        }
        Expr::Call(call) => match &call.expr {
            Expr::Var(function) if function.id == "range" => arguments(&call.args),
            _ => Err(refused(line, "range is the only function")),
        },
    }
}

fn arguments(arguments: &[CallArg<'_>]) -> Result<(), TemplateError> {
    arguments.iter().try_for_each(|argument| match argument {
        CallArg::Pos(value)
        | CallArg::Kwarg(_, value)
        | CallArg::PosSplat(value)
        | CallArg::KwargSplat(value) => expression(value),
    })
}

fn is_constant(expr: &Expr<'_>) -> bool {
    match expr {
        Expr::Const(_) => true,
        Expr::List(list) => list.items.iter().all(is_constant),
        Expr::Tuple(tuple) => tuple.items.iter().all(is_constant),
        Expr::Map(map) => map.keys.iter().chain(&map.values).all(is_constant),
        _ => false,
    }
}

/// Whether the value is a number, or the operation is an error.
fn is_number(expr: &Expr<'_>) -> bool {
    match expr {
        Expr::Const(constant) => constant.value.is_number(),
        Expr::UnaryOp(unary) => is_number(&unary.expr),
        Expr::Filter(filter) => NUMERIC.contains(&filter.name),
        Expr::BinOp(binary) => match binary.op {
            BinOpKind::Sub
            | BinOpKind::Div
            | BinOpKind::FloorDiv
            | BinOpKind::Rem
            | BinOpKind::Pow => true,
            BinOpKind::Add | BinOpKind::Mul => is_number(&binary.left) && is_number(&binary.right),
            _ => false,
        },
        _ => false,
    }
}

/// Whether the value is not a list, or the operation is an error.
fn is_plain(expr: &Expr<'_>) -> bool {
    is_number(expr) || matches!(expr, Expr::Const(constant) if constant.value.as_str().is_some())
}

fn refused(line: usize, detail: impl Into<String>) -> TemplateError {
    TemplateError::NotAllowed {
        line,
        detail: detail.into(),
    }
}
