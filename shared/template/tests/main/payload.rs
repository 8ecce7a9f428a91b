//! Tests that payloads are available in templates unchanged, or that the template fails with the
//! reason.

use super::{render_json, with};
use template::{Payload, RenderError};

fn detail(error: RenderError) -> String {
    error.to_string()
}

#[test]
fn numbers_keep_their_text() {
    for number in [
        "10.10",
        "18446744073709551616",
        "1e400",
        "-0",
        "1E5",
        "0.30000000000000001",
        "1.0",
        "123456789012345678901234567890123456789012345",
    ] {
        let json = format!("{{\"n\":{number},\"l\":[{number}]}}");
        for source in [
            "{{ payload.n }}",
            "{{ payload.n | json }}",
            "{{ payload.n | tojson }}",
            "{{ payload.n ~ '' }}",
            "{{ payload.n | string }}",
            "{{ payload.l | join(',') }}",
            "{{ payload.l[0] }}",
            "{{ payload.l | first }}",
            "{{ payload.l | sort | first }}",
            "{{ payload.l | max }}",
            "{% for n in payload.l %}{{ n }}{% endfor %}",
            "{% set n = payload.n %}{{ n }}",
            "{{ payload.n | default(1) }}",
            "{{ payload.missing | default(payload.n) }}",
        ] {
            assert_eq!(
                render_json(source, &json).as_deref(),
                Ok(number),
                "{source}"
            );
        }
    }
}

