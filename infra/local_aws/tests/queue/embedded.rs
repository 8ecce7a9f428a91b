//! The embedded engine as a backend of the contract, and as other tests open it.

use std::path::Path;
use std::sync::Arc;

use aws_sdk_sqs::Client;
use kit::contracts::queue::{Backend, QueueFixture, Shape};
use local_aws::sqs::{QueueSpec, Redrive};
use local_aws::{Caller, Durability, Engines, Mode, NowMs, Options, Resources};
use tempfile::TempDir;

/// Creates an engine in memory for every fixture.
pub(super) struct Embedded {
    mode: Mode,
    /// The resources that the engines other than SQS require.
    data: TempDir,
}

impl Embedded {
    pub(super) fn new(mode: Mode) -> Self {
        Self {
            mode,
            data: tempfile::tempdir().unwrap(),
        }
    }

    fn options(&self) -> Options {
        match self.mode {
            Mode::Thread => Options {
                durability: Durability::Memory,
                ..Options::local()
            },
            Mode::Inline => Options::simulated(tokio_clock()),
        }
    }
}

impl Backend for Embedded {
    async fn fixture(&self, shape: Shape) -> QueueFixture {
        let engines = open(self.data.path(), shape, self.options());
        let url = |name: &str| engines.queue_url(name);
        QueueFixture {
            client: client(&engines),
            name: "work".to_owned(),
            url: url("work"),
            dead_letters_url: url("work-dead-letters"),
        }
    }
}

/// Opens engines in a data directory, with a queue `work` of this shape and its dead-letter queue.
pub(super) fn open(data: &Path, shape: Shape, options: Options) -> Engines {
    let resources = Resources {
        queues: specs(shape).into(),
        ..Resources::empty()
    };
    Engines::open(data, &resources, options).unwrap()
}

pub(super) fn client(engines: &Engines) -> Client {
    Client::new(&engines.sdk_config(Caller::unlimited("test")))
}

/// Returns a queue `work` of this shape, and its dead-letter queue.
pub(super) fn specs(shape: Shape) -> [QueueSpec; 2] {
    let work = QueueSpec {
        name: "work".to_owned(),
        visibility_timeout_seconds: shape.visibility_seconds,
        message_retention_seconds: 1_209_600,
        delay_seconds: shape.delay_seconds,
        receive_wait_seconds: shape.wait_seconds,
        redrive: Some(Redrive {
            dead_letter_queue: "work-dead-letters".to_owned(),
            max_receive_count: shape.max_receives,
        }),
    };
    let dead_letters = QueueSpec {
        name: "work-dead-letters".to_owned(),
        delay_seconds: 0,
        receive_wait_seconds: 0,
        redrive: None,
        ..work.clone()
    };
    [work, dead_letters]
}

/// Returns a clock that advances with tokio's, paused or not.
pub(super) fn tokio_clock() -> NowMs {
    let start = tokio::time::Instant::now();
    Arc::new(move || 1_700_000_000_000 + start.elapsed().as_millis() as u64)
}
