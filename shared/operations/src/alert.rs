//! Lists alerts, each with the state of its notifications.

use domain::alert::Alert;
use domain::input::Errors;
use domain::role::Permission;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use store::skip_unreadable;

use crate::cursor::ListScope;
use crate::destination::health::READS_AT_ONCE;
use crate::page::{Page, PageQuery};
use crate::view::alert::{AlertView, Notified};
use crate::{Context, Operations, Query, Refusal};

impl Operations {
    /// `GET /v1/alerts`: lists the alerts of an organization, newest first. An operator that names
    /// no organization gets those of all organizations.
    pub async fn alerts(
        &self,
        ctx: &Context,
        mut query: Query,
    ) -> Result<Page<AlertView>, Refusal> {
        self.require(ctx, Permission::Read).await?;
        let organization = self.scope_or_all(ctx, &mut query).await?;
        let errors = Errors::default();
        let page = PageQuery::take(&mut query, &errors);
        query.finish(&errors);
        errors.into_result(())?;
        let scope = ListScope::of("/v1/alerts").with("organization", organization);
        let after = page.after(&self.cursors, &scope)?;
        let found = match organization {
            Some(organization) => {
                self.store
                    .alerts_page(organization, after, page.limit)
                    .await?
            }
            None => self.store.alerts_everywhere(after, page.limit).await?,
        };
        let next_cursor = self.next_cursor(
            &scope,
            found
                .items
                .last()
                .map(|alert| alert.id)
                .filter(|_| found.more),
        );
        let views: Vec<_> = found
            .items
            .into_iter()
            .map(|alert| self.alert_view(ctx, alert))
            .collect();
        Ok(Page {
            data: stream::iter(views)
                .buffered(READS_AT_ONCE)
                .try_collect()
                .await?,
            next_cursor,
        })
    }

    async fn alert_view(&self, ctx: &Context, alert: Alert) -> Result<AlertView, Refusal> {
        let deliveries = match alert.message {
            Some(message) => {
                skip_unreadable(self.store.message(alert.organization_id, message).await)?
                    .flatten()
                    .unwrap_or_default()
            }
            None => Vec::new(),
        };
        Ok(AlertView::of(
            alert,
            deliveries.iter().map(Notified::of).collect(),
            |id| ctx.link("destinations", id),
        ))
    }
}
