//! What the idempotency claim of a submission records: enough to send the same deliveries again,
//! and to return the same response again.

use dispatch::Target;
use domain::id::{DestinationId, MessageId};
use domain::settings::DestinationType;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Refusal;
use crate::view::delivery::Pauses;

/// The id and the targets of a message, as its claim records them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Recorded {
    #[serde(rename = "m")]
    pub(crate) message: MessageId,
    #[serde(rename = "t")]
    targets: Vec<RecordedTarget>,
    /// The targets that were paused, which the response shows.
    #[serde(rename = "p", default, skip_serializing_if = "Pauses::is_empty")]
    pub(crate) pauses: Pauses,
}

/// A destination, its type, and whether it was enabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct RecordedTarget(DestinationId, DestinationType, bool);

impl Recorded {
    pub(crate) fn new(message: MessageId, targets: &[Target], pauses: Pauses) -> Self {
        let destinations = targets.iter().map(|target| target.destination).collect();
        Self {
            message,
            targets: record_targets(targets),
            pauses: pauses.only(&destinations),
        }
    }

    pub(crate) fn targets(&self) -> Vec<Target> {
        self.targets.iter().map(RecordedTarget::target).collect()
    }

    pub(crate) fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("ids and words can be written as JSON")
    }

    pub(crate) fn from_json(json: Value) -> Result<Self, Refusal> {
        serde_json::from_value(json).map_err(Refusal::internal)
    }
}

impl RecordedTarget {
    pub(crate) fn target(&self) -> Target {
        Target {
            destination: self.0,
            kind: self.1,
            enabled: self.2,
        }
    }
}

pub(crate) fn record_targets(targets: &[Target]) -> Vec<RecordedTarget> {
    targets
        .iter()
        .map(|target| RecordedTarget(target.destination, target.kind, target.enabled))
        .collect()
}
