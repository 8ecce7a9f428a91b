//! The page of a delivery: its attempts in order, each request and response, and the next attempts.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use domain::Timestamp;
use domain::delivery::DeliveryStatus;
use front::Front;
use http::HeaderValue;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use operations::message::PayloadAnswer;
use operations::view::delivery::{AttemptView, DeliveryView, RequestView};
use operations::view::destination::DestinationView;
use operations::{Operations, Refusal, RetryDelivery};
use serde_json::Value;

use crate::answer::{Answer, if_available, log_unread, page, see_other};
use crate::captions;
use crate::form::Form;
use crate::notice::{self, Notice};
use crate::sent::{Mail, Rows, file_name};
use crate::show::{self, Page};
use crate::visitor::Visitor;

/// The maximum size in bytes of a payload that the page of a delivery or message shows.
const SHOWN_MAX_BYTES: u64 = 64 * 1024;
/// The maximum size in bytes of a payload that is shown as text on its own page. Larger ones are
/// downloaded from the bucket.
const VIEWED_MAX_BYTES: u64 = 1024 * 1024;

pub(crate) fn router() -> Router<Front> {
    Router::new()
        .route("/deliveries/{id}", get(read))
        .route("/deliveries/{id}/body", get(download))
        .route("/deliveries/{id}/body/view", get(view))
        .route("/deliveries/{id}/retry", post(retry))
        .route("/deliveries/{id}/cancel", post(cancel))
}

/// An attempt and its differences from the previous one.
struct Attempt<'a> {
    a: &'a AttemptView,
    changes: Vec<Change>,
    curl: Option<String>,
    is_last: bool,
}

/// A difference between two consecutive attempts.
struct Change {
    what: &'static str,
    before: String,
    after: String,
}

#[derive(Template)]
#[template(path = "delivery.html")]
struct DeliveryPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    d: &'a DeliveryView,
    destination: Option<&'a DestinationView>,
    attempts: &'a [Attempt<'a>],
    /// The times of the remaining attempts if all of them fail.
    schedule: &'a [Timestamp],
    payload: Option<Payload>,
    /// The body of the last attempt that sent a request.
    sent: Option<Sent>,
    tracking: Vec<(String, String)>,
    metadata: Vec<(&'a str, &'a str)>,
    /// The reason of this delivery, not that of the failed delivery that it is a fallback for.
    own_reason: Option<domain::Reason>,
    /// The detail of the last attempt.
    last_detail: Option<&'a str>,
    is_open: bool,
    may_retry: bool,
    /// Whether the delivery cannot be retried because its destination is disabled.
    is_disabled: bool,
}

impl DeliveryPage<'_> {
    /// Whether the body of the last attempt shows the payload, which is then not shown again.
    fn shows_payload_as_sent(&self) -> bool {
        self.sent
            .as_ref()
            .is_some_and(|sent| sent.is_payload && !sent.is_hidden())
    }
}

/// The body that was sent last, in the form that the destination's type is shown in.
pub(crate) struct Sent {
    title: &'static str,
    payload: Payload,
    /// Whether the body is identical to the payload.
    is_payload: bool,
    filename: Option<String>,
    mail: Option<Mail>,
    rows: Option<Rows>,
}

impl Sent {
    /// Whether the body can only be downloaded.
    fn is_hidden(&self) -> bool {
        self.payload.text.is_none() && self.mail.is_none()
    }
}

/// The payload of a message, or the body of an attempt.
#[derive(Clone)]
pub(crate) struct Payload {
    /// The text to show. `None` if it is too large or not UTF-8.
    pub(crate) text: Option<String>,
    /// The size in bytes.
    pub(crate) size: u64,
    pub(crate) content_type: String,
    sha256: Option<String>,
    /// Why the bytes could not be read, although they are kept.
    pub(crate) problem: Option<String>,
}

impl Payload {
    /// Returns the payload without its text, because reading it failed.
    fn unread(self, refusal: &Refusal) -> Self {
        log_unread("a payload", refusal);
        Self {
            problem: Some(show::sentence(&refusal.detail)),
            ..self
        }
    }

