//! Routes: everything that submitting a message needs to know about an organization, in one item.
//!
//! The destinations are entries of a map, so that changes of different destinations touch different
//! paths. A destination and its route are written in one transaction.

use domain::Timestamp;
use domain::destination::Destination;
use domain::event_type::EventPattern;
use domain::id::{DestinationId, OrganizationId};
use domain::limits::DESTINATIONS_MAX;
use domain::organization::{Organization, OrganizationSettings, OrganizationStatus};
use domain::settings::DestinationType;
use serde::{Deserialize, Serialize};

use crate::attributes::{Item, Put, Reader, json, number};
use crate::expression::{Change, Condition};
use crate::keys::{self, PK};
use crate::{Store, StoreError};

const STATUS: &str = "status";
const SHARDS: &str = "shards";
const SETTINGS: &str = "settings";
/// The map of routes, by destination id.
const DESTINATIONS: &str = "d";

/// What submitting needs to know about an organization.
#[derive(Clone, Debug, PartialEq)]
pub struct Routes {
    /// The status of the organization, which decides whether it may submit.
    pub status: OrganizationStatus,
    /// How many shards the organization's deliveries are spread over.
    pub shards: u8,
    /// The settings of the organization.
    pub settings: OrganizationSettings,
    /// The routes of its destinations, oldest first.
    pub destinations: Vec<Route>,
}

/// What submitting needs to know about a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The id of the destination.
    pub id: DestinationId,
    /// The type of the destination.
    pub kind: DestinationType,
    /// Whether the destination takes deliveries.
    pub enabled: bool,
    /// The patterns that the destination subscribes to; `None` for nothing.
    pub event_types: Option<Vec<EventPattern>>,
    /// The revision of the destination.
    pub revision: u64,
    /// Until when the destination is paused, if it is; [`Timestamp::MAX`] for a pause without an
    /// end.
    pub paused_until: Option<Timestamp>,
}

/// A route as it is stored. It is small, so that a thousand fit into one item.
#[derive(Serialize, Deserialize)]
struct StoredRoutes {
    #[serde(rename = "t")]
    kind: DestinationType,
    #[serde(rename = "e")]
    enabled: bool,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    event_types: Option<Vec<EventPattern>>,
    #[serde(rename = "r")]
    revision: u64,
    /// Until when the destination is paused, in milliseconds.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    paused_until_ms: Option<i64>,
}

impl Store {
    /// Reads the routes of an organization.
    pub async fn routes(&self, organization: OrganizationId) -> Result<Option<Routes>, StoreError> {
        let item = self
            .get("read an organization's routes", &keys::routes(organization))
            .await?;
        item.as_ref().map(read).transpose()
    }
}

/// Reads the routes in an item.
pub(crate) fn read(item: &Item) -> Result<Routes, StoreError> {
    let reader = Reader(item);
    let members: Vec<(String, String)> = reader.text_map(DESTINATIONS)?;
    let route = |(id, stored): (String, String)| {
        let id = id
            .parse()
            .map_err(|error| reader.corrupt(format!("{DESTINATIONS}.{id} {error}")))?;
        let stored: StoredRoutes = serde_json::from_str(&stored)
            .map_err(|error| reader.corrupt(format!("{DESTINATIONS}.{id}: {error}")))?;
        Ok(Route {
            id,
            kind: stored.kind,
            enabled: stored.enabled,
            event_types: stored.event_types,
            revision: stored.revision,
            paused_until: stored.paused_until_ms.map(Timestamp::from_millis),
        })
    };
    let mut destinations = members
        .into_iter()
        .map(route)
        .collect::<Result<Vec<Route>, StoreError>>()?;
    destinations.sort_by_key(|route| route.id);
    Ok(Routes {
        status: reader.json(STATUS)?,
        shards: reader.number(SHARDS)?,
        settings: reader.json(SETTINGS)?,
        destinations,
    })
}

/// Makes the routes of a new organization.
pub(crate) fn first(organization: &Organization) -> Item {
    let mut item = keys::routes(organization.id).item();
    item.put(STATUS, json(&organization.status));
    item.put(SHARDS, number(organization.shards));
    item.put(SETTINGS, json(&organization.settings));
    item.put(
        DESTINATIONS,
        aws_sdk_dynamodb::types::AttributeValue::M(Item::new()),
    );
    item
}

/// Updates the attributes that follow from the organization.
pub(crate) fn organization_attributes(organization: &Organization) -> Change {
    let mut change = Change::default();
    change.set(STATUS, json(&organization.status));
    change.set(SHARDS, number(organization.shards));
    change.set(SETTINGS, json(&organization.settings));
    change.when().exists(PK);
    change
}

/// Adds a destination, unless there are too many.
pub(crate) fn added(destination: &Destination) -> Change {
    let mut change = saved(destination);
    let condition = change.when();
    let part = format!(
        "size({}) < {}",
        condition.name(DESTINATIONS),
        condition.value(number(DESTINATIONS_MAX))
    );
    condition.and(part);
    change
}

/// Updates the route of a destination; that of a deleted one is removed.
pub(crate) fn saved(destination: &Destination) -> Change {
    let mut change = Change::default();
    let id = destination.id.to_string();
    if destination.is_deleted() {
        change.remove_member(DESTINATIONS, &id);
    } else {
        let stored = StoredRoutes {
            kind: destination.kind(),
            enabled: destination.takes_deliveries(),
            event_types: destination.event_types.clone(),
            revision: destination.revision(),
            paused_until_ms: destination
                .paused_until(destination.updated_at)
                .map(Timestamp::as_millis),
        };
        change.set_member(DESTINATIONS, &id, json(&stored));
    }
    change.when().exists(PK);
    change
}

/// Adds the settings to a change.
pub(crate) fn with_settings(mut change: Change, settings: &OrganizationSettings) -> Change {
    change.set(SETTINGS, json(settings));
    change
}

/// Requires that there are no destinations.
pub(crate) fn empty() -> Condition {
    let mut condition = Condition::default();
    let part = format!(
        "size({}) = {}",
        condition.name(DESTINATIONS),
        condition.value(number(0))
    );
    condition.and(part);
    condition
}
