//! Connects a mailbox by OAuth 2: a person enters the client ID and secret of an application and
//! consents at the provider, and an email destination uses the resulting authorization. No password
//! is stored.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use front::Front;
use operations::view::authorization::AuthorizationView;

use crate::action_form::ActionForm;
use crate::answer::{Answer, page};
use crate::form::Form;
use crate::notice::{self, Notice};
use crate::schema_form::Field;
use crate::show::{self, Page};
use crate::visitor::Visitor;

pub(crate) fn router() -> Router<Front> {
    Router::new()
        .route("/mailboxes/new", get(show_form).post(connect))
        .route("/mailboxes/{id}", get(read))
}

#[derive(Template)]
#[template(path = "mailbox.html")]
struct MailboxPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    m: &'a AuthorizationView,
    provider: &'static str,
    /// The address of the form for a destination that uses the mailbox.
    next: String,
}

fn form(v: &Visitor) -> ActionForm<'_> {
    let providers = [
        ("google", "Google Workspace or Gmail"),
        ("microsoft", "Microsoft 365 or Outlook"),
        ("custom", "Another OAuth 2.0 provider"),
    ];
    let custom = |name: &str, label: &str| {
        Field::line(&[name], label, false).only_when("provider", &["custom"])
    };
    let callback = format!("{}{}", v.base_url, operations::authorization::CALLBACK_PATH);
    ActionForm {
        about: format!(
            "Register an application at the provider with the redirect URI {callback}, and enter \
             its client ID and secret. The person who owns the mailbox then has an hour to \
             consent in a browser."
        ),
        fields: vec![
            Field::switch("provider", "Provider", &providers, "google"),
            Field {
                example: "1234567890-abc.apps.googleusercontent.com",
                ..Field::line(&["client_id"], "Client ID", false)
            },
            Field::line(&["client_secret"], "Client secret", true),
            Field {
                example: "https://login.example.com/oauth2/authorize",
                ..custom("authorize_url", "Authorization URL")
            },
            Field {
                example: "https://login.example.com/oauth2/token",
                ..custom("token_url", "Token URL")
            },
            Field {
                required: false,
                ..custom("scope", "Scope")
            },
        ],
        submit: "Continue".to_owned(),
        ..ActionForm::new(
            v,
            "destinations",
            (
                v.href("/destinations/new/email"),
                "New Email destination".to_owned(),
            ),
            "Connect a mailbox",
        )
    }
}

async fn show_form(v: Visitor) -> Answer {
    v.must_manage()?;
    form(&v).shown()
}

async fn connect(State(front): State<Front>, v: Visitor, sent: Form) -> Answer {
    let of_own = ["authorize_url", "token_url", "scope"];
    let mut fields = sent.filled_fields(&["provider", "client_id", "client_secret"]);
    if sent.text("provider") == Some("custom") {
        fields.extend(sent.filled_fields(&of_own));
    }
    match front
        .operations()
        .await?
        .create_authorization(&v.ctx, v.filled_in(fields))
        .await
    {
        Ok(new) => {
            let label = format!("Continue to {}", provider(new.view.provider));
            let notice = Notice::done("Almost done: open the provider's page and consent there.")
                .and_link(new.url, &label);
            notice::to(&front, &v, &v.at("/mailboxes", &new.view.id), notice).await
        }
        Err(refusal) => form(&v).show_again(&sent, refusal),
    }
}

fn provider(name: &str) -> &'static str {
    match name {
        "google" => "Google",
        "microsoft" => "Microsoft",
        _ => "the provider",
    }
}

async fn read(State(front): State<Front>, v: Visitor, Path(id): Path<String>) -> Answer {
    let m = front
        .operations()
        .await?
        .authorization(&v.ctx, &id, v.query(&[]))
        .await?;
    let host = match m.provider {
        "google" => "smtp.gmail.com",
        "microsoft" => "smtp.office365.com",
        _ => "",
    };
    let prefilled = show::query(&[
        ("settings.transport", "smtp"),
        ("settings.transport.smtp.host", host),
        ("credentials.kind", "oauth2_authorization"),
        ("credentials.oauth2_authorization.authorization_id", &id),
    ]);
    let next = v.href(&format!("/destinations/new/email?{prefilled}"));
    page(&MailboxPage {
        page: Page::of(Some(&v), "destinations"),
        v: &v,
        provider: provider(m.provider),
        m: &m,
        next,
    })
}
