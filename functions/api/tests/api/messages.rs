//! `/v1/messages`.

use axum::body::Body;
use serde_json::{Value, json};

use crate::fixture::{Answer, Client, Deployment, masked, refused};

async fn submit(client: &Client<'_>, body: Value) -> Answer {
    client.post("/v1/messages", body).await
}

#[tokio::test]
async fn a_message_is_accepted_and_read_back() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let destination = admin.destination("a").await["id"].clone();
    let body = json!({"event_type": "report.ready", "payload": {"b": 1, "a": [null]},
        "destination_ids": [destination, destination], "reference": "r-1", "metadata": {"k": "v"}});
    let accepted = submit(&admin, body).await;
    assert_eq!(accepted.status, 202);
    let message = accepted.json();
    insta::assert_json_snapshot!(masked(message.clone()));
    let path = format!("/v1/messages/{}", message["id"].as_str().unwrap());
    assert_eq!(accepted.header("location"), Some(&*path));
    assert_eq!(admin.get(&path).await.json(), message);
    let listed = admin
        .get("/v1/messages?reference=r-1&event_type=report.ready")
        .await
        .json();
    assert_eq!(listed["data"], json!([message]));
    assert_eq!(
        admin.get("/v1/messages?event_type=other").await.json()["data"],
        json!([])
    );
}

#[tokio::test]
async fn payload_bytes_come_back_as_sent() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let destination = admin.destination("a").await["id"].clone();
    let payload = r#"{ "z":1.50,  "a" : "\u00e9", "a":1e3 }"#;
    let body = format!(
        "{{\"event_type\":\"a\",\"payload\": {payload} ,\"destination_ids\":[{destination}]}}"
    );
    let accepted = admin
        .request(
            "POST",
            "/v1/messages",
            &[("content-type", "application/json")],
            Body::from(body),
        )
        .await
        .json();
    let read = admin
        .get(&format!(
            "/v1/messages/{}/payload",
            accepted["id"].as_str().unwrap()
        ))
        .await;
    assert_eq!(String::from_utf8(read.bytes.clone()).unwrap(), payload);
    assert_eq!(read.header("content-type"), Some("application/json"));
    assert_eq!(read.header("content-disposition"), Some("attachment"));
    assert_eq!(read.header("x-content-type-options"), Some("nosniff"));
    assert!(
        read.header("content-security-policy")
            .unwrap()
            .contains("sandbox")
    );
}

#[tokio::test]
async fn content_has_a_type_and_a_name() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let destination = admin.destination("a").await["id"].clone();
    let content =
        json!({"base64": "YSxiCjEsMgo=", "content_type": "text/csv", "filename": "r.csv"});
    let accepted = submit(
        &admin,
        json!({"event_type": "a", "content": content, "destination_ids": [destination]}),
    )
    .await
    .json();
    assert_eq!(accepted["payload_info"]["filename"], "r.csv");
    let read = admin
        .get(&format!(
            "/v1/messages/{}/payload",
            accepted["id"].as_str().unwrap()
        ))
        .await;
    assert_eq!(
        (read.header("content-type"), &*read.bytes),
        (Some("text/csv"), b"a,b\n1,2\n".as_slice())
    );
}

#[tokio::test]
async fn the_largest_payload_is_one_mebibyte() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let destination = admin.destination("a").await["id"].clone();
    let body = |bytes: usize| {
        json!({"event_type": "a", "payload": "x".repeat(bytes - 2),
        "destination_ids": [destination]})
    };
    let accepted = submit(&admin, body(1 << 20)).await;
    assert_eq!(
        (
            accepted.status,
            &accepted.json()["payload_info"]["size_bytes"]
        ),
        (202, &json!(1_048_576))
    );
    assert_eq!(
        submit(&admin, body((1 << 20) + 1)).await.refusal(),
        refused(413, "payload_too_large", &[])
    );
}

