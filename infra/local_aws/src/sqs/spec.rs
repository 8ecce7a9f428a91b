//! What a queue is made from, and the directory of the queues that were made.

use std::collections::BTreeMap;

use tokio::sync::Notify;

use super::OpenError;
use super::refusal::Refusal;

/// One standard queue, as a template declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSpec {
    /// The queue's physical name.
    pub name: String,
    /// How long a received message stays hidden when the receiver does not say.
    pub visibility_timeout_seconds: u32,
    /// How long an unread message is kept.
    pub message_retention_seconds: u32,
    /// How long a sent message stays hidden when the sender does not say.
    pub delay_seconds: u32,
    /// How long a receive waits for a message when the receiver does not say.
    pub receive_wait_seconds: u32,
    /// Where messages go that were received too often.
    pub redrive: Option<Redrive>,
}

/// When a message leaves its queue for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    /// The name of the dead-letter queue, which must be among the queues opened together.
    pub dead_letter_queue: String,
    /// The receive after this many moves the message instead of returning it.
    pub max_receive_count: u32,
}

/// A queue's place in the [`Directory`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct QueueId(pub(super) usize);

/// A queue that was opened: its description, its addresses, and the bell that wakes its long polls.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) spec: QueueSpec,
    pub(super) url: String,
    pub(super) arn: String,
    pub(super) dead_letters: Option<DeadLetters>,
    pub(super) bell: Notify,
}

/// A [`Redrive`] whose queue was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeadLetters {
    pub(super) queue: QueueId,
    pub(super) max_receive_count: u32,
}

/// All queues of one engine; it never changes while the engine is open.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) account: String,
    pub(super) opened_at_seconds: u64,
    queues: Vec<Queue>,
    by_name: BTreeMap<String, QueueId>,
}

impl Directory {
    pub(super) fn new(specs: &[QueueSpec], account: &str, region: &str, now_ms: u64) -> Result<Self, OpenError> {
        let mut by_name = BTreeMap::new();
        for (place, spec) in specs.iter().enumerate() {
            if by_name.insert(spec.name.clone(), QueueId(place)).is_some() {
                return Err(OpenError::DuplicateQueue { name: spec.name.clone() });
            }
        }
        let queues = specs
            .iter()
            .map(|spec| {
                let dead_letters = spec.redrive.as_ref().map(|redrive| find_dead_letters(&by_name, spec, redrive)).transpose()?;
                Ok(Queue {
                    url: format!("https://sqs.{region}.amazonaws.com/{account}/{}", spec.name),
                    arn: format!("arn:aws:sqs:{region}:{account}:{}", spec.name),
                    dead_letters,
                    bell: Notify::new(),
                    spec: spec.clone(),
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { account: account.to_owned(), opened_at_seconds: now_ms / 1000, queues, by_name })
    }

    pub(super) fn named(&self, name: &str) -> Option<QueueId> {
        self.by_name.get(name).copied()
    }

    /// The queue behind a URL. Only the path counts: a gateway's URLs have another host.
    pub(super) fn at_url(&self, url: Option<&str>) -> Result<QueueId, Refusal> {
        let url = url.ok_or(Refusal::MissingParameter("QueueUrl"))?;
        let mut segments = url.trim_end_matches('/').rsplit('/');
        let (Some(name), Some(account)) = (segments.next(), segments.next()) else {
            return Err(Refusal::InvalidAddress(url.to_owned()));
        };
        if account != self.account {
            return Err(Refusal::QueueDoesNotExist);
        }
        self.named(name).ok_or(Refusal::QueueDoesNotExist)
    }

    pub(super) fn get(&self, id: QueueId) -> &Queue {
        &self.queues[id.0]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (QueueId, &Queue)> {
        self.queues.iter().enumerate().map(|(place, queue)| (QueueId(place), queue))
    }

    /// The queues' names and URLs, in the names' order.
    pub(super) fn by_name(&self) -> impl Iterator<Item = (&str, &Queue)> {
        self.by_name.iter().map(|(name, id)| (name.as_str(), self.get(*id)))
    }
}

fn find_dead_letters(by_name: &BTreeMap<String, QueueId>, spec: &QueueSpec, redrive: &Redrive) -> Result<DeadLetters, OpenError> {
    let queue = by_name
        .get(&redrive.dead_letter_queue)
        .copied()
        .ok_or_else(|| OpenError::NoDeadLetterQueue { name: spec.name.clone(), dead_letter_queue: redrive.dead_letter_queue.clone() })?;
    Ok(DeadLetters { queue, max_receive_count: redrive.max_receive_count })
}
