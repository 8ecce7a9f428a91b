//! Tests nested templates: each is rendered, or rejected with its line, on a small stack.

use std::collections::BTreeMap;
use std::thread;

use template::{Limits, Payload, Stop, Template, TemplateError, Variables};

use crate::constructs::{BLOCKS, PAIRS, sources};

/// Less than the stack of any thread of the service, for a build with the largest frames.
const STACK_BYTES: usize = 1536 << 10;

/// Compiles and renders a template, and returns how it was rejected.
fn tried(source: &str, limits: Limits) -> Result<(), TemplateError> {
    let template = Template::compile(source, limits)?;
    let (metadata, payload) = (BTreeMap::new(), Payload::json("[[[[1]]]]".into()));
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
        payload: &payload,
        link: None,
    };
    // Rendering may fail with these values.
    drop(template.render(&variables, &Stop::default()));
    Ok(())
}

fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(test)
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn every_construct_at_every_depth_is_rendered_or_refused_with_its_line() {
    on_a_small_stack(|| {
        // The source may be as long as necessary, so that the depth and not the length is tested.
        let limits = Limits {
            source_bytes_max: 4 << 20,
            ..Limits::BODY
        };
        for depth in [1, 50, 74, 99, 100, 101, 150, 200, 848, 1000, 10_000, 60_000] {
            for (name, source) in sources(depth) {
                let refused = tried(&source, limits).err();
                if depth > 150 {
                    assert_eq!(
                        refused,
                        Some(TemplateError::TooDeep { line: 3, max: 100 }),
                        "{name} × {depth}"
                    );
                }
                let said = refused.map_or_else(|| "line 3".to_owned(), |error| error.to_string());
                assert!(
                    said.contains("line 3") || said.contains("no variable"),
                    "{name} × {depth}: {said}"
                );
                assert!(!said.contains("recursion"), "{name} × {depth}: {said}");
            }
        }
    });
}

#[test]
fn templates_of_ordinary_depth_are_taken() {
    on_a_small_stack(|| {
        for (source, _) in [
            ("{{ 1 + 1 }}", ()),
            ("{{ payload.a.b.c.d | default('x') | upper | e }}", ()),
        ] {
            assert_eq!(tried(source, Limits::BODY), Ok(()), "{source}");
        }
        for (name, left, right) in PAIRS {
            let source = format!("{{{{ {}1{} }}}}", left.repeat(30), right.repeat(30));
            assert_eq!(tried(&source, Limits::BODY), Ok(()), "{name}");
        }
        for (name, left, right) in BLOCKS {
            let source = format!("{}x{}", left.repeat(95), right.repeat(95));
            assert_eq!(tried(&source, Limits::BODY), Ok(()), "{name}");
        }
        // Constructs next to each other are not nested.
        let wide = [
            format!("{{{{ [{}] | length }}}}", "1, ".repeat(2000)),
            "{{ 'a' ~ 'b' ~ 'c' }}{% if 1 %}x{% elif 2 %}y{% endif %}{% set a = 1 %}{% set b \
             %}x{% endset %}"
                .repeat(300),
            format!("{{{{ {{{}}} | length }}}}", "'k': 1, ".repeat(2000)),
        ];
        for source in wide {
            assert_eq!(tried(&source, Limits::BODY), Ok(()), "{}", &source[..60]);
        }
    });
}

#[test]
fn payloads_nest_as_deep_as_the_api_takes_them() {
    on_a_small_stack(|| {
        for depth in [1, 127, 128, 129, 60_000] {
            let json = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
            for source in [
                "{{ payload | json }}",
                "{{ payload }}",
                "{{ payload == payload }}",
                "{{ payload | sort | string | length }}",
            ] {
                let rendered = super::render_json(source, &json);
                match rendered {
                    Ok(_) => assert!(depth <= 128, "{source} × {depth}"),
                    Err(error) => {
                        assert!(depth > 128, "{source} × {depth}: {error}");
                        assert!(
                            error.to_string().contains("too deeply nested"),
                            "{source} × {depth}: {error}"
                        );
                    }
                }
            }
        }
    });
}
