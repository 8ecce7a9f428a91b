//! Templates of tenants are limited in depth and time, and receive the payload as it was sent.

#[path = "../../shared/template/tests/main/constructs.rs"]
mod constructs;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kit::sink::Sink;
use kit::stack::Organization;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::stage;

/// A generous limit, because the faults in question block the process for seconds to hours.
const ANSWER_MAX: Duration = Duration::from_secs(3);

fn webhook(template: &str) -> Value {
    json!({"url": "https://receiver.example/", "body_template": template})
}

async fn preview(acme: &Organization, settings: Value, payload: &str) -> kit::stack::Answer {
    let body = format!(
        r#"{{"type": "webhook", "settings": {settings}, "sample": {{"payload": {payload}, "event_type": "a.b"}}}}"#
    );
    acme.call(http::Method::POST, "/v1/destinations/preview")
        .json_text(body)
        .send()
        .await
}

#[tokio::test]
async fn a_template_of_any_depth_is_rendered_or_refused_with_its_line() {
    let acme = stage::organization("Acme").await;
    for depth in [50, 1000, 10_000, 60_000] {
        for (name, source) in constructs::sources(depth) {
            let saved = acme
                .post(
                    "/v1/destinations?skip_check=true",
                    json!({"type": "webhook", "name": "x", "settings": webhook(&source)}),
                )
                .await;
            let shown = preview(&acme, webhook(&source), "[[1]]").await;
            for answer in [&saved, &shown] {
                assert!(
                    matches!(answer.status, 200 | 201 | 422),
                    "{name} × {depth}: {}",
                    answer.text()
                );
                if depth > 100 {
                    answer.problem(422, "validation_failed");
                    assert_eq!(
                        answer.mistakes(),
                        ["/settings/body_template"],
                        "{name} × {depth}: {}",
                        answer.text()
                    );
                    let detail = answer.text();
                    let is_long = source.len() > 64 << 10;
                    assert!(
                        is_long
                            || (detail.contains("line 3") && detail.contains("too deeply nested")),
                        "{name} × {depth}: {detail}"
                    );
                }
            }
        }
    }
    stage::stack()
        .await
        .operator()
        .get("/healthz")
        .await
        .ok(200);
}

#[tokio::test]
async fn every_setting_that_is_a_template_has_the_same_bound() {
    let acme = stage::organization("Acme").await;
    let deep = format!("{{{{ {}1 }}}}", "-".repeat(1000));
    let mail = |name: &str| {
        let mut settings = json!({"transport": {"smtp": {"host": "mail.example", "port": 587,
            "security": "starttls"}},
            "from": "a@acme.example", "to": ["b@customer.example"], "subject_template": "x"});
        settings[name] = deep.as_str().into();
        settings
    };
    let sftp = |name: &str| {
        let mut settings = json!({"host": "files.example", "username": "u",
            "host_key": format!("SHA256:{}", "A".repeat(43))});
        settings[name] = deep.as_str().into();
        settings
    };
    let rows = [
        ("webhook", webhook(&deep), "body_template"),
        ("email", mail("subject_template"), "subject_template"),
        ("email", mail("text_template"), "text_template"),
        ("email", mail("html_template"), "html_template"),
        (
            "s3",
            json!({"bucket": "bucket", "region": "eu-west-1", "key_template": deep}),
            "key_template",
        ),
        (
            "gcs",
            json!({"bucket": "bucket", "key_template": deep}),
            "key_template",
        ),
        (
            "azure_blob",
            json!({"account": "account", "container": "container", "key_template": deep}),
            "key_template",
        ),
        ("sftp", sftp("directory_template"), "directory_template"),
        ("sftp", sftp("filename_template"), "filename_template"),
    ];
    for (kind, settings, member) in rows {
        let answer = acme
            .post(
                "/v1/destinations/preview",
                json!({"type": kind, "settings": settings}),
            )
            .await;
        answer.problem(422, "validation_failed");
        let pointer = format!("/settings/{member}");
        assert!(
            answer.mistakes().contains(&pointer),
            "{kind} {member}: {}",
            answer.text()
        );
        assert!(
            answer
                .text()
                .contains("line 1: the template is too deeply nested"),
            "{kind} {member}: {}",
            answer.text()
        );
    }
}

/// Templates that took from ten seconds to hours, with a payload of nested lists.
const COSTLY: &[&str] = &[
    "{% for i in range(100000) %}{% if payload.a == payload.b %}x{% endif %}{% endfor %}",
    "{% for x in payload.a %}{{ x in payload.b }}{% endfor %}",
    "{% for i in range(1000) %}{{ payload.a | sort | first }}{% endfor %}",
    "{% for i in range(1000) %}{{ payload.a | unique | length }}{% endfor %}",
    "{{ payload.a | string | trim(payload.b | string) | length }}",
    "{{ payload.a | string | replace('', payload.b | string) | length }}",
    "{% for i in range(100000) %}{{ payload.a | join('x') }}{% endfor %}",
    "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
    "{{ payload | tojson(1000000000) | length }}",
];

