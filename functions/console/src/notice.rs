//! The outcome of a form, shown once on the page to which the response redirects: the confirmation,
//! the reason for a refusal, and a secret that is shown only once. The redirect ensures that
//! reloading the page does not send the form again, and the cookie keeps the outcome out of the
//! address.
//!
//! The notice is kept in a cookie that scripts cannot read. The page that shows it removes the
//! cookie. It is signed for the session, so that no other site and no other session can create one.

use axum::response::{IntoResponse as _, Response};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use domain::check::CheckReport;
use front::Front;
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use operations::{Operations, Refusal};
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, HX_REDIRECT, HX_REQUEST, Rendered, see_other};
use crate::visitor::{Visitor, cookie, cookie_name};

/// The lifetime of the cookie, in seconds.
const LIFE_SECONDS: u32 = 60;
/// The maximum length of the cookie's value. Browsers ignore cookies of more than 4,096 bytes.
const CHARS_MAX: usize = 3_800;

/// A message that a page shows once.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Notice {
    /// `good`, `warn` or `bad`.
    pub(crate) tone: String,
    pub(crate) text: String,
    /// A link to continue with: its address and label.
    pub(crate) link: Option<(String, String)>,
    pub(crate) secret: Option<SecretNotice>,
    pub(crate) check: Option<CheckReport>,
}

/// A secret that is shown once.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SecretNotice {
    /// The id of the HTML element with the value.
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) value: String,
}

impl std::fmt::Debug for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notice")
            .field("text", &self.text)
            .finish_non_exhaustive()
    }
}

impl Notice {
    fn new(tone: &str, text: impl Into<String>) -> Self {
        Self {
            tone: tone.to_owned(),
            text: text.into(),
            link: None,
            secret: None,
            check: None,
        }
    }

    /// Confirms that an action was carried out.
    pub(crate) fn done(text: impl Into<String>) -> Self {
        Self::new("good", text)
    }

    /// Confirms an action after which something remains to be done.
    pub(crate) fn warning(text: impl Into<String>) -> Self {
        Self::new("warn", text)
    }

    /// Reports that something does not work.
    pub(crate) fn problem(text: impl Into<String>) -> Self {
        Self::new("bad", text)
    }

    /// Shows why a request was refused.
    pub(crate) fn refused(refusal: &Refusal) -> Self {
        Self::new("bad", crate::show::sentence(&refusal.detail))
    }

    /// Adds a link to continue with.
    pub(crate) fn and_link(self, href: String, label: &str) -> Self {
        Self {
            link: Some((href, label.to_owned())),
            ..self
        }
    }

    /// Adds the report of a check.
    pub(crate) fn and_check(self, check: CheckReport) -> Self {
        Self {
            check: Some(check),
            ..self
        }
    }

    /// Adds a secret that is shown only once.
    pub(crate) fn and_secret(self, title: &str, text: &str, value: String) -> Self {
        let (id, title, text) = ("secret".to_owned(), title.to_owned(), text.to_owned());
        Self {
            secret: Some(SecretNotice {
                id,
                title,
                text,
                value,
            }),
            ..self
        }
    }

    /// Adds a link that must be kept secret.
    pub(crate) fn and_secret_link(self, title: &str, text: &str, value: String) -> Self {
        let (id, title, text) = ("link".to_owned(), title.to_owned(), text.to_owned());
        Self {
            secret: Some(SecretNotice {
                id,
                title,
                text,
                value,
            }),
            ..self
        }
    }

    /// Reads the notice from a request's cookies. `None` if it was not created for this session, or
    /// if htmx requests a part of a page.
    pub(crate) fn of(
        operations: &Operations,
        headers: &HeaderMap,
        base_url: &str,
        session: &str,
    ) -> Option<Self> {
        let is_part = headers.contains_key(HX_REQUEST);
        let value = cookie(headers, &name(base_url)).filter(|_| !is_part)?;
        let (payload, token) = value.split_once('.')?;
        let is_own = operations
            .sessions()
            .is_own_form(&signed(session, payload), token);
        serde_json::from_slice(&BASE64.decode(payload).ok().filter(|_| is_own)?).ok()
    }

    /// Returns the cookie. `None` if the notice is too long for one.
    fn cookie(&self, operations: &Operations, v: &Visitor) -> Option<HeaderValue> {
        let payload = BASE64.encode(serde_json::to_vec(self).ok()?);
        let token = operations
            .sessions()
            .form_token(&signed(&v.session.0, &payload));
        let value = format!("{payload}.{token}");
        let fits = value.len() <= CHARS_MAX;
        HeaderValue::from_str(&set(&v.base_url, &value, LIFE_SECONDS))
            .ok()
            .filter(|_| fits)
    }
}

/// Removes the cookie of the notice if the response is the page that shows it. A redirect or a
/// download does not show the notice, and a redirect may set the cookie of the next one.
pub(crate) fn forget(response: &mut Response, base_url: &str) {
    if response.extensions().get::<Rendered>().is_none() {
        return;
    }
    if let Ok(cookie) = HeaderValue::from_str(&set(base_url, "", 0)) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

fn name(base_url: &str) -> String {
    format!("{}-notice", cookie_name(base_url))
}

fn set(base_url: &str, value: &str, seconds: u32) -> String {
    let secure = if base_url.starts_with("https:") {
        "; Secure"
    } else {
        ""
    };
    format!(
        "{}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}",
        name(base_url)
    )
}

fn signed(session: &str, payload: &str) -> String {
    format!("notice\n{session}\n{payload}")
}

/// Redirects to a page that shows the notice. Returns an internal error if the notice is too long
/// even without its check and with a shortened text.
pub(crate) async fn to(front: &Front, v: &Visitor, path: &str, notice: Notice) -> Answer {
    let operations = front.operations().await?;
    let mut response = redirect_page(path, v.is_scripted);
    // If the notice is too long for a cookie, its text is shortened. A secret is never shortened.
    let cookie = notice.cookie(operations, v).or_else(|| {
        let short = Notice {
            text: notice.text.chars().take(300).collect(),
            check: None,
            ..notice
        };
        short.cookie(operations, v)
    });
    response.headers_mut().append(
        SET_COOKIE,
        cookie.ok_or_else(|| Refusal::internal("a notice is too long"))?,
    );
    Ok(response)
}

/// Redirects a browser, or htmx, to another page.
pub(crate) fn redirect_page(path: &str, is_scripted: bool) -> Response {
    match (is_scripted, HeaderValue::from_str(path)) {
        (true, Ok(path)) => ([(HX_REDIRECT, path)], "").into_response(),
        _ => see_other(path),
    }
}

#[cfg(test)]
mod tests {
    use askama::Template;

    use super::*;
    use crate::answer::page;

    #[derive(Template)]
    #[template(source = "<p>", ext = "html")]
    struct Empty;

    #[test]
    fn only_the_page_that_shows_a_notice_removes_it() {
        let base_url = "https://console.example";
        let cookies = |mut response: Response| {
            forget(&mut response, base_url);
            let all = response.headers().get_all(SET_COOKIE).iter();
            all.map(|value| value.to_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let removed = set(base_url, "", 0);
        assert_eq!(cookies(page(&Empty).ok().unwrap()), [removed]);
        let next = set(base_url, "next", LIFE_SECONDS);
        let mut redirect = redirect_page("/keys", false);
        redirect
            .headers_mut()
            .append(SET_COOKIE, HeaderValue::from_str(&next).unwrap());
        assert_eq!(cookies(redirect), [next]);
        assert!(cookies(redirect_page("/keys", true)).is_empty());
        assert!(cookies("a file".into_response()).is_empty());
    }
}
