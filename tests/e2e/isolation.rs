//! Organizations cannot read, change or detect each other.

use http::Method;
use kit::sink::Sink;
use kit::stack::{Answer, Organization};
use serde_json::{Value, json};

use crate::stage;

/// The parts of a response by which a caller could distinguish it from another one.
fn essence(answer: &Answer) -> (u16, Option<&str>, Value) {
    let mut body = answer.json();
    if let Value::Object(members) = &mut body {
        members.remove("request_id");
        members.remove("instance");
    }
    (answer.status, answer.header("content-type"), body)
}

/// Returns an id of the same kind that was never issued.
fn never_issued(id: &str) -> String {
    let (prefix, rest) = id.split_once('_').expect("a prefix");
    format!("{prefix}_01jzzzzzzzzzzzzzzzzzzzzzzz{}", &rest[26..])
}

/// Ids of one organization, one of each kind.
struct Ids {
    destination: String,
    secret: String,
    message: String,
    delivery: String,
    key: String,
    job: String,
    link: String,
}

async fn ids(organization: &Organization, sink: &Sink) -> Ids {
    let destination = organization.destination().webhook(sink).create().await;
    let message = organization.send([&destination], json!("private")).await;
    message.settles().await;
    let secret = destination.read().await["signing_secrets"][0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let (delivery, key) = (message.delivery(0).id, organization.key("viewer").await.id);
    let job = organization
        .post(
            "/v1/jobs",
            json!({"kind": "retry", "filter": {"message_id": message.id}}),
        )
        .await
        .ok(202);
    let link = organization
        .post(
            "/v1/portal-links",
            json!({"role": "viewer", "subject": {"id": "u-1"}}),
        )
        .await
        .ok(201);
    let id = |of: &Value| of["id"].as_str().expect("an id").to_owned();
    Ids {
        destination: destination.id,
        secret,
        message: message.id,
        delivery,
        key,
        job: id(&job),
        link: id(&link),
    }
}

/// Every way to name each of these ids in a path or body.
fn requests(ids: &Ids) -> Vec<(Method, String, Option<Value>)> {
    let Ids {
        destination,
        secret,
        message,
        delivery,
        key,
        job,
        link,
    } = ids;
    let at = |path: &str| format!("/v1/destinations/{destination}{path}");
    let submit = json!({"event_type": "a", "payload": 1, "destination_ids": [destination]});
    vec![
        (Method::GET, at(""), None),
        (Method::PATCH, at(""), Some(json!({"name": "mine now"}))),
        (
            Method::PATCH,
            at("?skip_check=true"),
            Some(json!({"settings": {"url": "http://127.0.0.1:9/"}})),
        ),
        (Method::POST, at("/disable"), Some(json!({}))),
        (Method::POST, at("/enable"), Some(json!({}))),
        (Method::POST, at("/check"), Some(json!({}))),
        (Method::POST, at("/test"), Some(json!({}))),
        (
            Method::POST,
            at("/rotate-secret"),
            Some(json!({"overlap_seconds": 0})),
        ),
        (
            Method::DELETE,
            at(&format!("/signing-secrets/{secret}")),
            None,
        ),
        (Method::DELETE, at(""), None),
        (Method::GET, at("/health"), None),
        (Method::GET, format!("/v1/messages/{message}"), None),
        (Method::GET, format!("/v1/messages/{message}/payload"), None),
        (
            Method::DELETE,
            format!("/v1/messages/{message}/payload"),
            None,
        ),
        (Method::GET, format!("/v1/deliveries/{delivery}/body"), None),
        (Method::GET, format!("/v1/jobs/{job}"), None),
        (
            Method::POST,
            format!("/v1/jobs/{job}/cancel"),
            Some(json!({})),
        ),
        (Method::DELETE, format!("/v1/portal-links/{link}"), None),
        (Method::GET, format!("/v1/deliveries/{delivery}"), None),
        (
            Method::POST,
            format!("/v1/deliveries/{delivery}/retry"),
            Some(json!({"force": true})),
        ),
        (
            Method::POST,
            format!("/v1/deliveries/{delivery}/cancel"),
            Some(json!({})),
        ),
        (Method::DELETE, format!("/v1/api-keys/{key}"), None),
        (Method::POST, "/v1/messages".to_owned(), Some(submit)),
        (
            Method::PATCH,
            "/v1/organization".to_owned(),
            Some(json!({"settings": {"default_destination_ids": [destination]}})),
        ),
        (
            Method::PATCH,
            "/v1/organization".to_owned(),
            Some(json!({"settings": {"alert_destination_ids": [destination]}})),
        ),
        (
            Method::PATCH,
            "/v1/organization".to_owned(),
            Some(json!({"settings": {"status_destination_ids": [destination]}})),
        ),
    ]
}

async fn send(
    organization: &Organization,
    (method, path, body): &(Method, String, Option<Value>),
) -> Answer {
    let call = organization.call(method.clone(), path);
    match body {
        Some(body) => call.json(body).send().await,
        None => call.send().await,
    }
}

/// An id of another organization, anywhere, is answered as one that was never issued, and is
/// recorded.
#[tokio::test]
async fn an_id_of_another_organization_is_answered_like_an_unknown_id_and_is_recorded() {
    let (acme, other, sink) = (
        stage::organization("Acme").await,
        stage::organization("Other").await,
        Sink::start().await,
    );
    let theirs = ids(&other, &sink).await;
    let nonexistent = Ids {
        destination: never_issued(&theirs.destination),
        secret: theirs.secret.clone(),
        message: never_issued(&theirs.message),
        delivery: never_issued(&theirs.delivery),
        key: never_issued(&theirs.key),
        job: never_issued(&theirs.job),
        link: never_issued(&theirs.link),
    };
    let before = (
        other
            .get(&format!("/v1/destinations/{}", theirs.destination))
            .await
            .ok(200),
        sink.count(),
    );
    for (theirs, nonexistent) in requests(&theirs).iter().zip(&requests(&nonexistent)) {
        let recorded = acme.audited("cross_organization_access_denied").await.len();
        let answer = send(&acme, theirs).await;
        answer.problem(404, "not_found");
        let after = acme.audited("cross_organization_access_denied").await;
        assert!(
            after.len() > recorded,
            "{} {} is not recorded",
            theirs.0,
            theirs.1
        );
        assert_eq!(
            (&after[0]["outcome"], &after[0]["actor"]["kind"]),
            (&json!("denied"), &json!("key")),
            "{}",
            after[0]
        );
        assert_eq!(
            essence(&answer),
            essence(&send(&acme, nonexistent).await),
            "{} {}",
            theirs.0,
            theirs.1
        );
    }
    let after = (
        other
            .get(&format!("/v1/destinations/{}", theirs.destination))
            .await
            .ok(200),
        sink.count(),
    );
    assert_eq!(before, after, "nothing was touched");
    assert!(
        other
            .audited("cross_organization_access_denied")
            .await
            .is_empty(),
        "and they learn nothing of it"
    );
    let key_still_works = other.list("/v1/api-keys").await.len();
    assert_eq!(key_still_works, 2);
}

/// A filter with an id of another organization returns an empty list, as for an id that was never
/// issued.
#[tokio::test]
async fn another_organizations_id_as_a_filter_finds_nothing() {
    let (acme, other, sink) = (
        stage::organization("Acme").await,
        stage::organization("Other").await,
        Sink::start().await,
    );
    let theirs = ids(&other, &sink).await;
    for (name, id) in [
        ("destination_id", &theirs.destination),
        ("message_id", &theirs.message),
    ] {
        let recorded = acme.audited("cross_organization_access_denied").await.len();
        let found = acme.get(&format!("/v1/deliveries?{name}={id}")).await;
        assert_eq!(found.ok(200), json!({"data": [], "next_cursor": null}));
        assert!(
            acme.audited("cross_organization_access_denied").await.len() > recorded,
            "{name} is not recorded"
        );
        let never = acme
            .get(&format!("/v1/deliveries?{name}={}", never_issued(id)))
            .await;
        assert_eq!(essence(&found), essence(&never));
    }
}

#[tokio::test]
async fn a_key_cannot_name_another_organization() {
    let (acme, other) = (
        stage::organization("Acme").await,
        stage::organization("Other").await,
    );
    for path in [
        "/v1/destinations",
        "/v1/messages",
        "/v1/deliveries",
        "/v1/api-keys",
        "/v1/audit-events",
        "/v1/organization",
    ] {
        acme.get(&format!("{path}?organization_id={}", acme.id))
            .await
            .ok(200);
        let answer = acme
            .get(&format!("{path}?organization_id={}", other.id))
            .await;
        answer.problem(404, "not_found");
        let never = acme
            .get(&format!(
                "{path}?organization_id={}",
                never_issued(&other.id)
            ))
            .await;
        assert_eq!(essence(&answer), essence(&never), "{path}");
    }
    assert!(
        !acme
            .audited("cross_organization_access_denied")
            .await
            .is_empty()
    );
    // Only the operator has a list of organizations, or a say in them.
    acme.get("/v1/organizations")
        .await
        .problem(403, "forbidden");
    acme.get(&format!("/v1/organizations/{}", other.id))
        .await
        .problem(403, "forbidden");
}

#[tokio::test]
async fn a_cursor_of_another_organization_is_refused() {
    let (acme, other, sink) = (
        stage::organization("Acme").await,
        stage::organization("Other").await,
        Sink::start().await,
    );
    let destination = other.destination().webhook(&sink).create().await;
    for number in 0..2 {
        other.send([&destination], json!(number)).await;
    }
    for route in ["/v1/messages", "/v1/deliveries", "/v1/audit-events"] {
        let page = other.get(&format!("{route}?limit=1")).await.ok(200);
        let cursor = page["next_cursor"]
            .as_str()
            .unwrap_or_else(|| panic!("{route} has more"));
        acme.get(&format!("{route}?limit=1&cursor={cursor}"))
            .await
            .problem(400, "invalid_cursor");
        other
            .get(&format!("{route}?limit=1&cursor={cursor}"))
            .await
            .ok(200);
    }
}

/// Lists contain only what belongs to the caller's organization.
#[tokio::test]
async fn lists_contain_only_the_callers_organization() {
    let (acme, other, sink) = (
        stage::organization("Acme").await,
        stage::organization("Other").await,
        Sink::start().await,
    );
    let mine = ids(&acme, &sink).await;
    ids(&other, &sink).await;
    assert_eq!(
        stage::texts(&acme.list("/v1/destinations").await, "id"),
        [mine.destination]
    );
    assert_eq!(
        stage::texts(&acme.list("/v1/messages").await, "id"),
        [mine.message]
    );
    assert_eq!(
        stage::texts(&acme.list("/v1/deliveries").await, "id"),
        [mine.delivery]
    );
    assert!(stage::texts(&acme.list("/v1/api-keys").await, "id").contains(&mine.key));
    assert_eq!(acme.list("/v1/api-keys").await.len(), 2);
}

/// A destination may be deleted while a request names it. The organization can still be changed.
#[tokio::test]
async fn an_organization_that_names_a_deleted_destination_can_be_suspended() {
    let operator = stage::stack().await.operator();
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let path = format!("/v1/organizations/{}", acme.id);
    let mut named_deleted = 0;
    for _ in 0..15 {
        let destination = acme
            .destination()
            .webhook(&sink)
            .skip_check()
            .create()
            .await;
        let its_path = destination.path();
        let (deleting, naming) = (
            acme.delete(&its_path),
            acme.patch(
                "/v1/organization",
                json!({"settings": {"default_destination_ids": [destination.id]}}),
            ),
        );
        let (deleted, named) = tokio::join!(deleting, naming);
        deleted.ok(204);
        if named.status == 200 {
            let settings = acme.get("/v1/organization").await.ok(200)["settings"].clone();
            named_deleted += usize::from(settings["default_destination_ids"] != json!([]));
        }
        for status in ["suspended", "active"] {
            operator
                .patch(&path, json!({"status": status}))
                .await
                .ok(200);
        }
        let none = json!({"settings": {"default_destination_ids": []}});
        acme.patch("/v1/organization", none).await.ok(200);
    }
    println!("{named_deleted} of 15 requests named a destination that was being deleted");
}

/// A suspended organization submits nothing; the others do.
#[tokio::test]
async fn a_suspended_organization_waits() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let operator = stage::stack().await.operator();
    let destination = acme.destination().webhook(&sink).create().await;
    operator
        .patch(
            &format!("/v1/organizations/{}", acme.id),
            json!({"status": "suspended"}),
        )
        .await
        .ok(200);
    let request = json!({"event_type": "a", "payload": 1, "destination_ids": [destination.id]});
    acme.post("/v1/messages", request)
        .await
        .problem(403, "organization_suspended");
    assert_eq!(sink.count(), 0);
    operator
        .patch(
            &format!("/v1/organizations/{}", acme.id),
            json!({"status": "active"}),
        )
        .await
        .ok(200);
    assert_eq!(
        acme.send([&destination], json!(1)).await.settles().await["status"],
        "succeeded"
    );
}

