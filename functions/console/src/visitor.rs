//! The visitor of a page: a person with a session. A request without a session is redirected to the
//! sign-in page, which leads back to the page that was requested.

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use domain::Timestamp;
use domain::role::{Permission, Role};
use front::{Front, Refused, RequestFacts};
use http::header::COOKIE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use operations::{Context, Input, Query, Refusal};
use serde_json::{Map, Value};

use crate::answer::{HX_REDIRECT, HX_REQUEST, see_other};
use crate::notice::{self, Notice};
use crate::pages::inbox::Folder;
use crate::show::{self, When};
use crate::sign_in::local;

/// A person who is signed in, and the page that they requested.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    pub(crate) ctx: Context,
    /// The token that the session's forms carry.
    pub(crate) form_token: String,
    /// The organization in the address' `organization_id`. Operators choose an organization with
    /// it.
    pub(crate) named: Option<String>,
    /// The name of the organization.
    pub(crate) organization_name: Option<String>,
    /// The path of the page.
    pub(crate) path: String,
    /// The path and query of the page.
    pub(crate) address: String,
    /// When the page was requested.
    pub(crate) now: Timestamp,
    /// The notice that the page shows once.
    pub(crate) notice: Option<Notice>,
    /// Whether htmx sent the request, which expects a part of a page.
    pub(crate) is_scripted: bool,
    pub(crate) session: SessionCookie,
    pub(crate) base_url: String,
    /// Whether the process keeps mail that this person may read.
    pub(crate) has_mail: bool,
}

/// The value of a session's cookie, which `Debug` does not show.
#[derive(Clone)]
pub(crate) struct SessionCookie(pub(crate) String);

impl std::fmt::Debug for SessionCookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionCookie")
    }
}

/// The paths of pages about one record, whose id determines the organization.
const RECORD_PATHS: [&str; 4] = ["destinations", "deliveries", "messages", "jobs"];

/// Returns the name of the session's cookie. With TLS it has the prefix `__Host-`, which prevents
/// other hosts of the domain from setting it (RFC 6265bis).
pub(crate) fn cookie_name(base_url: &str) -> &'static str {
    if base_url.starts_with("https:") {
        "__Host-waybill"
    } else {
        "waybill"
    }
}

/// Returns the value of a cookie of a request.
pub(crate) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let cookies = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Passes on requests with a session, and redirects others to the sign-in page.
pub(crate) async fn signed_in(
    State(front): State<Front>,
    mut request: Request,
    next: Next,
) -> Response {
    let facts = request.extensions().get::<RequestFacts>().cloned();
    match visitor(
        &front,
        facts,
        request.headers().clone(),
        request.uri().clone(),
    )
    .await
    {
        Ok(Some(mut visitor)) => {
            let keeps_mail = request
                .extensions()
                .get::<Folder>()
                .is_some_and(|folder| folder.0.is_some());
            visitor.has_mail = keeps_mail && visitor.is_operator();
            match in_its_organization(&front, &visitor, request.method()).await {
                Ok(Some(address)) => return see_other(&address),
                Ok(None) => {}
                Err(refusal) => return Refused::from(refusal).into_response(),
            }
            request.extensions_mut().insert(visitor.clone());
            let mut response = next.run(request).await;
            if visitor.notice.is_some() {
                notice::forget(&mut response, &visitor.base_url);
            }
            // The envelope needs the visitor to render the page of a refusal.
            response.extensions_mut().insert(visitor);
            response
        }
        Ok(None) => to_sign_in(&request),
        Err(refusal) => Refused::from(refusal).into_response(),
    }
}

/// Returns the visitor of a request. `None` if there is no valid session.
async fn visitor(
    front: &Front,
    facts: Option<RequestFacts>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Option<Visitor>, Refusal> {
    let facts = facts.ok_or_else(|| Refusal::internal("the request has no envelope"))?;
    let Some(cookie) = cookie(&headers, cookie_name(&facts.base_url)) else {
        return Ok(None);
    };
    let operations = front.operations().await?;
    let now = operations.now();
    let Some(session) = operations.sessions().open(cookie, now) else {
        return Ok(None);
    };
    let caller = match operations.access().resume(&session).await {
        Ok(caller) => caller,
        Err(access::AuthenticateError::Unauthenticated(_)) => return Ok(None),
        Err(error) => return Err(Refusal::unavailable(error)),
    };
    operations.admit_request(&caller).await?;
    let mut query = Query::parse(uri.query());
    let named = query
        .take_all("organization_id")
        .pop()
        .filter(|id| !id.is_empty());
    let organization_name = operations
        .organization_name(&caller, named.as_deref())
        .await?;
    Ok(Some(Visitor {
        form_token: operations.sessions().form_token(cookie),
        named,
        organization_name,
        path: uri.path().to_owned(),
        address: uri
            .path_and_query()
            .map_or("/", |address| address.as_str())
            .to_owned(),
        now,
        notice: Notice::of(operations, &headers, &facts.base_url, cookie),
        is_scripted: headers.contains_key(HX_REQUEST),
        session: SessionCookie(cookie.to_owned()),
        base_url: facts.base_url.clone(),
        has_mail: false,
        ctx: facts.of(caller),
    }))
}

/// Returns the address with the organization for an operator's request for one record whose address
/// names no organization. The id of the record determines the organization.
async fn in_its_organization(
    front: &Front,
    v: &Visitor,
    method: &http::Method,
) -> Result<Option<String>, Refusal> {
    if v.has_organization() || !v.is_operator() || method != http::Method::GET {
        return Ok(None);
    }
    let mut parts = v.path.trim_start_matches('/').split('/');
    let (Some(noun), Some(id)) = (parts.next(), parts.next()) else {
        return Ok(None);
    };
    if !RECORD_PATHS.contains(&noun) {
        return Ok(None);
    }
    let organization = front
        .operations()
        .await?
        .organization_of(&v.ctx, id)
        .await?;
    Ok(organization.map(|organization| in_organization(&v.address, &organization)))
}

/// Adds the organization to an address.
fn in_organization(address: &str, organization: &impl std::fmt::Display) -> String {
    let joint = if address.contains('?') { '&' } else { '?' };
    format!("{address}{joint}organization_id={organization}")
}

/// Redirects to the sign-in page. After signing in, a person returns to the page that a GET
/// requested; the requests of forms and htmx are not repeated.
fn to_sign_in(request: &Request) -> Response {
    let address = request
        .uri()
        .path_and_query()
        .map_or("/", |address| address.as_str());
    let next = if request.method() == http::Method::GET {
        local(address)
    } else {
        "/"
    };
    let path = format!("/sign-in?{}", show::query(&[("next", next)]));
    if request.headers().contains_key(HX_REQUEST) {
        let path = HeaderValue::from_str("/sign-in").unwrap_or(HeaderValue::from_static("/"));
        return (StatusCode::UNAUTHORIZED, [(HX_REDIRECT, path)]).into_response();
    }
    see_other(&path)
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Refused;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let visitor = parts.extensions.get::<Self>().cloned();
        visitor.ok_or_else(|| Refusal::internal("the route has no visitor").into())
    }
}

