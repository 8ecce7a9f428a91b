//! The jobs' own queue: which job somebody asked for, or is to go on.

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use domain::id::{JobId, OrganizationId};
use serde::{Deserialize, Serialize};

use crate::QueueError;

/// What the jobs function is asked to do. The job's record says the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobTask {
    /// Whose job it is.
    #[serde(rename = "o")]
    pub organization: OrganizationId,
    /// Which.
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
    /// The queue behind this URL.
    #[must_use]
    pub fn new(aws: &SdkConfig, url: String) -> Self {
        Self { client: Client::new(aws), url }
    }

    /// Asks for a job, or for more of it. Each organization is a fair-queue group of its own.
    pub async fn send(&self, task: JobTask) -> Result<(), QueueError> {
        let body = serde_json::to_string(&task).expect("ids can be written as JSON");
        let call = self.client.send_message().queue_url(&self.url).message_body(body).message_group_id(task.organization.to_string());
        call.send().await.map_err(QueueError::of("take a job"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_task_of_an_earlier_version_is_read_and_is_still_written_so() {
        const BODY: &str = r#"{"o":"org_01kavd83802s63efghp3q1cpj4","j":"job_01kavd83802s63efghp3q1cpj4"}"#;
        let task: JobTask = serde_json::from_str(BODY).unwrap();
        assert_eq!(task.job.to_string(), "job_01kavd83802s63efghp3q1cpj4");
        assert_eq!(serde_json::to_string(&task).unwrap(), BODY);
    }
}
