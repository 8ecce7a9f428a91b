//! The world of one seed: engines, functions, and an organization with three destinations.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use dispatch::{Addition, Dispatcher, ReleaseLimits, Submission, Target};
use domain::alert::AlertKind;
use domain::attempt::Trigger;
use domain::audit::{Actor, AuditEvent};
use domain::check::{CheckReport, CheckStep, StepName};
use domain::delivery::SkipReason;
use domain::destination::{Destination, DestinationState, DisabledBy};
use domain::event_type::EventType;
use domain::id::{DeliveryId, DestinationId, IdMint, MessageId};
use domain::message::{MessageFacts, PayloadInfo};
use domain::organization::{FailurePolicy, Organization, OrganizationSettings};
use domain::retry::RetryPolicy;
use domain::role::Role;
use domain::settings::webhook::{CheckDepth, Signature, WebhookSettings};
use domain::settings::{DestinationType, Lane, PerLane, Settings};
use domain::trace::TraceId;
use domain::waiting::DeliveryLimits;
use domain::{Clock, Random, Timestamp};
use lambda_runtime::Context;
use local_aws::{Caller, Engines, Options, SecretValue};
use queue::{Inbox, JobQueue, JobTask, Queues};
use runtime::{Environment, Platform};
use secrecy::SecretString;
use store::{Added, Job, JobKind, Store};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use worker::{Parts, Worker};

use crate::faults::QUEUE_SERVICE;
use crate::receiver::Receiver;

mod client;
mod polling;

pub use client::{Reply, Request};

/// The timeout of the worker on Lambda; what hangs longer is dropped.
const INVOCATION_MAX: Duration = Duration::from_secs(90);
/// The name of the function that checks destinations, which a test registers.
pub const CHECKS: &str = "Checks";
/// The most concurrent attempts of the second destination.
pub const MAX_CONCURRENT: u32 = 2;
/// The most attempts that start at the third destination within a second.
pub const MAX_PER_SECOND: u32 = 2;
/// The keys that tag ids, the same in every run.
const ID_KEYS: &str =
    r#"{"root":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}"#;
/// When simulated time begins.
const EPOCH_MS: i64 = 1_764_000_000_000;

/// Engines, functions, an organization and its destinations, in one process and in simulated time.
pub struct World {
    /// The engines of the embedded services.
    pub engines: Engines,
    /// The store that the functions use.
    pub store: Store,
    /// The dispatcher, which accepts messages.
    pub dispatcher: Dispatcher,
    /// The receiver, which acts as every destination.
    pub receiver: Receiver,
    /// The organization of the destinations.
    pub organization: Organization,
    /// The destinations of messages.
    pub destinations: Vec<DestinationId>,
    /// The source of ids.
    pub ids: IdMint,
    /// The clock of the simulated time.
    pub clock: Clock,
    /// The seeded source of randomness.
    pub random: Random,
    worker: Worker<Receiver>,
    api: Router,
    api_key: SecretString,
    queues: Queues,
    platform: Platform,
    environment: Environment,
    sqs: aws_sdk_sqs::Client,
    queue_url: String,
    dead_letter_url: String,
    jobs_url: String,
    _directory: tempfile::TempDir,
}

impl World {
    /// Creates a world of this seed, with this receiver and three destinations.
    pub async fn create(seed: u64, receiver: Receiver) -> Self {
        Self::with_destinations(seed, receiver, 3).await
    }