/// An operator must name the organization.
#[tokio::test]
async fn an_operator_names_the_organization() {
    let (acme, sink) = (stage::organization("Acme").await, Sink::start().await);
    let operator = stage::stack().await.operator();
    let destination = acme.destination().webhook(&sink).create().await;
    operator
        .get("/v1/destinations")
        .await
        .problem(422, "organization_required");
    let found = operator
        .list(&format!("/v1/destinations?organization_id={}", acme.id))
        .await;
    assert_eq!(stage::texts(&found, "id"), [destination.id]);
    operator
        .get(&format!(
            "/v1/destinations?organization_id={}",
            never_issued(&acme.id)
        ))
        .await
        .problem(404, "not_found");
    let organization = operator
        .get(&format!("/v1/organizations/{}", acme.id))
        .await
        .ok(200);
    assert_eq!(
        (&organization["name"], &organization["status"]),
        (&json!("Acme"), &json!("active"))
    );
    operator
        .delete(&format!("/v1/organizations/{}", acme.id))
        .await
        .problem(409, "not_empty");
    acme.delete(&format!(
        "/v1/destinations/{}",
        found[0]["id"].as_str().unwrap()
    ))
    .await
    .ok(204);
    operator
        .delete(&format!("/v1/organizations/{}", acme.id))
        .await
        .ok(204);
    operator
        .get(&format!("/v1/organizations/{}", acme.id))
        .await
        .problem(404, "not_found");
    acme.get("/v1/organization")
        .await
        .problem(401, "unauthenticated");
}
