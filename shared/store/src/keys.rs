//! The keys of all items of the table and of its indexes. No other module makes or parses keys.
//!
//! | item | pk | sk |
//! |---|---|---|
//! | organization; all of them | `ORG#<org>`; `ORGS` | `ORG`; `<org>` |
//! | routes | `ORG#<org>` | `ROUTES` |
//! | destination | `ORG#<org>` | `DST#<dst>` |
//! | health | `HEALTH#<dst>` | `H` |
//! | API key; those of an organization, of the operator | `KEY#<key>`; `ORG#<org>`, `KEYS` | `KEY`; `KEY#<key>` |
//! | authorization | `ORG#<org>` | `OAU#<oau>` |
//! | delivery | `ORG#<org>#<shard>` | `<msg ulid>#<nn>` |
//! | earlier attempts | `ATT#<dlv>` | `<number>`; of an attempt that another change overtook `<number>.<start>` |
//! | payload | `PAY#<msg>` | `PAY` |
//! | last body that was sent | `BODY#<dlv>` | `BODY` |
//! | use of an upload by a message | `USES#<the object's key>` | `<msg>` |
//! | idempotency | `IDEM#<org>#<hash>` | `IDEM` |
//! | statistics | `STAT#<dst>` | the hour, epoch seconds |
//! | audit | `ORG#<org>#AUDIT` | `<aud>` |
//! | alert | `ORG#<org>#ALERTS` | `<alr>` |
//! | job | `ORG#<org>#JOBS` | `<job>` |
//! | portal link; the operator's | `ORG#<org>#LINKS`; `LINKS` | `<pln>` |
//! | progress of reconcile | `RECONCILE` | `RECONCILE` |
//! | rate limit | `RATE#<name>` | `RATE` |
//! | confirmation of an address for alerts | `ORG#<org>` | `CONFIRM#<the address's SHA-256>` |
//! | watch on what waits for a destination | `HEALTH#<dst>` | `WAITING` |
//! | turns and slots of a destination with limits; its starts | `LIMITS#<dst>` | `LIMITS`; `STARTS` |
//! | usage; a tally | `ORG#<org>` | `USAGE`; `TALLY#<of what>` |
//! | upload; one that no message uses yet | `ORG#<org>#UPLOADS` | `<upl ulid>`; `OUT#<upl ulid>` |
//!
//! | index | partition | sort |
//! |---|---|---|
//! | `by_destination` | `<dst>#<shard>` | the delivery's sk |
//! | `attention_org` | `<org>#<status>#<shard>` | the delivery's sk |
//! | `attention_dst` | `<dst>#<status>#<shard>` | the delivery's sk |
//! | `due` | `DUE#<0..15>` | epoch milliseconds |
//! | `by_reference` | `<org>#<reference>`, on `#00` alone | the delivery's sk |
//! | `failing` | `FAILING#<0..15>` | `<org>#<dst>`, `WAITING#<org>#<dst>` or `ALERT#<alr>` |
//! | `trouble` | `<status>#<0..15>`; `alert#<0..15>`, `audit#<0..15>` | the delivery's sk; `<alr>`, `<aud>` |

mod watched;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::Timestamp;
use domain::attempt::Attempt;
use domain::delivery::DeliveryStatus;
use domain::id::{
    AlertId, AuditId, AuthorizationId, DeliveryId, DestinationId, Id, JobId, KeyId, MessageId,
    OrganizationId, PortalLinkId, Ulid, UploadId,
};

use crate::attributes::{Item, Put as _, text};
pub(crate) use watched::{
    failing, failing_of, failing_partition, failing_sort, limits, starts, unannounced_sort,
    waiting, waiting_of, waiting_sort,
};

/// The table's partition key.
pub(crate) const PK: &str = "pk";
/// The table's sort key.
pub(crate) const SK: &str = "sk";
/// When the item may be removed, in epoch seconds.
pub(crate) const TTL: &str = "ttl";

/// Partitions of the `due` index.
pub const DUE_PARTITIONS: u8 = 16;

/// Partitions of the `failing` index.
pub const FAILING_PARTITIONS: u8 = 16;

/// Partitions of each kind in the `trouble` index.
pub(crate) const TROUBLE_PARTITIONS: u8 = 16;

/// An index: its name and the attributes of its keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Index {
    pub(crate) name: &'static str,
    pub(crate) pk: &'static str,
    pub(crate) sk: &'static str,
}

