//! Checks connections. The worker that will deliver makes a check, with the same sealed credentials
//! that are then saved.

use dispatch::{CheckError, Checker};
use domain::check::CheckReport;
use domain::destination::Destination;
use domain::input::Errors;
use domain::role::Permission;

use super::{DestinationDraft, Drafted};
use crate::quota::Limited;
use crate::view::destination::Checked;
use crate::{Body, Context, Input, Operations, Query, Refusal};

/// The checks that one request makes before it saves a destination. A request that lost a race
/// checks again, but counts against the organization's quota once.
pub(super) struct RequestChecks<'r> {
    operations: &'r Operations,
    ctx: &'r Context,
    /// Whether the client asked to save the destination unchecked.
    skip: bool,
    counted: bool,
}

impl<'r> RequestChecks<'r> {
    pub(super) fn new(operations: &'r Operations, ctx: &'r Context, skip: bool) -> Self {
        Self {
            operations,
            ctx,
            skip,
            counted: false,
        }
    }

    /// Checks the destination, refuses it if it does not pass, and records when it passed. If
    /// checks are skipped, the destination is not verified.
    pub(super) async fn checked(
        &mut self,
        destination: Destination,
    ) -> Result<Destination, Refusal> {
        let verified_at = if self.skip {
            None
        } else {
            self.run(&destination).await?;
            Some(self.operations.clock.now())
        };
        Ok(Destination {
            verified_at,
            ..destination
        })
    }

    async fn run(&mut self, destination: &Destination) -> Result<(), Refusal> {
        if !self.counted {
            self.operations
                .limit(destination.organization_id, Limited::Check)
                .await?;
            self.counted = true;
        }
        let report = self
            .operations
            .run_counted_check(self.ctx, destination)
            .await?;
        if report.ok {
            Ok(())
        } else {
            Err(Refusal::connection_check_failed(report))
        }
    }
}

impl Operations {
    /// Counts a check against the organization's quota, and makes it.
    async fn run_check(
        &self,
        ctx: &Context,
        destination: &Destination,
    ) -> Result<CheckReport, Refusal> {
        self.limit(destination.organization_id, Limited::Check)
            .await?;
        self.run_counted_check(ctx, destination).await
    }

    /// Invokes the worker to check a destination. The request and the response are never logged.
    async fn run_counted_check(
        &self,
        ctx: &Context,
        destination: &Destination,
    ) -> Result<CheckReport, Refusal> {
        let checker = Checker::new(self.lambda.clone(), self.settings.worker_functions.clone());
        let report = checker
            .check(destination)
            .await
            .map_err(|error| match error {
                CheckError::Unavailable(_) | CheckError::Failed(_) => Refusal::unavailable(error),
                CheckError::Request(_) | CheckError::Unreadable(_) => Refusal::internal(error),
            })?;
        self.note_blocked_check(
            ctx,
            destination.organization_id,
            &destination.id.to_string(),
            &report,
        )
        .await;
        Ok(report)
    }

    /// `POST /v1/destinations/check`: reads a destination as a create does and checks it, without
    /// saving it.
    pub async fn check_new_destination(
        &self,
        ctx: &Context,
        mut input: Input<DestinationDraft>,
    ) -> Result<Checked, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut input.query)
            .await?;
        let read = async |query: Query, body: Body| {
            let members = body.object()?;
            let errors = Errors::default();
            query.finish(&errors);
            self.read_new(ctx, organization, members, errors).await
        };
        let draft = input.read_async(read).await?;
        self.resolve_authorization(ctx, organization, &draft.settings, &draft.credentials)
            .await?;
        let Drafted { destination, .. } = self
            .drafted(self.ids.mint(organization, 1), organization, draft)
            .await?;
        Ok(Checked {
            check: self.run_check(ctx, &destination).await?,
        })
    }

    /// `POST /v1/destinations/{id}/check`: checks a saved destination. A check that does not pass
    /// is not counted as a failure of the destination.
    pub async fn check_destination(
        &self,
        ctx: &Context,
        id: &str,
        mut input: Input<()>,
    ) -> Result<Checked, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut input.query)
            .await?;
        let destination = self.own_destination(ctx, organization, id).await?;
        input.nothing()?;
        let check = self.run_check(ctx, &destination).await?;
        if check.ok {
            self.note_verified(ctx, destination).await?;
        }
        Ok(Checked { check })
    }

    /// Records that a check passed, unless the destination has changed since.
    async fn note_verified(&self, ctx: &Context, before: Destination) -> Result<(), Refusal> {
        let now = self.clock.now();
        let revision = before.revision();
        let after = Destination {
            verified_at: Some(now),
            managed_by: before.managed_by.next(),
            ..before
        };
        let event = self.event(
            ctx,
            after.organization_id,
            "destination.verified",
            after.id,
            Vec::new(),
        );
        self.store
            .save_destination(&after, revision, &event)
            .await?;
        Ok(())
    }
}
