//! Sign-in with the operator's identity provider (OpenID Connect Core 1.0, authorization code flow
//! with PKCE).
//!
//! 1. [`start`] redirects the browser to the provider and sets a cookie with the state of the
//!    sign-in.
//! 2. The provider redirects the browser to [`finish`] with a code. [`Provider::exchange`]
//!    exchanges it for an ID token and verifies the token.
//! 3. [`claims::person`] reads the person, the role and the organization from the claims.
//! 4. The session is created like that of a portal link, so that an admin can end it.

mod claims;
mod provider;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use front::{Front, Refused, RequestFacts};
use http::header::SET_COOKIE;
use http::{HeaderMap, Uri};
use operations::Refusal;
use serde::{Deserialize, Serialize};

pub(crate) use provider::Provider;

use crate::answer::see_other;
use crate::sign_in::{self, Problem};
use crate::visitor::{cookie, cookie_name};

/// The path to which the provider redirects browsers.
const CALLBACK: &str = "/oidc/callback";
/// The path at which a sign-in starts.
pub(crate) const START: &str = "/oidc/start";
/// How many seconds a person may take to sign in at the provider.
const SIGN_IN_SECONDS_MAX: u64 = 600;

/// The provider, if one is configured.
pub(crate) type Configured = Option<Arc<Provider>>;

/// The state of a sign-in, which the browser keeps in a cookie.
#[derive(Debug, Serialize, Deserialize)]
struct SignInState {
    state: String,
    nonce: String,
    verifier: String,
    next: String,
}

pub(crate) fn router() -> Router<Front> {
    Router::new()
        .route(START, get(start))
        .route(CALLBACK, get(finish))
}

async fn start(
    State(front): State<Front>,
    Extension(configured): Extension<Configured>,
    Extension(facts): Extension<RequestFacts>,
    uri: Uri,
) -> Result<Response, Refused> {
    let provider = configured.ok_or_else(Refusal::not_found)?;
    let word = || BASE64.encode(front.platform().random.bytes::<32>());
    let pending = SignInState {
        state: word(),
        nonce: word(),
        verifier: word(),
        next: sign_in::next_of(uri.query()),
    };
    let redirect_uri = format!("{}{CALLBACK}", facts.base_url);
    let url = provider
        .address(
            &redirect_uri,
            &pending.state,
            &pending.nonce,
            &pending.verifier,
        )
        .await
        .map_err(Refusal::unavailable)?;
    let value = BASE64.encode(serde_json::to_vec(&pending).unwrap_or_default());
    Ok(remembering(
        see_other(&url),
        &facts,
        &value,
        SIGN_IN_SECONDS_MAX,
    ))
}

async fn finish(
    State(front): State<Front>,
    Extension(configured): Extension<Configured>,
    Extension(facts): Extension<RequestFacts>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let provider = configured.clone().ok_or_else(Refusal::not_found)?;
    let refused = |problem, pending: Option<&SignInState>| {
        tracing::warn!(
            request_id = facts.id,
            security_event = true,
            ?problem,
            "authentication_failed"
        );
        let page = sign_in::refused(
            &configured,
            pending.map_or("/", |pending| &pending.next),
            problem,
        );
        page.map(|page| remembering(page, &facts, "", 0))
    };
    let parameter = |name: &str| {
        let mut all = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        all.find(|(own, _)| own == name)
            .map(|(_, value)| value.into_owned())
    };
    let pending = read_state_cookie(&headers, &facts)
        .filter(|pending| parameter("state").is_some_and(|state| state == pending.state));
    let Some(pending) = pending else {
        return refused(Problem::NotBegun, None);
    };
    let Some(code) = parameter("code") else {
        return refused(Problem::NotVouchedFor, Some(&pending));
    };
    let redirect_uri = format!("{}{CALLBACK}", facts.base_url);
    let claims = match provider
        .exchange(
            code,
            &redirect_uri,
            &pending.nonce,
            pending.verifier.clone(),
        )
        .await
    {
        Ok(claims) => claims,
        Err(provider::ExchangeError::Refused(why)) => {
            tracing::warn!(
                request_id = facts.id,
                why,
                "the identity provider's response was refused"
            );
            return refused(Problem::NotVouchedFor, Some(&pending));
        }
        Err(provider::ExchangeError::Unavailable(error)) => {
            return Err(Refusal::unavailable(error).into());
        }
    };
    let Some(person) = claims::person(&claims, provider.config()) else {
        return refused(Problem::NoRole, Some(&pending));
    };
    let operations = front.operations().await?;
    let Some(link) = operations
        .sign_in_person(person, |caller| facts.clone().of(caller))
        .await?
    else {
        return refused(Problem::NoRole, Some(&pending));
    };
    let entered = sign_in::begin_session(
        &front,
        &facts,
        &access::Session::from(&link),
        sign_in::local(&pending.next),
    )
    .await?;
    Ok(remembering(entered, &facts, "", 0))
}

/// Sets the cookie with the state of a sign-in. `seconds` is its lifetime; 0 removes it.
fn remembering(
    mut response: Response,
    facts: &RequestFacts,
    value: &str,
    seconds: u64,
) -> Response {
    if let Ok(cookie) = sign_in::cookie_of(&state_cookie_name(facts), facts, value, seconds).parse()
    {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response.into_response()
}

/// Reads the state of a sign-in from the cookie.
fn read_state_cookie(headers: &HeaderMap, facts: &RequestFacts) -> Option<SignInState> {
    serde_json::from_slice(
        &BASE64
            .decode(cookie(headers, &state_cookie_name(facts))?)
            .ok()?,
    )
    .ok()
}

/// Returns the name of the cookie with the state of a sign-in.
fn state_cookie_name(facts: &RequestFacts) -> String {
    format!("{}-begun", cookie_name(&facts.base_url))
}
