//! Organizations. The operator creates, suspends and deletes them and grants them resources. An
//! admin changes the settings of its own.

use domain::id::OrganizationId;
use domain::input::{Errors, FieldCode, Fields};
use domain::limits::{NAME, REFERENCE};
use domain::organization::{Grants, Organization, OrganizationSettings, OrganizationStatus};
use domain::role::Permission;
use serde::Serialize;
use serde_json::Value;
use store::{Created, Ending, Job, JobKind, Saved};
use utoipa::ToSchema;

use crate::audit::changes;
use crate::body::read_members;
use crate::cursor::ListScope;
use crate::page::{Page, PageQuery};
use crate::view::job::JobView;
use crate::view::organization::{
    GrantsBody, OrganizationSettingsBody, OrganizationView, QuotasBody,
};
use crate::{Context, Input, MergePatch, Operations, Query, RACES_MAX, Refusal, RefusalCode};

const STATUSES: &[(&str, OrganizationStatus)] = &[
    ("active", OrganizationStatus::Active),
    ("suspended", OrganizationStatus::Suspended),
];
const READ_ONLY: &[&str] = &["id", "aws_external_id", "created_at", "updated_at", "url"];

/// The number of organizations that a search reads at once.
const SEARCH_PAGE: u32 = 100;
/// How often a search reads organizations for one page.
const SEARCH_PAGES_MAX: u32 = 20;

/// The beginning of an organization's name or external id, in lower case.
#[derive(Clone, Debug)]
pub(crate) struct NamePrefix(String);

impl NamePrefix {
    fn parse(text: &str) -> Result<Self, String> {
        let good = REFERENCE.contains(&text.chars().count());
        if good {
            Ok(Self(text.to_lowercase()))
        } else {
            Err(format!(
                "must have {} to {} characters",
                REFERENCE.start(),
                REFERENCE.end()
            ))
        }
    }

    /// Whether the organization's name or external id begins with it, in any case.
    pub(crate) fn admits(&self, organization: &Organization) -> bool {
        let begins = |text: &str| text.to_lowercase().starts_with(&self.0);
        begins(&organization.name) || organization.external_id.as_deref().is_some_and(begins)
    }
}

/// The body of `POST /v1/organizations`.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreateOrganization {
    /// The name that people see in the console and in alerts.
    pub name: String,
    /// Your own identifier of the organization.
    pub external_id: Option<String>,
    /// Settings that differ from the defaults.
    pub settings: Option<OrganizationSettingsBody>,
}

/// The body of `PATCH /v1/organizations/{id}`: a merge patch.
#[derive(Debug, Serialize, ToSchema)]
pub struct PatchOrganization {
    /// The name that people see in the console and in alerts.
    pub name: Option<String>,
    /// Your own identifier of the organization.
    pub external_id: Option<String>,
    /// `active` or `suspended`.
    pub status: Option<String>,
    /// The settings that change. Null resets a setting to its default.
    pub settings: Option<OrganizationSettingsBody>,
    /// The grants that change.
    pub grants: Option<GrantsBody>,
    /// The quotas that change. Null resets a quota to the deployment's default.
    pub quotas: Option<QuotasBody>,
}

/// The body of `PATCH /v1/organization`: a merge patch.
#[derive(Debug, Serialize, ToSchema)]
pub struct PatchOwnOrganization {
    /// The name that people see in the console and in alerts.
    pub name: Option<String>,
    /// The settings that change. Null resets a setting to its default.
    pub settings: Option<OrganizationSettingsBody>,
}

/// Who changes an organization, which decides what may change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ChangedBy {
    Operator,
    OrganizationAdmin,
}

/// A change of an organization that the operator makes.
#[derive(Debug)]
pub enum OrganizationChange {
    /// Suspends the organization, or ends its suspension.
    Status(OrganizationStatus),
    /// Applies a merge patch.
    Patch(MergePatch),
}

/// An organization to create.
#[derive(Debug)]
pub struct NewOrganization {
    name: String,
    external_id: Option<String>,
    settings: OrganizationSettings,
}

impl NewOrganization {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.read_only(&[READ_ONLY, &["status"]].concat());
        let name = fields.required_name("name", NAME);
        let external_id = fields.text("external_id", REFERENCE);
        let settings = fields
            .object("settings", |inner| {
                OrganizationSettings::default().read(inner)
            })
            .unwrap_or_default();
        Some(Self {
            name: name?,
            external_id,
            settings,
        })
    }
}

