//! Who looks: somebody with a session. Whoever has none signs in first and then gets the page they
//! asked for.

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use domain::Timestamp;
use domain::id::OrganizationId;
use domain::role::{Permission, Role};
use front::{Front, Refused, RequestFacts};
use http::header::COOKIE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use operations::{Context, Query, Refusal};

use crate::answer::{HX_REDIRECT, HX_REQUEST, see};
use crate::notice::{self, Notice};
use crate::pages::inbox::Folder;
use crate::show::{self, When};

/// Somebody who is signed in, and what they look at.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    pub(crate) ctx: Context,
    /// What the session's forms carry.
    pub(crate) form_token: String,
    /// The organization that the address names; an operator's addresses do.
    pub(crate) named: Option<String>,
    /// What the organization is called.
    pub(crate) organization_name: Option<String>,
    /// The page's own path.
    pub(crate) path: String,
    /// The page's own path and query.
    pub(crate) address: String,
    /// When the page is made.
    pub(crate) now: Timestamp,
    /// What the page says once.
    pub(crate) notice: Option<Notice>,
    /// A script asks, and takes a part of a page.
    pub(crate) is_scripted: bool,
    pub(crate) session: SessionCookie,
    pub(crate) base_url: String,
    /// The process keeps mail that this person may read.
    pub(crate) has_mail: bool,
}

/// The value of a session's cookie.
#[derive(Clone)]
pub(crate) struct SessionCookie(pub(crate) String);

impl std::fmt::Debug for SessionCookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionCookie")
    }
}

/// Pages of things that each belong to one organization, which the thing's id says.
const OF_ONE_ORGANIZATION: [&str; 4] = ["destinations", "deliveries", "messages", "jobs"];

/// The session's cookie. With TLS its name keeps other hosts of the domain from setting it (RFC
/// 6265bis, `__Host-`).
pub(crate) fn cookie_name(base_url: &str) -> &'static str {
    if base_url.starts_with("https:") {
        "__Host-waybill"
    } else {
        "waybill"
    }
}

