//! The format of tasks in the queues.

use domain::id::{DeliveryId, DestinationId, OrganizationId};
use serde::{Deserialize, Serialize};

/// A task of a worker: a delivery, as of a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The organization that owns the delivery.
    #[serde(rename = "o")]
    pub organization: OrganizationId,
    /// The id of the delivery.
    #[serde(rename = "d")]
    pub delivery: DeliveryId,
    /// The destination of the delivery, so that one read fetches both.
    #[serde(rename = "t")]
    pub destination: DestinationId,
    /// The delivery's generation when the task was sent.
    #[serde(rename = "g")]
    pub generation: u32,
    /// Whether the payload is a separate item, which is fetched in the same read.
    #[serde(rename = "p", default)]
    pub payload_item: bool,
}

/// The number of message groups of an organization in one queue (decision 23).
const GROUPS_PER_ORGANIZATION: u32 = 4;

/// Why a body cannot be parsed by this version.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableTask {
    /// The body is not JSON in the expected format.
    #[error("the task cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// The body was written by a version that this one does not support.
    #[error("the task has version {0}; this worker reads version 1")]
    Version(u32),
}

/// Version 1, which every release so far has written.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    v: u32,
    #[serde(flatten)]
    task: T,
}

impl Task {
    /// Returns the message group, by which SQS balances the queue: one of a few of the
    /// organization, the same for all tasks of a destination. An organization with more
    /// destinations does not get a larger share.
    #[must_use]
    pub fn group(&self) -> String {
        // FNV-1a does not change with the release of a library, so the tasks of a destination stay
        // together across deployments.
        let hash = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        let hash = self.destination.to_string().bytes().fold(0x811c_9dc5, hash);
        format!(
            "{}/{}",
            self.organization,
            (hash >> 16) % GROUPS_PER_ORGANIZATION
        )
    }

    /// Returns the message body.
    #[must_use]
    pub fn to_body(&self) -> String {
        serde_json::to_string(&Envelope {
            v: VERSION,
            task: self,
        })
        .expect("ids and numbers can be written as JSON")
    }

    /// Parses a message body.
    pub fn from_body(body: &str) -> Result<Self, UnreadableTask> {
        let envelope: Envelope<serde_json::Map<String, serde_json::Value>> =
            serde_json::from_str(body)?;
        match envelope.v {
            VERSION => Ok(serde_json::from_value(envelope.task.into())?),
            other => Err(UnreadableTask::Version(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YESTERDAY: &str = r#"{"v":1,"o":"org_01kavd83802s63efghp3q1cpj4","d":"dlv_01kavd83802s63efghp3q1cpj4_00","t":"dst_01kavd83802s63efghp3q1cpj4","g":3,"p":true}"#;

    #[test]
    fn yesterdays_task_still_reads() {
        let task = Task::from_body(YESTERDAY).unwrap();
        assert_eq!((task.generation, task.payload_item), (3, true));
        assert_eq!(task.to_body(), YESTERDAY);
    }

    #[test]
    fn an_invalid_task_is_distinguished_from_a_newer_one() {
        assert!(matches!(
            Task::from_body("hello"),
            Err(UnreadableTask::Malformed(_))
        ));
        assert!(matches!(
            Task::from_body(r#"{"v":1}"#),
            Err(UnreadableTask::Malformed(_))
        ));
        assert!(matches!(
            Task::from_body(r#"{"v":2,"anything":1}"#),
            Err(UnreadableTask::Version(2))
        ));
    }
}
