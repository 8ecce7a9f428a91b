//! Queues, and the mappings that invoke a function with their messages.

use local_aws::sqs::{QueueSpec, Redrive};
use serde::Deserialize;

use super::property::{AwsOnly, Number};

/// The defaults of SQS for what a template leaves out.
const VISIBILITY_TIMEOUT_SECONDS: Number = Number(30);
const MESSAGE_RETENTION_SECONDS: Number = Number(345_600);
/// The default of Lambda's event source mappings.
const BATCH_SIZE: Number = Number(10);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "the list of what is understood; some of it matters on AWS only"
)]
pub(super) struct QueueProperties {
    visibility_timeout: Option<Number>,
    message_retention_period: Option<Number>,
    delay_seconds: Option<Number>,
    receive_message_wait_time_seconds: Option<Number>,
    redrive_policy: Option<RedriveProperties>,
    sqs_managed_sse_enabled: Option<AwsOnly>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RedriveProperties {
    dead_letter_target_arn: String,
    max_receive_count: Number,
}

impl QueueProperties {
    pub(super) fn spec(self, name: String) -> QueueSpec {
        QueueSpec {
            name,
            visibility_timeout_seconds: self
                .visibility_timeout
                .unwrap_or(VISIBILITY_TIMEOUT_SECONDS)
                .0,
            message_retention_seconds: self
                .message_retention_period
                .unwrap_or(MESSAGE_RETENTION_SECONDS)
                .0,
            delay_seconds: self.delay_seconds.unwrap_or(Number(0)).0,
            receive_wait_seconds: self
                .receive_message_wait_time_seconds
                .unwrap_or(Number(0))
                .0,
            redrive: self.redrive_policy.map(|policy| Redrive {
                dead_letter_queue: last_part(&policy.dead_letter_target_arn).to_owned(),
                max_receive_count: policy.max_receive_count.0,
            }),
        }
    }
}

/// A mapping of a queue to a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The ARN of the queue.
    pub queue_arn: String,
    /// The physical name of the function.
    pub function: String,
    /// The most messages of one invocation.
    pub batch_size: u32,
    /// The most concurrent invocations; `None` for no limit.
    pub maximum_concurrency: Option<u32>,
    /// Whether the function's response names the messages that failed.
    pub reports_item_failures: bool,
}

impl Mapping {
    /// Returns the URL of the queue, which is derived from its ARN.
    pub fn queue_url(&self) -> String {
        let mut parts = self.queue_arn.splitn(6, ':').skip(3);
        let (region, account, name) = (parts.next(), parts.next(), parts.next());
        format!(
            "https://sqs.{}.amazonaws.com/{}/{}",
            region.unwrap_or_default(),
            account.unwrap_or_default(),
            name.unwrap_or_default()
        )
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct MappingProperties {
    event_source_arn: String,
    function_name: String,
    batch_size: Option<Number>,
    #[serde(default)]
    function_response_types: Vec<ResponseType>,
    scaling_config: Option<ScalingProperties>,
}

#[derive(Deserialize, PartialEq)]
enum ResponseType {
    ReportBatchItemFailures,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ScalingProperties {
    maximum_concurrency: Number,
}

impl MappingProperties {
    pub(super) fn mapping(self) -> Result<Mapping, String> {
        if !self.event_source_arn.starts_with("arn:aws:sqs:") {
            return Err(format!(
                "{} is no queue, and no other source is supported",
                self.event_source_arn
            ));
        }
        Ok(Mapping {
            queue_arn: self.event_source_arn,
            function: last_part(&self.function_name).to_owned(),
            batch_size: self.batch_size.unwrap_or(BATCH_SIZE).0,
            maximum_concurrency: self
                .scaling_config
                .map(|scaling| scaling.maximum_concurrency.0),
            reports_item_failures: self
                .function_response_types
                .contains(&ResponseType::ReportBatchItemFailures),
        })
    }
}

fn last_part(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}