    /// Whether the bytes can be shown as text on their own page.
    pub(crate) fn is_viewable(&self) -> bool {
        self.size <= VIEWED_MAX_BYTES
    }
}

async fn read(State(front): State<Front>, v: Visitor, Path(id): Path<String>) -> Answer {
    let operations = front.operations().await?;
    let d = operations.delivery(&v.ctx, &id, v.query(&[])).await?;
    let destination = match v.may_read() {
        // The destination may be deleted, while its deliveries remain.
        true => if_available(
            operations
                .destination(&v.ctx, &d.delivery.destination_id.to_string(), v.query(&[]))
                .await,
        )?,
        false => None,
    };
    let payload = payload(operations, &v, &d.delivery.message_id.to_string()).await?;
    let sent = sent_body(operations, &v, &d, payload.as_ref(), destination.as_ref()).await;
    let is_open = !d.delivery.status.is_finished();
    let last = d.attempts.len();
    let attempts: Vec<Attempt<'_>> = d
        .attempts
        .iter()
        .enumerate()
        .map(|(index, a)| Attempt {
            a,
            changes: index
                .checked_sub(1)
                .map(|before| changes(&d.attempts[before], a))
                .unwrap_or_default(),
            curl: a
                .request
                .as_ref()
                .filter(|_| d.delivery.destination_type == "webhook")
                .map(curl),
            is_last: index + 1 == last,
        })
        .collect();
    page(&DeliveryPage {
        page: Page::of(Some(&v), "deliveries"),
        v: &v,
        destination: destination.as_ref(),
        attempts: &attempts,
        schedule: &destination
            .as_ref()
            .map(|destination| schedule(&d, destination))
            .unwrap_or_default(),
        payload,
        sent,
        tracking: d
            .delivery
            .tracking
            .as_ref()
            .map(receipt)
            .unwrap_or_default(),
        metadata: d
            .delivery
            .metadata
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect(),
        own_reason: d.delivery.reason.filter(|_| {
            d.delivery.failed_delivery_id.is_none()
                || matches!(d.delivery.status, DeliveryStatus::Failed)
        }),
        last_detail: d
            .attempts
            .last()
            .and_then(|attempt| attempt.detail.as_deref()),
        is_open,
        may_retry: v.may_manage() && !matches!(d.delivery.status, DeliveryStatus::Queued),
        is_disabled: !is_open
            && !d.delivery.test
            && destination
                .as_ref()
                .is_some_and(|destination| destination.disabled.is_some()),
        d: &d,
    })
}

/// Reads the payload of a message, with its text if it is short. `None` if it is no longer kept.
pub(crate) async fn payload(
    operations: &Operations,
    v: &Visitor,
    message: &str,
) -> Result<Option<Payload>, Refusal> {
    let Some(found) = if_available(operations.message(&v.ctx, message, v.query(&[])).await)? else {
        return Ok(None);
    };
    let info = found.payload_info;
    let mut payload = Payload {
        text: None,
        size: info.size_bytes,
        content_type: info.content_type,
        sha256: info.sha256,
        problem: None,
    };
    if payload.size > SHOWN_MAX_BYTES {
        return Ok(Some(payload));
    }
    let read = operations
        .message_payload(&v.ctx, message, v.query(&[]))
        .await;
    Ok(match if_available(read) {
        Ok(Some(PayloadAnswer::Bytes(download))) => {
            payload.text = std::str::from_utf8(&download.bytes)
                .ok()
                .map(|text| readable(text, &payload.content_type));
            Some(payload)
        }
        Ok(Some(PayloadAnswer::Redirect(_) | PayloadAnswer::Link(_))) => Some(payload),
        Ok(None) => None,
        Err(refusal) => Some(payload.unread(&refusal)),
    })
}