impl Visitor {
    /// Returns the address of a page. For an operator, it keeps the chosen organization.
    pub(crate) fn href(&self, path: &str) -> String {
        match &self.named {
            Some(organization) if self.is_operator() => {
                in_organization(path, &show::encoded(organization))
            }
            _ => path.to_owned(),
        }
    }

    /// Returns the address of one record of an organization. For an operator, it names the
    /// organization.
    pub(crate) fn at_in(
        &self,
        organization: &impl std::fmt::Display,
        noun: &str,
        id: &impl std::fmt::Display,
    ) -> String {
        let path = format!("{noun}/{id}");
        if self.is_operator() {
            in_organization(&path, organization)
        } else {
            path
        }
    }

    /// Returns the address of one record.
    pub(crate) fn at(&self, noun: &str, id: &impl std::fmt::Display) -> String {
        self.href(&format!("{noun}/{id}"))
    }

    /// Returns the address of an action on one record.
    pub(crate) fn action(&self, noun: &str, id: &impl std::fmt::Display, verb: &str) -> String {
        self.href(&format!("{noun}/{id}/{verb}"))
    }

    /// Returns the parameters of an operation, with the organization that the address names.
    pub(crate) fn query<'v>(&'v self, parameters: &[(&'v str, &'v str)]) -> Query {
        let mut all: Vec<(&str, &str)> = self
            .named
            .iter()
            .map(|organization| ("organization_id", &**organization))
            .collect();
        all.extend_from_slice(parameters);
        Query::of(all)
    }

    /// Returns the input of an operation that carries out this command, in the organization that
    /// the address names.
    pub(crate) fn command<C>(&self, command: C) -> Input<C> {
        Input::command(self.query(&[]), command)
    }

    /// Returns the input of an operation that reads its command from the fields of a form.
    pub(crate) fn filled_in<C>(&self, fields: Map<String, Value>) -> Input<C> {
        Input::form(self.query(&[]), fields)
    }

    /// Whether the visitor has a permission.
    fn may(&self, permission: Permission) -> bool {
        self.ctx.caller.role.may(permission)
    }

    /// Whether the visitor is an operator.
    pub(crate) fn is_operator(&self) -> bool {
        self.ctx.caller.role == Role::Operator
    }

    /// Whether the visitor may change destinations and retry deliveries.
    pub(crate) fn may_manage(&self) -> bool {
        self.may(Permission::ManageDestinations)
    }

    /// Refuses a visitor who may not change destinations.
    pub(crate) fn must_manage(&self) -> Result<(), Refusal> {
        if self.may_manage() {
            Ok(())
        } else {
            Err(Refusal::forbidden())
        }
    }

    /// Whether the visitor may manage keys, portal links and settings.
    pub(crate) fn may_administer(&self) -> bool {
        self.may(Permission::ManageOrganization)
    }

    /// Whether the visitor may read everything other than messages and deliveries.
    pub(crate) fn may_read(&self) -> bool {
        self.may(Permission::Read)
    }

    /// Whether the pages are about one organization.
    pub(crate) fn has_organization(&self) -> bool {
        self.ctx.caller.organization.is_some() || self.named.is_some()
    }

    /// Whether lists include all organizations, because an operator has chosen none.
    pub(crate) fn views_all_organizations(&self) -> bool {
        self.is_operator() && !self.has_organization()
    }

    /// Returns the address at which an operator chooses the organization for this page.
    pub(crate) fn choose_organization(&self) -> String {
        format!("/organizations?{}", show::query(&[("next", &self.address)]))
    }

    /// Returns a point in time, to be shown relative to now.
    pub(crate) fn when(&self, at: &Timestamp) -> When {
        When::new(*at, self.now)
    }

    /// Whether a time has passed.
    pub(crate) fn has_passed(&self, at: &Timestamp) -> bool {
        *at <= self.now
    }
}