    /// Creates a world of this seed, with this receiver and `count` destinations.
    pub async fn with_destinations(seed: u64, receiver: Receiver, count: usize) -> Self {
        let started = Instant::now();
        let clock = Clock::new(move || Timestamp::from_millis(EPOCH_MS).plus(started.elapsed()));
        let engine_clock = clock.clone();
        let options = Options::simulated(Arc::new(move || {
            u64::try_from(engine_clock.now().as_millis()).unwrap_or_default()
        }));
        let template =
            local::template::Template::read(local::template::COMPILED_IN, &BTreeMap::new())
                .expect("the template reads");
        let mut resources = template
            .stack()
            .expect("the template is understood")
            .resources;
        let signing_keys = local::template::physical_name("SigningKeys");
        for secret in &mut resources.secrets {
            if secret.name == signing_keys {
                // The keys tag ids, and the shard of a message depends on its id.
                secret.value = Some(SecretValue::Given(ID_KEYS.to_owned()));
            }
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        let engines =
            Engines::open(directory.path(), &resources, options).expect("the engines open");
        let rng = Mutex::new(fastrand::Rng::with_seed(seed));
        let random = Random::new(move |buffer| {
            rng.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .fill(buffer)
        });
        let aws = engines.sdk_config(Caller::unlimited("functions"));
        let table = resources.tables[0].name.clone();
        let url = |logical_id| engines.queue_url(&local::template::physical_name(logical_id));
        let (queue_url, dead_letter_url, jobs_url) = (
            url("WebhookQueue"),
            url("WebhookDeadLetters"),
            url("JobsQueue"),
        );
        let store = Store::new(&aws, table.clone(), None);
        let queues = Queues::new(&aws, PerLane::each(|_| queue_url.clone()));
        let platform = Platform {
            aws,
            clock: clock.clone(),
            random: random.clone(),
            shutdown: CancellationToken::new(),
            background: TaskTracker::new(),
        };
        let signing_keys = engines
            .secret_arn(&signing_keys)
            .expect("the template has the secret")
            .to_owned();
        let queues_variables = Lane::ALL.map(|lane| {
            (
                format!("{}_QUEUE_URL", lane.in_environment()),
                queue_url.clone(),
            )
        });
        let checking = Lane::ALL.map(|lane| {
            (
                format!("WORKER_{}_FUNCTION", lane.in_environment()),
                CHECKS.to_owned(),
            )
        });
        let variables = [
            ("TABLE_NAME".to_owned(), table),
            ("MONITOR_INTERVAL_SECONDS".to_owned(), "60".to_owned()),
            ("SIGNING_KEYS_SECRET_ARN".to_owned(), signing_keys.clone()),
            (
                "PUBLIC_URL".to_owned(),
                "https://waybill.example".to_owned(),
            ),
            ("JOBS_QUEUE_URL".to_owned(), jobs_url.clone()),
            ("BUCKET_NAME".to_owned(), "payloads".to_owned()),
            (
                "EVENT_BUS_NAME".to_owned(),
                resources.event_buses[0].clone(),
            ),
            ("ACCOUNT_ID".to_owned(), "111122223333".to_owned()),
            (
                "KMS_KEY_ID".to_owned(),
                local::template::physical_name("Key"),
            ),
            ("OWN_SECRET_ARNS".to_owned(), signing_keys.clone()),
            ("ALLOW_PLAIN_HTTP".to_owned(), "false".to_owned()),
            ("RATE_LIMITS".to_owned(), "off".to_owned()),
            (
                "FUNCTION_TIMEOUT_SECONDS".to_owned(),
                client::REQUEST_MAX.as_secs().to_string(),
            ),
        ];
        let environment: Environment = variables
            .into_iter()
            .chain(queues_variables)
            .chain(checking)
            .collect();
        let config = api::Config::read(&environment).expect("the configuration is complete");
        let ids = IdMint::new([7; 32], clock.clone(), random.clone());
        let organization = organization(&ids, clock.now());
        let (api_key, secret) = access::issue(
            ids.mint(organization.id, 1),
            Role::Sender,
            Some(organization.id),
            "simulation".to_owned(),
            None,
            None,
            &random,
            clock.now(),
        );
        store.create_key(&api_key).await.expect("the key is stored");
        let mut world = Self {
            api: api::build(&platform, config),
            api_key: secret,
            sqs: aws_sdk_sqs::Client::new(&engines.sdk_config(Caller::unlimited(QUEUE_SERVICE))),
            organization,
            destinations: Vec::new(),
            environment,
            worker: worker(
                &platform,
                &store,
                &queues,
                &receiver,
                (&queue_url, &dead_letter_url),
            ),
            dispatcher: Dispatcher::new(store.clone(), queues.clone(), clock.clone()),
            platform,
            queues,
            engines,
            store,
            receiver,
            ids,
            clock,
            random,
            queue_url,
            dead_letter_url,
            jobs_url,
            _directory: directory,
        };
        world.create_destinations(count).await;
        world
    }

    async fn create_destinations(&mut self, count: usize) {
        let event = self.event();
        self.store
            .create_organization(&self.organization, &event)
            .await
            .expect("the organization is created");
        for position in 0..count {
            let destination = destination(
                self.ids.mint(self.organization.id, 1),
                &self.organization,
                position,
                self.clock.now(),
            );
            let event = self.event();
            self.store
                .create_destination(&destination, &event)
                .await
                .expect("the destination is created");
            self.destinations.push(destination.id);
        }
    }

    /// Returns an audit event of something that the test does.
    #[must_use]
    pub fn event(&self) -> AuditEvent {
        AuditEvent::by_system(
            self.ids.mint(self.organization.id, 1),
            self.organization.id,
            self.clock.now(),
            "simulation",
            self.organization.id,
        )
    }

    /// Returns a message to the first `fan_out` destinations, accepted now.
    #[must_use]
    pub fn submission(&self, fan_out: usize, payload: Bytes) -> Submission {
        let facts = MessageFacts {
            event_type: EventType::parse("simulated").expect("a plain word"),
            reference: None,
            metadata: BTreeMap::new(),
            payload: PayloadInfo {
                size_bytes: payload.len() as u64,
                content_type: "text/plain".to_owned(),
                filename: None,
                sha256: None,
            },
            expires_at: None,
            trace: TraceId::generate(&self.random),
            test: false,
            status_callback: None,
        };
        let target = |id: &DestinationId| Target {
            destination: *id,
            kind: DestinationType::Webhook,
            enabled: true,
        };
        Submission {
            organization: self.organization.id,
            message: self
                .ids
                .mint(self.organization.id, self.organization.shards),
            facts,
            targets: self.destinations[..fan_out].iter().map(target).collect(),
            payload: store::Content::Bytes(payload),
            retention_days: 30,
            payload_retention_days: 30,
            accepted_at: self.clock.now(),
        }
    }

    /// Resumes a paused destination, or pauses it for some minutes or without an end.
    pub async fn pause_or_resume(&self, id: DestinationId, minutes: Option<u64>) -> Option<()> {
        let destination = self
            .store
            .destination(self.organization.id, id)
            .await
            .ok()??;
        if !destination.is_enabled() {
            return self.resume(id).await;
        }
        let now = self.clock.now();
        let until = minutes.map(|minutes| now.plus(Duration::from_secs(60 * minutes)));
        self.save_state(
            destination,
            DestinationState::Paused {
                at: now,
                reason: None,
                until,
            },
        )
        .await
        .map(drop)
    }

    /// Resumes a destination if it is paused.
    pub async fn resume(&self, id: DestinationId) -> Option<()> {
        let destination = self
            .store
            .destination(self.organization.id, id)
            .await
            .ok()??;
        if destination.is_enabled() || !destination.takes_deliveries() {
            return Some(());
        }
        let resumed = self
            .save_state(destination, DestinationState::Enabled)
            .await?;
        let release_limits = ReleaseLimits {
            at_most: 1000,
            within: INVOCATION_MAX,
        };
        self.dispatcher
            .release_paused(
                &resumed,
                (self.organization.shards, None),
                self.clock.now(),
                release_limits,
            )
            .await
            .ok()
            .map(drop)
    }

    /// Disables a destination and skips what waits for it, or enables a disabled one.
    pub async fn disable_or_enable(&self, id: DestinationId) -> Option<()> {
        let before = self
            .store
            .destination(self.organization.id, id)
            .await
            .ok()??;
        let now = self.clock.now();
        let disabled = DestinationState::Disabled {
            at: now,
            by: DisabledBy::User,
            reason: None,
        };
        let (state, kind) = match before.takes_deliveries() {
            true => (disabled, AlertKind::Disabled),
            false => (DestinationState::Enabled, AlertKind::Enabled),
        };
        let after = Destination {
            state,
            ..before.revised(now)
        };
        let routes = self.store.routes(self.organization.id).await.ok()??;
        let health = self.store.health(id).await.ok()?;
        let alert = self
            .dispatcher
            .alert_about(&self.ids, &routes, &after, &health, kind, "")
            .await
            .ok()?;
        let saved = self
            .store
            .switch_destination(&after, after.revision() - 1, &self.event(), &alert)
            .await
            .ok()?;
        if saved == store::Saved::Done && kind == AlertKind::Disabled {
            self.dispatcher
                .skip_retrying(&after, routes.shards, SkipReason::DestinationDisabled, 1000)
                .await
                .ok()?;
        }
        Some(())
    }

    /// Enables a destination that a person disabled. One that failures disabled must recover by
    /// itself.
    pub async fn enable(&self, id: DestinationId) -> Option<()> {
        let destination = self
            .store
            .destination(self.organization.id, id)
            .await
            .ok()??;
        match destination.state {
            DestinationState::Disabled {
                by: DisabledBy::User,
                ..
            } => self.disable_or_enable(id).await,
            _ => Some(()),
        }
    }

    /// Returns since when a destination has been disabled because of failures.
    pub async fn disabled_by_failures(&self, id: DestinationId) -> Option<Timestamp> {
        let destination = self
            .store
            .destination(self.organization.id, id)
            .await
            .ok()??;
        match destination.state {
            DestinationState::Disabled {
                at,
                by: DisabledBy::Failures,
                ..
            } => Some(at),
            _ => None,
        }
    }

    /// Allows failures to disable a destination and checks to recover it: half of the checks pass,
    /// and all of them once its receiver is repaired.
    pub async fn let_recover(&self, id: DestinationId, seed: u64) {
        let policy = FailurePolicy {
            alert_after_failures: 2,
            disable_after_failures: Some(4),
            disable_min_failing_seconds: 0,
            auto_recover: true,
            ..FailurePolicy::default()
        };
        let before = self
            .store
            .destination(self.organization.id, id)
            .await
            .expect("the table answers")
            .expect("it is there");
        let after = Destination {
            failure_policy: Some(policy),
            ..before.revised(before.updated_at)
        };
        let saved = self
            .store
            .save_destination(&after, after.revision() - 1, &self.event())
            .await;
        assert_eq!(saved.expect("the table answers"), store::Saved::Done);
        let (receiver, rng) = (
            self.receiver.clone(),
            Mutex::new(fastrand::Rng::with_seed(seed ^ 0xc4ec)),
        );
        self.engines.functions().register(CHECKS, move |_| {
            let passes =
                rng.lock().unwrap_or_else(PoisonError::into_inner).bool() || receiver.is_mended(id);
            let detail = "as the seed has it".to_owned();
            let step = CheckStep {
                name: StepName::Write,
                ok: Some(passes),
                detail,
                reason: None,
                duration_ms: 1,
            };
            let report =
                serde_json::to_vec(&CheckReport::of(vec![step])).expect("a report is JSON");
            Box::pin(async move { Ok(Bytes::from(report)) })
        });
    }

    /// Requests a backfill job for a destination.
    pub async fn backfill(&self, id: DestinationId) -> Option<()> {
        let (organization, now) = (self.organization.id, self.clock.now());
        let filter = store::DeliveryFilter {
            destination: Some(id),
            ..store::DeliveryFilter::default()
        };
        let job = Job::new(
            self.ids.mint(organization, 1),
            organization,
            JobKind::Backfill,
            Actor::system(),
            now,
        );
        let job = self
            .store
            .create_job_within(&Job { filter, ..job })
            .await
            .ok()??;
        let task = JobTask {
            organization,
            job: job.id,
        };
        JobQueue::new(&self.platform.aws, self.jobs_url.clone())
            .send(task)
            .await
            .ok()
    }

    /// Returns the jobs of the organization.
    pub async fn jobs(&self) -> Vec<Job> {
        let page = self
            .store
            .jobs_page(self.organization.id, None, 1000)
            .await
            .expect("the table answers");
        assert!(!page.more, "one page holds all");
        page.items
    }

    /// Sends a message to a further destination, as a backfill does. Returns the position of its
    /// delivery there.
    pub async fn add(&self, message: MessageId, id: DestinationId) -> Option<u16> {
        let first = DeliveryId {
            message,
            position: 0,
        };
        let first = self
            .store
            .delivery(self.organization.id, first)
            .await
            .ok()??;
        let destination = self
            .store
            .destination(self.organization.id, id)
            .await
            .ok()??;
        let target = Target {
            destination: id,
            kind: DestinationType::Webhook,
            enabled: destination.takes_deliveries(),
        };
        let addition = Addition {
            trigger: Trigger::Replay,
            fallback_of: None,
        };
        match self.dispatcher.add(&first, &target, addition).await.ok()? {
            Added::Done(delivery) | Added::There(delivery) => Some(delivery.id.position),
            Added::Gone => panic!("{message} was accepted and is not there"),
        }
    }

    /// Lowers the limits of a destination, or raises them to what they were at first.
    pub async fn change_limits(&self, position: usize, limit: u32) -> Option<()> {
        let id = self.destinations[position];
        let before = self.store.destination(self.organization.id, id);
        let now = self.clock.now();
        let after = Destination {
            delivery_limits: limits_of(position, limit),
            ..before.await.ok()??.revised(now)
        };
        self.store
            .save_limits(&after, after.revision() - 1, &self.event())
            .await
            .ok()
            .map(drop)
    }

    async fn save_state(
        &self,
        before: Destination,
        state: DestinationState,
    ) -> Option<Destination> {
        let after = Destination {
            state,
            ..before.revised(self.clock.now())
        };
        let saved = self
            .store
            .save_flow(&after, after.revision() - 1, &self.event())
            .await
            .ok()?;
        (saved == store::Saved::Done).then_some(after)
    }

    /// Puts a message with any body into the workers' queue.
    pub async fn plant(&self, body: &str) {
        self.sqs
            .send_message()
            .queue_url(&self.queue_url)
            .message_body(body)
            .send()
            .await
            .expect("the queue takes it");
    }

    /// Returns how many messages are in the dead-letter queue, including hidden ones.
    pub async fn dead_letters(&self) -> u32 {
        use aws_sdk_sqs::types::QueueAttributeName::{
            ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible,
        };
        let call = self
            .sqs
            .get_queue_attributes()
            .queue_url(&self.dead_letter_url);
        let call = call
            .attribute_names(ApproximateNumberOfMessages)
            .attribute_names(ApproximateNumberOfMessagesNotVisible);
        let counts = call
            .send()
            .await
            .expect("the queue answers")
            .attributes
            .unwrap_or_default();
        counts
            .values()
            .filter_map(|count| count.parse::<u32>().ok())
            .sum()
    }

    /// Stops the worker, so that no new attempt starts.
    pub fn shut_down(&self) {
        self.platform.shutdown.cancel();
    }

    /// Waits for what continues after its invocation, as a process does before it ends.
    pub async fn background_work(&self) {
        self.platform.background.close();
        self.platform.background.wait().await;
    }

    /// Runs `work` as an invocation that is dropped at its timeout; `None` if it was.
    pub async fn invoke<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(INVOCATION_MAX, work).await.ok()
    }

