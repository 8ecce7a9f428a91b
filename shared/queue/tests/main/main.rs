//! Tests how tasks appear to SQS, whose fair queues use message groups.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::MessageSystemAttributeName;
use domain::settings::{DestinationType, PerLane};
use local_aws::sqs::QueueSpec;
use local_aws::{Caller, Engines, Options, Resources};
use queue::{Inbox, Outgoing, Queues, Task};
use telemetry::propagation;

const ACME: &str = "org_01kavd83802s63efghp3q1cpj4";
const GLOBEX: &str = "org_01kavd83802s63efghp3q1cpj8";

struct Fixture {
    engines: Engines,
    url: String,
    _data: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let tasks = QueueSpec {
            name: "tasks".to_owned(),
            visibility_timeout_seconds: 540,
            message_retention_seconds: 3_600,
            delay_seconds: 0,
            receive_wait_seconds: 0,
            redrive: None,
        };
        let resources = Resources {
            queues: vec![tasks],
            ..Resources::empty()
        };
        let engines = Engines::open(data.path(), &resources, Options::local()).unwrap();
        Self {
            url: engines.queue_url("tasks"),
            engines,
            _data: data,
        }
    }

    /// Sends a task for each destination of an organization.
    async fn send(&self, organization: &str, destinations: std::ops::Range<u32>) {
        let outgoing: Vec<Outgoing> = destinations
            .map(|number| Outgoing {
                destination_type: DestinationType::Webhook,
                task: task(organization, number),
                delay_seconds: 0,
            })
            .collect();
        let aws = self.engines.sdk_config(Caller::unlimited("test"));
        assert!(
            Queues::new(&aws, PerLane::each(|_| self.url.clone()))
                .send(&outgoing)
                .await
                .is_empty()
        );
    }

    /// Receives all tasks, with the group and subgroup of each.
    async fn received(&self) -> Vec<(Task, String, String)> {
        let client = Client::new(&self.engines.sdk_config(Caller::unlimited("test")));
        let mut all = Vec::new();
        loop {
            let receive = client
                .receive_message()
                .queue_url(&self.url)
                .max_number_of_messages(10)
                .message_attribute_names("All");
            let answer = receive
                .message_system_attribute_names(MessageSystemAttributeName::All)
                .send()
                .await
                .unwrap();
            if answer.messages().is_empty() {
                return all;
            }
            for message in answer.messages() {
                let group = message.attributes().unwrap()
                    [&MessageSystemAttributeName::MessageGroupId]
                    .clone();
                let subgroup = message.message_attributes().unwrap()["place"]
                    .string_value()
                    .unwrap()
                    .to_owned();
                all.push((
                    Task::from_body(message.body().unwrap()).unwrap(),
                    group,
                    subgroup,
                ));
            }
        }
    }
}

fn task(organization: &str, destination: u32) -> Task {
    Task {
        organization: organization.parse().unwrap(),
        delivery: format!("dlv_01kavd83802s63efghp3q1{destination:04}_00")
            .parse()
            .unwrap(),
        destination: format!("dst_01kavd83802s63efghp3q1{destination:04}")
            .parse()
            .unwrap(),
        generation: 0,
        payload_item: false,
    }
}

#[tokio::test]
async fn an_organization_has_at_most_four_groups_of_its_own() {
    let queue = Fixture::new();
    queue.send(ACME, 0..200).await;
    queue.send(GLOBEX, 0..200).await;
    let mut groups = BTreeMap::<String, BTreeSet<String>>::new();
    let received = queue.received().await;
    assert_eq!(received.len(), 400);
    for (task, group, _) in received {
        groups
            .entry(task.organization.to_string())
            .or_default()
            .insert(group);
    }
    for (organization, groups) in &groups {
        let expected: BTreeSet<String> = (0..4)
            .map(|number| format!("{organization}/{number}"))
            .collect();
        assert_eq!(
            *groups, expected,
            "and its destinations are spread over all of them"
        );
    }
}

#[tokio::test]
async fn all_tasks_of_a_destination_are_in_one_group_and_name_it_as_their_subgroup() {
    let queue = Fixture::new();
    queue.send(ACME, 7..8).await;
    queue.send(ACME, 7..8).await;
    let aws = queue.engines.sdk_config(Caller::unlimited("test"));
    Inbox::new(&aws, queue.url.clone(), queue.url.clone())
        .send_again(&task(ACME, 7), None, Duration::ZERO)
        .await
        .unwrap();
    let received = queue.received().await;
    let seen: BTreeSet<(String, String)> = received
        .iter()
        .map(|(_, group, subgroup)| (group.clone(), subgroup.clone()))
        .collect();
    assert_eq!((received.len(), seen.len()), (3, 1), "{seen:?}");
    assert_eq!(received[0].2, received[0].0.destination.to_string());
}

#[tokio::test]
async fn a_task_that_is_sent_again_continues_the_same_span() {
    let queue = Fixture::new();
    let aws = queue.engines.sdk_config(Caller::unlimited("test"));
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let cause = propagation::extract(|name| {
        (name == propagation::TRACEPARENT).then(|| traceparent.to_owned())
    });
    assert!(cause.is_some());
    let inbox = Inbox::new(&aws, queue.url.clone(), queue.url.clone());
    inbox
        .send_again(&task(ACME, 7), cause.as_ref(), Duration::ZERO)
        .await
        .unwrap();
    let client = Client::new(&aws);
    let received = client
        .receive_message()
        .queue_url(&queue.url)
        .message_attribute_names("All")
        .send()
        .await
        .unwrap();
    let attributes = received.messages()[0].message_attributes().unwrap();
    assert_eq!(
        attributes[propagation::TRACEPARENT].string_value(),
        Some(traceparent)
    );
}
