//! Status updates, where an organization wants them: told before the task is acknowledged, so that a worker that dies leaves the telling to the
//! next one that gets the task.

use aws_config::SdkConfig;
use dispatch::{BusError, Dispatcher, Ending, is_listened_to};
use domain::audit::AuditEvent;
use domain::delivery::{Delivery, DeliveryStatus};
use domain::id::IdMint;
use domain::organization::OrganizationSettings;
use domain::{Clock, Random};
use tokio::sync::OnceCell;
use vault::SigningKeys;

/// Tells of deliveries that finished.
#[derive(Debug)]
pub struct Updates {
    dispatcher: Dispatcher,
    public_url: String,
    aws: SdkConfig,
    signing_keys_secret_arn: String,
    clock: Clock,
    random: Random,
    ids: OnceCell<IdMint>,
}

impl Updates {
    /// Updates whose links lead to `public_url`. The key that ids are made with is read with the first of them.
    #[must_use]
    pub fn new(
        dispatcher: Dispatcher,
        public_url: String,
        aws: SdkConfig,
        signing_keys_secret_arn: String,
        clock: Clock,
        random: Random,
    ) -> Self {
        Self { dispatcher, public_url, aws, signing_keys_secret_arn, clock, random, ids: OnceCell::new() }
    }

    /// Tells of this delivery, if it is finished and anybody listens.
    pub(crate) async fn tell(&self, delivery: &Delivery, settings: Option<&OrganizationSettings>) -> Result<(), lambda_runtime::Error> {
        let listened_to = settings.is_some_and(|settings| is_listened_to(delivery, settings));
        let on_the_bus = self.dispatcher.bus().is_some() && delivery.status() == DeliveryStatus::Failed;
        if !listened_to && !on_the_bus {
            return Ok(());
        }
        let load = async || {
            let keys = SigningKeys::load(&self.aws, &self.signing_keys_secret_arn).await?;
            Ok::<_, vault::VaultError>(IdMint::new(keys.id_key, self.clock.clone(), self.random.clone()))
        };
        let ids = self.ids.get_or_try_init(load).await?;
        let ending = Ending::of(delivery, &self.public_url);
        if on_the_bus {
            self.dispatcher.put_failed(ids, &ending).await?;
        }
        if listened_to { Ok(self.dispatcher.tell_status(ids, &ending).await?) } else { Ok(()) }
    }

    /// Puts a security event on the bus, if there is one.
    pub(crate) async fn report(&self, event: &AuditEvent) -> Result<(), BusError> {
        match self.dispatcher.bus() {
            Some(bus) => bus.put_security(event).await,
            None => Ok(()),
        }
    }
}
