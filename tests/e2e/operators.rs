//! Operators list failures of all organizations at once. Other callers cannot.

use kit::sink::Sink;
use kit::stack::{Caller, Launch, Organization, Stack};
use serde_json::{Value, json};

use crate::stage::{self, texts};

/// Two organizations with trouble in a Waybill of their own, so that lists hold nothing else.
struct Fixture {
    stack: Stack,
    /// Where the deliveries go, for as long as it is held.
    sink: Sink,
    operator: Caller,
    acme: Organization,
    globex: Organization,
    failed: [String; 2],
    skipped: String,
    succeeded: String,
    destination: String,
    message: String,
}

async fn trouble() -> Fixture {
    let stack = Launch::of(env!("CARGO_BIN_EXE_waybill")).start().await;
    let sink = Sink::start().await;
    let (acme, globex) = (
        stack.organization("Acme").await,
        stack.organization("Globex").await,
    );
    let mut failed = Vec::new();
    let mut last = None;
    for organization in [&acme, &globex] {
        sink.answers([204]);
        let destination = organization
            .destination()
            .webhook(&sink)
            .retries(0)
            .create()
            .await;
        sink.answers([400]);
        let message = organization.send([&destination], json!(1)).await;
        let delivery = message.delivery(0).settles().await;
        assert_eq!(delivery["status"], "failed", "{delivery}");
        failed.push(delivery["id"].as_str().unwrap().to_owned());
        last = Some((destination, message));
    }
    let (destination, message) = last.unwrap();
    sink.answers([204]);
    let good = acme.destination().webhook(&sink).create().await;
    let succeeded = acme
        .send([&good], json!(2))
        .await
        .delivery(0)
        .settles()
        .await;
    assert_eq!(succeeded["status"], "succeeded", "{succeeded}");
    good.action("disable", json!({})).await.ok(200);
    let skipped = acme
        .send([&good], json!(3))
        .await
        .delivery(0)
        .settles()
        .await;
    assert_eq!(skipped["status"], "skipped", "{skipped}");
    let id = |delivery: &Value| delivery["id"].as_str().unwrap().to_owned();
    Fixture {
        operator: stack.operator(),
        failed: failed.try_into().unwrap(),
        skipped: id(&skipped),
        succeeded: id(&succeeded),
        destination: destination.id,
        message: message.id,
        stack,
        sink,
        acme,
        globex,
    }
}

