//! The constructs that templates can nest.

/// Repeated constructs: the text before, between and after the repetitions, with the one in the
/// middle repeated.
pub(crate) const CONSTRUCTS: &[(&str, &str, &str, &str)] = &[
    ("minus", "{{ ", "-", "1 }}"),
    ("not", "{{ ", "not ", "1 }}"),
    ("plus", "{{ 1", " + 1", " }}"),
    ("subtract", "{{ 1", " - 1", " }}"),
    ("times", "{{ 1", " * 1", " }}"),
    ("divide", "{{ 1", " / 1", " }}"),
    ("floor", "{{ 1", " // 1", " }}"),
    ("remainder", "{{ 1", " % 1", " }}"),
    ("power", "{{ 1", "**1", " }}"),
    ("concat", "{{ 1", "~1", " }}"),
    ("and", "{{ 1", " and 1", " }}"),
    ("or", "{{ 1", " or 1", " }}"),
    ("filter", "{{ 'a'", "|e", " }}"),
    ("filter with arguments", "{{ 'a'", "|default(1)", " }}"),
    ("attribute", "{{ payload", ".a", " }}"),
    ("index", "{{ payload", "[0]", " }}"),
    ("slice", "{{ payload", "[:]", " }}"),
    ("name of an index", "{{ payload", "['a']", " }}"),
    ("ternary", "{{ 1", " if 1 else 1", " }}"),
    ("ternary without else", "{{ 1", " if 1", " }}"),
    ("test", "{{ 1", " is defined", " }}"),
    ("negated test", "{{ 1", " is not defined", " }}"),
    ("test with an argument", "{{ 1", " is eq 1", " }}"),
    ("equal", "{{ 1", " == 1", " }}"),
    ("less", "{{ 1", " < 1", " }}"),
    ("in", "{{ 1", " in 1", " }}"),
    ("not in", "{{ 1", " not in 1", " }}"),
    ("call", "{{ range", "(1)", " }}"),
    ("open parenthesis", "{{ ", "(", "1 }}"),
    ("open bracket", "{{ ", "[", "1 }}"),
    ("open brace", "{{ ", "{1:", "1 }}"),
    ("open call", "{{ ", "range(", "1 }}"),
    ("open index", "{{ ", "payload[", "1 }}"),
    ("open filter arguments", "{{ ", "1|default(", "1 }}"),
    ("open test arguments", "{{ ", "1 is eq(", "1 }}"),
    ("keyword arguments", "{{ ", "range(a=", "1 }}"),
    ("minus after a test", "{{ 1", " is eq -1", " }}"),
    ("parenthesis and minus", "{{ ", "(-", "1 }}"),
    ("open if", "", "{% if 1 %}", "x"),
    ("open for", "", "{% for a in payload %}", "x"),
    ("open with", "", "{% with a = 1 %}", "x"),
    ("open set", "", "{% set a %}", "x"),
    ("open filter block", "", "{% filter e %}", "x"),
    ("elif", "{% if 0 %}", "{% elif 0 %}", "{% endif %}"),
    ("open set target", "{% set ", "(", "a %}"),
    ("open for target", "{% for ", "(", "a in payload %}"),
    ("set of an attribute", "{% set a", ".a", " = 1 %}"),
    ("else and if", "", "{% if 0 %}{% else %}", "x"),
    ("for and else", "", "{% for a in payload %}{% else %}", "x"),
    ("if condition", "{% if 1", " and 1", " %}x{% endif %}"),
    ("with value", "{% with a = 1", "~1", " %}x{% endwith %}"),
    ("macro", "", "{% macro a() %}", "x"),
    ("call block", "", "{% call a() %}", "x"),
    ("autoescape", "", "{% autoescape true %}", "x"),
];

/// Constructs that are opened and closed.
pub(crate) const PAIRS: &[(&str, &str, &str)] = &[
    ("parentheses", "(", ")"),
    ("lists", "[", "]"),
    ("maps", "{1:", "}"),
    ("tuples", "(", ",)"),
    ("minus and parentheses", "-(", ")"),
    ("filter arguments", "1|default(", ")"),
];

/// Statements that are opened and closed.
pub(crate) const BLOCKS: &[(&str, &str, &str)] = &[
    ("if", "{% if 1 %}", "{% endif %}"),
    ("else", "{% if 0 %}{% else %}", "{% endif %}"),
    ("for", "{% for a in [1] %}", "{% endfor %}"),
    ("with", "{% with %}", "{% endwith %}"),
    ("set", "{% set a %}", "{% endset %}"),
    ("filter", "{% filter e %}", "{% endfilter %}"),
];

/// Returns the name of each construct, with a template in which it is nested this deep from the
/// third line on.
pub(crate) fn sources(depth: usize) -> Vec<(String, String)> {
    let repeated = |part: &str| part.repeat(depth);
    let lines = "\n\n";
    let open = CONSTRUCTS.iter().map(|(name, before, part, after)| {
        (
            (*name).to_owned(),
            format!("{lines}{before}{}{after}", repeated(part)),
        )
    });
    let pairs = PAIRS.iter().map(|(name, left, right)| {
        (
            (*name).to_owned(),
            format!("{lines}{{{{ {}1{} }}}}", repeated(left), repeated(right)),
        )
    });
    let blocks = BLOCKS.iter().map(|(name, left, right)| {
        (
            (*name).to_owned(),
            format!("{lines}{}x{}", repeated(left), repeated(right)),
        )
    });
    open.chain(pairs).chain(blocks).collect()
}
