//! Requests whose later writes fail: either everything takes effect, or a repeat completes it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::Timestamp;
use domain::alert_email::{ConfirmationAnswer, ConfirmationRequest};
use domain::audit::AuditEvent;
use domain::destination::{DestinationState, DisabledBy};
use domain::id::{DestinationId, OrganizationId, Ulid};
use local_aws::{Call, Fault, Service};
use serde_json::{Value, json};
use store::{DUE_PARTITIONS, FAILING_PARTITIONS, Saved, Store, Watched};

use crate::fixture::{Deployment, WORKER};

const HOUR: Duration = Duration::from_secs(3600);

fn now(deployment: &Deployment) -> Timestamp {
    Timestamp::from_millis(deployment.now_ms.load(Ordering::Relaxed))
}

/// Makes every write of a single item fail, but no transaction.
fn single_writes_fail(call: &Call) -> Fault {
    match &*call.operation {
        "DeleteItem" | "PutItem" | "UpdateItem" => Fault::throttled(),
        _ => Fault::None,
    }
}

fn id_of(destination: &Value) -> DestinationId {
    destination["id"].as_str().unwrap().parse().unwrap()
}

/// Returns whether the monitor watches a destination because of its failures or its deletion.
async fn is_watched(store: &Store, id: DestinationId) -> bool {
    for partition in 0..FAILING_PARTITIONS {
        let watched = store.watched(partition).await.unwrap();
        let is_it = |watched: &Watched| matches!(watched, Watched::Destination(_, it) if *it == id);
        if watched.iter().any(is_it) {
            return true;
        }
    }
    false
}

/// Gives a turn after which the next one is an hour later.
async fn give_long_turn(deployment: &Deployment, id: DestinationId) {
    let at = now(deployment);
    deployment.store().next_turn(id, at, HOUR).await.unwrap();
}

/// Returns whether the next turn is due at once and waiting deliveries are to be released.
async fn turns_begin_again(deployment: &Deployment, id: DestinationId) -> bool {
    let (store, at) = (deployment.store(), now(deployment));
    let reset = store.turns_reset(id).await.unwrap();
    let turn = store.next_turn(id, at, Duration::from_secs(1)).await;
    turn.unwrap() == at && reset.is_some()
}

#[tokio::test]
async fn turns_begin_again_with_the_change_of_a_limit_whatever_fails_afterwards() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let id = id_of(&admin.destination("a").await);
    let limited = |per_second| json!({"delivery_limits": {"max_per_second": per_second}});
    let path = format!("/v1/destinations/{id}");
    assert_eq!(admin.patch(&path, limited(0.1)).await.status, 200);
    give_long_turn(&deployment, id).await;
    deployment.engines.install_faults(single_writes_fail);
    assert_eq!(admin.patch(&path, limited(2.0)).await.status, 200);
    deployment.engines.clear_faults();
    assert!(turns_begin_again(&deployment, id).await);
}

#[tokio::test]
async fn a_repeat_of_a_change_of_the_default_limits_completes_what_failed() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let id = id_of(&admin.destination("a").await);
    give_long_turn(&deployment, id).await;
    let change = json!({"settings": {"delivery_limits": {"max_per_second": 2.0}}});
    deployment.engines.install_faults(single_writes_fail);
    let failed = admin.patch("/v1/organization", change.clone()).await;
    assert_eq!(failed.status, 503);
    deployment.engines.clear_faults();
    let repeated = admin.patch("/v1/organization", change).await;
    assert_eq!(repeated.status, 200);
    assert!(turns_begin_again(&deployment, id).await);
}

#[tokio::test]
async fn a_repeat_of_a_change_of_the_failure_policy_lets_destinations_recover() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let id = id_of(&admin.destination("a").await);
    let (organization, store) = (deployment.organization.parse().unwrap(), deployment.store());
    disable(&deployment, organization, id).await;
    let change = json!({"settings": {"failure_policy": {"auto_recover": true}}});
    deployment.engines.install_faults(single_writes_fail);
    let failed = admin.patch("/v1/organization", change.clone()).await;
    assert_eq!(failed.status, 503);
    deployment.engines.clear_faults();
    assert!(!is_watched(&store, id).await);
    let repeated = admin.patch("/v1/organization", change).await;
    assert_eq!(repeated.status, 200);
    assert!(is_watched(&store, id).await);
}

