//! Destinations. A client **drafts** one; its secrets are **sealed**, and its connection is
//! **checked** by the worker that will deliver. The identical record is then **saved**, on the
//! condition that the revision it was made from is still the current one. Later it is **switched**
//! on and off, its signing secret is **rotated**, and it is **tried** with a test message.

mod check;
mod credential_rules;
mod credentials;
mod documents;
pub(crate) mod health;
mod host_keys;
mod input;
mod list;
mod moved;
mod pause;
mod preview;
mod rotation;
mod seal;
mod secret_input;
mod switch;
mod together;
mod trial;
mod x509;

pub(crate) use credentials::CredentialsDraft;
pub use documents::{CreateDestination, PatchDestination, RotateSecret};
pub use host_keys::{AskHostKeys, HostKeysView};
pub(crate) use input::{Addresses, admit, refused};
pub use input::{DestinationDraft, DestinationPatch, DestinationToCreate};
pub use pause::PauseDestination;
pub use preview::{PreviewDestination, PreviewToRender};
pub use rotation::Rotation;
pub(crate) use rotation::too_many_secrets;
pub use switch::{DisableDestination, EnableDestination, EnabledDestination, ReplaySince};
pub use trial::{TestDestination, TestMessage};

use domain::audit::Change;
use domain::credentials::Credentials;
use domain::delivery::SkipReason;
use domain::destination::{Destination, DestinationState, OnExhausted};
use domain::id::{DestinationId, OrganizationId};
use domain::input::Errors;
use domain::limits::DESTINATIONS_MAX;
use domain::organization::OrganizationSettings;
use domain::role::Permission;
use domain::settings::DestinationType;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use store::{Created, Saved};

use crate::audit::changes;
use crate::organization::no_parameters;
use crate::view::destination::{DestinationView, HealthView, NewDestination};
use crate::{Body, Context, Input, Operations, Query, RACES_MAX, Refusal, RefusalCode};
use check::RequestChecks;
use input::{read_new, read_patch, take_skip_check};
use seal::auditable;

/// A destination that was made from a draft, and the signing secret that was generated for it, if
/// any.
pub(crate) struct Drafted {
    pub(crate) destination: Destination,
    pub(crate) generated: Option<SecretString>,
}

/// Runs `read` on a thread that serves no requests.
pub(crate) async fn off_thread<T: Send + 'static>(
    read: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(read)
        .await
        .map_err(Refusal::internal)
}