/// Reads the body of the last attempt, in the form that the destination's type is shown in.
async fn sent_body(
    operations: &Operations,
    v: &Visitor,
    d: &DeliveryView,
    payload: Option<&Payload>,
    destination: Option<&DestinationView>,
) -> Option<Sent> {
    let request = d
        .attempts
        .iter()
        .rev()
        .find_map(|attempt| attempt.request.as_ref())?;
    let is_mail = d.delivery.destination_type == "email";
    let is_payload = payload?
        .sha256
        .as_ref()
        .is_some_and(|sha256| *sha256 == request.body_sha256);
    let (payload, mail) = match is_payload {
        true => (payload?.clone(), None),
        false => shaped_body(operations, v, d, request, is_mail).await?,
    };
    let writes_rows = destination.is_some_and(|destination| destination.settings["mode"] == "rows");
    let table = |text: &str| Rows::read(text, &payload.content_type);
    let (title, filename, rows) = match d.delivery.destination_type {
        "s3" | "gcs" | "azure_blob" | "sftp" => ("File as sent", file_name(&request.url), None),
        "postgres" | "mysql" if writes_rows => (
            "Rows as written",
            None,
            payload.text.as_deref().and_then(table),
        ),
        "postgres" | "mysql" => ("Document as written", None, None),
        "email" => ("Mail as sent", None, None),
        _ => ("Body as sent", None, None),
    };
    Some(Sent {
        title,
        payload,
        is_payload,
        filename,
        mail,
        rows,
    })
}

/// Reads a body that is not the payload itself, because a template, a preset or a mail was made
/// from it. Includes the parsed mail of an email destination.
async fn shaped_body(
    operations: &Operations,
    v: &Visitor,
    d: &DeliveryView,
    request: &RequestView,
    is_mail: bool,
) -> Option<(Payload, Option<Mail>)> {
    let declared = request
        .headers
        .get("content-type")
        .and_then(Value::as_str)
        .unwrap_or("application/octet-stream")
        .to_owned();
    let mut body = Payload {
        text: None,
        size: request.size_bytes,
        content_type: declared,
        sha256: None,
        problem: None,
    };
    // The limit for mails is higher, because attachments are most of their size.
    if body.size
        > if is_mail {
            VIEWED_MAX_BYTES
        } else {
            SHOWN_MAX_BYTES
        }
    {
        return Some((body, None));
    }
    let read = operations
        .delivery_body(&v.ctx, &d.delivery.id.to_string(), v.query(&[]))
        .await;
    let read = match if_available(read) {
        Ok(read) => read?,
        Err(refusal) => return Some((body.unread(&refusal), None)),
    };
    match read {
        PayloadAnswer::Bytes(download) => {
            body.content_type = download.info.content_type;
            let mail = if is_mail {
                Mail::read(&download.bytes)
            } else {
                None
            };
            let text = std::str::from_utf8(&download.bytes)
                .ok()
                .filter(|_| mail.is_none());
            body.text = text.map(|text| readable(text, &body.content_type));
            Some((body, mail))
        }
        PayloadAnswer::Redirect(_) | PayloadAnswer::Link(_) => Some((body, None)),
    }
}

/// How many times as long as a text its indented form may be. Deeply nested JSON consists mostly of
/// indentation.
const INDENTED_TIMES_MAX: usize = 4;
/// Up to this length, in bytes, the indented form is shown in any case.
const INDENTED_MIN: usize = 4 * 1024;

/// Indents JSON. Returns other text unchanged, and JSON whose indented form would be too long.
fn readable(text: &str, content_type: &str) -> String {
    if content_type != "application/json" {
        return text.to_owned();
    }
    // The text is not parsed, so that numbers and the order of members stay as they were sent.
    let (mut out, mut depth, mut in_string, mut escaped) =
        (String::with_capacity(text.len() * 2), 0_usize, false, false);
    let most = text
        .len()
        .saturating_mul(INDENTED_TIMES_MAX)
        .max(INDENTED_MIN);
    for c in text.chars() {
        if out.len() > most {
            return text.to_owned();
        }
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            '"' => (in_string, escaped) = (true, false),
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                if out.ends_with(['{', '[']) {
                    out.push(c);
                    continue;
                }
                break_line(&mut out, depth);
            }
            c if c.is_ascii_whitespace() => continue,
            _ => {}
        }
        if out.ends_with(['{', '[']) && !matches!(c, '}' | ']') {
            break_line(&mut out, depth);
        }
        out.push(c);
        match c {
            '{' | '[' => depth += 1,
            ',' => break_line(&mut out, depth),
            ':' => out.push(' '),
            _ => {}
        }
    }
    out
}