impl Operations {
    /// `POST /v1/organizations`: creates an organization.
    pub async fn create_organization(
        &self,
        ctx: &Context,
        input: Input<NewOrganization>,
    ) -> Result<OrganizationView, Refusal> {
        self.require(ctx, Permission::ManageOrganizations).await?;
        let NewOrganization {
            name,
            external_id,
            settings,
        } = input.required(NewOrganization::read)?;
        let id = ctx
            .reserved
            .map_or_else(|| self.ids.organization(), OrganizationId::from);
        let organization = Organization {
            external_id,
            settings,
            ..self.new_organization(id, name)
        };
        // A new organization has no destinations that its settings could name.
        let named = organization.settings.named_destinations();
        if !named.is_empty() {
            return Err(Refusal::not_found_at(
                named
                    .into_iter()
                    .map(|(pointer, _)| format!("/settings{pointer}")),
            ));
        }
        let event = self.event(
            ctx,
            organization.id,
            "organization.created",
            organization.id,
            Vec::new(),
        );
        let created = self.store.create_organization(&organization, &event);
        let organization = match created.await? {
            Created::Done | Created::TooMany => organization,
            // An earlier run of this request was interrupted after it had created it.
            Created::Conflict => self.existing_organization(organization.id).await?,
        };
        self.ask_for_confirmations(ctx, &organization).await;
        Ok(self.organization_view(ctx, organization))
    }

    pub(crate) fn new_organization(&self, id: OrganizationId, name: String) -> Organization {
        let now = self.clock.now();
        Organization::new(id, name, hex::encode(self.random.bytes::<16>()), now)
    }

    /// `GET /v1/organizations`: lists organizations, oldest first or worst first.
    pub async fn organizations(
        &self,
        ctx: &Context,
        mut query: Query,
    ) -> Result<Page<OrganizationView>, Refusal> {
        self.require(ctx, Permission::ManageOrganizations).await?;
        let errors = Errors::default();
        let page = PageQuery::take(&mut query, &errors);
        let worst_first = query
            .choice("sort", &errors, &[("health", true), ("created_at", false)])
            .unwrap_or(false);
        let name = query.parsed("name", &errors, NamePrefix::parse);
        query.finish(&errors);
        errors.into_result(())?;
        let scope = ListScope::of("/v1/organizations").with("worst_first", Some(worst_first));
        let scope = scope.with("name", name.as_ref().map(|NamePrefix(name)| name));
        let (found, next_cursor) = if worst_first {
            let after = page.after(&self.cursors, &scope)?;
            let (found, next) = self
                .worst_organizations(name.as_ref(), after, page.limit)
                .await?;
            (found, self.next_cursor(&scope, next))
        } else {
            let after = page.after(&self.cursors, &scope)?;
            let (found, next) = self
                .organizations_named(name.as_ref(), after, page.limit)
                .await?;
            (
                self.with_health(found).await?,
                self.next_cursor(&scope, next),
            )
        };
        let view = |(organization, health)| OrganizationView {
            health: Some(health),
            ..self.organization_view(ctx, organization)
        };
        Ok(Page {
            data: found.into_iter().map(view).collect(),
            next_cursor,
        })
    }

