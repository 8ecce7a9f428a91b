//! Disables the destination of a receiver that answers 410 Gone, because it will not accept later
//! deliveries either.

use domain::alert::AlertKind;
use domain::audit::AuditEvent;
use domain::destination::{Destination, DestinationState, DisabledBy};
use store::Saved;

use crate::{Connector, Parts, Updates};

/// The reason that the destination shows.
const REASON: &str = "the receiver answered 410 Gone: it takes no more deliveries";
/// How many times the change is tried when other requests change the destination at the same time.
const RACES_MAX: usize = 8;

impl<C: Connector> Parts<C> {
    /// Disables a destination whose receiver is gone, and alerts. If that fails, the next delivery
    /// gets the same answer and tries again.
    pub(crate) async fn disable_gone_receiver(&self, destination: &Destination) {
        let Some(updates) = &self.updates else { return };
        if let Err(error) = self
            .try_disable_gone_receiver(updates, destination.clone())
            .await
        {
            tracing::warn!(
                error,
                destination = %destination.id,
                "failed to disable a destination whose receiver is gone; the next such answer \
                 tries again"
            );
        }
    }

    async fn try_disable_gone_receiver(
        &self,
        updates: &Updates,
        mut before: Destination,
    ) -> Result<(), lambda_runtime::Error> {
        let ids = &updates.ids().await?;
        for _ in 0..RACES_MAX {
            let Some(routes) = self.store.routes(before.organization_id).await? else {
                return Ok(());
            };
            let now = self.clock.now();
            let state = DestinationState::Disabled {
                at: now,
                by: DisabledBy::Receiver,
                reason: Some(REASON.to_owned()),
            };
            let after = Destination {
                state,
                ..before.revised(now)
            };
            let event = AuditEvent::by_system(
                ids.mint(after.organization_id, 1),
                after.organization_id,
                now,
                "destination.disabled",
                after.id,
            );
            let health = self.store.health(after.id).await?;
            let url = updates.link_to(&after);
            let alert = self
                .dispatcher
                .alert_about(ids, &routes, &after, &health, AlertKind::Disabled, &url)
                .await?;
            match self
                .store
                .switch_destination(&after, before.revision(), &event, &alert)
                .await?
            {
                Saved::Done => {
                    tracing::warn!(
                        destination = %after.id,
                        organization = %after.organization_id,
                        "a destination whose receiver is gone was disabled"
                    );
                    telemetry::metrics::destination_disabled(
                        after.kind(),
                        DisabledBy::Receiver.as_str(),
                    );
                    // The monitor announces an alert that is not announced here.
                    let announced = self
                        .dispatcher
                        .announce_alert(
                            ids,
                            &routes,
                            alert,
                            domain::trace::TraceId::generate(&self.random),
                        )
                        .await;
                    return Ok(announced.map(drop)?);
                }
                Saved::Conflict => {
                    let found = self
                        .store
                        .destination(before.organization_id, before.id)
                        .await?;
                    match found
                        .filter(|found| found.takes_deliveries() && found.is_disabled_on_gone())
                    {
                        Some(found) => before = found,
                        None => return Ok(()),
                    }
                }
            }
        }
        Err("the destination kept changing".into())
    }
}
