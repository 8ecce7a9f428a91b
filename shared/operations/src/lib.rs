//! The operations of Waybill, which the API and the console both call. There is one file per noun.
//!
//! Each operation **authorizes** the caller (first the role, then the organization), **validates**
//! the request (all mistakes at once), **executes** it (store, vault, dispatch, the worker's
//! check), and returns a **view** or a [`Refusal`] that says why it was not carried out. A
//! [`Context`] has the caller and the request. An [`Input`] has the command, or the [`Query`] and
//! the [`Body`] from which it is read, in the order of refusal: 401, 403, 404, then 415, 413, 400,
//! then 422, then 409. Changes and refusals are recorded in the organization's audit log.

mod alert;
mod alert_email;
mod api_key;
mod audit;
mod authenticate;
pub mod authorization;
mod body;
pub mod bootstrap;
mod command;
mod context;
mod cursor;
mod delivery;
pub mod destination;
mod everywhere;
mod idempotency;
mod job;
pub mod message;
mod meta;
pub mod organization;
mod organization_health;
mod page;
mod portal_link;
mod query;
mod quota;
mod recorded_refusals;
mod refusal;
mod role;
pub mod scheme;
mod statistics;
mod status_secret;
mod undelivered;
mod upload;
pub mod view;

pub use alert_email::{AddressToConfirm, CONFIRM_PATH};
pub use api_key::{ApiKeyToCreate, CreateApiKey};
pub use body::Body;
pub use command::{Input, MergePatch};
pub use context::Context;
pub use cursor::CURSOR;
pub use delivery::RetryDelivery;
pub use everywhere::ListedNames;
pub use idempotency::{Admission, IdempotencyKey, RequestOutcome, StoredAnswer};
pub use job::{CreateJob, CreateJobOutcome, JobFilterBody, NewJob};
pub use organization_health::{Attention, OrganizationHealth, UnhealthyDestination};
pub use page::Page;
pub use portal_link::{CreatePortalLink, NewPortalLinkView, PortalLinkToCreate};
pub use query::Query;
pub use refusal::{Extra, Refusal, RefusalCode, RefusalKind};
/// The length of a signing secret that a customer provides.
pub use signing::TEXT_LENGTH as SIGNING_SECRET;
pub use status_secret::RotatedStatusSecret;
pub use undelivered::Counted;
pub use upload::{CreateUpload, NewUpload, UploadView};

pub use dispatch::view::words;

use std::sync::Arc;

use access::{Access, PayloadLinks, Sessions};
use dispatch::Dispatcher;
use domain::id::IdMint;
use domain::key_ring::KeyRing;
use domain::{Clock, Random, Timestamp};
use store::{Store, StoreError};
use vault::Vault;

use cursor::Cursors;
use quota::Meter;
use recorded_refusals::RecordedRefusals;

/// How often a change that lost a race is tried again on the state that won.
pub(crate) const RACES_MAX: usize = 8;

/// The settings of a deployment.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The functions that check destinations and deliver to them.
    pub worker_functions: domain::settings::PerLane<String>,
    /// Decides which literal addresses destinations may have.
    pub egress: egress::Policy,
    /// Whether destinations may have an `http://` address.
    pub plain_http: bool,
    /// Whether quotas are enforced.
    pub rate_limits: bool,
    /// The quotas of organizations for which the operator has set none.
    pub quotas: domain::quota::Quotas,
    /// How long a request may run, in seconds. An idempotency lease lasts longer.
    pub function_timeout_seconds: u32,
    /// The AWS account that the deployment runs in. A role in it is refused as a customer's role.
    pub account_id: String,
    /// The deployment's own bucket, which no organization may be granted.
    pub own_bucket: String,
    /// The deployment's own secrets, which no organization may be granted.
    pub own_secret_arns: Vec<String>,
}

/// The services that operations use.
#[derive(Debug)]
pub struct Services {
    /// The table and the bucket.
    pub store: Store,
    /// Seals credentials and other secrets.
    pub vault: Vault,
    /// Commits messages and sends their tasks.
    pub dispatch: Dispatcher,
    /// Sends the tasks of jobs.
    pub jobs: queue::JobQueue,
    /// Invokes the workers, for example for checks.
    pub lambda: aws_sdk_lambda::Client,
    /// The source of the current time.
    pub clock: Clock,
    /// The source of randomness, which is suitable for secrets.
    pub random: Random,
}

/// The keys that operations sign with.
#[derive(Debug)]
pub struct SigningKeys {
    /// The keys of the tags in ids.
    pub ids: KeyRing,
    /// The keys of cursors.
    pub cursors: KeyRing,
    /// The keys of links to payloads.
    pub links: KeyRing,
    /// The keys of the console's sessions.
    pub sessions: KeyRing,
}

/// The operations of a deployment. They are cheap to clone.
#[derive(Clone, Debug)]
pub struct Operations {
    store: Store,
    vault: Vault,
    dispatch: Dispatcher,
    jobs: queue::JobQueue,
    lambda: aws_sdk_lambda::Client,
    /// Authenticates callers by their keys and sessions.
    access: Access,
    /// Creates ids, and recognizes those of an organization.
    ids: IdMint,
    /// Signs and verifies cursors.
    cursors: Cursors,
    /// Signs and verifies links to payloads.
    payload_links: PayloadLinks,
    /// Signs and verifies the console's sessions.
    sessions: Sessions,
    /// Counts what organizations use.
    meter: Meter,
    /// Limits the number of refusals that are recorded.
    recorded_refusals: RecordedRefusals,
    clock: Clock,
    random: Random,
    settings: Arc<Settings>,
}

impl Operations {
    /// Creates the operations of a deployment.
    #[must_use]
    pub fn new(services: Services, keys: SigningKeys, settings: Settings) -> Self {
        let (clock, random) = (services.clock, services.random);
        Self {
            access: Access::new(services.store.clone(), clock.clone()),
            ids: IdMint::new(keys.ids, clock.clone(), random.clone()),
            cursors: Cursors::new(keys.cursors),
            payload_links: PayloadLinks::new(keys.links),
            sessions: Sessions::new(keys.sessions),
            meter: Meter::default(),
            recorded_refusals: RecordedRefusals::default(),
            settings: Arc::new(settings),
            store: services.store,
            vault: services.vault,
            dispatch: services.dispatch,
            jobs: services.jobs,
            lambda: services.lambda,
            clock,
            random,
        }
    }

    /// Returns what authenticates callers, by their keys, portal links and sessions.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Returns what signs and verifies the console's sessions.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Returns the settings of the deployment.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the current time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl From<vault::VaultError> for Refusal {
    fn from(error: vault::VaultError) -> Self {
        if error.is_unavailable() {
            Self::unavailable(error)
        } else {
            Self::internal(error)
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::of_store(error)
    }
}

impl Operations {
    pub(crate) fn next_cursor(
        &self,
        scope: &cursor::ListScope,
        next: Option<impl ToString>,
    ) -> Option<String> {
        next.map(|position| self.cursors.seal(scope, &position.to_string()))
    }
}
