//! `/v1/api-keys`.

use axum::Router;
use axum::routing::{delete, get};
use domain::role::Permission;
use operations::view::api_key::{ApiKeyView, NewApiKey};
use operations::{CreateApiKey, Input, Page};

use super::post_once;
use crate::Api;
use crate::answer::{Answer, created, no_content, ok};
use crate::extract::{Call, Content};

pub(crate) fn router(api: &Api) -> Router<Api> {
    Router::new()
        .route(
            "/v1/api-keys",
            get(list_api_keys).merge(post_once(
                api,
                Permission::ManageOrganization,
                create_api_key,
            )),
        )
        .route("/v1/api-keys/{id}", delete(delete_api_key))
}

/// List the organization's API keys, oldest first.
#[utoipa::path(get, path = "/v1/api-keys", tag = "API keys",
    responses((status = 200, description = "A page of the list.", body = Page<ApiKeyView>)))]
pub(crate) async fn list_api_keys(call: Call) -> Answer {
    ok(call.operations.api_keys(&call.ctx, call.query).await?)
}

/// Create an API key. The key is shown once.
///
/// A key cannot be created with more rights than the key that creates it.
#[utoipa::path(post, path = "/v1/api-keys", tag = "API keys", request_body = CreateApiKey,
    responses((status = 201, description = "The object was created.", body = NewApiKey),
        (status = 409, description = "`limit_reached`: the organization already has 100 keys.")))]
pub(crate) async fn create_api_key(call: Call, Content(body): Content) -> Answer {
    let view = call
        .operations
        .create_api_key(&call.ctx, Input::request(call.query, body))
        .await?;
    created(format!("/v1/api-keys/{}", view.view.id), view)
}

/// Revoke an API key, which is refused from the next request on.
#[utoipa::path(delete, path = "/v1/api-keys/{id}", tag = "API keys", params(("id" = String, Path)),
    responses((status = 204, description = "The key was revoked."),
        (status = 409, description = "`last_admin_key`: the organization's last admin key cannot \
             revoke itself.")))]
pub(crate) async fn delete_api_key(call: Call<String>) -> Answer {
    call.operations
        .delete_api_key(&call.ctx, &call.path, call.query)
        .await?;
    no_content()
}
