//! The content of a form that was sent. A form must carry the session's token, which no other site
//! knows. In addition, browsers send the session's cookie with a POST only from the console's own
//! pages (`SameSite=Lax`).

use axum::extract::{FromRequest, Request};
use front::{Front, Refused, RequestFacts};
use http_body_util::{BodyExt as _, Limited};
use operations::{Refusal, RefusalCode};
use serde_json::{Map, Value};

use crate::visitor::{cookie, cookie_name};

/// The field that carries the token.
const TOKEN: &str = "_form";
/// The maximum size of a form, in bytes.
const FORM_MAX_BYTES: usize = 1024 * 1024;

/// The fields of a form, in the order in which they were sent.
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
            .sessions()
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

/// Reads a form without checking its token. The refusal says that the form is too long.
pub(crate) async fn read(body: axum::body::Body) -> Result<Form, Refusal> {
    let read = Limited::new(body, FORM_MAX_BYTES).collect().await;
    let bytes = read
        .map_err(|_| Refusal::too_large("the form is too long"))?
        .to_bytes();
    Ok(Form::parse(&bytes))
}

impl Form {
    /// Parses URL-encoded fields. Browsers send line breaks as CRLF (HTML, 4.10.21.3); they become
    /// LF.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let fields = url::form_urlencoded::parse(bytes);
        Self(
            fields
                .map(|(name, value)| (name.into_owned(), value.replace("\r\n", "\n")))
                .collect(),
        )
    }

    /// Returns the names of the fields.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }

    /// Returns the text of a field, unchanged.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| &**value)
    }

    /// Returns the trimmed text of a field. `None` if it is absent or empty.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.text(name)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    }

    /// Whether a checkbox was ticked.
    pub(crate) fn ticked(&self, name: &str) -> bool {
        self.text(name).is_some()
    }

    /// Returns the trimmed lines of a field that are not empty.
    pub(crate) fn lines(&self, name: &str) -> Vec<&str> {
        self.text(name)
            .unwrap_or_default()
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect()
    }

    /// Returns those of the fields that are filled in, with their trimmed texts.
    pub(crate) fn filled_fields(&self, names: &[&str]) -> Map<String, Value> {
        let filled = |name: &&str| Some(((*name).to_owned(), self.filled(name)?.into()));
        names.iter().filter_map(filled).collect()
    }

    /// Returns every value of a field.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(own, _)| own == name)
            .map(|(_, value)| &**value)
            .collect()
    }
}

/// Sets the failure rate of a policy to null if all of its fields are empty. If only some of them
/// are empty, they become empty strings, which the API refuses: null in a patch would not report
/// them as mistakes.
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