pub(crate) const BY_DESTINATION: Index = Index {
    name: "by_destination",
    pk: "bd_pk",
    sk: "bd_sk",
};
pub(crate) const ATTENTION_ORG: Index = Index {
    name: "attention_org",
    pk: "ao_pk",
    sk: "ao_sk",
};
pub(crate) const ATTENTION_DST: Index = Index {
    name: "attention_dst",
    pk: "ad_pk",
    sk: "ad_sk",
};
pub(crate) const DUE: Index = Index {
    name: "due",
    pk: "du_pk",
    sk: "du_at",
};
pub(crate) const BY_REFERENCE: Index = Index {
    name: "by_reference",
    pk: "br_pk",
    sk: "br_sk",
};
pub(crate) const FAILING: Index = Index {
    name: "failing",
    pk: "fa_pk",
    sk: "fa_sk",
};
pub(crate) const TROUBLE: Index = Index {
    name: "trouble",
    pk: "tr_pk",
    sk: "tr_sk",
};

/// The primary key of an item.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

impl Key {
    fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self {
            pk: pk.into(),
            sk: sk.into(),
        }
    }

    /// Returns the key as an item, which is how the SDK takes keys.
    pub(crate) fn item(&self) -> Item {
        Item::from([
            (PK.to_owned(), text(&self.pk)),
            (SK.to_owned(), text(&self.sk)),
        ])
    }

    /// Returns the key of an item.
    pub(crate) fn of(item: &Item) -> Option<Self> {
        let part = |name| {
            item.get(name)
                .and_then(|value: &AttributeValue| value.as_s().ok())
                .cloned()
        };
        Some(Self {
            pk: part(PK)?,
            sk: part(SK)?,
        })
    }
}

// Configuration.

/// The key of an organization.
pub(crate) fn organization(id: OrganizationId) -> Key {
    Key::new(format!("ORG#{id}"), "ORG")
}

/// The partition that lists every organization.
pub(crate) const ORGANIZATIONS: &str = "ORGS";

/// The key of an organization's entry in the list of all.
pub(crate) fn organization_listed(id: OrganizationId) -> Key {
    Key::new(ORGANIZATIONS, id.to_string())
}

/// The key of an organization's routes.
pub(crate) fn routes(id: OrganizationId) -> Key {
    Key::new(format!("ORG#{id}"), "ROUTES")
}

/// The prefix of a destination's sort key.
pub(crate) const DESTINATION_PREFIX: &str = "DST#";

/// The key of a destination.
pub(crate) fn destination(organization: OrganizationId, id: DestinationId) -> Key {
    Key::new(
        format!("ORG#{organization}"),
        format!("{DESTINATION_PREFIX}{id}"),
    )
}

/// The key of a destination's health.
pub(crate) fn health(id: DestinationId) -> Key {
    Key::new(format!("HEALTH#{id}"), "H")
}

/// The key of one hour of a destination's statistics.
pub(crate) fn statistics(id: DestinationId, hour: Timestamp) -> Key {
    Key::new(format!("STAT#{id}"), format!("{:011}", hour.as_seconds()))
}

/// The key of an API key.
pub(crate) fn api_key(id: KeyId) -> Key {
    Key::new(format!("KEY#{id}"), "KEY")
}

/// The key of an API key's entry in the list of its organization or of the operators.
pub(crate) fn api_key_listed(organization: Option<OrganizationId>, id: KeyId) -> Key {
    let (partition, prefix) = api_keys_listed(organization);
    Key::new(partition, format!("{prefix}{id}"))
}

/// The partition of such a list, and the prefix of its sort keys.
pub(crate) fn api_keys_listed(organization: Option<OrganizationId>) -> (String, &'static str) {
    (
        organization.map_or_else(
            || "KEYS".to_owned(),
            |organization| format!("ORG#{organization}"),
        ),
        "KEY#",
    )
}

/// Returns the API key that such an entry names.
pub(crate) fn api_key_of(sort: &str) -> Option<KeyId> {
    sort.strip_prefix("KEY#")?.parse().ok()
}

/// The prefix of an authorization's sort key.
pub(crate) const AUTHORIZATION_PREFIX: &str = "OAU#";

