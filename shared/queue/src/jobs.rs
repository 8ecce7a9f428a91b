//! The queue of the jobs function, which names the jobs to start or continue.

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use domain::id::{JobId, OrganizationId};
use serde::{Deserialize, Serialize};

use crate::QueueError;

/// A task of the jobs function. The job's record contains everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobTask {
    /// The organization that owns the job.
    #[serde(rename = "o")]
    pub organization: OrganizationId,
    /// The id of the job.
    #[serde(rename = "j")]
    pub job: JobId,
}

/// The queue of jobs.
#[derive(Clone, Debug)]
pub struct JobQueue {
    client: Client,
    url: String,
}

impl JobQueue {
    /// Creates the queue with this URL.
    #[must_use]
    pub fn new(aws: &SdkConfig, url: String) -> Self {
        Self {
            client: Client::new(aws),
            url,
        }
    }

    /// Sends a task to start or continue a job. Each organization has its own message group.
    pub async fn send(&self, task: JobTask) -> Result<(), QueueError> {
        let body = serde_json::to_string(&task).expect("ids can be written as JSON");
        let call = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .message_group_id(task.organization.to_string());
        call.send().await.map_err(QueueError::of("accept a job"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_task_of_an_earlier_version_is_read_and_is_still_written_so() {
        const BODY: &str =
            r#"{"o":"org_01kavd83802s63efghp3q1cpj4","j":"job_01kavd83802s63efghp3q1cpj4"}"#;
        let task: JobTask = serde_json::from_str(BODY).unwrap();
        assert_eq!(task.job.to_string(), "job_01kavd83802s63efghp3q1cpj4");
        assert_eq!(serde_json::to_string(&task).unwrap(), BODY);
    }
}
