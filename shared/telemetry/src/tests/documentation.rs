use crate::metrics::METRICS;
use crate::names::SPANS;

fn quoted(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[test]
fn the_documentation_lists_every_span_and_metric() {
    let page = include_str!("../../../../docs/telemetry.md");
    let spans = SPANS
        .iter()
        .map(|span| format!("| `{}` | {} |", span.name, quoted(span.attributes)));
    let metrics = METRICS.iter().map(|(name, shape, unit, attributes)| {
        let (shape, attributes) = (shape.to_lowercase(), quoted(attributes));
        format!("| `{name}` | {shape} | `{unit}` | {attributes} |")
    });
    let expected: Vec<String> = spans.chain(metrics).collect();
    for line in &expected {
        assert!(page.contains(line), "docs/telemetry.md has no line {line}");
    }
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| `waybill."))
        .count();
    assert_eq!(
        rows,
        expected.len(),
        "docs/telemetry.md lists something that does not exist"
    );
}
