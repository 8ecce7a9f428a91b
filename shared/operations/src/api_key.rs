//! Creates, lists and revokes API keys. The text of a key is shown once, when the key is created.

use domain::Timestamp;
use domain::api_key::ApiKey;
use domain::id::{KeyId, OrganizationId};
use domain::input::{Errors, FieldCode, Fields};
use domain::limits::{KEYS_MAX, NAME};
use domain::role::{Permission, Role};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use store::Created;
use utoipa::ToSchema;

use crate::cursor::ListScope;
use crate::message::not_suspended;
use crate::organization::no_parameters;
use crate::page::{Page, PageQuery};
use crate::view::api_key::{ApiKeyView, NewApiKey};
use crate::words::RoleName;
use crate::{Context, Input, Operations, Query, RACES_MAX, Refusal, RefusalCode};

/// The roles that a request may name. `operator` is one of them so that it is refused with an error
/// of its own: operators' keys are created when Waybill is deployed.
const ROLES: &[(&str, Role)] = &[
    ("admin", Role::Admin),
    ("manager", Role::Manager),
    ("sender", Role::Sender),
    ("viewer", Role::Viewer),
    ("operator", Role::Operator),
];

/// The body of `POST /v1/api-keys`.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreateApiKey {
    /// The name of the key, which the console and the audit log show.
    pub name: String,
    /// The role: at most that of the key that creates it.
    #[schema(value_type = RoleName)]
    pub role: String,
    /// When the key expires. From then on, it is refused.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
}

/// An API key to create.
#[derive(Debug)]
pub struct ApiKeyToCreate {
    name: String,
    role: Role,
    expires_at: Option<Timestamp>,
}

impl ApiKeyToCreate {
    /// Reads the key that a caller with the role `creator` creates at `now`.
    fn read(fields: &mut Fields<'_>, creator: Role, now: Timestamp) -> Option<Self> {
        fields.read_only(&[
            "id",
            "organization_id",
            "hint",
            "created_at",
            "created_by",
            "last_used_at",
            "key",
        ]);
        let name = fields.required_name("name", NAME);
        let given = fields.given("role");
        let role = fields.choice("role", ROLES);
        let role = fields.require("role", given, role);
        if role == Some(Role::Operator) && creator == Role::Operator {
            fields.refuse(
                "role",
                FieldCode::InvalidValue,
                "an organization's key cannot be an operator's",
            );
        }
        let expires_at = fields.parsed("expires_at", Timestamp::parse);
        if expires_at.is_some_and(|at| at <= now) {
            fields.refuse("expires_at", FieldCode::OutOfRange, "must be in the future");
        }
        Some(Self {
            name: name?,
            role: role?,
            expires_at,
        })
    }
}