/// The key of an authorization.
pub(crate) fn authorization(organization: OrganizationId, id: AuthorizationId) -> Key {
    Key::new(
        format!("ORG#{organization}"),
        format!("{AUTHORIZATION_PREFIX}{id}"),
    )
}

/// The key of an idempotency record.
pub(crate) fn idempotency(organization: OrganizationId, key_hash: &str) -> Key {
    Key::new(format!("IDEM#{organization}#{key_hash}"), "IDEM")
}

/// The key of an audit event.
pub(crate) fn audit(organization: OrganizationId, id: AuditId) -> Key {
    Key::new(audit_partition(organization), id.to_string())
}

/// The partition of an organization's audit log.
pub(crate) fn audit_partition(organization: OrganizationId) -> String {
    format!("ORG#{organization}#AUDIT")
}

/// The key of a job.
pub(crate) fn job(organization: OrganizationId, id: JobId) -> Key {
    Key::new(jobs(organization), id.to_string())
}

/// The partition of an organization's jobs.
pub(crate) fn jobs(organization: OrganizationId) -> String {
    format!("ORG#{organization}#JOBS")
}

/// The partitions of an organization other than its own item's and its deliveries'.
pub(crate) fn partitions_of(organization: OrganizationId) -> Vec<String> {
    ["ALERTS", "AUDIT", "JOBS", "LINKS", "UPLOADS"]
        .map(|name| format!("ORG#{organization}#{name}"))
        .to_vec()
}

/// The partitions of a destination other than its own item's.
pub(crate) fn partitions_of_destination(id: DestinationId) -> Vec<String> {
    vec![health(id).pk, limits(id).pk, format!("STAT#{id}")]
}

/// The key of a portal link.
pub(crate) fn portal_link(organization: Option<OrganizationId>, id: PortalLinkId) -> Key {
    Key::new(portal_links(organization), id.to_string())
}

/// The partition of an organization's portal links, or the operator's.
pub(crate) fn portal_links(organization: Option<OrganizationId>) -> String {
    organization.map_or_else(
        || "LINKS".to_owned(),
        |organization| format!("ORG#{organization}#LINKS"),
    )
}

/// The key of reconcile's progress.
pub(crate) fn round() -> Key {
    Key::new("RECONCILE".to_owned(), "RECONCILE".to_owned())
}

/// The key of the current window of a rate limit.
pub(crate) fn window(name: &str) -> Key {
    Key::new(format!("RATE#{name}"), "RATE")
}

/// The key of an organization's usage.
pub(crate) fn usage(id: OrganizationId) -> Key {
    Key::new(format!("ORG#{id}"), "USAGE")
}

/// The key of the confirmation of an address for alerts.
pub(crate) fn confirmation(id: OrganizationId, address_sha256: &str) -> Key {
    Key::new(format!("ORG#{id}"), format!("CONFIRM#{address_sha256}"))
}

/// The key of the tally of an organization's API keys.
pub(crate) fn api_keys_tally(id: OrganizationId) -> Key {
    Key::new(format!("ORG#{id}"), "TALLY#KEYS")
}

/// The key of the tally of bytes in an organization's uploads that no message uses yet.
pub(crate) fn uploads_tally(id: OrganizationId) -> Key {
    Key::new(format!("ORG#{id}"), "TALLY#UPLOADS")
}

/// The key of the tally of an organization's unfinished jobs.
pub(crate) fn jobs_tally(id: OrganizationId) -> Key {
    Key::new(format!("ORG#{id}"), "TALLY#JOBS")
}

/// The key of the tally of an organization's portal links that can be opened.
pub(crate) fn portal_links_tally(id: OrganizationId) -> Key {
    Key::new(format!("ORG#{id}"), "TALLY#LINKS")
}

/// The key of the tally of an organization's authorizations.
pub(crate) fn authorizations_tally(id: OrganizationId) -> Key {
    Key::new(format!("ORG#{id}"), "TALLY#AUTHORIZATIONS")
}

/// The key of an alert.
pub(crate) fn alert(organization: OrganizationId, id: AlertId) -> Key {
    Key::new(alerts_partition(organization), id.to_string())
}

/// The partition of an organization's alerts.
pub(crate) fn alerts_partition(organization: OrganizationId) -> String {
    format!("ORG#{organization}#ALERTS")
}

// Deliveries.

/// One shard of an organization's deliveries.
pub(crate) fn deliveries(organization: OrganizationId, shard: u8) -> String {
    format!("ORG#{organization}#{shard}")
}