    fn context(&self) -> Context {
        let mut context = Context::default();
        context.deadline =
            u64::try_from(self.clock.now().plus(INVOCATION_MAX).as_millis()).unwrap_or_default();
        context
    }
}

fn worker(
    platform: &Platform,
    store: &Store,
    queues: &Queues,
    receiver: &Receiver,
    (queue_url, dead_letter_url): (&str, &str),
) -> Worker<Receiver> {
    let Platform {
        aws,
        clock,
        random,
        shutdown,
        background,
    } = platform.clone();
    Worker::new(Parts {
        connector: receiver.clone(),
        store: store.clone(),
        inbox: Inbox::new(&aws, queue_url.to_owned(), dead_letter_url.to_owned()),
        dispatcher: Dispatcher::new(store.clone(), queues.clone(), clock.clone()),
        clock,
        random,
        updates: None,
        shutdown,
        memory: worker::Memory::of(256 << 20),
        flows: worker::Flows::default(),
        pending_statistics: worker::PendingStatistics::new(background),
        faults: worker::Faults::default(),
    })
}

fn never() -> FailurePolicy {
    FailurePolicy {
        alert_after_failures: 1_000_000,
        disable_after_failures: None,
        disable_min_failing_seconds: 0,
        ..FailurePolicy::default()
    }
}