#[tokio::test]
async fn a_message_goes_to_the_defaults_and_the_subscribers() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let none = submit(&admin, json!({"event_type": "invoice.paid", "payload": 1})).await;
    insta::assert_json_snapshot!("no_destinations", none.problem());
    let fallback = admin.destination("default").await["id"].clone();
    let mut ids = Vec::new();
    for (name, patterns) in [
        ("subscribes", json!(["invoice.*"])),
        ("does not", json!(["report.**"])),
        ("disabled", json!(["**"])),
    ] {
        let mut body = crate::fixture::webhook(name);
        body["event_types"] = patterns;
        ids.push(admin.post("/v1/destinations", body).await.json()["id"].clone());
    }
    admin
        .post(
            &format!("/v1/destinations/{}/disable", ids[2].as_str().unwrap()),
            json!({}),
        )
        .await;
    admin
        .patch(
            "/v1/organization",
            json!({"settings": {"default_destination_ids": [fallback]}}),
        )
        .await;
    let message = submit(&admin, json!({"event_type": "invoice.paid", "payload": 1}))
        .await
        .json();
    let targets: Vec<_> = message["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["destination_id"].clone())
        .collect();
    assert_eq!(targets, [fallback, ids[0].clone()]);
    let named = submit(
        &admin,
        json!({"event_type": "x", "payload": 1, "destination_ids": [ids[2]]}),
    )
    .await
    .json();
    assert_eq!(
        (
            &named["status"],
            &named["deliveries"][0]["status"],
            &named["deliveries"][0]["reason"]
        ),
        (
            &json!("failed"),
            &json!("skipped"),
            &json!("destination_disabled")
        )
    );
}

#[tokio::test]
async fn an_unknown_destination_refuses_the_whole_request() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let known = admin.destination("a").await["id"].clone();
    let unknown = "dst_01kavd83802s63efghp3q1cpj4";
    let answer = submit(
        &admin,
        json!({"event_type": "a", "payload": 1, "destination_ids": [known, unknown]}),
    )
    .await;
    assert_eq!(
        answer.refusal(),
        refused(404, "not_found", &["/destination_ids/1: not_found"])
    );
    assert_eq!(admin.get("/v1/messages").await.json()["data"], json!([]));
}

#[tokio::test]
async fn all_mistakes_are_named_at_once() {
    let deployment = Deployment::new().await;
    let body = json!({"event_type": "a..b", "destination_ids": [], "metadata": {"k": 1},
        "expires_at": "2020-01-01T00:00:00Z", "source": {}});
    let answer = submit(&deployment.role("sender").await, body).await;
    insta::assert_json_snapshot!(answer.problem());
}

#[tokio::test]
async fn the_messages_of_a_batch_are_independent() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let destination = admin.destination("a").await["id"].clone();
    let good = json!({"event_type": "a", "payload": 1, "destination_ids": [destination]});
    let unknown = json!({"event_type": "a", "payload": 1,
        "destination_ids": ["dst_01kavd83802s63efghp3q1cpj4"]});
    let large = json!({"event_type": "a", "payload": "x".repeat(1 << 20)});
    let messages = json!([good, {"event_type": ""}, unknown, large, 7, good]);
    let answer = admin
        .post("/v1/messages/batch", json!({"messages": messages}))
        .await;
    assert_eq!(answer.status, 202);
    let results = answer.json()["results"].clone();
    let statuses: Vec<_> = results
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [202, 422, 404, 413, 400, 202]);
    assert_eq!(results[1]["error"]["errors"][0]["pointer"], "/event_type");
    for bad in [json!([]), json!((0..101).collect::<Vec<_>>()), json!("x")] {
        let refusal = admin
            .post("/v1/messages/batch", json!({"messages": bad}))
            .await
            .refusal();
        assert_eq!(
            (refusal.0, refusal.2[0].split(':').next().unwrap()),
            (422, "/messages")
        );
    }
}

#[tokio::test]
async fn each_role_can_do_what_it_permits_and_nothing_else() {
    let deployment = Deployment::new().await;
    deployment.admin().destination("a").await;
    let body = json!({"event_type": "a", "payload": 1});
    for (role, submits, reads) in [
        ("viewer", 403, 200),
        ("sender", 422, 200),
        ("manager", 422, 200),
    ] {
        let client = deployment.role(role).await;
        assert_eq!(
            submit(&client, body.clone()).await.status,
            submits,
            "{role}"
        );
        assert_eq!(client.get("/v1/messages").await.status, reads, "{role}");
    }
    assert_eq!(
        deployment
            .role("sender")
            .await
            .get("/v1/destinations")
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn a_walk_visits_each_message_once_while_others_are_added() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let destination = admin.destination("a").await["id"].clone();
    let body = json!({"event_type": "a", "payload": 1, "destination_ids": [destination]});
    let mut sent = Vec::new();
    for _ in 0..7 {
        sent.push(
            submit(&admin, body.clone()).await.json()["id"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    let mut seen = Vec::new();
    let mut path = "/v1/messages?limit=3".to_owned();
    loop {
        let page = admin.get(&path).await.json();
        seen.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|m| m["id"].as_str().unwrap().to_owned()),
        );
        submit(&admin, body.clone()).await;
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/messages?limit=3&cursor={cursor}");
    }
    sent.reverse();
    assert_eq!(seen, sent);
}