/// A cookie of a request.
pub(crate) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let cookies = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Lets in whoever has a session.
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
                Ok(Some(address)) => return see(&address),
                Ok(None) => {}
                Err(refusal) => return Refused::from(refusal).into_response(),
            }
            request.extensions_mut().insert(visitor.clone());
            let mut response = next.run(request).await;
            if visitor.notice.is_some() {
                notice::forget(&mut response, &visitor.base_url);
            }
            // A refusal is told on a page of theirs.
            response.extensions_mut().insert(visitor);
            response
        }
        Ok(None) => to_sign_in(&request),
        Err(refusal) => Refused::from(refusal).into_response(),
    }
}

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
    let now = operations.clock.now();
    let Some(session) = operations.sessions.open(cookie, now) else {
        return Ok(None);
    };
    let caller = match operations.access.resume(&session).await {
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
    let looked_at: Option<OrganizationId> = caller
        .organization
        .or_else(|| named.as_deref().and_then(|id| id.parse().ok()));
    let organization = match looked_at {
        Some(id) => operations
            .store
            .organization(id)
            .await
            .map_err(Refusal::from)?,
        None => None,
    };
    Ok(Some(Visitor {
        form_token: operations.sessions.form_token(cookie),
        named,
        organization_name: organization.map(|organization| organization.name),
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

/// Where an operator finds the page of one thing whose organization the address does not name: its
/// id says which organization it belongs to.
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
    if !OF_ONE_ORGANIZATION.contains(&noun) {
        return Ok(None);
    }
    let organization = front
        .operations()
        .await?
        .organization_of(&v.ctx, id)
        .await?;
    Ok(organization.map(|organization| in_organization(&v.address, &organization)))
}

/// An address that names the organization.
fn in_organization(address: &str, organization: &impl std::fmt::Display) -> String {
    let joint = if address.contains('?') { '&' } else { '?' };
    format!("{address}{joint}organization_id={organization}")
}

/// A page is asked for again after signing in; what a script or a form asked for is not.
fn to_sign_in(request: &Request) -> Response {
    let address = request
        .uri()
        .path_and_query()
        .map_or("/", |address| address.as_str());
    let next = if request.method() == http::Method::GET {
        address
    } else {
        "/"
    };
    let path = format!("/sign-in?{}", show::query(&[("next", next)]));
    if request.headers().contains_key(HX_REQUEST) {
        let path = HeaderValue::from_str("/sign-in").unwrap_or(HeaderValue::from_static("/"));
        return (StatusCode::UNAUTHORIZED, [(HX_REDIRECT, path)]).into_response();
    }
    see(&path)
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Refused;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let visitor = parts.extensions.get::<Self>().cloned();
        visitor.ok_or_else(|| Refusal::internal("the route has no visitor").into())
    }
}

impl Visitor {
    /// A link to a page of the console: the operator's go on naming the organization.
    pub(crate) fn href(&self, path: &str) -> String {
        match &self.named {
            Some(organization) if self.is_operator() => {
                in_organization(path, &show::encoded(organization))
            }
            _ => path.to_owned(),
        }
    }

    /// The page of one thing of an organization; an operator's address names the organization.
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

    /// The page of one thing.
    pub(crate) fn at(&self, noun: &str, id: &impl std::fmt::Display) -> String {
        self.href(&format!("{noun}/{id}"))
    }

    /// Where something is done with one thing.
    pub(crate) fn deed(&self, noun: &str, id: &impl std::fmt::Display, verb: &str) -> String {
        self.href(&format!("{noun}/{id}/{verb}"))
    }

    /// Parameters of an operation, about the organization that the address names.
    pub(crate) fn query<'v>(&'v self, parameters: &[(&'v str, &'v str)]) -> Query {
        let mut all: Vec<(&str, &str)> = self
            .named
            .iter()
            .map(|organization| ("organization_id", &**organization))
            .collect();
        all.extend_from_slice(parameters);
        Query::parse(Some(&show::query(&all)))
    }

    /// May they?
    fn may(&self, permission: Permission) -> bool {
        self.ctx.caller.role.may(permission)
    }

    pub(crate) fn is_operator(&self) -> bool {
        self.ctx.caller.role == Role::Operator
    }

    /// Retry, change destinations.
    pub(crate) fn may_manage(&self) -> bool {
        self.may(Permission::ManageDestinations)
    }

    /// Refuses the page of a form to whoever may not send it.
    pub(crate) fn must_manage(&self) -> Result<(), Refusal> {
        if self.may_manage() {
            Ok(())
        } else {
            Err(Refusal::forbidden())
        }
    }

    /// Keys, settings, people.
    pub(crate) fn may_administer(&self) -> bool {
        self.may(Permission::ManageOrganization)
    }

    /// Everything but messages and deliveries.
    pub(crate) fn may_read(&self) -> bool {
        self.may(Permission::Read)
    }

    /// Is there an organization to show pages of?
    pub(crate) fn has_organization(&self) -> bool {
        self.ctx.caller.organization.is_some() || self.named.is_some()
    }

    /// Whether the lists are those of all organizations: an operator looks, and has chosen none.
    pub(crate) fn sees_all(&self) -> bool {
        self.is_operator() && !self.has_organization()
    }

    /// Where an operator says which organization this page is asked of.
    pub(crate) fn choose_organization(&self) -> String {
        format!("/organizations?{}", show::query(&[("next", &self.address)]))
    }

    /// A point in time, as people say it.
    pub(crate) fn when(&self, at: &Timestamp) -> When {
        When::new(*at, self.now)
    }

    /// Whether a time has passed.
    pub(crate) fn has_passed(&self, at: &Timestamp) -> bool {
        *at <= self.now
    }
}
