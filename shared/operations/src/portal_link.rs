//! Portal links, by which an admin gives a person access to the console once and for a limited
//! time.

use std::time::Duration;

use access::{
    Caller, NewPortalLink, Person, issue_portal_link, sign_in_person, signed_in_with_key,
};
use domain::Timestamp;
use domain::id::PortalLinkId;
use domain::input::{Errors, Fields};
use domain::limits::{PORTAL_LINKS_MAX, REFERENCE};
use domain::portal_link::{LINK_SECONDS, PAGE_PATH, PortalLink, Subject};
use domain::role::{Permission, Role};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use store::Created;
use utoipa::ToSchema;

use crate::cursor::ListScope;
use crate::message::not_suspended;
use crate::organization::no_parameters;
use crate::page::{Page, PageQuery};
use crate::view::portal_link::PortalLinkView;
use crate::words::PortalRoleName;
use crate::{Context, Input, Operations, Query, Refusal, RefusalCode};

const ROLES: &[(&str, Role)] = &[
    ("viewer", Role::Viewer),
    ("manager", Role::Manager),
    ("admin", Role::Admin),
];
/// The length of a session, in seconds, of a person whom the identity provider has authenticated: a
/// working day. Deleting the link ends the session earlier.
const SESSION_SECONDS: u32 = 8 * 3600;
/// The length of an operator's session, in seconds.
const OPERATOR_SESSION_SECONDS: u32 = 3600;
/// The length of a session, in seconds, that began with an API key.
const KEY_SESSION_SECONDS: u32 = 12 * 3600;
/// The maximum number of keys and sessions that a link may depend on, because each was created in a
/// session of the one before.
const LINEAGE_MAX: usize = 8;
/// The number of links for which is checked at the same time whether what they depend on is valid.
const CHECKS_AT_ONCE: usize = 8;

/// The body of `POST /v1/portal-links`.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatePortalLink {
    /// The role of the person in the console.
    #[schema(value_type = PortalRoleName)]
    pub role: String,
    /// The person, as named in the audit log.
    pub subject: Option<SubjectBody>,
    /// How long the link can be opened, in seconds.
    pub expires_in_seconds: Option<u32>,
    /// How long the session lasts, in seconds.
    pub session_seconds: Option<u32>,
    /// The console page that the link opens. Default: the overview.
    #[schema(example = "/destinations")]
    pub path: Option<String>,
}

/// A portal link to create.
#[derive(Debug)]
pub struct PortalLinkToCreate {
    role: Role,
    subject: Subject,
    path: Option<String>,
    expires_in: Duration,
    session_seconds: u32,
}

impl PortalLinkToCreate {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.read_only(&["id", "url", "expires_at"]);
        let given = fields.given("role");
        let role = fields.choice("role", ROLES);
        let role = fields.require("role", given, role);
        let text = |inner: &mut Fields<'_>, name| inner.text(name, REFERENCE);
        let subject = fields.object("subject", |inner| Subject {
            id: text(inner, "id"),
            name: inner.name("name", REFERENCE),
            email: text(inner, "email"),
        });
        let expires = LINK_SECONDS
            .read(fields, "expires_in_seconds")
            .unwrap_or(LINK_SECONDS.default_value());
        let session = LINK_SECONDS
            .read(fields, "session_seconds")
            .unwrap_or(LINK_SECONDS.default_value());
        let path = fields.text("path", PAGE_PATH);
        fields.check_format(
            "path",
            path.as_deref(),
            is_own_page,
            "must be a path of the console, as in /destinations",
        );
        Some(Self {
            role: role?,
            subject: subject.unwrap_or_default(),
            path,
            expires_in: Duration::from_secs(expires.into()),
            session_seconds: session,
        })
    }
}

/// A person who signs in to the console.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Subject)]
pub struct SubjectBody {
    /// Your own identifier of the person.
    pub id: Option<String>,
    /// The name of the person.
    pub name: Option<String>,
    /// The e-mail address of the person.
    pub email: Option<String>,
}

