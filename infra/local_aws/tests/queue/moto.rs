//! moto as a backend of the contract: one server, and two queues per fixture.

use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName as Name;
use kit::contracts::queue::{Backend, QueueFixture, Shape};
use kit::moto::Moto;

pub(super) struct MotoQueues {
    client: Client,
    made: AtomicU32,
    _server: Moto,
}

impl MotoQueues {
    pub(super) fn start() -> Self {
        let server = Moto::start();
        Self {
            client: Client::new(&server.sdk_config()),
            made: AtomicU32::new(0),
            _server: server,
        }
    }
}

impl Backend for MotoQueues {
    async fn fixture(&self, shape: Shape) -> QueueFixture {
        let name = format!("work-{:03}", self.made.fetch_add(1, Ordering::Relaxed));
        let dead_letters = self
            .client
            .create_queue()
            .queue_name(format!("dead-{name}"))
            .send()
            .await
            .unwrap();
        let dead_letters_url = dead_letters.queue_url.unwrap();
        let described = self
            .client
            .get_queue_attributes()
            .queue_url(&dead_letters_url)
            .attribute_names(Name::QueueArn)
            .send()
            .await
            .unwrap();
        let arn = &described.attributes.unwrap()[&Name::QueueArn];
        let redrive = serde_json::json!({ "deadLetterTargetArn": arn,
            "maxReceiveCount": shape.max_receives });
        let queue = self
            .client
            .create_queue()
            .queue_name(&name)
            .attributes(
                Name::VisibilityTimeout,
                shape.visibility_seconds.to_string(),
            )
            .attributes(Name::DelaySeconds, shape.delay_seconds.to_string())
            .attributes(
                Name::ReceiveMessageWaitTimeSeconds,
                shape.wait_seconds.to_string(),
            )
            .attributes(Name::RedrivePolicy, redrive.to_string())
            .send()
            .await
            .unwrap();
        QueueFixture {
            client: self.client.clone(),
            name,
            url: queue.queue_url.unwrap(),
            dead_letters_url,
        }
    }
}
