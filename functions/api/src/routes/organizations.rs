//! `/v1/organizations` and `/v1/organization`.

use axum::Router;
use axum::routing::get;
use domain::role::Permission;
use operations::destination::RotateSecret;
use operations::organization::{CreateOrganization, PatchOrganization, PatchOwnOrganization};
use operations::view::job::JobView;
use operations::view::organization::OrganizationView;
use operations::{Input, Page, RotatedStatusSecret};

use super::post_once;
use crate::Api;
use crate::answer::{Answer, accepted, created, no_content, ok};
use crate::extract::{Call, Content};

pub(crate) fn router(api: &Api) -> Router<Api> {
    Router::new()
        .route(
            "/v1/organizations",
            get(list_organizations).merge(post_once(
                api,
                Permission::ManageOrganizations,
                create_organization,
            )),
        )
        .route(
            "/v1/organizations/{id}",
            get(get_organization)
                .patch(patch_organization)
                .delete(delete_organization),
        )
        .route(
            "/v1/organizations/{id}/erase",
            post_once(api, Permission::ManageOrganizations, erase_organization),
        )
        .route(
            "/v1/organization/rotate-status-secret",
            post_once(api, Permission::ManageOrganization, rotate_status_secret),
        )
        .route(
            "/v1/organization",
            get(get_own_organization).patch(patch_own_organization),
        )
}

/// List all organizations with their health, oldest first.
///
/// For operators.
#[utoipa::path(get, path = "/v1/organizations", tag = "Organizations",
    params(
        ("sort" = Option<String>, Query, description = "`health`: worst first. `created_at`: \
             oldest first.", example = "health"),
        ("name" = Option<String>, Query, description = "Only organizations whose name or external \
             id begins so, in any case.", example = "glo"),
    ),
    responses((status = 200, description = "A page of the list.", body = Page<OrganizationView>)))]
pub(crate) async fn list_organizations(call: Call) -> Answer {
    ok(call.operations.organizations(&call.ctx, call.query).await?)
}

/// Create an organization.
///
/// For operators.
#[utoipa::path(post, path = "/v1/organizations", tag = "Organizations",
    request_body = CreateOrganization,
    responses((status = 201, description = "The object was created.", body = OrganizationView)))]
pub(crate) async fn create_organization(call: Call, Content(body): Content) -> Answer {
    let view = call
        .operations
        .create_organization(&call.ctx, Input::request(call.query, body))
        .await?;
    created(format!("/v1/organizations/{}", view.id), view)
}

/// Read an organization.
///
/// For operators.
#[utoipa::path(get, path = "/v1/organizations/{id}", tag = "Organizations",
    params(("id" = String, Path)),
    responses((status = 200, description = "The organization.", body = OrganizationView)))]
pub(crate) async fn get_organization(call: Call<String>) -> Answer {
    ok(call
        .operations
        .organization(&call.ctx, &call.path, call.query)
        .await?)
}

/// Change an organization by a merge patch.
///
/// For operators, who can also suspend it and change its grants.
#[utoipa::path(patch, path = "/v1/organizations/{id}", tag = "Organizations",
    params(("id" = String, Path)), request_body = PatchOrganization,
    responses((status = 200, description = "The object in its current state.",
        body = OrganizationView)))]
pub(crate) async fn patch_organization(call: Call<String>, Content(body): Content) -> Answer {
    ok(call
        .operations
        .patch_organization(&call.ctx, &call.path, Input::request(call.query, body))
        .await?)
}

/// Delete an organization that has no destinations, with its keys.
///
/// For operators. 409 `not_empty` while it has destinations.
#[utoipa::path(delete, path = "/v1/organizations/{id}", tag = "Organizations",
    params(("id" = String, Path)),
    responses((status = 204, description = "The object was deleted."),
        (status = 409, description = "`not_empty`: the organization has destinations.")))]
pub(crate) async fn delete_organization(call: Call<String>) -> Answer {
    call.operations
        .delete_organization(&call.ctx, &call.path, call.query)
        .await?;
    no_content()
}

/// Erase an organization and all of its data.
///
/// For operators. It is suspended at once. The job leaves only an audit event, and its own record
/// for a while.
#[utoipa::path(post, path = "/v1/organizations/{id}/erase", tag = "Organizations",
    params(("id" = String, Path)),
    responses((status = 202, description = "The erasure was accepted.", body = JobView)))]
pub(crate) async fn erase_organization(call: Call<String>, Content(body): Content) -> Answer {
    let job = call
        .operations
        .erase_organization(&call.ctx, &call.path, Input::request(call.query, body))
        .await?;
    accepted(
        Some(format!(
            "/v1/jobs/{}?organization_id={}",
            job.id, job.organization_id
        )),
        job,
        false,
    )
}

/// Read the caller's own organization.
#[utoipa::path(get, path = "/v1/organization", tag = "Organizations",
    responses((status = 200, description = "The organization.", body = OrganizationView)))]
pub(crate) async fn get_own_organization(call: Call) -> Answer {
    ok(call
        .operations
        .own_organization(&call.ctx, call.query)
        .await?)
}

/// Change the caller's own organization by a merge patch.
#[utoipa::path(patch, path = "/v1/organization", tag = "Organizations",
    request_body = PatchOwnOrganization,
    responses((status = 200, description = "The object in its current state.",
        body = OrganizationView)))]
pub(crate) async fn patch_own_organization(call: Call, Content(body): Content) -> Answer {
    ok(call
        .operations
        .patch_own_organization(&call.ctx, Input::request(call.query, body))
        .await?)
}

/// Create or replace the secret that signs status callbacks.
///
/// Earlier secrets sign until the overlap ends. Callbacks are unsigned until the first one is
/// created.
#[utoipa::path(post, path = "/v1/organization/rotate-status-secret", tag = "Organizations",
    request_body(content = Option<RotateSecret>),
    responses((status = 200, description = "The secret signs from now on.",
        body = RotatedStatusSecret),
        (status = 409, description = "`too_many_secrets`: five secrets are live already.")))]
pub(crate) async fn rotate_status_secret(call: Call, Content(body): Content) -> Answer {
    ok(call
        .operations
        .rotate_status_secret(&call.ctx, Input::request(call.query, body))
        .await?)
}