/// Disables a destination as failures do. The monitor does not watch it, because the policy does
/// not let it recover.
async fn disable(deployment: &Deployment, organization: OrganizationId, id: DestinationId) {
    let (store, at) = (deployment.store(), now(deployment));
    let before = store.destination(organization, id).await.unwrap().unwrap();
    let mut disabled = before.revised(at);
    disabled.state = DestinationState::Disabled {
        at,
        by: DisabledBy::Failures,
        reason: None,
    };
    let event = AuditEvent::by_system(
        Ulid::first_at(at).into(),
        organization,
        at,
        "destination.disabled",
        id,
    );
    let saved = store
        .save_destination(&disabled, before.revision(), &event)
        .await;
    assert_eq!(saved.unwrap(), Saved::Done);
    let health = store.health(id).await.unwrap();
    store.unwatch_destination(id, &health).await.unwrap();
}

#[tokio::test]
async fn a_repeat_of_a_submission_brings_back_deliveries_whose_tasks_were_not_queued() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let destination = admin.destination("a").await["id"].clone();
    let message = json!({"event_type": "a", "payload": 1, "destination_ids": [destination]});
    let batch = json!({"messages": [message]});
    let submissions = [("/v1/messages", message), ("/v1/messages/batch", batch)];
    for (earlier, (path, body)) in submissions.into_iter().enumerate() {
        // As if the process stopped after it had committed the message.
        deployment
            .engines
            .install_faults(|call| match call.service {
                Service::Sqs => Fault::unavailable(),
                _ if call.operation == "UpdateItem" => Fault::throttled(),
                _ => Fault::None,
            });
        let first = admin.post_once(path, path, body.clone()).await;
        assert_eq!(first.status, 202);
        deployment.engines.clear_faults();
        assert_eq!(due_soon(&deployment).await, earlier, "{path}");
        let repeat = admin.post_once(path, path, body).await;
        assert_eq!(repeat.status, 202);
        assert_eq!(due_soon(&deployment).await, earlier + 1, "{path}");
    }
}

/// Returns how many deliveries come due in the next two minutes.
async fn due_soon(deployment: &Deployment) -> usize {
    let (store, from) = (deployment.store(), now(deployment));
    let (mut count, until) = (0, from.plus(Duration::from_secs(120)));
    for partition in 0..DUE_PARTITIONS {
        let due = store.due(partition, until, None, 100).await.unwrap();
        count += due.items.len();
    }
    count
}

#[tokio::test]
async fn a_deleted_destination_is_watched_until_its_deliveries_are_skipped_whatever_fails() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let id = id_of(&admin.destination("a").await);
    deployment.engines.install_faults(single_writes_fail);
    let deleted = admin.delete(&format!("/v1/destinations/{id}")).await;
    assert_eq!(deleted.status, 204);
    deployment.engines.clear_faults();
    assert!(is_watched(&deployment.store(), id).await);
}

#[tokio::test]
async fn a_confirmation_that_was_not_mailed_is_mailed_when_the_addresses_are_saved_again() {
    let deployment = Deployment::with(&[("ALERT_FROM", "alerts@waybill.example")]).await;
    let admin = deployment.admin();
    let mails = Arc::new(AtomicUsize::new(0));
    let (sent, links) = (mails.clone(), Arc::new(Mutex::new(Vec::new())));
    let mailed_links = links.clone();
    deployment
        .engines
        .functions()
        .register(WORKER, move |request| {
            let request: ConfirmationRequest = serde_json::from_slice(&request).unwrap();
            mailed_links.lock().unwrap().push(request.confirmation.link);
            let answer = ConfirmationAnswer {
                mailed: sent.fetch_add(1, Ordering::Relaxed) > 0,
                detail: String::new(),
            };
            Box::pin(async move { Ok(serde_json::to_vec(&answer).unwrap().into()) })
        });
    let change = json!({"settings": {"alert_emails": ["ops@acme.example"]}});
    deployment
        .engines
        .install_faults(|call| match &*call.operation {
            "DeleteItem" => Fault::throttled(),
            _ => Fault::None,
        });
    for saves in [1, 2, 2] {
        let saved = admin.patch("/v1/organization", change.clone()).await;
        assert_eq!(saved.status, 200);
        assert_eq!(
            mails.load(Ordering::Relaxed),
            saves,
            "no mail after one that was sent"
        );
    }
    let link = links.lock().unwrap()[1].clone();
    let token = link.rsplit('/').next().unwrap();
    let confirmed = deployment.operations.address_to_confirm(token).await;
    assert_eq!(confirmed.unwrap().unwrap().address, "ops@acme.example");
}
