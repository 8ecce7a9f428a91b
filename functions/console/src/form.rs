//! What a form sends. It must carry the session's token, which no other site knows; and browsers
//! send the cookie along from our own pages only (`SameSite=Lax`).

use axum::extract::{FromRequest, Request};
use front::{Front, Refused, RequestFacts};
use http_body_util::{BodyExt as _, Limited};
use operations::{Body, Refusal, RefusalCode};
use serde_json::Value;

use crate::visitor::{cookie, cookie_name};

/// The member that carries the token.
const TOKEN: &str = "_form";
/// No form of ours is longer.
const FORM_MAX_BYTES: usize = 1024 * 1024;

/// A form's fields, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form(Vec<(String, String)>);

impl FromRequest<Front> for Form {
    type Rejection = Refused;
    async fn from_request(request: Request, front: &Front) -> Result<Self, Refused> {
        let facts = request
            .extensions()
            .get::<RequestFacts>()
            .cloned()
            .ok_or_else(|| Refusal::internal("the request has no envelope"))?;
        let (parts, body) = request.into_parts();
        let form = read(body).await?;
        let cookie = cookie(&parts.headers, cookie_name(&facts.base_url)).unwrap_or_default();
        let token = form.text(TOKEN).unwrap_or_default();
        if front
            .operations()
            .await?
            .sessions
            .is_own_form(cookie, token)
        {
            Ok(form)
        } else {
            Err(Refusal::new(
                RefusalCode::ForeignForm,
                "this form is not of your session; open the page again and send it once more",
            )
            .into())
        }
    }
}

/// A form that was sent, whoever sent it.
pub(crate) async fn read(body: axum::body::Body) -> Result<Form, Refusal> {
    let read = Limited::new(body, FORM_MAX_BYTES).collect().await;
    let bytes = read
        .map_err(|_| Refusal::too_large("the form is too long"))?
        .to_bytes();
    Ok(Form::parse(&bytes))
}

impl Form {
    /// Fields, percent-encoded. Browsers send line breaks as CRLF (HTML, 4.10.21.3); what people
    /// typed has LF.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let fields = url::form_urlencoded::parse(bytes);
        Self(
            fields
                .map(|(name, value)| (name.into_owned(), value.replace("\r\n", "\n")))
                .collect(),
        )
    }

    /// The fields' names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    /// A field's text, as it came.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| &**value)
    }

    /// A field's text, unless it was left empty.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.text(name)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    }

    /// Was the box ticked?
    pub(crate) fn ticked(&self, name: &str) -> bool {
        self.text(name).is_some()
    }

    /// A field's lines that are not empty.
    pub(crate) fn lines(&self, name: &str) -> Vec<&str> {
        self.text(name)
            .unwrap_or_default()
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect()
    }

    /// Every value of a field.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(own, _)| own == name)
            .map(|(_, value)| &**value)
            .collect()
    }
}

/// A JSON body for an operation.
pub(crate) fn json(value: &Value) -> Body {
    Body::new(value.to_string().into())
}

/// Removes the failure rate when all of its fields were left empty. When only some were, they are
/// mistakes: a patch would keep what is stored of them.
pub(crate) fn clear_rate(policy: &mut Value, path: &str, form: &Form) {
    let fields = ["percent", "window_seconds", "min_attempts"]
        .map(|name| format!("{path}.failure_rate.{name}"));
    if fields.iter().any(|field| form.text(field).is_none()) {
        return;
    }
    if fields.iter().all(|field| form.filled(field).is_none()) {
        policy["failure_rate"] = Value::Null;
    } else if let Some(members) = policy["failure_rate"].as_object_mut() {
        members
            .values_mut()
            .filter(|value| value.is_null())
            .for_each(|value| *value = "".into());
    }
}
