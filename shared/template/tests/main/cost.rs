//! Tests the cost of templates: no operation is expensive regardless of the size of its values, and
//! a render ends when it is stopped.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use template::{Limits, Payload, RenderError, Stop, Template, Variables};

/// A generous limit, for a loaded machine and an unoptimised build. The faults that this tests take
/// from ten seconds to hours.
const TAKES_MAX: Duration = Duration::from_secs(5);

/// Returns payloads of about one mebibyte.
fn payloads() -> Vec<(&'static str, String)> {
    let list = |item: &str, count: usize| format!("[{}]", vec![item; count].join(","));
    let long = "x".repeat(240_000);
    let wide = |count: usize| {
        (0..count)
            .map(|n| format!("\"key{n}\":{n}"))
            .collect::<Vec<_>>()
            .join(",")
    };
    vec![
        (
            "numbers",
            format!("{{\"a\":{0},\"b\":{0}}}", list("1", 250_000)),
        ),
        ("texts", format!("{{\"a\":\"{long}y\",\"b\":\"{long}z\"}}")),
        (
            "nested",
            format!(
                "{{\"a\":{0},\"b\":{0}}}",
                list("[[[1,2],[3,4]],[[5,6],[7,8]]]", 16_000)
            ),
        ),
        (
            "lists of texts",
            format!(
                "{{\"a\":{0},\"b\":{0}}}",
                list(&format!("\"{}\"", "x".repeat(5_000)), 90)
            ),
        ),
        (
            "objects",
            format!("{{\"a\":{{{0}}},\"b\":{{{0}}}}}", wide(28_000)),
        ),
        (
            "rows",
            format!(
                "{{\"a\":{0},\"b\":{0}}}",
                list(r#"{"id":10.10,"name":"x","tags":["a","b"]}"#, 10_000)
            ),
        ),
        (
            "unicode",
            format!("{{\"a\":\"{0}\",\"b\":\"{0}a\"}}", "ß".repeat(240_000)),
        ),
    ]
}

/// Each template is tried with each payload. It may fail.
const TEMPLATES: &[&str] = &[
    "{% for i in range(100000) %}{% if payload.a == payload.b %}x{% endif %}{% endfor %}",
    "{% for i in range(100000) %}{% if payload.a < payload.b %}x{% endif %}{% endfor %}",
    "{% for i in range(100000) %}{% if payload.a <= payload.b < payload.a != payload.b %}x{% \
     endif %}{% endfor %}",
    "{% set a = payload.a %}{% set b = payload.b %}{% for i in range(100000) %}{{ a == b }}{% \
     endfor %}",
    "{% for x in payload.a %}{{ x in payload.b }}{% endfor %}",
    "{% for x in payload.a %}{{ payload.b is eq payload.a }}{% endfor %}",
    "{% for i in range(100000) %}{{ payload.a is lower }}{{ payload.a is upper }}{% endfor %}",
    "{% for i in range(100000) %}{{ payload.b is startingwith(payload.a) }}{% endfor %}",
    "{% for i in range(100000) %}{{ payload.a[200000] }}{% endfor %}",
    "{% for i in range(100000) %}{{ payload.a[-1] }}{{ payload.a[100000:100001] }}{% endfor %}",
    "{% for i in range(100000) %}{% for x in payload.a[99000:99001] %}{% endfor %}{% endfor %}",
    "{{ payload.a | sort | length }}",
    "{{ payload.a | sort(reverse=true, case_sensitive=true) | length }}",
    "{% for i in range(1000) %}{{ payload.a | sort | first }}{% endfor %}",
    "{% for i in range(1000) %}{{ payload.a | unique | length }}{% endfor %}",
    "{% for i in range(1000) %}{{ payload.a | min }}{{ payload.a | max }}{% endfor %}",
    "{% for i in range(1000) %}{{ payload.a | dictsort | length }}{% endfor %}",
    "{% for i in range(1000) %}{{ payload.a | dictsort(by='value') | length }}{% endfor %}",
    "{% for i in range(1000) %}{{ payload.a | sum(attribute='id') }}{% endfor %}",
    "{% for i in range(1000) %}{{ payload.a | join(payload.b | string) | length }}{% endfor %}",
    "{{ payload.a | join(payload.b) | length }}",
    "{{ payload.a | select('in', payload.b) | list | length }}",
    "{{ payload.a | select('eq', payload.b) | list | length }}",
    "{{ payload.a | rejectattr('id', 'in', payload.b) | list | length }}",
    "{{ payload.a | map(attribute='name') | join(',') | length }}",
    "{{ payload.a | map(attribute=payload.b) | list | length }}",
    "{{ payload.a | string | trim(payload.b | string) | length }}",
    "{{ payload.a | string | replace('', payload.b | string) | length }}",
    "{{ payload.a | string | replace('x', payload.b | string) | length }}",
    "{{ payload.a | string | indent(1000000000) | length }}",
    "{{ payload | tojson(1000000000) | length }}",
    "{{ payload | tojson(16) | length }}",
    "{% for i in range(100000) %}{{ payload | json | length }}{% endfor %}",
    "{% for i in range(100000) %}{{ payload | tojson | length }}{% endfor %}",
    "{% for i in range(100000) %}{{ payload | string | length }}{% endfor %}",
    "{% for i in range(100000) %}{{ payload.a ~ payload.b }}{% endfor %}",
    "{% for i in range(100000) %}{{ payload.a | upper | title | length }}{% endfor %}",
    "{% for i in range(100000) %}{{ payload.a | string | slug | length }}{% endfor %}",
    "{% for i in range(100000) %}{{ payload.a | string | split('x') | length }}{% endfor %}",
    "{% for i in range(100000) %}{{ payload.a | length }}{% endfor %}",
    "{% for i in range(100000) %}{{ payload.a | reverse | first }}{{ payload.a | last }}{% endfor \
     %}",
    "{% for k in payload.a %}{{ payload.b[k] }}{% endfor %}",
    "{% for k, v in payload.a | items %}{{ payload.b[k] == v }}{% endfor %}",
    "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
    "{% for i in range(100000) %}{% for j in range(100000) %}{{ payload }}{% endfor %}{% endfor %}",
    "{% set x %}{% for i in range(100000) %}{{ payload.a }}{% endfor %}{% endset %}{{ x | length }}",
    "{% filter upper %}{% for i in range(100000) %}{{ payload.a }}{% endfor %}{% endfilter %}",
    "{% for i in range(100000) %}{{ payload.a | round }}{{ payload.a | float(0) }}{% endfor %}",
    "{% for i in range(100000) if payload.a == payload.b %}x{% endfor %}",
    "{{ payload.a | sort(attribute='tags') | length }}{{ payload.a | unique(attribute='tags') | \
     length }}",
];

/// The limits of bodies with a smaller budget, so that trying all templates does not take minutes.
const LIMITS: Limits = Limits {
    fuel: Limits::BODY.fuel / 4,
    work: Limits::BODY.work / 4,
    ..Limits::BODY
};

fn rendered(
    source: &str,
    limits: Limits,
    payload: &Payload,
    stop: &Stop,
) -> Result<String, RenderError> {
    let metadata = std::collections::BTreeMap::new();
    let variables = Variables {
        organization_id: "org_1",
        event_type: "a.b",
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
        payload,
        link: None,
    };
    Template::compile(source, limits)
        .unwrap()
        .render(&variables, stop)
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "what is measured is how long a render takes"
)]
fn operations_on_large_values_end_soon() {
    for (kind, json) in payloads() {
        let payload = Payload::json(json.into());
        payload.document().unwrap();
        for source in TEMPLATES {
            let began = Instant::now();
            let result = rendered(source, LIMITS, &payload, &Stop::default());
            let took = began.elapsed();
            let said = result.map_or_else(
                |error| error.to_string(),
                |text| format!("{} bytes", text.len()),
            );
            println!("{:6} ms  {kind:15} {source}: {said}", took.as_millis());
            assert!(took < TAKES_MAX, "{kind}: {source} took {took:?}");
        }
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "what is measured is how long a render takes to stop"
)]
fn a_render_ends_when_it_is_stopped() {
    for (kind, json) in payloads() {
        let payload = Payload::json(json.into());
        payload.document().unwrap();
        for source in TEMPLATES {
            let stop = Stop::default();
            let (ended, stopper) = (channel::<()>(), stop.clone());
            let watch = std::thread::spawn(move || {
                if ended.1.recv_timeout(Duration::from_millis(20)) == Err(RecvTimeoutError::Timeout)
                {
                    stopper.set();
                }
                Instant::now()
            });
            let result = rendered(source, Limits::BODY, &payload, &stop);
            drop(ended.0);
            let late = watch.join().unwrap().elapsed();
            assert!(
                late < Duration::from_secs(2),
                "{kind}: {source} went on for {late:?}: {result:?}"
            );
        }
    }
}

#[test]
fn a_stopped_render_that_did_little_work_was_not_the_cause() {
    let stop = Stop::default();
    stop.set();
    let payload = Payload::json("{}".into());
    assert_eq!(
        rendered("{{ payload | json }}", LIMITS, &payload, &stop),
        Err(RenderError::Stopped { costly: false })
    );
}
