//! Sign-in with an API key or a portal link, and sign-out.

use access::{AuthenticateError, Session};
use askama::Template;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use domain::portal_link::PortalLink;
use front::{Front, PORTAL_PATH, RequestFacts};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use operations::{Refusal, RefusalCode};

use crate::answer::{Answer, page, page_as, see_other};
use crate::form::{self, Form};
use crate::identity::{self, Configured};
use crate::show::{self, Page};
use crate::visitor::{cookie, cookie_name};

/// The longest path to which a sign-in leads. While a person signs in with the identity provider, it
/// is in a cookie, which holds 4 KiB.
const NEXT_BYTES_MAX: usize = 1024;

pub(crate) fn router() -> Router<Front> {
    Router::new()
        .route("/sign-in", get(show_form).post(sign_in))
        .route("/sign-out", post(sign_out))
        .route("/portal/{token}", get(show_link).post(open_link))
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage<'a> {
    page: Page<'a>,
    next: &'a str,
    problem: Option<Problem>,
    /// The address for signing in with the identity provider, if one is configured.
    provider: Option<String>,
}

/// Why a sign-in was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The key is not valid.
    Key,
    /// This browser did not start the sign-in, or started it too long ago.
    NotBegun,
    /// The identity provider did not authenticate the person.
    NotVouchedFor,
    /// The claims contain no role in an organization that exists.
    NoRole,
}

impl Problem {
    fn words(self) -> &'static str {
        match self {
            Self::Key => "This key is not valid. It may have been revoked or have expired.",
            Self::NotBegun => {
                "Signing in took too long or was started in another browser. Sign in again."
            }
            Self::NotVouchedFor => "Your identity provider did not sign you in.",
            Self::NoRole => {
                "Your identity provider has not assigned you a role here. Ask its administrator \
                 for one."
            }
        }
    }
}

impl<'a> SignInPage<'a> {
    fn of(configured: &Configured, next: &'a str, problem: Option<Problem>) -> Self {
        let provider = configured
            .as_ref()
            .map(|_| format!("{}?{}", identity::START, show::query(&[("next", next)])));
        Self {
            page: Page::outside(),
            next,
            problem,
            provider,
        }
    }
}

#[derive(Template)]
#[template(path = "portal.html")]
struct PortalPage<'a> {
    page: Page<'a>,
    link: Option<&'a PortalLink>,
    address: &'a str,
}

async fn show_form(Extension(configured): Extension<Configured>, request: Request) -> Answer {
    let next = next_of(request.uri().query());
    page(&SignInPage::of(&configured, &next, None))
}

/// Renders the sign-in page with the reason for the refusal and the status 401.
pub(crate) fn refused(configured: &Configured, next: &str, problem: Problem) -> Answer {
    page_as(
        StatusCode::UNAUTHORIZED,
        &SignInPage::of(configured, next, Some(problem)),
    )
}

/// Signs in with an API key. The form has no token, because there is no session yet.
async fn sign_in(
    State(front): State<Front>,
    Extension(configured): Extension<Configured>,
    Extension(facts): Extension<RequestFacts>,
    request: Request,
) -> Answer {
    let form = form::read(request.into_body()).await?;
    let next = local(form.text("next").unwrap_or_default());
    let operations = front.operations().await?;
    match operations
        .sign_in(
            form.filled("key").unwrap_or_default(),
            facts.ip.as_deref(),
            &facts.id,
        )
        .await
    {
        Ok(link) => Ok(begin_session(&front, &facts, &Session::from(&link), next).await?),
        Err(refusal) if refusal.code == RefusalCode::Unauthenticated => {
            refused(&configured, next, Problem::Key)
        }
        Err(refusal) => Err(refusal.into()),
    }
}

/// Ends the session on the server, so that a copy of its cookie is refused from then on.
async fn sign_out(
    State(front): State<Front>,
    Extension(facts): Extension<RequestFacts>,
    headers: HeaderMap,
    _: Form,
) -> Answer {
    let operations = front.operations().await?;
    let cookie = cookie(&headers, cookie_name(&facts.base_url)).unwrap_or_default();
    if let Some(session) = operations.sessions().open(cookie, operations.now()) {
        operations
            .access()
            .sign_out(&session)
            .await
            .map_err(Refusal::from)?;
    }
    Ok(with_cookie(see_other("/sign-in"), &facts, "", 0))
}

