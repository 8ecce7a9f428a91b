//! Lists are complete and stable.

use std::collections::BTreeSet;

use kit::sink::Sink;
use kit::stack::Message;
use serde_json::json;

use crate::stage;

#[tokio::test]
async fn walking_all_pages_visits_each_item_exactly_once_while_others_are_added() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    let mut before = BTreeSet::new();
    for number in 0..33 {
        before.insert(acme.send([&destination], json!(number)).await.id);
    }
    for (route, id) in [("/v1/messages", "id"), ("/v1/deliveries", "message_id")] {
        let (mut visited, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = acme.get(&format!("{route}?limit=4{cursor}")).await.ok(200);
            let items = page["data"].as_array().unwrap();
            assert!(items.len() <= 4);
            visited.extend(stage::texts(items, id));
            acme.send([&destination], json!("meanwhile")).await;
            let Some(next) = page["next_cursor"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
        }
        let once: BTreeSet<String> = visited.iter().cloned().collect();
        assert_eq!(once.len(), visited.len(), "{route}: nothing twice");
        assert!(before.is_subset(&once), "{route}: nothing skipped");
        assert!(
            visited.is_sorted_by(|newer, older| newer > older),
            "{route}: newest first"
        );
        before = acme
            .list("/v1/messages?limit=100")
            .await
            .iter()
            .map(|message| message["id"].as_str().unwrap().to_owned())
            .collect();
    }
}

#[tokio::test]
async fn filters_combine_and_hold_on_every_page() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let (well, ill) = (sink.path("/well"), sink.path("/ill"));
    let one = acme.destination().webhook(&well).create().await;
    let other = acme.destination().webhook(&ill).retries(0).create().await;
    ill.answers([500]);
    let mut last: Option<Message> = None;
    for number in 0..12 {
        let (kind, reference) = (
            ["a.one", "a.two"][number % 2],
            ["red", "green", "blue"][number % 3],
        );
        let message = json!({"event_type": kind, "payload": number, "reference": reference,
            "destination_ids": [one.id, other.id]});
        last = Some(acme.submit(message).await);
    }
    let last = last.unwrap();
    for message in acme.list("/v1/messages").await {
        acme.message(message).settles().await;
    }
    let count = async |query: &str| {
        acme.list(&format!("/v1/deliveries?limit=3&{query}"))
            .await
            .len()
    };
    assert_eq!(count("").await, 24);
    assert_eq!(count(&format!("destination_id={}", one.id)).await, 12);
    assert_eq!(count("status=failed").await, 12);
    assert_eq!(count("status=failed&status=succeeded").await, 24);
    assert_eq!(count("event_type=a.one").await, 12);
    assert_eq!(count("reference=red").await, 8);
    assert_eq!(
        count(&format!(
            "destination_id={}&status=failed&event_type=a.one&reference=red",
            other.id
        ))
        .await,
        2
    );
    assert_eq!(
        count(&format!("destination_id={}&status=failed", one.id)).await,
        0
    );
    assert_eq!(count(&format!("message_id={}", last.id)).await, 2);
    assert_eq!(
        count(&format!("message_id={}&status=succeeded", last.id)).await,
        1
    );
    let created_at = last.accepted["created_at"].as_str().unwrap();
    assert_eq!(
        count(&format!("since={created_at}&message_id={}", last.id)).await,
        2,
        "since is inclusive"
    );
    assert_eq!(
        count(&format!("until={created_at}&message_id={}", last.id)).await,
        0,
        "until is exclusive"
    );
    assert_eq!(
        acme.list("/v1/messages?event_type=a.two&reference=green&limit=1")
            .await
            .len(),
        2
    );
}

#[tokio::test]
async fn an_unmatched_filter_is_an_empty_list() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    acme.send([&destination], json!(1)).await.settles().await;
    let unmatched = [
        "/v1/deliveries?destination_id=dst_01jzzzzzzzzzzzzzzzzzzzzzzz",
        "/v1/deliveries?message_id=msg_01jzzzzzzzzzzzzzzzzzzzzzzz",
        "/v1/deliveries?status=cancelled",
        "/v1/deliveries?event_type=never.seen",
        "/v1/deliveries?reference=nobodys",
        "/v1/deliveries?since=2099-01-01T00:00:00Z",
        "/v1/deliveries?until=1999-01-01T00:00:00%2B02:00",
        "/v1/messages?event_type=never.seen",
        "/v1/messages?reference=nobodys",
        "/v1/audit-events?action=never.seen",
        "/v1/destinations?status=disabled",
    ];
    for path in unmatched {
        let page = acme.get(path).await.ok(200);
        assert_eq!(page, json!({"data": [], "next_cursor": null}), "{path}");
    }
}

#[tokio::test]
async fn a_cursor_belongs_to_its_query() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let destination = acme.destination().webhook(&sink).create().await;
    for number in 0..3 {
        acme.send([&destination], json!(number)).await;
    }
    let page = acme.get("/v1/messages?limit=1").await.ok(200);
    let cursor = page["next_cursor"].as_str().expect("there is more");
    acme.get(&format!("/v1/messages?limit=2&cursor={cursor}"))
        .await
        .ok(200);
    let tampered = format!(
        "{}{}",
        if cursor.starts_with('A') { 'B' } else { 'A' },
        &cursor[1..]
    );
    let refused = [
        format!("/v1/deliveries?cursor={cursor}"),
        format!("/v1/messages?event_type=report.ready&cursor={cursor}"),
        format!("/v1/messages?cursor={tampered}"),
        format!("/v1/messages?cursor={}", &cursor[..cursor.len() - 2]),
        "/v1/messages?cursor=nonsense".to_owned(),
        "/v1/messages?cursor=".to_owned(),
    ];
    for path in refused {
        acme.get(&path).await.problem(400, "invalid_cursor");
    }
}