/// The key of a delivery.
pub(crate) fn delivery(organization: OrganizationId, id: DeliveryId) -> Key {
    Key::new(
        deliveries(organization, id.message.ulid().shard()),
        delivery_sort(id),
    )
}

/// A delivery's sort key, in the table and in every index except `due`. It determines the order of
/// lists.
pub(crate) fn delivery_sort(id: DeliveryId) -> String {
    format!("{}#{:02}", id.message.ulid(), id.position)
}

/// The prefix of the sort keys of a message's deliveries.
pub(crate) fn message_prefix(id: MessageId) -> String {
    format!("{}#", id.ulid())
}

/// Returns the delivery that a sort key names.
pub(crate) fn delivery_of(sort: &str) -> Option<DeliveryId> {
    let (ulid, position) = sort.split_once('#')?;
    let message = MessageId::from(ulid.parse::<Ulid>().ok()?);
    Some(DeliveryId {
        message,
        position: position.parse().ok()?,
    })
}

/// Returns the organization that a delivery's partition belongs to.
pub(crate) fn organization_of(partition: &str) -> Option<OrganizationId> {
    partition
        .strip_prefix("ORG#")?
        .split('#')
        .next()?
        .parse()
        .ok()
}

/// One shard of a destination's deliveries, in `by_destination`.
pub(crate) fn by_destination(id: DestinationId, shard: u8) -> String {
    format!("{id}#{shard}")
}

/// Returns the destination that such a partition belongs to.
pub(crate) fn destination_of(partition: &str) -> Option<DestinationId> {
    partition.split('#').next()?.parse().ok()
}

/// One shard of an organization's deliveries of one status, in `attention_org`.
pub(crate) fn attention_org(id: OrganizationId, status: DeliveryStatus, shard: u8) -> String {
    format!("{id}#{}#{shard}", status.as_str())
}

/// One shard of a destination's deliveries of one status, in `attention_dst`.
pub(crate) fn attention_dst(id: DestinationId, status: DeliveryStatus, shard: u8) -> String {
    format!("{id}#{}#{shard}", status.as_str())
}

/// What the `trouble` index lists across all organizations: unfinished and undelivered deliveries,
/// alerts and audit events. A delivery that succeeds at once is never in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TroubleKind {
    Retrying,
    Failed,
    Skipped,
    Alert,
    Audit,
}

impl TroubleKind {
    /// Returns the kind of deliveries in this status; `None` if they are not in the index.
    pub(crate) fn of(status: DeliveryStatus) -> Option<Self> {
        match status {
            DeliveryStatus::Retrying => Some(Self::Retrying),
            DeliveryStatus::Failed => Some(Self::Failed),
            DeliveryStatus::Skipped => Some(Self::Skipped),
            DeliveryStatus::Queued | DeliveryStatus::Succeeded | DeliveryStatus::Cancelled => None,
        }
    }
}

/// A partition of `trouble`.
pub(crate) fn trouble(kind: TroubleKind, partition: u8) -> String {
    let kind = match kind {
        TroubleKind::Retrying => "retrying",
        TroubleKind::Failed => "failed",
        TroubleKind::Skipped => "skipped",
        TroubleKind::Alert => "alert",
        TroubleKind::Audit => "audit",
    };
    format!("{kind}#{partition}")
}

/// Adds an item to `trouble` under a sort key.
pub(crate) fn put_trouble(item: &mut Item, kind: TroubleKind, sort: String) {
    item.put(
        TROUBLE.pk,
        text(trouble(kind, spread(&sort) % TROUBLE_PARTITIONS)),
    );
    item.put(TROUBLE.sk, text(sort));
}

/// The partition of an organization's messages with one reference, in `by_reference`.
pub(crate) fn by_reference(organization: OrganizationId, reference: &str) -> String {
    format!("{organization}#{reference}")
}

/// Returns the reference in such a partition's name.
pub(crate) fn reference_of(partition: &str) -> Option<&str> {
    partition.split_once('#').map(|(_, reference)| reference)
}

/// A partition of `due`.
pub(crate) fn due(partition: u8) -> String {
    format!("DUE#{partition}")
}

/// The partition of `due` that a delivery is in. Any even distribution works, as long as it never
/// changes.
pub(crate) fn due_partition(id: DeliveryId) -> String {
    due(spread(&delivery_sort(id)) % DUE_PARTITIONS)
}

