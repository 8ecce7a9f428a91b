//! Status updates for organizations that have requested them. They are sent before the task is
//! acknowledged. If a worker ends before it has sent them, the next worker that receives the task
//! sends them.

use dispatch::{Dispatcher, Ending, has_requested_updates};
use domain::delivery::{Delivery, DeliveryStatus};
use domain::destination::Destination;
use domain::id::IdMint;
use domain::{Clock, Random};
use store::Work;
use vault::KeySource;

/// Sends status updates about finished deliveries.
#[derive(Debug)]
pub struct Updates {
    public_url: String,
    keys: KeySource,
    clock: Clock,
    random: Random,
}

impl Updates {
    /// Creates updates whose links begin with `public_url` and whose ids are tagged with `keys`.
    #[must_use]
    pub fn new(public_url: String, keys: KeySource, clock: Clock, random: Random) -> Self {
        Self {
            public_url,
            keys,
            clock,
            random,
        }
    }

    /// Returns a mint for ids with the current keys.
    pub(crate) async fn ids(&self) -> Result<IdMint, vault::VaultError> {
        let keys = self.keys.ring(self.clock.now()).await?;
        Ok(IdMint::new(keys, self.clock.clone(), self.random.clone()))
    }

    /// Returns the URL of a destination's page.
    pub(crate) fn link_to(&self, destination: &Destination) -> String {
        format!("{}/destinations/{}", self.public_url, destination.id)
    }

    /// Sends the updates about this delivery, if it is finished and the organization has requested
    /// them.
    pub(crate) async fn send(
        &self,
        dispatcher: &Dispatcher,
        delivery: &Delivery,
        work: &Work,
    ) -> Result<(), lambda_runtime::Error> {
        let listened_to = work
            .settings
            .as_ref()
            .is_some_and(|settings| has_requested_updates(delivery, settings));
        let on_the_bus = dispatcher.bus().is_some() && delivery.status() == DeliveryStatus::Failed;
        if !listened_to && !on_the_bus {
            return Ok(());
        }
        let ids = &self.ids().await?;
        let ending = Ending::of(delivery, &self.public_url, work.shards);
        // Both are tried, so that a failure of the one does not hold up the other.
        let updated = match listened_to {
            true => dispatcher.send_status_updates(ids, &ending).await,
            false => Ok(()),
        };
        let published = match on_the_bus {
            true => dispatcher.put_failed(ids, &ending).await,
            false => Ok(()),
        };
        updated?;
        Ok(published?)
    }
}