fn break_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.push_str(&"  ".repeat(depth.min(100)));
}

/// Returns the times of the remaining attempts, without jitter.
fn schedule(d: &DeliveryView, destination: &DestinationView) -> Vec<Timestamp> {
    let Some(next) = d.delivery.next_attempt_at else {
        return Vec::new();
    };
    // A manual retry starts a new budget of retries, while attempt numbers continue.
    let since = d
        .attempts
        .iter()
        .rposition(|attempt| attempt.trigger != domain::attempt::Trigger::Retry)
        .unwrap_or(0);
    let made = u32::try_from(d.attempts.len() - since).unwrap_or(u32::MAX);
    let mut at = next;
    let mut all = vec![next];
    for retry in made + 1..=destination.retry_policy.max_retries {
        at = at.plus(destination.retry_policy.wait_before(retry, 0.0));
        all.push(at);
    }
    all
}

/// Returns the differences between two consecutive attempts.
fn changes(before: &AttemptView, after: &AttemptView) -> Vec<Change> {
    let response =
        |attempt: &AttemptView, of: fn(&operations::view::delivery::ResponseView) -> String| {
            attempt
                .response
                .as_ref()
                .map_or_else(|| "none".to_owned(), of)
        };
    let mut all = vec![
        (
            "Outcome",
            before.outcome.to_owned(),
            after.outcome.to_owned(),
        ),
        (
            "Detail",
            before.detail.clone().unwrap_or_default(),
            after.detail.clone().unwrap_or_default(),
        ),
        (
            "Status",
            response(before, |r| r.status.to_string()),
            response(after, |r| r.status.to_string()),
        ),
        (
            "Response body",
            response(before, |r| r.body.clone()),
            response(after, |r| r.body.clone()),
        ),
    ];
    let address = |attempt: &AttemptView| {
        attempt
            .request
            .as_ref()
            .map(|request| request.url.clone())
            .unwrap_or_default()
    };
    all.push(("Address", address(before), address(after)));
    let hash = |attempt: &AttemptView| {
        attempt
            .request
            .as_ref()
            .map(|request| request.body_sha256.clone())
            .unwrap_or_default()
    };
    all.push(("Body sent (SHA-256)", hash(before), hash(after)));
    all.retain(|(_, before, after)| before != after);
    all.into_iter()
        .map(|(what, before, after)| Change {
            what,
            before,
            after,
        })
        .collect()
}

/// Returns the request as a `curl` command, in which redacted values stay redacted.
fn curl(request: &RequestView) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let mut command = format!("curl -X {} {}", request.method, quoted(&request.url));
    for (name, value) in &request.headers {
        if !name.eq_ignore_ascii_case("content-length") && !name.eq_ignore_ascii_case("host") {
            command.push_str(&format!(
                " \\\n  -H {}",
                quoted(&format!("{name}: {}", value.as_str().unwrap_or_default()))
            ));
        }
    }
    command + " \\\n  --data-binary @body"
}

/// Returns the members of a tracking object with their labels, the kind first.
fn receipt(tracking: &Value) -> Vec<(String, String)> {
    let members = tracking
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null());
    let in_words = |(name, value): (&String, &Value)| {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        let text = match (&**name, value.as_u64()) {
            ("kind", _) => captions::receipt_kind(&text),
            ("size_bytes", Some(size)) => show::bytes(size),
            _ => text,
        };
        (captions::label(name), text)
    };
    let mut receipt: Vec<(String, String)> = members.map(in_words).collect();
    receipt.sort_by_key(|(label, _)| label != "Kind");
    receipt
}

async fn download(
    State(front): State<Front>,
    v: Visitor,
    Path(id): Path<String>,
) -> Result<Response, front::Refused> {
    match front
        .operations()
        .await?
        .delivery_body(&v.ctx, &id, v.query(&[]))
        .await?
    {
        PayloadAnswer::Bytes(download) => Ok(front::download(download)),
        PayloadAnswer::Redirect(url) => Ok(see_other(&url)),
        PayloadAnswer::Link(_) => {
            Err(Refusal::internal("a link was answered where bytes were requested").into())
        }
    }
}

