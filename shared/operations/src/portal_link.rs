//! Portal links: an admin lets a person into the console, once and for a while.

use std::time::Duration;

use access::{Caller, NewPortalLink, Person, issue_portal_link, let_in};
use domain::Timestamp;
use domain::id::{OrganizationId, PortalLinkId};
use domain::input::{Errors, FieldCode, Fields};
use domain::limits::REFERENCE_MAX;
use domain::portal_link::{PortalLink, Subject};
use domain::role::{Permission, Role};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use utoipa::ToSchema;

use crate::body::read_members;
use crate::organization::no_parameters;
use crate::words::PortalRoleName;
use crate::{Body, Context, Operations, Query, Refusal};

const ROLES: &[(&str, Role)] = &[("viewer", Role::Viewer), ("manager", Role::Manager), ("admin", Role::Admin)];
const SECONDS_MAX: i64 = 86_400;
const SECONDS_DEFAULT: i64 = 3600;
const PATH_MAX: usize = 2048;
/// How long somebody stays signed in whom the identity provider vouched for: a day's work. Deleting the link ends it before.
const SESSION_SECONDS: u32 = 8 * 3600;
/// An operator's session, which nothing ends before.
const OPERATOR_SESSION_SECONDS: u32 = 3600;

/// The body of `POST /v1/portal-links`.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatePortalLink {
    /// What the person may do.
    #[schema(value_type = PortalRoleName)]
    pub role: String,
    /// Who the person is: what the audit trail calls them.
    pub subject: Option<SubjectBody>,
    /// For how long the link can be opened.
    #[schema(minimum = 1, maximum = 86400, default = 3600)]
    pub expires_in_seconds: Option<u32>,
    /// How long the session lasts that it opens.
    #[schema(minimum = 1, maximum = 86400, default = 3600)]
    pub session_seconds: Option<u32>,
    /// The page it opens; the overview when left out.
    #[schema(example = "/destinations")]
    pub path: Option<String>,
}

/// A person.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Subject)]
pub struct SubjectBody {
    /// Your own id of them.
    pub id: Option<String>,
    /// Their name.
    pub name: Option<String>,
    /// Their e-mail address.
    pub email: Option<String>,
}

/// A link that was just made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PortalLink)]
pub struct NewPortalLinkView {
    /// Its id.
    #[schema(value_type = String, example = "pln_01kavd83802s63efghp3q1cpj4")]
    pub id: PortalLinkId,
    /// What to send to the person; shown this once, null in a replayed answer.
    #[schema(value_type = Option<String>)]
    pub url: String,
    /// Until when it can be opened.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

impl Operations {
    /// `POST /v1/portal-links`.
    pub async fn create_portal_link(&self, ctx: &Context, mut query: Query, body: Body) -> Result<NewPortalLinkView, Refusal> {
        let organization = self.enter(ctx, Permission::ManageOrganization, &mut query).await?;
        let members = body.object()?;
        no_parameters(query)?;
        let new = read_members(members, Errors::default(), |fields| read(fields, organization))?;
        let changes = vec![
            crate::audit::set("/role", new.role.as_str()),
            crate::audit::set("/subject", serde_json::to_value(&new.subject).unwrap_or_default()),
        ];
        let (link, token) = issue_portal_link(new, &self.ids, &self.random, self.clock.now());
        self.store.create_portal_link(&link).await?;
        self.store.record_audit(&self.event(ctx, organization, "portal_link.created", link.id, changes)).await?;
        Ok(NewPortalLinkView { id: link.id, url: ctx.link("portal", token.expose_secret()), expires_at: link.expires_at })
    }

    /// `DELETE /v1/portal-links/{id}`: ends the link and the session it opened.
    pub async fn delete_portal_link(&self, ctx: &Context, id: &str, mut query: Query) -> Result<(), Refusal> {
        let organization = self.enter(ctx, Permission::ManageOrganization, &mut query).await?;
        let id: PortalLinkId = self.own_id(ctx, organization, id).await?;
        no_parameters(query)?;
        if !self.store.delete_portal_link(Some(organization), id).await? {
            return Err(Refusal::not_found());
        }
        Ok(self.store.record_audit(&self.event(ctx, organization, "portal_link.deleted", id, Vec::new())).await?)
    }

    /// Lets in a person whom the identity provider vouches for; `context` makes a request of theirs of the one that they signed in with.
    /// `None`: there is no such organization.
    pub async fn let_in(&self, person: Person, context: impl FnOnce(Caller) -> Context) -> Result<Option<PortalLink>, Refusal> {
        let organization = person.organization;
        if let Some(organization) = organization
            && self.store.organization(organization).await?.is_none()
        {
            return Ok(None);
        }
        let seconds = if organization.is_some() { SESSION_SECONDS } else { OPERATOR_SESSION_SECONDS };
        let link = let_in(person, seconds, &self.ids, &self.random, self.clock.now());
        self.store.create_portal_link(&link).await?;
        let ctx = context(link.clone().into());
        tracing::info!(request_id = ctx.request_id, caller = %ctx.caller.by, role = %ctx.caller.role, "a person signed in");
        if let Some(organization) = organization {
            let changes = vec![crate::audit::set("/role", link.role.as_str())];
            self.store.record_audit(&self.event(&ctx, organization, "person.signed_in", link.id, changes)).await?;
        }
        Ok(Some(link))
    }
}

fn read(fields: &mut Fields<'_>, organization: OrganizationId) -> Option<NewPortalLink> {
    fields.read_only(&["id", "url", "expires_at"]);
    let given = fields.given("role");
    let role = fields.choice("role", ROLES);
    let role = fields.require("role", given, role);
    let text = |inner: &mut Fields<'_>, name| inner.text(name, 1..=REFERENCE_MAX);
    let subject = fields.object("subject", |inner| Subject {
        id: text(inner, "id"),
        name: inner.name("name", 1..=REFERENCE_MAX),
        email: text(inner, "email"),
    });
    let expires = fields.integer("expires_in_seconds", 1..=SECONDS_MAX).unwrap_or(SECONDS_DEFAULT);
    let session = fields.integer("session_seconds", 1..=SECONDS_MAX).unwrap_or(SECONDS_DEFAULT);
    let path = fields.text("path", 1..=PATH_MAX);
    if path.as_deref().is_some_and(|path| !is_own_page(path)) {
        fields.refuse("path", FieldCode::InvalidFormat, "must be a path of the console, as in /destinations");
    }
    Some(NewPortalLink {
        organization,
        role: role?,
        subject: subject.unwrap_or_default(),
        path,
        expires_in: Duration::from_secs(expires.unsigned_abs()),
        session_seconds: u32::try_from(session).unwrap_or(u32::MAX),
    })
}

/// A browser reads `//host` and `/\host` as another site's address.
fn is_own_page(path: &str) -> bool {
    path.starts_with('/') && !path.starts_with("//") && !path.contains(|c: char| c == '\\' || c.is_control() || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_opens_pages_of_the_console_alone() {
        assert!(is_own_page("/deliveries?status=failed"));
        for other in ["", "deliveries", "//evil.example", "/\\evil.example", "https://evil.example", "/a\n/b", "/ /evil"] {
            assert!(!is_own_page(other), "{other:?}");
        }
    }
}