#[test]
fn key_order_and_text_stay_as_sent() {
    let json = r#"{"z": 1, "a": [10.10, "é", "\u00e9"], "z": 2}"#;
    assert_eq!(
        render_json("{{ payload | json }}", json).as_deref(),
        Ok(r#"{"z":1,"a":[10.10,"é","\u00e9"],"z":2}"#)
    );
    assert_eq!(
        render_json("{{ payload.z }}{{ payload | length }}", json).as_deref(),
        Ok("23")
    );
    assert_eq!(
        render_json("{% for k in payload %}{{ k }}{% endfor %}", json).as_deref(),
        Ok("zaz")
    );
    assert_eq!(
        render_json("{{ payload.a | json }}", json).as_deref(),
        Ok(r#"[10.10,"é","\u00e9"]"#)
    );
    assert_eq!(
        render_json(
            "{{ payload.a | tojson }}",
            "{\"a\":[1,{\"b\":\"<'&\"},[],{}]}"
        )
        .as_deref(),
        Ok(r#"[1, {"b": "\u003c\u0027\u0026"}, [], {}]"#)
    );
    assert_eq!(
        render_json("{{ payload.a | tojson(2) }}", "{\"a\":[1,{\"b\":[]}]}").as_deref(),
        Ok("[\n  1,\n  {\n    \"b\": []\n  }\n]")
    );
    assert_eq!(
        render_json("{{ payload.a[1] }}{{ payload.a[2] }}", json).as_deref(),
        Ok("éé")
    );
}

#[test]
fn a_lone_surrogate_is_written_as_json_and_refused_as_text() {
    let json = r#"{"text":"\ud800","list":["a","\udc00"],"ok":"b","key":{"\ud800":1},"after":[1]}"#;
    for source in ["{{ payload | json }}", "{{ payload | tojson }}"] {
        let rendered = render_json(source, json)
            .unwrap()
            .replace(": ", ":")
            .replace(", ", ",");
        assert_eq!(rendered, json, "{source}");
    }
    assert_eq!(
        render_json(
            "{{ payload.ok }}{{ payload.after }}{{ payload.list[0] }}",
            json
        )
        .as_deref(),
        Ok("b[1]a")
    );
    for source in [
        "{{ payload.text }}",
        "{{ payload }}",
        "{{ payload.list | join(',') }}",
        "{{ payload.list }}",
        "{{ payload.list ~ '' }}",
        "{{ payload.list | string }}",
        "{% for x in payload.list %}{{ x }}{% endfor %}",
        "{% for k in payload.key %}{{ k }}{% endfor %}",
        "{{ payload.key }}",
        "{{ payload.list == 1 }}",
        "{{ payload.list | sort | first }}",
        "{% if payload.text %}x{% endif %}",
        "{{ payload.text | default('x') }}",
    ] {
        let error = detail(render_json(source, json).unwrap_err());
        assert!(error.contains("lone surrogate"), "{source}: {error}");
    }
    assert_eq!(
        render_json("{{ payload | json }}", "\"\\ud800\"")
            .map_err(detail)
            .unwrap_err()
            .matches("lone surrogate")
            .count(),
        1
    );
}

#[test]
fn a_payload_that_is_not_json_is_reported() {
    let say = |payload: Payload, source: &str| {
        with(
            |variables| variables.payload = Box::leak(Box::new(payload)),
            source,
        )
    };
    let csv = || Payload::absent("the payload is text/csv and not JSON");
    for source in [
        "{{ payload }}",
        "{{ payload | json }}",
        "{{ payload.a }}",
        "{% for x in payload %}{% endfor %}",
        "{{ payload ~ 'x' }}",
        "{{ payload | tojson }}",
    ] {
        let error = detail(say(csv(), source).unwrap_err());
        assert!(error.contains("text/csv"), "{source}: {error}");
    }
    assert_eq!(
        say(
            csv(),
            "{{ payload is defined }} {{ payload | default('none') }}"
        )
        .as_deref(),
        Ok("False none")
    );
    let broken = || Payload::json("{\"a\":".into());
    for source in [
        "{{ payload }}",
        "{{ payload | default('x') }}",
        "{{ payload is defined }}",
    ] {
        assert!(
            detail(say(broken(), source).unwrap_err()).contains("not valid JSON"),
            "{source}"
        );
    }
    assert_eq!(
        say(broken(), "{{ event_type }}").as_deref(),
        Ok("report.ready")
    );
}

#[test]
fn numbers_can_be_calculated_with() {
    let json = r#"{"n":10.10,"i":9,"big":18446744073709551616,"huge":1e400,"l":[10.10,9,9.5],"rows":[{"p":2.50},{"p":1}],"zero":0.0,"t":5}"#;
    for (source, expected) in [
        ("{{ payload.n + 1 }}", "11.1"),
        (
            "{{ payload.i + 1 }}{{ payload.i - 1 }}{{ -payload.i }}",
            "108-9",
        ),
        (
            "{{ payload.i / 2 }} {{ payload.i // 2 }} {{ payload.i % 2 }} {{ payload.i ** 2 }}",
            "4.5 4 1 81",
        ),
        ("{{ payload.n | float * 100 }}", "1010.0"),
        ("{{ payload.big + 1 }}", "18446744073709551617"),
        (
            "{{ payload.n > 10 }}{{ payload.n == 10.1 }}{{ payload.i == 9 }}{{ 9 == payload.i \
             }}{{ payload.i != payload.n }}",
            "TrueTrueTrueTrueTrue",
        ),
        (
            "{{ 1 < payload.i < 10 }}{{ payload.huge == payload.huge }}",
            "True",
        ),
        (
            "{{ 9 in payload.l }}{{ 8 in payload.l }}{{ payload.i in payload.l }}{{ payload.i in \
             [9] }}",
            "TrueFalseTrueTrue",
        ),
        ("{{ payload.l == [10.1, 9, 9.5] }}", "True"),
        (
            "{{ payload.l | sort | join(' ') }} {{ payload.l | min }} {{ payload.l | max }} {{ \
             payload.l | sum }}",
            "9 9.5 10.10 9 10.10 28.6",
        ),
        (
            "{{ payload.rows | sum(attribute='p') }} {{ payload.rows | map(attribute='p') | \
             join(' ') }}",
            "3.5 2.50 1",
        ),
        (
            "{{ payload.rows | sort(attribute='p') | map(attribute='p') | join(' ') }}",
            "1 2.50",
        ),
        (
            "{{ payload.n | round }} {{ payload.n | round(1) }} {{ payload.n | int }} {{ \
             payload.i | float }} {{ payload.i | abs }}",
            "10.0 10.1 10 9.0 9",
        ),
        (
            "{{ payload.i is odd }}{{ payload.i is number }}{{ payload.i is integer }}{{ \
             payload.n is float }}{{ payload.i is divisibleby(3) }}{{ payload.n is string }}",
            "TrueTrueTrueTrueTrueFalse",
        ),
        (
            "{{ payload.l | select('gt', 9) | join(' ') }} {{ payload.l | select('odd') | join(' \
             ') }}",
            "10.10 9.5 9",
        ),
        (
            "{% if payload.zero %}y{% else %}n{% endif %}{% if payload.i %}y{% endif %}",
            "ny",
        ),
        (
            "{% for i in range(payload.t) %}{{ i }}{% endfor %}",
            "01234",
        ),
        (
            "{{ 'abcdefghijk'[:payload.t] }} {{ 'abcdefgh'[payload.t] }} {{ payload.l[payload.t - \
             5] }}",
            "abcde f 10.10",
        ),
        (
            "{{ 'a' ~ payload.n }} {{ payload.n | replace('.', ',') }}",
            "a10.10 10,10",
        ),
        (
            "{{ payload.t | date('%F') }} {{ payload.n | slug }}",
            "1970-01-01 10-10",
        ),
        (
            "{{ payload.l | unique | length }}{{ payload.l | length }}{{ payload.l | reverse | \
             first }}{{ payload.l | last }}",
            "339.59.5",
        ),
        (
            "{{ payload.l[1:] | join(' ') }}{{ payload.l[-1] }}",
            "9 9.59.5",
        ),
    ] {
        let rendered = render_json(source, json);
        if source.contains("payload.huge == payload.huge") {
            assert!(
                rendered
                    .unwrap_err()
                    .to_string()
                    .contains("too large to calculate with"),
                "{source}"
            );
        } else {
            assert_eq!(rendered.as_deref(), Ok(expected), "{source}");
        }
    }
    assert!(
        detail(render_json("{{ payload.huge + 1 }}", json).unwrap_err())
            .contains("1e400 is too large to calculate with")
    );
}
