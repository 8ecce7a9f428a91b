//! The context of a request: its caller, and what the caller may see.

use std::sync::Arc;

use access::{Caller, CallerCredential, ScopeRefused};
use domain::audit::{Actor, ActorKind};
use domain::id::{DeliveryId, Id, OrganizationId, Ulid};
use domain::input::{Errors, FieldCode, FieldError};
use domain::role::Permission;
use domain::trace::TraceId;
use store::Routes;

use crate::{IdempotencyKey, Operations, Query, Refusal, RefusalCode};

/// One request of one caller.
#[derive(Clone, Debug)]
pub struct Context {
    /// The caller of the request.
    pub caller: Caller,
    /// The id of the request, in responses, logs and audit events.
    pub request_id: String,
    /// The IP address that the request came from.
    pub ip: Option<String>,
    /// The address of this Waybill for people, without a slash at the end. Links to the console
    /// begin with it.
    pub base_url: String,
    /// The trace that the request belongs to.
    pub trace: TraceId,
    /// Method, path and query, as they were sent.
    pub request_line: String,
    /// The `Idempotency-Key` header, if there is one.
    pub idempotency_key: Option<IdempotencyKey>,
    /// The routes of the caller's organization, if they were read together with its key.
    pub routes: Option<Arc<Routes>>,
    /// The id of the object that the request creates, as its idempotency claim recorded it. A
    /// repeat of a request that was interrupted creates the same object again, and no other.
    pub reserved: Option<Ulid>,
}

impl Context {
    pub(crate) fn actor(&self) -> Actor {
        let (kind, id) = match &self.caller.by {
            CallerCredential::Key(id) => (ActorKind::Key, id.to_string()),
            CallerCredential::EventSource { .. } => (ActorKind::System, self.caller.by.to_string()),
            CallerCredential::PortalLink { id, subject } => (
                ActorKind::Person,
                subject.clone().unwrap_or_else(|| id.to_string()),
            ),
        };
        Actor {
            kind,
            id: Some(id),
            name: Some(self.caller.name.clone()),
        }
    }

    /// Returns a link to a page of the console.
    pub(crate) fn link(&self, page: &str, id: impl std::fmt::Display) -> String {
        format!("{}/{page}/{id}", self.base_url)
    }
}

impl Operations {
    /// Returns the id of the object that a request creates: the reserved one, or else a new one.
    pub(crate) fn id_for<T: Id>(&self, ctx: &Context, organization: OrganizationId) -> T {
        ctx.reserved
            .map_or_else(|| self.ids.mint(organization, 1), T::from)
    }
}

/// An id in a path or body. It contains the tag of its organization.
pub(crate) trait Owned: Copy + std::str::FromStr + std::fmt::Display {
    fn tagged(self) -> Ulid;
}

impl<T: Id> Owned for T {
    fn tagged(self) -> Ulid {
        self.ulid()
    }
}

/// The id of a delivery, which contains the id of its message with the tag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnedDelivery(pub(crate) DeliveryId);

impl std::str::FromStr for OwnedDelivery {
    type Err = domain::id::NotAnId;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl std::fmt::Display for OwnedDelivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Owned for OwnedDelivery {
    fn tagged(self) -> Ulid {
        self.0.message.ulid()
    }
}

impl Operations {
    /// Refuses a caller whose role lacks the permission, and records the refusal.
    pub(crate) async fn require(
        &self,
        ctx: &Context,
        permission: Permission,
    ) -> Result<(), Refusal> {
        if ctx.caller.require(permission).is_ok() {
            return Ok(());
        }
        tracing::warn!(
            request_id = ctx.request_id,
            caller = %ctx.caller.by,
            role = %ctx.caller.role,
            security_event = true,
            "forbidden"
        );
        if let Some(organization) = ctx.caller.organization {
            self.record_refusal(
                ctx,
                organization,
                "forbidden",
                Some(path_of(&ctx.request_line)),
            )
            .await;
        }
        Err(Refusal::forbidden())
    }

    /// Returns the organization that a request concerns: the caller's own, or the one that the
    /// operator names.
    pub(crate) async fn scope(
        &self,
        ctx: &Context,
        query: &mut Query,
    ) -> Result<OrganizationId, Refusal> {
        let errors = Errors::default();
        let named = query.take("organization_id", &errors);
        errors.into_result(())?;
        match ctx.caller.scope(named.as_deref()) {
            Ok(organization) if ctx.caller.organization.is_some() => Ok(organization),
            // The operator may name one that does not exist.
            Ok(organization) => match self.store.organization(organization).await? {
                Some(_) => Ok(organization),
                None => Err(Refusal::not_found()),
            },
            Err(ScopeRefused::OrganizationRequired) => Err(organization_required(
                "an operator's key names the organization: add ?organization_id=",
            )),
            Err(ScopeRefused::NotFound) => {
                if let (Some(own), Some(other)) = (ctx.caller.organization, named) {
                    self.record_cross_organization(ctx, own, &other).await;
                }
                Err(Refusal::not_found())
            }
        }
    }

