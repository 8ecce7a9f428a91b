//! Tests the output of templates, the errors when they are saved, and the limits on their cost.

#![allow(
    missing_docs,
    reason = "tests are named so that they read as what they hold"
)]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod constructs;
mod cost;
mod depth;
mod payload;

use std::collections::BTreeMap;

use template::{Limits, Payload, RenderError, Stop, Template, TemplateError, Variables};

const PAYLOAD: &str = r#"{"lines": [{"name": "a\"b"}, {"name": "c"}], "total": 12.5, "when": "2026-02-03T23:30:00-01:00"}"#;

fn with<T>(
    change: impl FnOnce(&mut Variables<'_>) -> T,
    source: &str,
) -> Result<String, RenderError> {
    let metadata = BTreeMap::from([
        ("region".to_owned(), "EU West".to_owned()),
        ("html".to_owned(), "<b>&</b>".to_owned()),
    ]);
    let payload = Payload::json(PAYLOAD.into());
    let mut variables = Variables {
        organization_id: "org_1",
        event_type: "report.ready",
        message_id: "msg_1",
        delivery_id: "dlv_1_00",
        reference: None,
        metadata: &metadata,
        filename: Some("Q3 report.CSV"),
        content_type: "text/csv; charset=utf-8",
        created_at: "2026-11-23T09:30:00.123Z",
        attempt: 2,
        failed_delivery_id: None,
        reason: None,
        payload: &payload,
        link: None,
    };
    change(&mut variables);
    Template::compile(source, Limits::BODY)
        .unwrap()
        .render(&variables, &Stop::default())
}

fn render(source: &str) -> Result<String, RenderError> {
    with(|_| (), source)
}

/// Renders a template with this JSON as its payload.
fn render_json(source: &str, json: &str) -> Result<String, RenderError> {
    let payload = Payload::json(json.to_owned().into());
    let metadata = BTreeMap::new();
    let variables = Variables {
        organization_id: "org_1",
        event_type: "report.ready",
        message_id: "msg_1",
        delivery_id: "dlv_1_00",
        reference: None,
        metadata: &metadata,
        filename: None,
        content_type: "application/json",
        created_at: "2026-11-23T09:30:00.123Z",
        attempt: 1,
        failed_delivery_id: None,
        reason: None,
        payload: &payload,
        link: None,
    };
    Template::compile(source, Limits::BODY)
        .unwrap()
        .render(&variables, &Stop::default())
}

#[test]
fn every_variable_and_filter_of_the_contract() {
    let rows = [
        (
            "{{ event_type }}/{{ created_at | date('%Y/%m/%d') }}/{{ message_id }}{{ filename | \
             ext }}",
            "report.ready/2026/11/23/msg_1.CSV",
        ),
        (
            "{{ organization_id }} {{ delivery_id }} {{ attempt }} {{ content_type }}",
            "org_1 dlv_1_00 2 text/csv; charset=utf-8",
        ),
        ("[{{ reference }}]", "[]"),
        ("{{ metadata.region | slug }}", "eu-west"),
        ("{{ metadata.absent | default('none') }}", "none"),
        (
            "{{ payload.total }} {{ payload.lines[0].name | json }}",
            "12.5 \"a\\\"b\"",
        ),
        (
            "{{ payload.lines | json }}",
            r#"[{"name":"a\"b"},{"name":"c"}]"#,
        ),
        (
            "{% for line in payload.lines %}{{ loop.index }}{{ line.name }};{% endfor %}",
            "1a\"b;2c;",
        ),
        (
            "{{ payload.when | date('%F') }} {{ 0 | date('%F') }}",
            "2026-02-04 1970-01-01",
        ),
        ("{{ 'Über Straße 9!' | slug }}", "über-straße-9"),
        ("{{ metadata.html }}", "<b>&</b>"),
    ];
    for (source, expected) in rows {
        assert_eq!(render(source).as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn the_extension_is_the_file_name_s_or_else_the_content_type_s() {
    let rows = [
        (Some("a.tar.gz"), "application/json", ".gz"),
        (Some("a"), "application/json", ".json"),
        (Some(".profile"), "text/plain", ".txt"),
        (Some("dots.are in.folders/a"), "application/pdf", ".pdf"),
        (None, "Text/CSV; charset=utf-8", ".csv"),
        (None, "application/octet-stream", ""),
        (Some("a.j/../b"), "", ""),
    ];
    for (filename, content_type, expected) in rows {
        let rendered = with(
            |variables| (variables.filename, variables.content_type) = (filename, content_type),
            "{{ filename | ext }}",
        );
        assert_eq!(
            rendered.as_deref(),
            Ok(expected),
            "{filename:?} {content_type}"
        );
    }
}

#[test]
fn html_is_escaped_where_html_is_made() {
    let metadata = BTreeMap::from([("html".to_owned(), "<b>&</b>".to_owned())]);
    let template = Template::compile_mail_html("<p>{{ metadata.html }}</p>", Limits::BODY).unwrap();
    let variables = Variables {
        organization_id: "",
        event_type: "",
        message_id: "",
        delivery_id: "",
        reference: None,
        metadata: &metadata,
        filename: None,
        content_type: "",
        created_at: "",
        attempt: 1,
        failed_delivery_id: None,
        reason: None,
        payload: &Payload::absent("there is none"),
        link: None,
    };
    assert_eq!(
        template.render(&variables, &Stop::default()).unwrap(),
        "<p>&lt;b&gt;&amp;&lt;&#x2f;b&gt;</p>"
    );
}

#[test]
fn mistakes_are_found_when_a_template_is_saved() {
    let error = |source: &str| Template::compile(source, Limits::LINE).unwrap_err();
    assert!(matches!(
        error("a\n{{ event_type"),
        TemplateError::Syntax { line: 2, .. }
    ));
    assert!(matches!(
        error("{% include 'x' %}"),
        TemplateError::Syntax { .. }
    ));
    assert_eq!(
        error("{{ tenant }}"),
        TemplateError::UnknownVariable {
            name: "tenant".to_owned()
        }
    );
    assert!(matches!(
        error("{{ event_type | sulg }}"),
        TemplateError::NotAllowed { line: 1, .. }
    ));
    assert_eq!(
        error(&"x".repeat(4097)),
        TemplateError::TooLong { max: 4096 }
    );
    assert!(
        Template::compile("{{ payload.a }}", Limits::LINE)
            .unwrap()
            .uses_payload()
    );
    assert!(
        !Template::compile("{{ 'payload' }}", Limits::LINE)
            .unwrap()
            .uses_payload()
    );
}

#[test]
fn missing_and_unsupported_values_fail() {
    for source in [
        "{{ metadata.absent }}",
        "{{ payload.absent.x }}",
        "{{ event_type | date('%Y') }}",
        "{{ created_at | date('%!') }}",
        "{{ metadata | slug }}",
    ] {
        assert!(
            matches!(render(source), Err(RenderError::Failed { line: 1, .. })),
            "{source}: {:?}",
            render(source)
        );
    }
}

#[test]
fn every_template_has_a_limited_cost() {
    let costly = [
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}"
            .to_owned(),
        format!(
            "{{% set x = 'aaaaaaaa' %}}{}{{{{ x | length }}}}",
            "{% set x = x ~ x %}".repeat(60)
        ),
        format!(
            "{{% set x = 'aaaaaaaa' %}}{}{{{{ x | length }}}}",
            "{% set x %}{{ x }}{{ x }}{% endset %}".repeat(60)
        ),
        format!(
            "{{% set x = 'aa' %}}{}{{{{ x | length }}}}",
            "{% set x = x | replace('a', x) %}".repeat(60)
        ),
        format!(
            "{{% set x = payload.lines %}}{}{{{{ x }}}}",
            "{% set x = x | string | list %}".repeat(60)
        ),
    ];
    for source in costly {
        assert!(render(&source).is_err(), "{source}");
    }
    assert_eq!(
        render("{% for a in range(50000) %}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{% endfor %}"),
        Err(RenderError::TooLong { max: 1 << 20 })
    );
}

#[test]
fn no_value_is_created_that_is_endless_as_text() {
    let refused = [
        "{% set x = [payload, payload] %}",
        "{% set x = {'a': payload} %}",
        "{% set x = (payload, payload) %}",
        "{{ payload.lines + payload.lines }}",
        "{{ payload.lines * 1000000 }}",
        "{{ 'a' * 1000000000 }}",
        "{{ payload | zip(payload) }}",
        "{{ payload | chain(payload) }}",
        "{{ payload.lines | map('zip', payload.lines) }}",
        "{{ dict(a=payload) }}",
        "{% set ns = namespace(a=payload) %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% for a in payload recursive %}{{ loop(a) }}{% endfor %}",
        "{% autoescape false %}{{ payload }}{% endautoescape %}",
        "{{ '%900000000d' | format(1) }}",
        "{{ debug() }}",
    ];
    for source in refused {
        let error = Template::compile(source, Limits::BODY).unwrap_err();
        assert!(
            matches!(error, TemplateError::NotAllowed { line: 1, .. }),
            "{source}: {error:?}"
        );
    }
    for (source, expected) in [
        (
            "{{ attempt + 1 }} {{ payload.total | float * 100 }} {{ 'a' + event_type }}",
            "3 1250.0 areport.ready",
        ),
        (
            "{{ payload.lines | map(attribute='name') | join(', ') }}",
            "a\"b, c",
        ),
        (
            "{% if event_type in ['report.ready', 'x'] %}y{% endif %}{% set n = payload.lines | \
             length %}{{ n }}",
            "y2",
        ),
        (
            "{% for key, value in metadata | dictsort %}{{ key }}{% if not loop.last %},{% endif \
             %}{% endfor %}",
            "html,region",
        ),
    ] {
        assert_eq!(render(source).as_deref(), Ok(expected), "{source}");
    }
}