    /// Returns up to `limit` organizations, oldest first, and the id after which the next page
    /// begins. A search reads a bounded number of organizations, so its page may be short.
    async fn organizations_named(
        &self,
        name: Option<&NamePrefix>,
        mut after: Option<OrganizationId>,
        limit: u32,
    ) -> Result<(Vec<Organization>, Option<OrganizationId>), Refusal> {
        let Some(name) = name else {
            let found = self.store.organizations(after, limit).await?;
            let next = found
                .items
                .last()
                .map(|organization| organization.id)
                .filter(|_| found.more);
            return Ok((found.items, next));
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut found = Vec::new();
        for _ in 0..SEARCH_PAGES_MAX {
            let page = self.store.organizations(after, SEARCH_PAGE).await?;
            after = page.items.last().map(|organization| organization.id);
            found.extend(
                page.items
                    .into_iter()
                    .filter(|organization| name.admits(organization)),
            );
            if found.len() > limit {
                found.truncate(limit);
                let next = found
                    .last()
                    .map(|organization: &Organization| organization.id);
                return Ok((found, next));
            }
            if !page.more {
                return Ok((found, None));
            }
        }
        Ok((found, after))
    }

    /// `GET /v1/organizations/{id}`: returns an organization with its health.
    pub async fn organization(
        &self,
        ctx: &Context,
        id: &str,
        query: Query,
    ) -> Result<OrganizationView, Refusal> {
        self.require(ctx, Permission::ManageOrganizations).await?;
        let organization = self.existing_organization(parse_id(id)?).await?;
        no_parameters(query)?;
        let health = Some(self.organization_health(&organization).await?);
        Ok(OrganizationView {
            health,
            ..self.organization_view(ctx, organization)
        })
    }

    /// `GET /v1/organization`: returns the caller's own organization.
    pub async fn own_organization(
        &self,
        ctx: &Context,
        mut query: Query,
    ) -> Result<OrganizationView, Refusal> {
        let id = self.enter(ctx, Permission::Read, &mut query).await?;
        let organization = self.existing_organization(id).await?;
        no_parameters(query)?;
        Ok(self.organization_view(ctx, organization))
    }

    /// `PATCH /v1/organizations/{id}`: changes an organization as the operator.
    pub async fn patch_organization(
        &self,
        ctx: &Context,
        id: &str,
        input: Input<OrganizationChange>,
    ) -> Result<OrganizationView, Refusal> {
        self.require(ctx, Permission::ManageOrganizations).await?;
        let before = self.existing_organization(parse_id(id)?).await?;
        let change = input.read_with(|query, body| {
            MergePatch::read(query, body).map(OrganizationChange::Patch)
        })?;
        let change = |before: &Organization| match &change {
            OrganizationChange::Patch(patch) => self.patched(before, ChangedBy::Operator, patch),
            OrganizationChange::Status(status) => Ok(Organization {
                status: *status,
                ..before.clone()
            }),
        };
        self.change_organization(ctx, before, change).await
    }

    /// `PATCH /v1/organization`: changes the caller's own organization.
    pub async fn patch_own_organization(
        &self,
        ctx: &Context,
        mut input: Input<MergePatch>,
    ) -> Result<OrganizationView, Refusal> {
        let id = self
            .enter(ctx, Permission::ManageOrganization, &mut input.query)
            .await?;
        let before = self.existing_organization(id).await?;
        let patch = input.read_with(MergePatch::read)?;
        let change =
            |before: &Organization| self.patched(before, ChangedBy::OrganizationAdmin, &patch);
        self.change_organization(ctx, before, change).await
    }

    /// Changes an organization. If another change wins, `change` is applied to its result.
    async fn change_organization(
        &self,
        ctx: &Context,
        mut before: Organization,
        change: impl Fn(&Organization) -> Result<Organization, Refusal>,
    ) -> Result<OrganizationView, Refusal> {
        let id = before.id;
        for _ in 0..RACES_MAX {
            if before.ended_at.is_some() {
                return Err(ended());
            }
            let after = change(&before)?;
            if after == before {
                self.ask_for_confirmations(ctx, &before).await;
                return Ok(self.organization_view(ctx, before));
            }
            self.must_have_destinations(ctx, &before, &after).await?;
            self.may_ask_for_confirmations(&before, &after).await?;
            let after = Organization {
                revision: before.revision + 1,
                updated_at: self.clock.now(),
                ..after
            };
            let event = self.event(
                ctx,
                id,
                "organization.updated",
                id,
                changes(&to_json(&before), &to_json(&after)),
            );
            // Before the change is saved, so that a repeat of a request that fails here finds the
            // change still to be made.
            self.end_confirmations(&before, &after).await?;
            self.inform_destinations(&before, &after).await?;
            match self
                .store
                .update_organization(&after, before.revision, &event)
                .await?
            {
                Saved::Done => {
                    self.meter.forget_quotas(id);
                    // Turns may have been given under the earlier limits since, and the monitor may
                    // have looked at destinations under the earlier policy.
                    if let Err(refusal) = self.inform_destinations(&before, &after).await {
                        let error = refusal.chain().unwrap_or(refusal.detail);
                        tracing::warn!(
                            error,
                            organization = %id,
                            "failed to inform destinations of a change once more"
                        );
                    }
                    self.ask_for_confirmations(ctx, &after).await;
                    return Ok(self.organization_view(ctx, after));
                }
                Saved::Conflict => before = self.existing_organization(id).await?,
            }
        }
        Err(Refusal::contended())
    }

    /// Makes the destinations to which changed defaults apply follow these: their turns begin
    /// again, and the monitor watches those that may recover.
    async fn inform_destinations(
        &self,
        before: &Organization,
        after: &Organization,
    ) -> Result<(), Refusal> {
        if after.settings.delivery_limits != before.settings.delivery_limits {
            self.reset_default_turns(after.id).await?;
        }
        if after.settings.failure_policy != before.settings.failure_policy {
            self.store.watch_recoverable(after).await?;
        }
        Ok(())
    }

    fn patched(
        &self,
        before: &Organization,
        changed_by: ChangedBy,
        patch: &MergePatch,
    ) -> Result<Organization, Refusal> {
        let patched = read_members(patch.0.clone(), Errors::default(), |fields| {
            fields.read_only(READ_ONLY);
            if changed_by == ChangedBy::OrganizationAdmin {
                fields.read_only(&["status", "grants", "quotas", "external_id"]);
            }
            let name = if fields.has("name") {
                fields.required_name("name", NAME)
            } else {
                Some(before.name.clone())
            };
            let external_id = if fields.has("external_id") {
                fields.text("external_id", REFERENCE)
            } else {
                before.external_id.clone()
            };
            let status = if fields.has("status") {
                let given = fields.given("status");
                let status = fields.choice("status", STATUSES);
                fields.require("status", given, status)
            } else {
                Some(before.status)
            };
            let settings = fields
                .object("settings", |inner| before.settings.read(inner))
                .unwrap_or_else(|| before.settings.clone());
            let grants = fields
                .object("grants", |inner| before.grants.read(inner))
                .unwrap_or_else(|| before.grants.clone());
            self.refuse_own_resources(fields, &grants);
            let quotas = fields
                .object("quotas", |inner| before.quotas.read(inner))
                .unwrap_or(before.quotas);
            Some(Organization {
                name: name?,
                external_id,
                status: status?,
                settings,
                grants,
                quotas,
                ..before.clone()
            })
        })?;
        Ok(patched)
    }

    /// Refuses grants of the deployment's own bucket and secrets.
    fn refuse_own_resources(&self, fields: &Fields<'_>, grants: &Grants) {
        let own = &self.settings;
        let refuse = |list: &str, i: usize| {
            fields.errors().add(
                format!("/grants/{list}/{i}"),
                FieldCode::Reserved,
                "is Waybill's own and cannot be granted",
            );
        };
        for (i, _) in grants
            .buckets
            .iter()
            .enumerate()
            .filter(|(_, bucket)| **bucket == own.own_bucket)
        {
            refuse("buckets", i);
        }
        let is_own = |arn: &String| arn.parse().is_ok_and(|arn| self.is_own_secret(&arn));
        for (i, _) in grants
            .secret_arns
            .iter()
            .enumerate()
            .filter(|(_, arn)| is_own(arn))
        {
            refuse("secret_arns", i);
        }
    }

    /// Refuses a change that newly names destinations which do not exist. One that was named before
    /// may have been deleted at the same time, and does not prevent other changes.
    async fn must_have_destinations(
        &self,
        ctx: &Context,
        before: &Organization,
        after: &Organization,
    ) -> Result<(), Refusal> {
        let earlier = before.settings.named_destinations();
        let is_new = |id| earlier.iter().all(|(_, earlier)| *earlier != id);
        let mut named = after.settings.named_destinations();
        named.retain(|(_, id)| is_new(*id));
        if named.is_empty() {
            return Ok(());
        }
        let routes = self.store.routes(after.id).await?;
        let known: Vec<_> = routes
            .map(|routes| routes.destinations.iter().map(|route| route.id).collect())
            .unwrap_or_default();
        let mut missing = Vec::new();
        for (pointer, id) in named {
            if !known.contains(&id) {
                self.owns_or_records(ctx, after.id, id).await;
                missing.push(format!("/settings{pointer}"));
            }
        }
        if missing.is_empty() {
            Ok(())
        } else {
            Err(Refusal::not_found_at(missing))
        }
    }

    /// `DELETE /v1/organizations/{id}`: deletes an organization that has no destinations. Its keys,
    /// links and sessions are refused before anything is removed, so that none of them works after
    /// a request that was interrupted. The next request removes the rest.
    pub async fn delete_organization(
        &self,
        ctx: &Context,
        id: &str,
        query: Query,
    ) -> Result<(), Refusal> {
        self.require(ctx, Permission::ManageOrganizations).await?;
        let organization = self.existing_organization(parse_id(id)?).await?;
        no_parameters(query)?;
        self.end_organization(&organization).await?;
        self.store.remove_organization(organization.id).await?;
        let event = self.event(
            ctx,
            organization.id,
            "organization.deleted",
            organization.id,
            Vec::new(),
        );
        self.record_made(&event).await;
        Ok(())
    }

    async fn end_organization(&self, organization: &Organization) -> Result<(), Refusal> {
        let mut before = organization.clone();
        for _ in 0..RACES_MAX {
            // An organization may have ended already: it is being erased, or an earlier deletion
            // was interrupted.
            let routes = self.store.routes(before.id).await?;
            if routes
                .as_ref()
                .is_some_and(|routes| !routes.destinations.is_empty())
            {
                return Err(not_empty());
            }
            if before.ended_at.is_some() && routes.is_none() {
                return Ok(());
            }
            match self
                .store
                .end_organization(&self.as_ended(&before), before.revision)
                .await?
            {
                Ending::Done => return Ok(()),
                Ending::NotEmpty => return Err(not_empty()),
                Ending::Conflict => before = self.existing_organization(before.id).await?,
            }
        }
        Err(Refusal::contended())
    }

    /// Returns the organization as ended. Nothing is submitted or delivered, and its credentials
    /// are refused.
    fn as_ended(&self, before: &Organization) -> Organization {
        let now = self.clock.now();
        let ended_at = before.ended_at.or(Some(now));
        Organization {
            status: OrganizationStatus::Suspended,
            ended_at,
            revision: before.revision + 1,
            updated_at: now,
            ..before.clone()
        }
    }

    /// `POST /v1/organizations/{id}/erase`: starts a job that erases the organization, except for a
    /// line in the audit log. At once, the organization is suspended, and its keys, links and
    /// sessions are refused.
    pub async fn erase_organization(
        &self,
        ctx: &Context,
        id: &str,
        input: Input<()>,
    ) -> Result<JobView, Refusal> {
        self.require(ctx, Permission::ManageOrganizations).await?;
        let mut before = self.existing_organization(parse_id(id)?).await?;
        input.nothing()?;
        for _ in 0..RACES_MAX {
            if before.ended_at.is_some() {
                let job = Job::new(
                    self.id_for(ctx, before.id),
                    before.id,
                    JobKind::Erase,
                    ctx.actor(),
                    self.clock.now(),
                );
                return self.start_job(ctx, job).await;
            }
            let after = self.as_ended(&before);
            let event = self.event(
                ctx,
                before.id,
                "organization.updated",
                before.id,
                changes(&to_json(&before), &to_json(&after)),
            );
            before = match self
                .store
                .update_organization(&after, before.revision, &event)
                .await?
            {
                Saved::Done => after,
                Saved::Conflict => self.existing_organization(before.id).await?,
            };
        }
        Err(Refusal::contended())
    }

    pub(crate) async fn existing_organization(
        &self,
        id: OrganizationId,
    ) -> Result<Organization, Refusal> {
        self.store
            .organization(id)
            .await?
            .ok_or_else(Refusal::not_found)
    }

    fn organization_view(&self, ctx: &Context, organization: Organization) -> OrganizationView {
        let url = ctx.link("organizations", organization.id);
        OrganizationView::of(organization, &self.settings.quotas, url)
    }
}

fn parse_id(text: &str) -> Result<OrganizationId, Refusal> {
    text.parse().map_err(|_| Refusal::not_found())
}

fn ended() -> Refusal {
    Refusal::new(
        RefusalCode::OrganizationEnded,
        "the organization is being deleted or erased and can no longer be changed",
    )
}

fn not_empty() -> Refusal {
    Refusal::new(
        RefusalCode::NotEmpty,
        "the organization has destinations; delete them first",
    )
}

/// Refuses every query parameter.
pub(crate) fn no_parameters(query: Query) -> Result<(), Refusal> {
    let errors = Errors::default();
    query.finish(&errors);
    Ok(errors.into_result(())?)
}

/// Returns what an audit event shows of an organization.
fn to_json(organization: &Organization) -> Value {
    let mut json = serde_json::to_value(organization).unwrap_or_default();
    if let Some(members) = json.as_object_mut() {
        members.retain(|name, _| !matches!(&**name, "revision" | "updated_at"));
    }
    json
}
