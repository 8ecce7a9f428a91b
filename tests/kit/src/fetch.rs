//! Requests to any address, as a browser or a customer's program sends them. Redirects are not
//! followed.

use std::time::Duration;

use bytes::Bytes;
use http::Method;

use crate::stack::Answer;

const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Sends a request and reads the whole response.
pub async fn fetch(method: Method, url: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
    try_fetch(method, url, headers, body)
        .await
        .expect("a server answers")
}

/// Sends a request that may be interrupted. Returns `None` if there is no complete response.
#[expect(
    clippy::disallowed_methods,
    reason = "the test stands outside of Waybill"
)]
pub async fn try_fetch(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Option<Answer> {
    // Fails only if a provider is already installed.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .expect("a client");
    let request = headers
        .iter()
        .fold(http.request(method, url), |request, (name, value)| {
            request.header(*name, *value)
        });
    let response = request.body(body).timeout(LONGEST_WAIT).send().await.ok()?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Some(Answer {
        status,
        headers,
        body: response.bytes().await.ok()?,
    })
}