/// Shows the body as plain text, so that nothing in it is executed.
async fn view(
    State(front): State<Front>,
    v: Visitor,
    Path(id): Path<String>,
) -> Result<Response, front::Refused> {
    viewed(
        front
            .operations()
            .await?
            .delivery_body(&v.ctx, &id, v.query(&[]))
            .await?,
    )
}

/// Responds with bytes as text in a sandbox, or redirects to a download if they are too long.
pub(crate) fn viewed(answer: PayloadAnswer) -> Result<Response, front::Refused> {
    match answer {
        PayloadAnswer::Bytes(download) => {
            let policy = HeaderValue::from_static("sandbox; default-src 'none'");
            let headers = [
                (CONTENT_TYPE, "text/plain; charset=utf-8"),
                (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            ];
            let mut response = (headers, download.bytes).into_response();
            response
                .headers_mut()
                .insert(CONTENT_SECURITY_POLICY, policy);
            Ok(response)
        }
        PayloadAnswer::Redirect(url) => Ok(see_other(&url)),
        PayloadAnswer::Link(_) => {
            Err(Refusal::internal("a link was answered where bytes were requested").into())
        }
    }
}

async fn retry(
    State(front): State<Front>,
    v: Visitor,
    Path(id): Path<String>,
    form: Form,
) -> Answer {
    let retry = RetryDelivery {
        force: Some(form.ticked("force")),
    };
    let retried = front
        .operations()
        .await?
        .retry_delivery(&v.ctx, &id, v.command(retry))
        .await;
    redirect_with_notice(&front, &v, &id, retried, "A new attempt is on its way.").await
}

/// Redirects to the page of the delivery, which shows the outcome.
async fn redirect_with_notice(
    front: &Front,
    v: &Visitor,
    id: &str,
    outcome: Result<DeliveryView, Refusal>,
    done: &str,
) -> Answer {
    let notice = match outcome {
        Ok(_) => Notice::done(done),
        Err(refusal) if refusal.is_correctable() => Notice::refused(&refusal),
        Err(refusal) => return Err(refusal.into()),
    };
    notice::to(front, v, &v.at("/deliveries", &id), notice).await
}

async fn cancel(State(front): State<Front>, v: Visitor, Path(id): Path<String>, _: Form) -> Answer {
    let cancelled = front
        .operations()
        .await?
        .cancel_delivery(&v.ctx, &id, v.command(()))
        .await;
    redirect_with_notice(
        &front,
        &v,
        &id,
        cancelled,
        "Cancelled. No further attempt starts.",
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_is_laid_out_and_its_numbers_and_order_stay() {
        let text = r#"{"b":1.10,"a":[1,{}, []],"s":"{\"x\": [1,2]}","e":{ } }"#;
        let expected = "{\n  \"b\": 1.10,\n  \"a\": [\n    1,\n    {},\n    []\n  \
             ],\n  \"s\": \"{\\\"x\\\": [1,2]}\",\n  \"e\": {}\n}";
        assert_eq!(readable(text, "application/json"), expected);
        assert_eq!(readable("{ }", "text/plain"), "{ }");
    }

    #[test]
    fn json_whose_layout_would_be_mostly_indentation_stays_as_it_is() {
        let nested = format!("{}1{}", "[".repeat(30_000), "]".repeat(30_000));
        assert_eq!(readable(&nested, "application/json"), nested);
        let shallow = format!("[{}1]", "1,".repeat(30_000));
        let shown = readable(&shallow, "application/json");
        assert!(shown.len() > shallow.len() && shown.lines().count() > 30_000);
    }

    #[test]
    fn a_command_cannot_be_broken_out_of() {
        let headers = json!({"x-a": "it's; rm -rf /"})
            .as_object()
            .cloned()
            .unwrap();
        let request = RequestView {
            method: "POST".into(),
            url: "https://a.example/'$(id)".into(),
            headers,
            size_bytes: 0,
            body_sha256: String::new(),
        };
        assert_eq!(
            curl(&request),
            "curl -X POST 'https://a.example/'\\''$(id)' \\\n  -H 'x-a: it'\\''s; rm -rf /' \\\n  \
             --data-binary @body"
        );
    }
}
