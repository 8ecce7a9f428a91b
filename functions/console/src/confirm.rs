//! The page on which a person confirms that an address receives an organization's alerts. It needs
//! no session: the link is sent only to the address, so having it proves access to the mailbox.

use askama::Template;
use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Extension, Router};
use front::{Front, RequestFacts};
use http::StatusCode;
use operations::{AddressToConfirm, CONFIRM_PATH};

use crate::answer::{Answer, page_as};
use crate::show::{self, Page};

pub(crate) fn router() -> Router<Front> {
    Router::new().route(
        &format!("{CONFIRM_PATH}{{token}}"),
        get(show_form).post(confirm),
    )
}

#[derive(Template)]
#[template(path = "confirm_address.html")]
struct ConfirmPage<'a> {
    page: Page<'a>,
    address: Option<&'a AddressToConfirm>,
    action: &'a str,
    confirmed: bool,
}

fn shown(address: Option<&AddressToConfirm>, token: &str, confirmed: bool) -> Answer {
    let status = if address.is_some() {
        StatusCode::OK
    } else {
        StatusCode::NOT_FOUND
    };
    page_as(
        status,
        &ConfirmPage {
            page: Page::outside(),
            address,
            action: &format!("{CONFIRM_PATH}{token}"),
            confirmed,
        },
    )
}

/// Shows the address. A GET changes nothing, because mail scanners follow links and would otherwise
/// confirm the address.
async fn show_form(State(front): State<Front>, Path(token): Path<String>) -> Answer {
    let address = front.operations().await?.address_to_confirm(&token).await?;
    shown(address.as_ref(), &token, false)
}

async fn confirm(
    State(front): State<Front>,
    Extension(facts): Extension<RequestFacts>,
    Path(token): Path<String>,
) -> Answer {
    let address = front
        .operations()
        .await?
        .confirm_address(&token, facts.ip.as_deref(), &facts.id)
        .await?;
    shown(address.as_ref(), &token, true)
}
