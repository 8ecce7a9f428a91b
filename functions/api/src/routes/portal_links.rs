//! `/v1/portal-links`.

use axum::Router;
use axum::extract::State;
use axum::routing::delete;
use domain::role::Permission;
use operations::{CreatePortalLink, NewPortalLinkView};

use super::post_once;
use crate::Api;
use crate::answer::{Answer, created, no_content};
use crate::extract::{Asker, Content, Ids, Parameters};

pub(crate) fn router(api: &Api) -> Router<Api> {
    Router::new()
        .route("/v1/portal-links", post_once(api, Permission::ManageOrganization, create_portal_link))
        .route("/v1/portal-links/{id}", delete(delete_portal_link))
}

/// Make a link that lets a person into the console, once.
#[utoipa::path(post, path = "/v1/portal-links", tag = "People", request_body = CreatePortalLink,
    responses((status = 201, description = "It was made; its address is shown this once.", body = NewPortalLinkView)))]
pub(crate) async fn create_portal_link(
    State(api): State<Api>,
    Asker(ctx): Asker,
    Parameters(query): Parameters,
    Content(body): Content,
) -> Answer {
    let view = api.operations().await?.create_portal_link(&ctx, query, body).await?;
    created(format!("/v1/portal-links/{}", view.id), view)
}

/// End a portal link, and the session it opened.
#[utoipa::path(delete, path = "/v1/portal-links/{id}", tag = "People", params(("id" = String, Path)),
    responses((status = 204, description = "It is gone.")))]
pub(crate) async fn delete_portal_link(
    State(api): State<Api>,
    Asker(ctx): Asker,
    Ids(id): Ids<String>,
    Parameters(query): Parameters,
) -> Answer {
    api.operations().await?.delete_portal_link(&ctx, &id, query).await?;
    no_content()
}
