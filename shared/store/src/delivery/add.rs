//! Adds a delivery to a committed message. Its payload is stored where the payload of the others
//! is.

use domain::Timestamp;
use domain::delivery::Delivery;

use super::item::{self, PAYLOAD_PLACE, PAYLOADS};
use super::payload::{PLACE_ERASED, is_erased};
use super::read::first_delivery_key;
use super::transition::put_due;
use crate::attributes::{number, text};
use crate::expression::{Change, Condition};
use crate::keys::PK;
use crate::transaction::Transacted;
use crate::unreadable::readable;
use crate::{Store, StoreError};

/// How often an addition is tried again when another one took the position.
const RACES_MAX: usize = 16;

/// The outcome of adding a delivery.
#[derive(Clone, Debug, PartialEq)]
pub enum Added {
    /// The delivery was added under this id.
    Done(Box<Delivery>),
    /// The message already had this delivery to the destination.
    There(Box<Delivery>),
    /// The message no longer exists, or its payload was erased.
    Gone,
}

impl Store {
    /// Adds `new` to its message at the next position, unless the message already has a delivery to
    /// the destination. A message has at most one delivery to each destination. The position in the
    /// id of `new` is ignored. If `due_at` is given, the due index lists the delivery at that time.
    pub async fn add_delivery(
        &self,
        new: &Delivery,
        due_at: Option<Timestamp>,
    ) -> Result<Added, StoreError> {
        const ACTION: &str = "add a delivery";
        let (organization, message) = (new.organization, new.id.message);
        let first = first_delivery_key(organization, message);
        for _ in 0..RACES_MAX {
            let deliveries = self.stored_message(organization, message).await?;
            if deliveries
                .first()
                .is_none_or(|(position, _)| *position != 0)
            {
                return Ok(Added::Gone);
            }
            let last = deliveries.last().map_or(0, |(position, _)| *position);
            if let Some(there) = readable(deliveries.into_iter().map(|(_, delivery)| delivery))?
                .into_iter()
                .find(|delivery| delivery.destination == new.destination)
            {
                return Ok(Added::There(Box::new(there)));
            }
            let Some(source) = self.get(ACTION, &first).await? else {
                return Ok(Added::Gone);
            };
            let position = last + 1;
            let added = new.clone().at_position(position);
            let mut item = item::encode(&added);
            if let Some(due_at) = due_at {
                put_due(&mut item, &added, due_at);
            }
            for name in PAYLOADS {
                if let Some(value) = source.get(*name) {
                    item.insert((*name).to_owned(), value.clone());
                }
            }
            if is_erased(&source) {
                return Ok(Added::Gone);
            }
            let mut new_item = Condition::default();
            new_item.missing(PK);
            let adding = self
                .transaction()
                .put(item, new_item)
                .change(&first, counted(position + 1));
            if let Transacted::Done = self.transact(ACTION, adding).await? {
                return Ok(Added::Done(Box::new(added)));
            }
        }
        Err(StoreError::contended(ACTION))
    }
}

/// Records on a message's first delivery that the message has this many deliveries, unless its
/// payload was erased. An erasure reads the deliveries after it has erased the first one.
fn counted(fan_out: u16) -> Change {
    let mut change = Change::default();
    change.set(item::FAN_OUT, number(fan_out));
    change
        .when()
        .exists(PK)
        .differs(PAYLOAD_PLACE, text(PLACE_ERASED))
        .missing_or_at_most(item::FAN_OUT, number(fan_out - 1));
    change
}