    /// Like [`Self::scope`], but returns `None` for an operator that names no organization and so
    /// asks about all of them.
    pub(crate) async fn scope_or_all(
        &self,
        ctx: &Context,
        query: &mut Query,
    ) -> Result<Option<OrganizationId>, Refusal> {
        if covers_all_organizations(ctx, query) {
            Ok(None)
        } else {
            self.scope(ctx, query).await.map(Some)
        }
    }

    /// Like [`Self::scope`], but an operator may name an organization that was erased.
    pub(crate) async fn scope_even_if_erased(
        &self,
        ctx: &Context,
        query: &mut Query,
    ) -> Result<OrganizationId, Refusal> {
        let named = query.clone().take("organization_id", &Errors::default());
        match (
            ctx.caller.organization,
            named.and_then(|id| id.parse().ok()),
        ) {
            (None, Some(organization)) => {
                query.take_all("organization_id");
                Ok(organization)
            }
            _ => self.scope(ctx, query).await,
        }
    }

    /// Checks the permission with [`Self::require`], then returns the organization from
    /// [`Self::scope`].
    pub(crate) async fn enter(
        &self,
        ctx: &Context,
        permission: Permission,
        query: &mut Query,
    ) -> Result<OrganizationId, Refusal> {
        self.require(ctx, permission).await?;
        self.scope(ctx, query).await
    }

    /// Returns the organizations that the id in a path can belong to, each with the id. This is the
    /// caller's organization. For an operator that names none, it is every organization whose tag
    /// the id contains, which is nearly always one.
    pub(crate) async fn organizations_of<T: Owned>(
        &self,
        ctx: &Context,
        permission: Permission,
        query: &mut Query,
        text: &str,
    ) -> Result<Vec<(OrganizationId, T)>, Refusal> {
        self.require(ctx, permission).await?;
        if !covers_all_organizations(ctx, query) {
            let organization = self.scope(ctx, query).await?;
            return Ok(vec![(
                organization,
                self.own_id(ctx, organization, text).await?,
            )]);
        }
        let id: T = text.parse().map_err(|_| Refusal::not_found())?;
        let organizations = self.store.organization_ids().await?.into_iter();
        Ok(organizations
            .filter(|organization| self.ids.owns(*organization, id.tagged()))
            .map(|one| (one, id))
            .collect())
    }

    /// Returns the routes of an organization: those that were read with the caller's key, or else
    /// the current ones.
    pub(crate) async fn routes(
        &self,
        ctx: &Context,
        organization: OrganizationId,
    ) -> Result<Arc<Routes>, Refusal> {
        match &ctx.routes {
            Some(routes) if ctx.caller.organization == Some(organization) => Ok(Arc::clone(routes)),
            _ => Ok(Arc::new(
                self.store
                    .routes(organization)
                    .await?
                    .ok_or_else(Refusal::not_found)?,
            )),
        }
    }

    /// Parses an id in a path. Returns 404 if it is malformed or belongs to another organization.
    /// The latter is recorded.
    pub(crate) async fn own_id<T: Owned>(
        &self,
        ctx: &Context,
        organization: OrganizationId,
        text: &str,
    ) -> Result<T, Refusal> {
        let id: T = text.parse().map_err(|_| Refusal::not_found())?;
        if self.owns_or_records(ctx, organization, id).await {
            Ok(id)
        } else {
            Err(Refusal::not_found())
        }
    }

    /// Whether an id belongs to this organization. If it does not, this is recorded. The id's tag
    /// decides, so nothing is read.
    pub(crate) async fn owns_or_records<T: Owned>(
        &self,
        ctx: &Context,
        organization: OrganizationId,
        id: T,
    ) -> bool {
        let owned = self.ids.owns(organization, id.tagged());
        if !owned {
            self.record_cross_organization(ctx, organization, &id.to_string())
                .await;
        }
        owned
    }

    async fn record_cross_organization(
        &self,
        ctx: &Context,
        organization: OrganizationId,
        asked_for: &str,
    ) {
        telemetry::metrics::security_event("cross_organization_access_denied");
        tracing::warn!(
            request_id = ctx.request_id, caller = %ctx.caller.by, %organization, asked_for,
            security_event = true,
            "cross_organization_access_denied"
        );
        self.record_refusal(
            ctx,
            organization,
            "cross_organization_access_denied",
            Some(asked_for),
        )
        .await;
    }
}

/// Whether the caller is an operator that names no organization.
pub(crate) fn covers_all_organizations(ctx: &Context, query: &Query) -> bool {
    ctx.caller.organization.is_none() && !query.has("organization_id")
}

/// Returns the 422 for a request that cannot be answered for all organizations at once.
pub(crate) fn organization_required(detail: &str) -> Refusal {
    let error = FieldError::in_query(
        "organization_id",
        FieldCode::Required,
        "is required for an operator's key",
    );
    Refusal {
        errors: vec![error],
        ..Refusal::new(RefusalCode::OrganizationRequired, detail)
    }
}

fn path_of(request_line: &str) -> &str {
    request_line.split('?').next().unwrap_or(request_line)
}
