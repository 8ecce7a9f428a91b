//! Requests to any address, as a browser or a program of a customer's sends them. Redirects are answers.

use std::time::Duration;

use bytes::Bytes;
use http::Method;

use crate::stack::Answer;

const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Sends one request and reads the whole answer.
pub async fn fetch(method: Method, url: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
    try_fetch(method, url, headers, body).await.expect("somebody answers")
}

/// The same, for a request that may be broken off: `None` when there is no whole answer.
#[expect(clippy::disallowed_methods, reason = "the test stands outside of Waybill")]
pub async fn try_fetch(method: Method, url: &str, headers: &[(&str, &str)], body: Bytes) -> Option<Answer> {
    // Fails only when there is one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().expect("a client");
    let request = headers.iter().fold(http.request(method, url), |request, (name, value)| request.header(*name, *value));
    let response = request.body(body).timeout(LONGEST_WAIT).send().await.ok()?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Some(Answer { status, headers, body: response.bytes().await.ok()? })
}