/// Shows a portal link. A GET changes nothing, because mail scanners follow links and would
/// otherwise use up the link.
async fn show_link(State(front): State<Front>, Path(token): Path<String>) -> Answer {
    let link = usable(front.operations().await?.access().portal_link(&token).await)?;
    let status = if link.is_some() {
        StatusCode::OK
    } else {
        StatusCode::NOT_FOUND
    };
    page_as(
        status,
        &PortalPage {
            page: Page::outside(),
            link: link.as_ref(),
            address: &format!("{PORTAL_PATH}{token}"),
        },
    )
}

async fn open_link(
    State(front): State<Front>,
    Extension(facts): Extension<RequestFacts>,
    Path(token): Path<String>,
) -> Answer {
    let opened = usable(
        front
            .operations()
            .await?
            .access()
            .open_portal_link(&token)
            .await,
    )?;
    let Some(link) = opened else {
        return page_as(
            StatusCode::NOT_FOUND,
            &PortalPage {
                page: Page::outside(),
                link: None,
                address: "",
            },
        );
    };
    Ok(begin_session(
        &front,
        &facts,
        &Session::from(&link),
        local(link.path.as_deref().unwrap_or_default()),
    )
    .await?)
}

/// Returns the link, or `None` if it cannot be used.
fn usable(found: Result<PortalLink, AuthenticateError>) -> Result<Option<PortalLink>, Refusal> {
    match found {
        Ok(link) => Ok(Some(link)),
        Err(AuthenticateError::Unauthenticated(_)) => Ok(None),
        Err(error) => Err(Refusal::unavailable(error)),
    }
}

/// Sets the session's cookie and redirects to the page that was requested.
pub(crate) async fn begin_session(
    front: &Front,
    facts: &RequestFacts,
    session: &Session,
    next: &str,
) -> Result<Response, Refusal> {
    let operations = front.operations().await?;
    let seconds = session.until.since(operations.now()).as_secs();
    Ok(with_cookie(
        see_other(next),
        facts,
        &operations.sessions().seal(session),
        seconds,
    ))
}

fn with_cookie(response: Response, facts: &RequestFacts, value: &str, seconds: u64) -> Response {
    (
        [(
            SET_COOKIE,
            cookie_of(cookie_name(&facts.base_url), facts, value, seconds),
        )],
        response,
    )
        .into_response()
}

/// Formats a cookie that scripts cannot read and that browsers do not send with a POST from another
/// site.
pub(crate) fn cookie_of(name: &str, facts: &RequestFacts, value: &str, seconds: u64) -> String {
    let secure = if facts.base_url.starts_with("https:") {
        "; Secure"
    } else {
        ""
    };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}")
}

/// Returns the path in the `next` parameter, or `/`.
pub(crate) fn next_of(query: Option<&str>) -> String {
    let mut parameters = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let next = parameters
        .find(|(name, _)| name == "next")
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default();
    local(&next).to_owned()
}

/// Returns the path if it is one of this site. Returns `/` for anything that a browser could
/// interpret as the address of another site, and for a path that is too long for a cookie or a
/// redirect.
pub(crate) fn local(path: &str) -> &str {
    let ours = path.len() <= NEXT_BYTES_MAX
        && path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && !path.chars().any(char::is_control);
    if ours { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_leads_only_to_pages_of_the_console() {
        for (path, leads_to) in [
            ("/deliveries?status=failed", "/deliveries?status=failed"),
            ("", "/"),
            ("https://evil.example", "/"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("/\t/evil.example", "/"),
        ] {
            assert_eq!(local(path), leads_to);
        }
        let long = format!("/{}", "a".repeat(NEXT_BYTES_MAX));
        assert_eq!(local(&long), "/");
        assert_eq!(local(&long[..NEXT_BYTES_MAX]), &long[..NEXT_BYTES_MAX]);
    }
}
