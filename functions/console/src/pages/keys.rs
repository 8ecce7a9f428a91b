//! API keys, and links that let people in.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use front::Front;
use operations::NewPortalLinkView;
use operations::view::api_key::{ApiKeyView, NewApiKey};
use operations::view::portal_link::{PortalLinkStatus, PortalLinkView};
use serde_json::{Map, json};

use crate::answer::{Answer, page, see};
use crate::form::{Form, json as body};
use crate::show::Page;
use crate::visitor::Visitor;

pub(crate) fn router() -> Router<Front> {
    Router::new()
        .route("/api-keys", get(list).post(create))
        .route("/api-keys/{id}/revoke", post(revoke))
        .route("/portal-links", post(link))
        .route("/portal-links/{id}/end", post(end_link))
}

#[derive(Template)]
#[template(path = "keys.html")]
struct KeysPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    keys: &'a [ApiKeyView],
    links: &'a [PortalLinkView],
    own: String,
    new: Option<&'a NewApiKey>,
    link: Option<&'a NewPortalLinkView>,
}

async fn list(State(front): State<Front>, v: Visitor) -> Answer {
    show(&front, &v, None, None).await
}

/// What was just made is shown this once.
async fn show(front: &Front, v: &Visitor, new: Option<&NewApiKey>, link: Option<&NewPortalLinkView>) -> Answer {
    let operations = front.operations().await?;
    let keys = operations.api_keys(&v.ctx, v.query(&[("limit", "100")])).await?;
    let links = operations.portal_links(&v.ctx, v.query(&[("limit", "100")])).await?;
    let own = v.ctx.caller.by.to_string();
    page(&KeysPage { page: Page::of(Some(v), "keys"), v, keys: &keys.data, links: &links.data, own, new, link })
}

async fn create(State(front): State<Front>, v: Visitor, form: Form) -> Answer {
    let mut members = Map::new();
    members.insert("name".to_owned(), form.text("name").unwrap_or_default().into());
    members.insert("role".to_owned(), form.text("role").unwrap_or_default().into());
    if let Some(expires_at) = form.filled("expires_at") {
        members.insert("expires_at".to_owned(), crate::filter::instant(expires_at).into());
    }
    let new = front.operations().await?.create_api_key(&v.ctx, v.query(&[]), body(&members.into())).await?;
    show(&front, &v, Some(&new), None).await
}

async fn revoke(State(front): State<Front>, v: Visitor, Path(id): Path<String>, _: Form) -> Answer {
    front.operations().await?.delete_api_key(&v.ctx, &id, v.query(&[])).await?;
    Ok(see(&v.href("/api-keys")))
}

async fn link(State(front): State<Front>, v: Visitor, form: Form) -> Answer {
    let name = form.filled("name").map_or(json!({}), |name| json!({"name": name}));
    let asked = json!({"role": form.text("role").unwrap_or_default(), "subject": name, "session_seconds": 28_800});
    let link = front.operations().await?.create_portal_link(&v.ctx, v.query(&[]), body(&asked)).await?;
    show(&front, &v, None, Some(&link)).await
}

async fn end_link(State(front): State<Front>, v: Visitor, Path(id): Path<String>, _: Form) -> Answer {
    front.operations().await?.delete_portal_link(&v.ctx, &id, v.query(&[])).await?;
    Ok(see(&v.href("/api-keys")))
}
