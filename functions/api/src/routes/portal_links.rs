//! `/v1/portal-links`.

use axum::Router;
use axum::routing::{delete, get};
use domain::role::Permission;
use operations::view::portal_link::PortalLinkView;
use operations::{CreatePortalLink, Input, NewPortalLinkView, Page};

use super::post_once;
use crate::Api;
use crate::answer::{Answer, created, no_content, ok};
use crate::extract::{Call, Content};

pub(crate) fn router(api: &Api) -> Router<Api> {
    Router::new()
        .route(
            "/v1/portal-links",
            get(list_portal_links).merge(post_once(
                api,
                Permission::ManageOrganization,
                create_portal_link,
            )),
        )
        .route("/v1/portal-links/{id}", delete(delete_portal_link))
}

/// List outstanding portal links and open sessions, newest first.
#[utoipa::path(get, path = "/v1/portal-links", tag = "People",
    responses((status = 200, description = "A page of the list.", body = Page<PortalLinkView>)))]
pub(crate) async fn list_portal_links(call: Call) -> Answer {
    ok(call.operations.portal_links(&call.ctx, call.query).await?)
}

/// Create a link that signs a person in to the console once.
#[utoipa::path(post, path = "/v1/portal-links", tag = "People", request_body = CreatePortalLink,
    responses((status = 201, description = "The link was created. Its URL is shown once.",
        body = NewPortalLinkView),
        (status = 409, description = "`limit_reached`: the organization already has 500 links \
             that can be opened.")))]
pub(crate) async fn create_portal_link(call: Call, Content(body): Content) -> Answer {
    let view = call
        .operations
        .create_portal_link(&call.ctx, Input::request(call.query, body))
        .await?;
    created(format!("/v1/portal-links/{}", view.id), view)
}

/// Delete a portal link, its session, and the links that were created in that session.
#[utoipa::path(delete, path = "/v1/portal-links/{id}", tag = "People",
    params(("id" = String, Path)),
    responses((status = 204, description = "The object was deleted.")))]
pub(crate) async fn delete_portal_link(call: Call<String>) -> Answer {
    call.operations
        .delete_portal_link(&call.ctx, &call.path, call.query)
        .await?;
    no_content()
}