#[tokio::test]
async fn an_operator_lists_what_is_wrong_in_all_organizations_newest_first() {
    let Fixture {
        operator,
        acme,
        globex,
        failed: [of_acme, of_globex],
        skipped,
        succeeded,
        stack,
        sink,
        ..
    } = trouble().await;
    let found = operator.list("/v1/deliveries?status=failed").await;
    assert_eq!(texts(&found, "id"), [of_globex.as_str(), &of_acme]);
    assert_eq!(
        texts(&found, "organization_id"),
        [globex.id.as_str(), &acme.id]
    );
    let paged = operator
        .list("/v1/deliveries?status=skipped&status=failed&status=retrying&limit=1")
        .await;
    assert_eq!(
        texts(&paged, "id"),
        [skipped.as_str(), &of_globex, &of_acme]
    );
    let of_one = operator
        .list(&format!(
            "/v1/deliveries?status=failed&organization_id={}",
            acme.id
        ))
        .await;
    assert_eq!(texts(&of_one, "id"), [of_acme.as_str()]);
    let narrowed = operator
        .list("/v1/deliveries?status=failed&event_type=invoice.paid")
        .await;
    assert!(narrowed.is_empty(), "{narrowed:?}");

    let page = operator
        .get("/v1/deliveries?status=failed&limit=1")
        .await
        .ok(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    acme.get(&format!(
        "/v1/deliveries?status=failed&limit=1&cursor={cursor}"
    ))
    .await
    .problem(400, "invalid_cursor");

    // A delivery that succeeds after all leaves the list.
    let retried = operator
        .post(
            &format!("/v1/deliveries/{of_acme}/retry?organization_id={}", acme.id),
            json!({}),
        )
        .await;
    retried.ok(202);
    stage::until("it leaves the list", async || {
        let found = operator
            .list("/v1/deliveries?status=failed&status=retrying")
            .await;
        (texts(&found, "id") == [of_globex.as_str()]).then_some(())
    })
    .await;
    assert!(
        !texts(&operator.list("/v1/deliveries?status=failed").await, "id").contains(&succeeded)
    );
    drop((stack, sink));
}

#[tokio::test]
async fn lists_of_one_organization_require_its_id() {
    let operator = stage::stack().await.operator();
    let needs_one = [
        "/v1/deliveries",
        "/v1/deliveries?status=succeeded",
        "/v1/deliveries?status=failed&status=queued",
        "/v1/deliveries?status=cancelled",
        "/v1/destinations",
        "/v1/messages",
        "/v1/jobs",
        "/v1/stats",
    ];
    for path in needs_one {
        let problem = operator
            .get(path)
            .await
            .problem(422, "organization_required");
        assert_eq!(
            problem["errors"][0]["parameter"], "organization_id",
            "{path}: {problem}"
        );
    }
}

#[tokio::test]
async fn an_operator_reads_by_id_without_naming_the_organization() {
    let Fixture {
        operator,
        globex,
        failed: [_, failed],
        destination,
        message,
        stack,
        ..
    } = trouble().await;
    for path in [
        format!("/v1/deliveries/{failed}"),
        format!("/v1/messages/{message}"),
        format!("/v1/destinations/{destination}"),
    ] {
        let found = operator.get(&path).await.ok(200);
        assert_eq!(found["organization_id"], globex.id.as_str(), "{path}");
        assert_eq!(
            found,
            operator
                .get(&format!("{path}?organization_id={}", globex.id))
                .await
                .ok(200),
            "{path}"
        );
        let unknown = format!(
            "{}{}",
            &path[..path.len() - 1],
            if path.ends_with('0') { '1' } else { '0' }
        );
        operator.get(&unknown).await.problem(404, "not_found");
    }
    operator
        .get("/v1/deliveries/nonsense")
        .await
        .problem(404, "not_found");
    // What changes something still says for whom.
    operator
        .post(&format!("/v1/deliveries/{failed}/retry"), json!({}))
        .await
        .problem(422, "organization_required");
    operator
        .get(&format!("/v1/messages/{message}/payload"))
        .await
        .problem(422, "organization_required");
    drop(stack);
}

#[tokio::test]
async fn an_operator_reads_alerts_and_the_audit_trail_of_all_organizations() {
    let Fixture {
        operator,
        acme,
        globex,
        stack,
        ..
    } = trouble().await;
    for organization in [&acme, &globex] {
        organization
            .settings(json!({"failure_policy": {"alert_after_failures": 1}}))
            .await
            .ok(200);
    }
    let alerts = stage::within(30, "each has an alert", async || {
        let found = operator.list("/v1/alerts?limit=1").await;
        let of = |id: &str| found.iter().any(|alert| alert["organization_id"] == id);
        (of(&acme.id) && of(&globex.id)).then_some(found)
    })
    .await;
    let one = operator
        .list(&format!("/v1/alerts?organization_id={}", globex.id))
        .await;
    let expected: Vec<&Value> = alerts
        .iter()
        .filter(|alert| alert["organization_id"] == globex.id.as_str())
        .collect();
    assert_eq!(one.iter().collect::<Vec<_>>(), expected);

    let events = operator
        .list("/v1/audit-events?action=destination.created&limit=2")
        .await;
    assert_eq!(
        texts(&events, "organization_id"),
        [acme.id.as_str(), &globex.id, &acme.id],
        "{events:?}"
    );
    let all = operator.list("/v1/audit-events?limit=7").await;
    let ids = texts(&all, "id");
    assert!(
        ids.is_sorted_by(|newer, older| newer > older),
        "newest first, each once: {ids:?}"
    );
    let sum =
        acme.list("/v1/audit-events").await.len() + globex.list("/v1/audit-events").await.len();
    assert!(all.len() >= sum, "{} of {sum}", all.len());
    let since = events[0]["at"].as_str().unwrap().replace('+', "%2B");
    let later = operator
        .list(&format!(
            "/v1/audit-events?since={since}&action=destination.created"
        ))
        .await;
    assert_eq!(texts(&later, "id"), [events[0]["id"].as_str().unwrap()]);
    drop(stack);
}

#[tokio::test]
async fn no_key_of_an_organization_sees_another_organization_without_naming_it() {
    let Fixture {
        acme,
        globex,
        failed: [_, failed],
        destination,
        message,
        stack,
        ..
    } = trouble().await;
    for role in ["admin", "manager", "sender", "viewer"] {
        let caller = acme.key(role).await.caller;
        for path in [
            format!("/v1/deliveries/{failed}"),
            format!("/v1/messages/{message}"),
            format!("/v1/destinations/{destination}"),
        ] {
            let answer = caller.get(&path).await;
            assert!(
                [403, 404].contains(&answer.status),
                "{role} {path}: {}",
                answer.text()
            );
        }
        for path in [
            "/v1/deliveries?status=failed",
            "/v1/alerts",
            "/v1/audit-events",
        ] {
            let answer = caller.get(path).await;
            assert!(
                answer.status == 403 || !answer.text().contains(&globex.id),
                "{role} {path}: {}",
                answer.text()
            );
        }
        caller
            .get("/v1/organizations?name=glo")
            .await
            .problem(403, "forbidden");
    }
    drop(stack);
}

#[tokio::test]
async fn organizations_are_found_by_the_beginning_of_their_name_or_external_id() {
    let operator = stage::stack().await.operator();
    let mut ids = Vec::new();
    for (name, external_id) in [
        ("Quokka Reports", "cust-1"),
        ("Other", "quok-77"),
        ("Not a quokka", "cust-2"),
    ] {
        let body = json!({"name": name, "external_id": external_id});
        ids.push(
            operator.post("/v1/organizations", body).await.ok(201)["id"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    for query in ["name=quok", "name=Quok&limit=1", "name=QUOK&sort=health"] {
        let found = operator.list(&format!("/v1/organizations?{query}")).await;
        assert_eq!(texts(&found, "id"), ids[..2], "{query}");
    }
    assert!(
        operator
            .list("/v1/organizations?name=quokka%20r")
            .await
            .len()
            == 1
    );
    assert!(
        operator
            .list("/v1/organizations?name=uokka")
            .await
            .is_empty()
    );
    operator
        .get("/v1/organizations?name=")
        .await
        .problem(422, "validation_failed");
}