impl Operations {
    /// `POST /v1/api-keys`: creates a key, whose role is at most that of the caller.
    pub async fn create_api_key(
        &self,
        ctx: &Context,
        mut input: Input<ApiKeyToCreate>,
    ) -> Result<NewApiKey, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageOrganization, &mut input.query)
            .await?;
        let now = self.clock.now();
        let new = input.required(|fields| ApiKeyToCreate::read(fields, ctx.caller.role, now))?;
        if !ctx.caller.role.covers(new.role) {
            self.record_refusal(ctx, organization, "forbidden", Some("api_key.create"))
                .await;
            return Err(Refusal {
                detail: "a key cannot create a key with more rights than its own".to_owned(),
                ..Refusal::forbidden()
            });
        }
        not_suspended(self.existing_organization(organization).await?.status)?;
        let creator = ctx.caller.key();
        let (key, plaintext) = access::issue(
            self.id_for(ctx, organization),
            new.role,
            Some(organization),
            new.name,
            new.expires_at,
            creator,
            &self.random,
            now,
        );
        match self.store.create_key(&key).await? {
            Created::Done => {}
            Created::TooMany => {
                return Err(Refusal::new(
                    RefusalCode::LimitReached,
                    format!("an organization has at most {KEYS_MAX} API keys"),
                ));
            }
            // An earlier run of this request was interrupted after it had created the key. Its text
            // was never shown, so the key gets another, unless it has been used.
            Created::Conflict if ctx.reserved.is_some() => {
                if !self.store.replace_unused_key(&key).await? {
                    return Err(Refusal::idempotent_answer_not_kept());
                }
            }
            Created::Conflict => return Err(Refusal::contended()),
        }
        let made = vec![
            crate::audit::set("/name", key.name.as_str()),
            crate::audit::set("/role", key.role.as_str()),
        ];
        let event = self.event(ctx, organization, "api_key.created", key.id, made);
        self.record_made(&event).await;
        Ok(NewApiKey {
            view: key.into(),
            key: plaintext.expose_secret().to_owned(),
        })
    }

    /// `GET /v1/api-keys`: lists the organization's keys, oldest first.
    pub async fn api_keys(
        &self,
        ctx: &Context,
        mut query: Query,
    ) -> Result<Page<ApiKeyView>, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageOrganization, &mut query)
            .await?;
        let errors = Errors::default();
        let page = PageQuery::take(&mut query, &errors);
        query.finish(&errors);
        errors.into_result(())?;
        let scope = ListScope::of("/v1/api-keys").with("organization", Some(organization));
        let after: Option<KeyId> = page.after(&self.cursors, &scope)?;
        let mut keys = self.store.keys(Some(organization)).await?;
        keys.sort_by_key(|key| key.id);
        keys.retain(|key| after.is_none_or(|after| key.id > after));
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let more = keys.len() > limit;
        keys.truncate(limit);
        let next_cursor = self.next_cursor(&scope, keys.last().map(|key| key.id).filter(|_| more));
        Ok(Page {
            data: keys.into_iter().map(ApiKeyView::from).collect(),
            next_cursor,
        })
    }

    /// `DELETE /v1/api-keys/{id}`: revokes a key, which is refused from the next request on.
    pub async fn delete_api_key(
        &self,
        ctx: &Context,
        id: &str,
        mut query: Query,
    ) -> Result<(), Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageOrganization, &mut query)
            .await?;
        let id: KeyId = self.own_id(ctx, organization, id).await?;
        if self
            .store
            .key(id)
            .await?
            .is_none_or(|key| key.organization_id != Some(organization))
        {
            return Err(Refusal::not_found());
        }
        no_parameters(query)?;
        if ctx.caller.key() == Some(id) && ctx.caller.role == Role::Admin {
            self.delete_own_admin_key(organization, id).await?;
        } else if !self.store.delete_key(Some(organization), id).await? {
            return Err(Refusal::not_found());
        }
        let event = self.event(ctx, organization, "api_key.revoked", id, Vec::new());
        self.record_made(&event).await;
        Ok(())
    }

    /// Deletes the admin key that makes the request, if another admin key is valid. Otherwise only
    /// the operator could create the next key.
    async fn delete_own_admin_key(
        &self,
        organization: OrganizationId,
        id: KeyId,
    ) -> Result<(), Refusal> {
        for _ in 0..RACES_MAX {
            let now = self.clock.now();
            let keys = self.store.keys(Some(organization)).await?;
            if !keys.iter().any(|key| key.id == id) {
                return Err(Refusal::not_found());
            }
            let lasts = |key: &&ApiKey| {
                key.id != id && key.role == Role::Admin && key.expires_at.is_none_or(|at| now < at)
            };
            let Some(other) = keys
                .iter()
                .filter(lasts)
                .max_by_key(|key| key.expires_at.map_or(i64::MAX, Timestamp::as_millis))
            else {
                let detail = "the organization's last admin key cannot revoke itself; create \
                     another admin key first, or ask the operator";
                return Err(Refusal::new(RefusalCode::LastAdminKey, detail));
            };
            if self
                .store
                .delete_key_if_other_exists(organization, id, other.id)
                .await?
            {
                return Ok(());
            }
        }
        Err(Refusal::contended())
    }
}
