//! The page with API keys and portal links, and the forms that create them.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use front::Front;
use operations::Refusal;
use operations::view::api_key::ApiKeyView;
use operations::view::portal_link::{PortalLinkStatus, PortalLinkView};
use serde_json::Map;

use crate::action_form::ActionForm;
use crate::answer::{Answer, page};
use crate::form::Form;
use crate::notice::{self, Notice};
use crate::schema_form::{Control, Field};
use crate::show::{self, Page};
use crate::visitor::Visitor;

pub(crate) fn router() -> Router<Front> {
    Router::new()
        .route("/api-keys", get(list).post(create))
        .route("/api-keys/new", get(show_key))
        .route("/api-keys/{id}/revoke", post(revoke))
        .route("/portal-links", post(link))
        .route("/portal-links/new", get(show_link))
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
}

async fn list(State(front): State<Front>, v: Visitor) -> Answer {
    let operations = front.operations().await?;
    let keys = operations
        .api_keys(&v.ctx, v.query(&[("limit", "100")]))
        .await?;
    let links = operations
        .portal_links(&v.ctx, v.query(&[("limit", "100")]))
        .await?;
    let own = v.ctx.caller.by.to_string();
    page(&KeysPage {
        page: Page::of(Some(&v), "keys"),
        v: &v,
        keys: &keys.data,
        links: &links.data,
        own,
    })
}

fn must_administer(v: &Visitor) -> Result<(), Refusal> {
    if v.may_administer() {
        Ok(())
    } else {
        Err(Refusal::forbidden())
    }
}

/// The length of the session that a portal link of the console starts: eight hours.
const SESSION_SECONDS: u32 = 8 * 3600;

fn parent(v: &Visitor) -> (String, String) {
    (v.href("/api-keys"), "Access".to_owned())
}

fn key_form(v: &Visitor) -> ActionForm<'_> {
    let roles = [
        ("sender", "Sender: can only submit messages"),
        ("viewer", "Viewer: can read everything except secrets"),
        (
            "manager",
            "Manager: can also manage destinations and retry deliveries",
        ),
        ("admin", "Admin: can do everything in the organization"),
    ];
    let expires = Field {
        control: Control::Line("datetime-local"),
        ..Field::optional_line("expires_at", "Expires (UTC)")
    };
    ActionForm {
        about: "Programs use API keys. The key is shown once, after it is created.".to_owned(),
        fields: vec![
            Field {
                example: "Billing backend",
                ..Field::line(&["name"], "Name", false)
            },
            Field::switch("role", "Role", &roles, "sender"),
            expires,
        ],
        action: v.href("/api-keys"),
        submit: "Create API key".to_owned(),
        ..ActionForm::new(v, "keys", parent(v), "New API key")
    }
}

async fn show_key(v: Visitor) -> Answer {
    must_administer(&v)?;
    key_form(&v).shown()
}

async fn create(State(front): State<Front>, v: Visitor, form: Form) -> Answer {
    let mut members = Map::new();
    members.insert(
        "name".to_owned(),
        form.text("name").unwrap_or_default().trim().into(),
    );
    members.insert(
        "role".to_owned(),
        form.text("role").unwrap_or_default().into(),
    );
    if let Some(expires_at) = form.filled("expires_at") {
        members.insert(
            "expires_at".to_owned(),
            crate::filter::instant(expires_at).into(),
        );
    }
    match front
        .operations()
        .await?
        .create_api_key(&v.ctx, v.filled_in(members))
        .await
    {
        Ok(new) => {
            let title = format!("API key “{}”", new.view.name);
            let notice = Notice::default().and_secret(
                &title,
                "Store it where your program can read it.",
                new.key,
            );
            notice::to(&front, &v, &v.href("/api-keys"), notice).await
        }
        Err(refusal) => key_form(&v).show_again(&form, refusal),
    }
}

async fn revoke(State(front): State<Front>, v: Visitor, Path(id): Path<String>, _: Form) -> Answer {
    front
        .operations()
        .await?
        .delete_api_key(&v.ctx, &id, v.query(&[]))
        .await?;
    notice::to(
        &front,
        &v,
        &v.href("/api-keys"),
        Notice::done("The API key was revoked."),
    )
    .await
}

fn link_form(v: &Visitor) -> ActionForm<'_> {
    let roles = [
        ("viewer", "Viewer: can read everything except secrets"),
        (
            "manager",
            "Manager: can also manage destinations and retry deliveries",
        ),
        ("admin", "Admin: everything"),
    ];
    ActionForm {
        about: "A link signs one person in to this console, once, for eight hours.".to_owned(),
        fields: vec![
            Field {
                example: "Ann",
                help: "Shown in the audit log.".to_owned(),
                ..Field::optional_line("name", "Their name")
            },
            Field::switch("role", "Role", &roles, "viewer"),
        ],
        action: v.href("/portal-links"),
        submit: "Create link".to_owned(),
        ..ActionForm::new(v, "keys", parent(v), "New portal link")
    }
}

async fn show_link(v: Visitor) -> Answer {
    must_administer(&v)?;
    link_form(&v).shown()
}

async fn link(State(front): State<Front>, v: Visitor, form: Form) -> Answer {
    let fields = [
        (
            "role".to_owned(),
            form.text("role").unwrap_or_default().into(),
        ),
        ("subject".to_owned(), form.filled_fields(&["name"]).into()),
        ("session_seconds".to_owned(), SESSION_SECONDS.into()),
    ];
    match front
        .operations()
        .await?
        .create_portal_link(&v.ctx, v.filled_in(Map::from_iter(fields)))
        .await
    {
        Ok(link) => {
            let text = format!(
                "Send it to the person. It opens the console once, until {}.",
                show::exact(link.expires_at)
            );
            let notice = Notice::default().and_secret_link("Portal link", &text, link.url);
            notice::to(&front, &v, &v.href("/api-keys"), notice).await
        }
        Err(refusal) => link_form(&v).show_again(&form, refusal),
    }
}

async fn end_link(
    State(front): State<Front>,
    v: Visitor,
    Path(id): Path<String>,
    _: Form,
) -> Answer {
    front
        .operations()
        .await?
        .delete_portal_link(&v.ctx, &id, v.query(&[]))
        .await?;
    notice::to(
        &front,
        &v,
        &v.href("/api-keys"),
        Notice::done("The link was withdrawn and its session has ended."),
    )
    .await
}