/// A portal link that was created, with its URL, which is shown once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NewPortalLink)]
pub struct NewPortalLinkView {
    /// Unique identifier of the object.
    #[schema(value_type = String, example = "pln_01kavd83802s63efghp3q1cpj4")]
    pub id: PortalLinkId,
    /// The link to send to the person. Shown once; null in a replayed response.
    #[schema(value_type = Option<String>)]
    pub url: String,
    /// When the link expires.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

impl Operations {
    /// `POST /v1/portal-links`: creates a link, and returns its URL once.
    pub async fn create_portal_link(
        &self,
        ctx: &Context,
        mut input: Input<PortalLinkToCreate>,
    ) -> Result<NewPortalLinkView, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageOrganization, &mut input.query)
            .await?;
        let new = input.required(PortalLinkToCreate::read)?;
        not_suspended(self.existing_organization(organization).await?.status)?;
        let made_by = ctx.caller.makers.clone();
        if made_by.len() > LINEAGE_MAX {
            let detail = format!(
                "at most {LINEAGE_MAX} portal links are made from one another; use an API key"
            );
            return Err(Refusal::new(RefusalCode::LimitReached, detail));
        }
        let changes = vec![
            crate::audit::set("/role", new.role.as_str()),
            crate::audit::set(
                "/subject",
                serde_json::to_value(&new.subject).unwrap_or_default(),
            ),
        ];
        let new = NewPortalLink {
            organization,
            role: new.role,
            subject: new.subject,
            path: new.path,
            expires_in: new.expires_in,
            session_seconds: new.session_seconds,
            made_by,
        };
        let id = self.id_for(ctx, organization);
        let (link, token) = issue_portal_link(id, new, &self.random, self.clock.now());
        match self
            .store
            .create_portal_link_within(organization, &link)
            .await?
        {
            Created::Done => {}
            Created::TooMany => {
                let detail = format!(
                    "an organization has at most {PORTAL_LINKS_MAX} portal links that can be \
                     opened; delete some"
                );
                return Err(Refusal::new(RefusalCode::LimitReached, detail));
            }
            Created::Conflict => return Err(Refusal::idempotent_answer_not_kept()),
        }
        let event = self.event(ctx, organization, "portal_link.created", link.id, changes);
        self.record_made(&event).await;
        Ok(NewPortalLinkView {
            id: link.id,
            url: ctx.link("portal", token.expose_secret()),
            expires_at: link.expires_at,
        })
    }

    /// `GET /v1/portal-links`: lists the links that can still be opened and those whose session is
    /// open, newest first.
    pub async fn portal_links(
        &self,
        ctx: &Context,
        mut query: Query,
    ) -> Result<Page<PortalLinkView>, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageOrganization, &mut query)
            .await?;
        let errors = Errors::default();
        let page = PageQuery::take(&mut query, &errors);
        query.finish(&errors);
        errors.into_result(())?;
        let scope = ListScope::of("/v1/portal-links").with("organization", Some(organization));
        let found = self
            .store
            .portal_links(organization, page.after(&self.cursors, &scope)?, page.limit)
            .await?;
        let now = self.clock.now();
        let views = found
            .items
            .into_iter()
            .map(|link| self.standing_view(link, now));
        let views: Vec<Option<PortalLinkView>> = stream::iter(views)
            .buffered(CHECKS_AT_ONCE)
            .try_collect()
            .await?;
        Ok(Page {
            data: views.into_iter().flatten().collect(),
            next_cursor: self.next_cursor(&scope, found.next),
        })
    }

    /// Returns what is shown of a link; `None` if it is over, or if something that it depends on
    /// has ended.
    async fn standing_view(
        &self,
        link: PortalLink,
        now: Timestamp,
    ) -> Result<Option<PortalLinkView>, Refusal> {
        let Some(view) = PortalLinkView::of(&link, now) else {
            return Ok(None);
        };
        Ok(self.access.is_valid(&link).await?.then_some(view))
    }

    /// Signs in a person with the text of a key. Returns the link of the session, which is already
    /// open.
    pub async fn sign_in(
        &self,
        key: &str,
        ip: Option<&str>,
        request_id: &str,
    ) -> Result<PortalLink, Refusal> {
        let caller = self
            .authenticate(Some(&format!("Bearer {key}")), ip, request_id)
            .await?;
        let key = caller
            .key()
            .ok_or_else(|| Refusal::internal("an API key let in a caller without one"))?;
        let link = signed_in_with_key(
            &caller,
            key,
            KEY_SESSION_SECONDS,
            &self.ids,
            &self.random,
            self.clock.now(),
        );
        self.store.create_portal_link(&link).await?;
        Ok(link)
    }

    /// `DELETE /v1/portal-links/{id}`: ends a link, the session that it opened, and the links that
    /// were created in that session.
    pub async fn delete_portal_link(
        &self,
        ctx: &Context,
        id: &str,
        mut query: Query,
    ) -> Result<(), Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageOrganization, &mut query)
            .await?;
        let id: PortalLinkId = self.own_id(ctx, organization, id).await?;
        no_parameters(query)?;
        if !self
            .store
            .revoke_portal_link(Some(organization), id, self.clock.now())
            .await?
        {
            return Err(Refusal::not_found());
        }
        let event = self.event(ctx, organization, "portal_link.deleted", id, Vec::new());
        self.record_made(&event).await;
        Ok(())
    }

    /// Signs in a person whom the identity provider has authenticated. `context` makes the context
    /// of the request from the new caller. Returns `None` if the organization does not exist.
    pub async fn sign_in_person(
        &self,
        person: Person,
        context: impl FnOnce(Caller) -> Context,
    ) -> Result<Option<PortalLink>, Refusal> {
        let organization = person.organization;
        if let Some(organization) = organization
            && !self.store.organization_is_active(organization).await?
        {
            return Ok(None);
        }
        let seconds = if organization.is_some() {
            SESSION_SECONDS
        } else {
            OPERATOR_SESSION_SECONDS
        };
        let link = sign_in_person(person, seconds, &self.ids, &self.random, self.clock.now());
        self.store.create_portal_link(&link).await?;
        let ctx = context(link.clone().into());
        tracing::info!(
            request_id = ctx.request_id,
            caller = %ctx.caller.by,
            role = %ctx.caller.role,
            "a person signed in"
        );
        if let Some(organization) = organization {
            let changes = vec![crate::audit::set("/role", link.role.as_str())];
            self.store
                .record_audit(&self.event(&ctx, organization, "person.signed_in", link.id, changes))
                .await?;
        }
        Ok(Some(link))
    }
}

/// Whether a path belongs to the console. A browser reads `//host` and `/\host` as the address of
/// another site.
fn is_own_page(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains(|c: char| c == '\\' || c.is_control() || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_opens_pages_of_the_console_alone() {
        assert!(is_own_page("/deliveries?status=failed"));
        for other in [
            "",
            "deliveries",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\n/b",
            "/ /evil",
        ] {
            assert!(!is_own_page(other), "{other:?}");
        }
    }
}