fn nested_lists() -> String {
    let list = vec!["[[[1,2],[3,4]],[[5,6],[7,8]]]"; 4_000].join(",");
    format!(r#"{{"a":[{list}],"b":[{list}]}}"#)
}

/// The longest that `/healthz` takes while `work` runs.
async fn slowest_answer(work: impl Future<Output = ()>) -> Duration {
    let operator = stage::stack().await.operator();
    let mut slowest = Duration::ZERO;
    tokio::pin!(work);
    loop {
        let asked = Instant::now();
        operator.get("/healthz").await.ok(200);
        slowest = slowest.max(asked.elapsed());
        tokio::select! {
            () = &mut work => return slowest,
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
    }
}

#[tokio::test]
async fn expensive_previews_end_soon_and_delay_no_other_request() {
    let acme = stage::organization("Acme").await;
    let payload = nested_lists();
    let work = async {
        for source in COSTLY {
            let began = Instant::now();
            let three = [(); 3].map(|()| preview(&acme, webhook(source), &payload));
            for answer in futures_util::future::join_all(three).await {
                assert!(
                    matches!(answer.status, 200 | 422 | 429),
                    "{source}: {}",
                    answer.text()
                );
            }
            let took = began.elapsed();
            println!("{:5} ms for three: {source}", took.as_millis());
            assert!(took < 2 * ANSWER_MAX, "{source} took {took:?}");
        }
    };
    let slowest = slowest_answer(work).await;
    println!("/healthz took at most {slowest:?}");
    assert!(slowest < ANSWER_MAX, "/healthz took {slowest:?}");
}

#[tokio::test]
async fn deliveries_whose_templates_do_much_fail_visibly_and_delay_no_neighbour() {
    let (acme, other, sink) = (
        stage::organization("Acme").await,
        stage::organization("Other").await,
        Sink::start().await,
    );
    let neighbour = other
        .destination()
        .webhook(&sink.path("/neighbour"))
        .create()
        .await;
    let payload: Value = serde_json::from_str(&nested_lists()).unwrap();
    let mut costly = Vec::new();
    for source in COSTLY.iter().take(4) {
        let receiver = sink.path("/costly");
        let new = acme
            .destination()
            .webhook(&receiver)
            .settings(json!({"body_template": source, "timeout_seconds": 1}))
            .skip_check();
        costly.push(new.create().await);
    }
    let message = acme.send(&costly, payload).await;
    let began = Instant::now();
    let quick = other.send([&neighbour], json!({"n": 1})).await;
    assert_eq!(quick.delivery(0).settles().await["status"], "succeeded");
    let waited = began.elapsed();
    assert!(waited < 2 * ANSWER_MAX, "the neighbour waited {waited:?}");
    message.settles().await;
    for position in 0..costly.len() {
        let delivery = message.delivery(position).read().await;
        assert_eq!(
            (&delivery["status"], &delivery["reason"]),
            (&json!("failed"), &json!("misconfigured")),
            "{delivery}"
        );
    }
    assert_eq!(sink.path("/costly").count(), 0);
}

#[tokio::test]
async fn payloads_arrive_in_templates_as_they_were_sent() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let whole = sink.path("/whole");
    let destination = acme
        .destination()
        .webhook(&whole)
        .settings(json!({"body_template": "{{ payload | json }}"}))
        .skip_check()
        .create()
        .await;
    let payloads = [
        r#"{"z":1,"a":2}"#,
        r#"{"n":[10.10,18446744073709551616,1e400,-0,1E5,0.30000000000000001]}"#,
        r#"{"text":"\ud800"}"#,
        r#"{"a":1,"a":2}"#,
        r#"{"text":"é \u00e9 <&'>"}"#,
        "null",
        "10.10",
    ];
    for (index, payload) in payloads.iter().enumerate() {
        let sent = format!(
            r#"{{"event_type":"a.b","destination_ids":["{}"],"payload":{payload}}}"#,
            destination.id
        );
        let message = acme.submit_text(&sent).await;
        assert_eq!(
            message.delivery(0).settles().await["status"],
            "succeeded",
            "{payload}"
        );
        let content = json!({"event_type": "a.b", "destination_ids": [destination.id],
            "content": {"base64": STANDARD.encode(payload), "content_type": "application/json; \
                 charset=utf-8"}});
        assert_eq!(
            acme.submit(content).await.delivery(0).settles().await["status"],
            "succeeded",
            "{payload}"
        );
        let received = whole.wait_for(2 * index + 2, Duration::from_secs(10)).await;
        for request in &received[2 * index..] {
            assert_eq!(request.text(), *payload);
        }
        let shown = preview(&acme, webhook("{{ payload | json }}"), payload)
            .await
            .ok(200);
        assert_eq!(shown["body"], *payload);
    }
}

#[tokio::test]
async fn content_that_a_template_cannot_hold_is_misconfigured() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let template = json!({"body_template": "{\"text\": {{ payload.text | json }}}"});
    let destination = acme
        .destination()
        .webhook(&sink.path("/t"))
        .settings(template)
        .skip_check()
        .create()
        .await;
    let ids = json!([destination.id]);
    let content = |content_type: &str, text: &str| {
        json!({"event_type": "a.b", "destination_ids": ids,
        "content": {"base64": STANDARD.encode(text), "content_type": content_type}})
    };
    let rows = [
        (
            acme.submit_text(&format!(
                r#"{{"event_type":"a.b","destination_ids":{ids},"payload":{{"text":"\ud800"}}}}"#
            ))
            .await,
            "lone surrogate",
        ),
        (
            acme.submit(content("application/json", "{\"text\":")).await,
            "not valid JSON",
        ),
        (
            acme.submit(content("application/json; charset=utf-8", "\u{feff}{}"))
                .await,
            "not valid JSON",
        ),
        (
            acme.submit(content("text/csv", "text\n1")).await,
            "text/csv",
        ),
        (
            acme.submit(content(
                "application/json",
                &format!("{}1{}", "[".repeat(500), "]".repeat(500)),
            ))
            .await,
            "too deeply nested",
        ),
    ];
    for (message, expected) in rows {
        let delivery = message.delivery(0).settles().await;
        assert_eq!(
            (&delivery["status"], &delivery["reason"]),
            (&json!("failed"), &json!("misconfigured")),
            "{expected}: {delivery}"
        );
        assert!(
            delivery.to_string().contains(expected),
            "{expected}: {delivery}"
        );
    }
    assert_eq!(sink.path("/t").count(), 0);
}
