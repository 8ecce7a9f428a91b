//! The store: one DynamoDB table, and a bucket for payloads that do not fit into it.
//!
//! Everything goes through [`Store`]; each module adds the methods of one kind of record, and
//! `keys.rs` defines all keys. Writes that decide something are conditional, so that of two callers
//! one wins and the other learns that it lost. Reads that decide something are strongly consistent.
//! An expired item is treated as deleted, whether or not DynamoDB has removed it.

mod alert;
mod alert_email;
mod api_key;
mod attributes;
mod audit;
mod authorization;
mod delivery;
mod destination;
mod document;
mod erase;
mod error;
mod expression;
mod flow;
mod health;
mod idempotency;
mod job;
mod keys;
mod lane;
mod listing;
mod organization;
mod page;
mod portal_link;
mod rate;
mod recovery;
mod release;
mod round;
mod routes;
mod statistics;
mod table;
mod tally;
mod together;
mod transaction;
mod trouble;
mod unreadable;
mod upload;

use std::time::UNIX_EPOCH;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::Client;
use aws_smithy_async::time::SharedTimeSource;
use domain::Timestamp;

pub use alert::Watched;
pub use alert_email::PendingConfirmation;
pub use delivery::{
    Added, Backlog, Committed, Content, DeliveryFilter, DueAfter, DueEntry, Leased, MessageFilter,
    Missed, ObjectHead, ObjectLink, ObjectLocation, OwnObject, SentBody, Settled, StoredBody,
    Unreadable, UploadTerms, Work, WorkKey,
};
pub use destination::Created;
pub use document::Saved;
pub use error::StoreError;
pub use flow::{Reset, SlotRequest, TakenSlot};
pub use idempotency::{Claim, IdempotencyClaim};
pub use job::{Job, JobKind, JobStatus};
pub use keys::{DUE_PARTITIONS, FAILING_PARTITIONS, LIFECYCLE_DAYS};
pub use organization::Ending;
pub use page::{Page, Walk};
pub use portal_link::ValidLink;
pub use rate::{Counted, Usage, Window};
pub use recovery::Recovered;
pub use release::ReleaseWalk;
pub use round::Round;
pub use routes::{Route, Routes};
pub use unreadable::skip_unreadable;
pub use upload::{AnnounceOutcome, Upload};

use crate::table::Table;
use crate::together::SharedCalls;

/// The table and the bucket. Clones share the clients.
#[derive(Clone, Debug)]
pub struct Store {
    table: Table,
    together: SharedCalls,
    objects: aws_sdk_s3::Client,
    bucket: Option<String>,
    aws: SdkConfig,
    time: SharedTimeSource,
}

impl Store {
    /// Creates a store over `table`. `bucket` holds the payloads that do not fit into the table.
    #[must_use]
    pub fn new(aws: &SdkConfig, table: String, bucket: Option<String>) -> Self {
        let time = aws.time_source().unwrap_or_default();
        let client = Client::new(aws);
        let together = SharedCalls::over(&client, &table);
        let table = Table {
            client,
            name: table,
        };
        Self {
            table,
            together,
            objects: aws_sdk_s3::Client::new(aws),
            bucket,
            aws: aws.clone(),
            time,
        }
    }

    /// Returns the key of an upload's object.
    #[must_use]
    pub fn upload_key(
        retention_days: u32,
        organization: domain::id::OrganizationId,
        id: domain::id::UploadId,
    ) -> String {
        keys::upload_object(retention_days, organization, id)
    }

    /// Returns the time by which items expire, which is also the time of the SDK's signatures.
    fn now(&self) -> Timestamp {
        let since = self
            .time
            .now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}