fn organization(ids: &IdMint, now: Timestamp) -> Organization {
    Organization {
        // Receivers fail often here; the consequences of that are tested elsewhere.
        settings: OrganizationSettings {
            failure_policy: never(),
            ..OrganizationSettings::default()
        },
        shards: 2,
        ..Organization::new(ids.organization(), "Simulated", String::new(), now)
    }
}

fn destination(
    id: DestinationId,
    organization: &Organization,
    position: usize,
    now: Timestamp,
) -> Destination {
    let settings = WebhookSettings {
        signature: Signature { enabled: false },
        check: CheckDepth::Connect,
        ..WebhookSettings::new("https://receiver.example/")
    };
    // One policy gives up early, and one waits longer than a queue may hold a task.
    let retry_policy = match position {
        0 => RetryPolicy::default(),
        1 => RetryPolicy {
            max_retries: 1,
            ..RetryPolicy::default()
        },
        _ => RetryPolicy {
            initial_seconds: 45,
            ..RetryPolicy::default()
        },
    };
    Destination {
        retry_policy: Some(retry_policy),
        delivery_limits: limits_of(position, MAX_PER_SECOND),
        ..Destination::new(
            id,
            organization.id,
            format!("Receiver {position}"),
            Settings::Webhook(settings),
            now,
        )
    }
}

/// Returns the limits of the destination at a position. The second one limits concurrent attempts,
/// and the third one attempts per second.
fn limits_of(position: usize, limit: u32) -> Option<DeliveryLimits> {
    match position {
        1 => Some(DeliveryLimits {
            max_per_second: None,
            max_concurrent: Some(limit.min(MAX_CONCURRENT)),
        }),
        2 => Some(DeliveryLimits {
            max_per_second: Some(f64::from(limit)),
            max_concurrent: None,
        }),
        _ => None,
    }
}
