//! The description of a queue, and the directory of the queues that were opened.

use std::collections::BTreeMap;

use tokio::sync::Notify;

use super::OpenError;
use super::refusal::Refusal;

/// A standard queue, as a template declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSpec {
    /// The physical name of the queue.
    pub name: String,
    /// The default visibility timeout of received messages.
    pub visibility_timeout_seconds: u32,
    /// How long messages are kept.
    pub message_retention_seconds: u32,
    /// The default delay of sent messages.
    pub delay_seconds: u32,
    /// The default wait time of a receive.
    pub receive_wait_seconds: u32,
    /// The dead-letter queue, if there is one.
    pub redrive: Option<Redrive>,
}

/// When a message is moved to a dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    /// The name of the dead-letter queue, which must be among the queues opened together.
    pub dead_letter_queue: String,
    /// How often a message is received before the next receive moves it.
    pub max_receive_count: u32,
}

/// The position of a queue in the [`Directory`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct QueueId(pub(super) usize);

/// An open queue: its description, its addresses, and the notification of its long polls.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) spec: QueueSpec,
    pub(super) url: String,
    pub(super) arn: String,
    pub(super) dead_letters: Option<DeadLetters>,
    pub(super) bell: Notify,
}

/// A [`Redrive`] with the queue that it refers to.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeadLetters {
    pub(super) queue: QueueId,
    pub(super) max_receive_count: u32,
}

/// All queues of an engine. It never changes while the engine is open.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) account: String,
    pub(super) opened_at_seconds: u64,
    queues: Vec<Queue>,
    by_name: BTreeMap<String, QueueId>,
}

impl Directory {
    pub(super) fn new(
        specs: &[QueueSpec],
        account: &str,
        region: &str,
        now_ms: u64,
    ) -> Result<Self, OpenError> {
        let mut by_name = BTreeMap::new();
        for (index, spec) in specs.iter().enumerate() {
            if by_name.insert(spec.name.clone(), QueueId(index)).is_some() {
                return Err(OpenError::DuplicateQueue {
                    name: spec.name.clone(),
                });
            }
        }
        let queues = specs
            .iter()
            .map(|spec| {
                let dead_letters = spec
                    .redrive
                    .as_ref()
                    .map(|redrive| find_dead_letters(&by_name, spec, redrive))
                    .transpose()?;
                Ok(Queue {
                    url: format!("https://sqs.{region}.amazonaws.com/{account}/{}", spec.name),
                    arn: format!("arn:aws:sqs:{region}:{account}:{}", spec.name),
                    dead_letters,
                    bell: Notify::new(),
                    spec: spec.clone(),
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            account: account.to_owned(),
            opened_at_seconds: now_ms / 1000,
            queues,
            by_name,
        })
    }

    pub(super) fn named(&self, name: &str) -> Option<QueueId> {
        self.by_name.get(name).copied()
    }

    /// Returns the queue of a URL. Only the path is compared, because a gateway's URLs have another
    /// host.
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
        self.queues
            .iter()
            .enumerate()
            .map(|(index, queue)| (QueueId(index), queue))
    }

    /// Returns the queues by name, sorted.
    pub(super) fn by_name(&self) -> impl Iterator<Item = (&str, &Queue)> {
        self.by_name
            .iter()
            .map(|(name, id)| (name.as_str(), self.get(*id)))
    }
}

fn find_dead_letters(
    by_name: &BTreeMap<String, QueueId>,
    spec: &QueueSpec,
    redrive: &Redrive,
) -> Result<DeadLetters, OpenError> {
    let queue = by_name
        .get(&redrive.dead_letter_queue)
        .copied()
        .ok_or_else(|| OpenError::NoDeadLetterQueue {
            name: spec.name.clone(),
            dead_letter_queue: redrive.dead_letter_queue.clone(),
        })?;
    Ok(DeadLetters {
        queue,
        max_receive_count: redrive.max_receive_count,
    })
}