impl Operations {
    pub(crate) fn addresses(&self) -> Addresses<'_> {
        Addresses {
            policy: &self.settings.egress,
            plain_http: self.settings.plain_http,
            account_id: &self.settings.account_id,
        }
    }

    /// Reads the body of a create on a thread that serves no requests, because compiling its
    /// templates takes time.
    pub(crate) async fn read_new(
        &self,
        ctx: &Context,
        organization: OrganizationId,
        members: Map<String, Value>,
        errors: Errors,
    ) -> Result<DestinationDraft, Refusal> {
        let operations = self.clone();
        let read = off_thread(move || read_new(members, errors, &operations.addresses())).await?;
        self.recording_blocked_addresses(ctx, organization, read.map_err(Refusal::invalid))
            .await
    }

    /// Reads a merge patch of a stored destination. One with settings or credentials is read on a
    /// thread that serves no requests, because compiling templates and reading keys takes time.
    async fn read_patch(
        &self,
        ctx: &Context,
        patch: &DestinationPatch,
        stored: &Destination,
    ) -> Result<DestinationDraft, Refusal> {
        let (operations, stored, organization) =
            (self.clone(), stored.clone(), stored.organization_id);
        let errors = Errors::default();
        errors.extend(patch.mistakes.iter().cloned());
        let members = patch.patch.0.clone();
        let takes_time = members.contains_key("settings") || members.contains_key("credentials");
        let read = move || read_patch(members, errors, &stored, &operations.addresses());
        let read = if takes_time {
            off_thread(read).await?
        } else {
            read()
        };
        self.recording_blocked_addresses(ctx, organization, read)
            .await
    }

    /// `POST /v1/destinations`: creates a destination, after checking its connection unless
    /// `skip_check` is true.
    pub async fn create_destination(
        &self,
        ctx: &Context,
        mut input: Input<DestinationToCreate>,
    ) -> Result<NewDestination, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut input.query)
            .await?;
        let read = async |query, body: Body| {
            let members = body.object()?;
            let errors = Errors::default();
            let skip_check = take_skip_check(query, &errors);
            let draft = self.read_new(ctx, organization, members, errors).await?;
            Ok(DestinationToCreate { draft, skip_check })
        };
        let DestinationToCreate { draft, skip_check } = input.read_async(read).await?;
        self.must_have_fallbacks(ctx, organization, draft.on_exhausted.as_ref())
            .await?;
        self.resolve_authorization(ctx, organization, &draft.settings, &draft.credentials)
            .await?;
        let Drafted {
            destination,
            generated,
        } = self
            .drafted(self.id_for(ctx, organization), organization, draft)
            .await?;
        let destination = RequestChecks::new(self, ctx, skip_check)
            .checked(destination)
            .await?;
        let event = self.event(
            ctx,
            organization,
            "destination.created",
            destination.id,
            skipped_check(skip_check),
        );
        let settings = self.settings_of(organization).await?;
        match self.store.create_destination(&destination, &event).await? {
            Created::Done => {}
            Created::TooMany => {
                return Err(Refusal::new(
                    RefusalCode::LimitReached,
                    format!("an organization has at most {DESTINATIONS_MAX} destinations"),
                ));
            }
            // An earlier run of this request was interrupted after it had created the destination.
            Created::Conflict if ctx.reserved.is_some() => {
                let destination = self
                    .existing_destination(organization, destination.id)
                    .await?;
                return Ok(NewDestination {
                    view: self.destination_view(ctx, &destination, &settings, None),
                    signing_secret: None,
                });
            }
            Created::Conflict => return Err(Refusal::contended()),
        }
        let health = self
            .health_views(organization, std::slice::from_ref(&destination))
            .await
            .unwrap_or_else(|refusal| {
                tracing::warn!(
                    error = refusal.detail,
                    request_id = ctx.request_id,
                    destination = %destination.id,
                    "failed to read the health of a new destination; the answer is without it"
                );
                Vec::new()
            })
            .pop();
        Ok(NewDestination {
            view: self.destination_view(ctx, &destination, &settings, health),
            signing_secret: generated.map(|secret| secret.expose_secret().to_owned()),
        })
    }

    /// Makes a new destination from a draft and seals its secrets. Does not save it.
    async fn drafted(
        &self,
        id: DestinationId,
        organization: OrganizationId,
        draft: DestinationDraft,
    ) -> Result<Drafted, Refusal> {
        let now = self.clock.now();
        let credentials = self
            .seal_credentials(organization, id, &draft.settings, draft.credentials, now)
            .await?;
        let secret = match draft.settings.kind() {
            DestinationType::Webhook => Some(
                self.new_signing_secret(
                    organization,
                    id,
                    draft.signing_secret,
                    "/signing_secret",
                    now,
                )
                .await?,
            ),
            _ => None,
        };
        let (stored, generated) = secret
            .map(|secret| (secret.stored, secret.generated))
            .unzip();
        let destination = Destination {
            external_id: draft.external_id,
            description: draft.description,
            credentials,
            signing_secrets: stored.into_iter().collect(),
            event_types: draft.event_types,
            retry_policy: draft.retry_policy,
            failure_policy: draft.failure_policy,
            delivery_limits: draft.delivery_limits,
            on_exhausted: draft.on_exhausted,
            ..Destination::new(id, organization, draft.name, draft.settings, now)
        };
        Ok(Drafted {
            destination,
            generated: generated.flatten(),
        })
    }

    /// `GET /v1/destinations/{id}`: returns a destination with its health.
    pub async fn destination(
        &self,
        ctx: &Context,
        id: &str,
        mut query: Query,
    ) -> Result<DestinationView, Refusal> {
        let candidates = self
            .organizations_of(ctx, Permission::Read, &mut query, id)
            .await?;
        for (organization, id) in candidates {
            if let Some(destination) = self.visible_destination(organization, id).await? {
                no_parameters(query)?;
                return self.view_with_health(ctx, &destination).await;
            }
        }
        Err(Refusal::not_found())
    }

    /// Refuses fallbacks that do not exist.
    async fn must_have_fallbacks(
        &self,
        ctx: &Context,
        organization: OrganizationId,
        named: Option<&OnExhausted>,
    ) -> Result<(), Refusal> {
        let Some(OnExhausted { destination_ids }) = named else {
            return Ok(());
        };
        let routes = self
            .store
            .routes(organization)
            .await?
            .ok_or_else(Refusal::not_found)?;
        let mut missing = Vec::new();
        for (position, id) in destination_ids.iter().enumerate() {
            if !routes.destinations.iter().any(|route| route.id == *id) {
                self.owns_or_records(ctx, organization, *id).await;
                missing.push(format!("/on_exhausted/destination_ids/{position}"));
            }
        }
        if missing.is_empty() {
            Ok(())
        } else {
            Err(Refusal::not_found_at(missing))
        }
    }

    /// Returns a destination of the organization that is not deleted, by the id in a path.
    pub(crate) async fn own_destination(
        &self,
        ctx: &Context,
        organization: OrganizationId,
        id: &str,
    ) -> Result<Destination, Refusal> {
        let id: DestinationId = self.own_id(ctx, organization, id).await?;
        self.existing_destination(organization, id).await
    }

    /// Returns a destination, or a refusal if it does not exist, is deleted or is one of Waybill's
    /// own.
    async fn existing_destination(
        &self,
        organization: OrganizationId,
        id: DestinationId,
    ) -> Result<Destination, Refusal> {
        self.visible_destination(organization, id)
            .await?
            .ok_or_else(Refusal::not_found)
    }

    /// Returns a destination that is neither deleted nor Waybill's own.
    async fn visible_destination(
        &self,
        organization: OrganizationId,
        id: DestinationId,
    ) -> Result<Option<Destination>, Refusal> {
        let found = self.store.destination(organization, id).await?;
        Ok(found.filter(|destination| !destination.is_deleted() && !destination.is_system()))
    }

    /// `PATCH /v1/destinations/{id}`: applies a merge patch. `expected` has the revisions that the
    /// patch was made for; `None` changes any revision.
    pub async fn patch_destination(
        &self,
        ctx: &Context,
        id: &str,
        expected: Option<&[u64]>,
        mut input: Input<DestinationPatch>,
    ) -> Result<DestinationView, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut input.query)
            .await?;
        let mut before = self.own_destination(ctx, organization, id).await?;
        let patch = input.read_with(DestinationPatch::read)?;
        let mut checks = RequestChecks::new(self, ctx, patch.skip_check);
        for _ in 0..RACES_MAX {
            let draft = self.read_patch(ctx, &patch, &before).await?;
            if draft.settings != before.settings
                || draft.credentials.differs_from(&before.credentials)
            {
                self.resolve_authorization(ctx, organization, &draft.settings, &draft.credentials)
                    .await?;
            }
            if draft.on_exhausted != before.on_exhausted {
                self.must_have_fallbacks(ctx, organization, draft.on_exhausted.as_ref())
                    .await?;
            }
            must_match(expected, &before)?;
            let after = self
                .patched_destination(&before, draft, &mut checks)
                .await?;
            let Some(after) = after else {
                return self.view_with_health(ctx, &before).await;
            };
            let mut changed = changes(&auditable(&before), &auditable(&after));
            if after.verified_at.is_none() {
                changed.extend(skipped_check(patch.skip_check));
            }
            let event = self.event(ctx, organization, "destination.updated", after.id, changed);
            let (store, revision) = (&self.store, before.revision());
            let saved = if after.delivery_limits == before.delivery_limits {
                store.save_destination(&after, revision, &event).await?
            } else {
                store.save_limits(&after, revision, &event).await?
            };
            match saved {
                Saved::Done => return self.view_with_health(ctx, &after).await,
                Saved::Conflict => {
                    before = self.existing_destination(organization, before.id).await?
                }
            }
        }
        tracing::warn!(
            skip_check = patch.skip_check,
            destination = %before.id,
            "failed to update a destination: other requests kept changing it"
        );
        Err(Refusal::contended())
    }

    /// Applies a draft to a destination, and checks the connection if settings or credentials
    /// change. Returns `None` if nothing changes.
    async fn patched_destination(
        &self,
        before: &Destination,
        draft: DestinationDraft,
        checks: &mut RequestChecks<'_>,
    ) -> Result<Option<Destination>, Refusal> {
        let now = self.clock.now();
        let reaches = draft.settings != before.settings
            || draft.credentials.differs_from(&before.credentials);
        let credentials = self
            .seal_credentials(
                before.organization_id,
                before.id,
                &draft.settings,
                draft.credentials,
                now,
            )
            .await?;
        let after = Destination {
            external_id: draft.external_id,
            name: draft.name,
            description: draft.description,
            settings: draft.settings,
            credentials,
            event_types: draft.event_types,
            retry_policy: draft.retry_policy,
            failure_policy: draft.failure_policy,
            delivery_limits: draft.delivery_limits,
            on_exhausted: draft.on_exhausted,
            ..before.clone()
        };
        if after == *before {
            return Ok(None);
        }
        let after = after.revised(now);
        if reaches {
            Ok(Some(checks.checked(after).await?))
        } else {
            Ok(Some(after))
        }
    }

    /// `DELETE /v1/destinations/{id}`: deletes a destination and its secrets. Its history stays
    /// readable, and its pending deliveries become `skipped`.
    pub async fn delete_destination(
        &self,
        ctx: &Context,
        id: &str,
        expected: Option<&[u64]>,
        mut query: Query,
    ) -> Result<(), Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut query)
            .await?;
        let mut before = self.own_destination(ctx, organization, id).await?;
        no_parameters(query)?;
        for _ in 0..RACES_MAX {
            must_match(expected, &before)?;
            let now = self.clock.now();
            let after = Destination {
                state: DestinationState::Deleted { at: now },
                credentials: Credentials::none(),
                signing_secrets: Vec::new(),
                verified_at: None,
                ..before.revised(now)
            };
            let event = self.event(
                ctx,
                organization,
                "destination.deleted",
                before.id,
                Vec::new(),
            );
            match self
                .store
                .save_destination(&after, before.revision(), &event)
                .await?
            {
                Saved::Done => {
                    self.skip_retrying(&after, SkipReason::DestinationDeleted)
                        .await;
                    return Ok(());
                }
                Saved::Conflict => {
                    before = self.existing_destination(organization, before.id).await?
                }
            }
        }
        Err(Refusal::contended())
    }

    pub(crate) fn destination_view(
        &self,
        ctx: &Context,
        destination: &Destination,
        settings: &OrganizationSettings,
        health: Option<HealthView>,
    ) -> DestinationView {
        let url = ctx.link("destinations", destination.id);
        DestinationView::of(destination, settings, health, self.clock.now(), url)
    }

    /// Returns the settings of an organization; the defaults if it does not exist.
    pub(crate) async fn settings_of(
        &self,
        organization: OrganizationId,
    ) -> Result<OrganizationSettings, Refusal> {
        Ok(self
            .store
            .routes(organization)
            .await?
            .map(|routes| routes.settings)
            .unwrap_or_default())
    }

    pub(crate) async fn view_with_health(
        &self,
        ctx: &Context,
        destination: &Destination,
    ) -> Result<DestinationView, Refusal> {
        let settings = self.settings_of(destination.organization_id).await?;
        let health = self
            .health_views(
                destination.organization_id,
                std::slice::from_ref(destination),
            )
            .await?
            .pop();
        Ok(self.destination_view(ctx, destination, &settings, health))
    }
}

/// Returns an error if a change is made for other revisions than the destination's.
fn must_match(expected: Option<&[u64]>, destination: &Destination) -> Result<(), Refusal> {
    if expected.is_none_or(|revisions| revisions.contains(&destination.revision())) {
        Ok(())
    } else {
        Err(Refusal::new(
            RefusalCode::RevisionConflict,
            "the destination has changed; read it again",
        ))
    }
}

/// Returns the change that records in the audit log that a check was skipped.
fn skipped_check(skipped: bool) -> Vec<Change> {
    let change = Change {
        path: "/skip_check".to_owned(),
        before: serde_json::Value::Null,
        after: true.into(),
    };
    if skipped { vec![change] } else { Vec::new() }
}
