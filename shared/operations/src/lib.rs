//! What Waybill can be asked to do: the api and the console both call these operations; a file per
//! noun.
//!
//! Each one **authorises** (role first, then whose it is), **validates** (every mistake at once),
//! **acts** (store, vault, dispatch, the worker's check) and answers with a **view**, or with a
//! [`Refusal`] that says why not. A [`Context`] is who asks and in which request; a [`Query`] and a
//! [`Body`] are what they sent, opened in the order of refusal: 401, 403, 404, then 415, 413, 400,
//! then 422, then 409. What is changed or refused is written to the organization's audit trail.

mod alert;
mod alert_email;
mod api_key;
mod audit;
mod authenticate;
pub mod authorization;
mod body;
pub mod bootstrap;
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
pub use api_key::CreateApiKey;
pub use body::Body;
pub use context::Context;
pub use cursor::{CURSOR, Cursors};
pub use delivery::RetryDelivery;
pub use everywhere::NamesEverywhere;
pub use idempotency::{Admission, IdempotencyKey, StoredAnswer};
pub use job::{CreateJob, JobAsked, JobFilterBody};
pub use organization_health::{Attention, OrganizationHealth, Unwell};
pub use page::Page;
pub use portal_link::{CreatePortalLink, NewPortalLinkView};
pub use query::Query;
pub use quota::Meter;
pub use recorded_refusals::RecordedRefusals;
pub use refusal::{Extra, Refusal, RefusalCode, RefusalKind};
/// The length of a signing secret that a customer brings.
pub use signing::TEXT_LENGTH as SIGNING_SECRET;
pub use status_secret::RotatedStatusSecret;
pub use undelivered::Counted;
pub use upload::{CreateUpload, UploadView};

pub use dispatch::view::words;

use access::Access;
use dispatch::Dispatcher;
use domain::id::IdMint;
use domain::{Clock, Random};
use store::{Store, StoreError};
use vault::Vault;

/// How often a change that lost its race is tried again on what won.
pub(crate) const RACES_MAX: usize = 8;

/// What a deployment decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The functions that check destinations and deliver to them.
    pub worker_functions: domain::settings::PerLane<String>,
    /// Whether destinations may have an `http://` address.
    pub plain_http: bool,
    /// Whether quotas are enforced.
    pub rate_limits: bool,
    /// The quotas of organizations for which the operator has set no others.
    pub quotas: domain::quota::Quotas,
    /// How long a request may run: an idempotency lease outlives it.
    pub function_timeout_seconds: u32,
    /// The AWS account that the deployment runs in: none of its roles is a customer's.
    pub account_id: String,
    /// The bucket that nobody may be granted.
    pub own_bucket: String,
    /// The secrets that nobody may be granted.
    pub own_secret_arns: Vec<String>,
}

/// Everything an operation needs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Operations {
    /// The table and the bucket.
    pub store: Store,
    /// Seals credentials.
    pub vault: Vault,
    /// Sends messages on their way.
    pub dispatch: Dispatcher,
    /// Asks for jobs.
    pub jobs: queue::JobQueue,
    /// Knows callers by their keys.
    pub access: Access,
    /// Makes ids and recognises an organization's own.
    pub ids: IdMint,
    /// Signs cursors.
    pub cursors: Cursors,
    /// Signs links to payloads.
    pub payload_links: access::PayloadLinks,
    /// Signs the console's sessions.
    pub sessions: access::Sessions,
    /// Which literal addresses destinations may have.
    pub egress: egress::Policy,
    /// Invokes the workers' checks.
    pub lambda: aws_sdk_lambda::Client,
    /// Counts what organizations use.
    pub meter: Meter,
    /// Counts the refusals that are recorded.
    pub recorded_refusals: RecordedRefusals,
    /// The time.
    pub clock: Clock,
    /// Randomness, good enough for secrets.
    pub random: Random,
    /// What the deployment decides.
    pub settings: std::sync::Arc<Settings>,
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