/// Returns an evenly distributed number that is always the same for the same text.
fn spread(text: &str) -> u8 {
    let hash = text.bytes().fold(0_u32, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    (hash >> 4) as u8
}

/// The partition of a delivery's earlier attempts.
pub(crate) fn attempts(id: DeliveryId) -> String {
    format!("ATT#{id}")
}

/// The key of an attempt that a later one replaced. Its number is unique among those, so writing it
/// again changes nothing.
pub(crate) fn attempt(id: DeliveryId, number: u32) -> Key {
    Key::new(attempts(id), format!("{number:010}"))
}

/// The key of an attempt that another change overtook. Another attempt may have its number.
pub(crate) fn late_attempt(id: DeliveryId, late: &Attempt) -> Key {
    Key::new(
        attempts(id),
        format!("{:010}.{}", late.number, late.started_at.as_millis()),
    )
}

/// The key of a payload that does not fit into its deliveries.
pub(crate) fn payload(id: MessageId) -> Key {
    Key::new(format!("PAY#{id}"), "PAY")
}

/// The key of the last body that a delivery sent, if it is not the payload.
pub(crate) fn body(id: DeliveryId) -> Key {
    Key::new(format!("BODY#{id}"), "BODY")
}

/// The key of an upload.
pub(crate) fn upload(organization: OrganizationId, id: UploadId) -> Key {
    Key::new(uploads(organization), id.ulid().to_string())
}

/// The prefix of the sort keys of uploads that no message uses yet.
pub(crate) const OUTSTANDING_PREFIX: &str = "OUT#";

/// The key of the entry of an upload that no message uses yet.
pub(crate) fn outstanding(organization: OrganizationId, id: UploadId) -> Key {
    Key::new(
        uploads(organization),
        format!("{OUTSTANDING_PREFIX}{}", id.ulid()),
    )
}

/// The partition of an organization's uploads.
pub(crate) fn uploads(organization: OrganizationId) -> String {
    format!("ORG#{organization}#UPLOADS")
}

/// Returns the upload of an object that [`upload_object`] names.
pub(crate) fn upload_of(object: &str) -> Option<UploadId> {
    object.rsplit('/').next()?.parse().ok()
}

/// The partition of the uses of an upload's object.
pub(crate) fn uses(object: &str) -> String {
    format!("USES#{object}")
}

/// The key of a message's use of an upload's object.
pub(crate) fn used(object: &str, message: MessageId) -> Key {
    Key::new(uses(object), message.to_string())
}

/// The object of an upload, next to payloads that are kept equally long.
pub(crate) fn upload_object(
    retention_days: u32,
    organization: OrganizationId,
    id: UploadId,
) -> String {
    format!("{}/{organization}/{id}", lifecycle_days(retention_days))
}

/// The object of a payload that does not fit into the table. Objects that are kept equally long
/// share a prefix, for the bucket's lifecycle rules.
pub(crate) fn payload_object(
    retention_days: u32,
    organization: OrganizationId,
    message: MessageId,
) -> String {
    format!(
        "{}/{organization}/{message}",
        lifecycle_days(retention_days)
    )
}

/// The object of a body that does not fit into the table, next to payloads that are kept equally
/// long.
pub(crate) fn body_object(
    retention_days: u32,
    organization: OrganizationId,
    id: DeliveryId,
) -> String {
    format!(
        "{}/{organization}/{id}.body",
        lifecycle_days(retention_days)
    )
}

/// The prefixes that the bucket's lifecycle rules name (`template.yaml`). An object is under the
/// first that keeps it long enough. What is past its own retention is not shown, even before the
/// bucket deletes it.
pub const LIFECYCLE_DAYS: [u32; 12] = [1, 3, 7, 14, 30, 60, 90, 180, 365, 730, 1825, 3650];

/// Returns the lifecycle prefix of an object.
pub(crate) fn lifecycle_days_of(object: &str) -> Option<u32> {
    object.split_once('/')?.0.parse().ok()
}

fn lifecycle_days(retention_days: u32) -> u32 {
    LIFECYCLE_DAYS
        .into_iter()
        .find(|days| *days >= retention_days)
        .unwrap_or(LIFECYCLE_DAYS[LIFECYCLE_DAYS.len() - 1])
}
