//! A client with or without an API key.

use std::sync::{Arc, RwLock};

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use super::Answer;

/// The current address of the API, which changes with a restart.
pub(super) type Address = Arc<RwLock<String>>;

/// Sends requests to a stack with one API key.
#[derive(Clone)]
pub struct Caller {
    http: reqwest::Client,
    address: Address,
    key: Option<String>,
}

/// A request to be sent.
#[must_use]
pub struct Call {
    request: reqwest::RequestBuilder,
}

impl Caller {
    /// Creates a caller without a key for a Waybill that is already running.
    pub fn at(api_url: &str) -> Self {
        Self::new(Arc::new(RwLock::new(api_url.to_owned())))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the test stands outside of Waybill"
    )]
    pub(super) fn new(address: Address) -> Self {
        // Fails only if a provider is already installed.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .expect("a client");
        Self {
            http,
            address,
            key: None,
        }
    }

    /// Returns the same caller with another key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self {
            key: Some(key.to_owned()),
            ..self.clone()
        }
    }

    /// Returns the key of the caller.
    pub fn plain_key(&self) -> &str {
        self.key.as_deref().expect("a caller with a key")
    }

    /// Creates a request to a path with its query.
    pub fn call(&self, method: Method, path: &str) -> Call {
        let url = format!(
            "{}{path}",
            self.address.read().expect("no one panics with the address")
        );
        let request = self.http.request(method, url);
        Call {
            request: self
                .key
                .iter()
                .fold(request, |request, key| request.bearer_auth(key)),
        }
    }

    /// Sends a GET request.
    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path).send().await
    }

    /// Sends a POST request with a JSON value.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path).json(&body).send().await
    }

    /// Sends a PATCH request with a JSON value.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path).json(&body).send().await
    }

    /// Sends a DELETE request.
    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path).send().await
    }

    /// Reads all pages of a list.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}{cursor}")).await.ok(200);
            items.extend(
                page["data"]
                    .as_array()
                    .expect("data is a list")
                    .iter()
                    .cloned(),
            );
            let Some(next) = page["next_cursor"].as_str() else {
                return items;
            };
            cursor = format!(
                "{}cursor={next}",
                if path.contains('?') { "&" } else { "?" }
            );
        }
    }
}

impl Call {
    /// Adds a header to the request.
    pub fn header(self, name: &str, value: &str) -> Self {
        Self {
            request: self.request.header(name, value),
        }
    }

    /// Sets a JSON value as the body.
    pub fn json(self, body: &Value) -> Self {
        self.json_text(body.to_string())
    }

    /// Sets this text as the body, with the content type of JSON.
    pub fn json_text(self, body: impl Into<Bytes>) -> Self {
        self.header("content-type", "application/json").body(body)
    }

    /// Sets these bytes as the body.
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self {
            request: self.request.body(reqwest::Body::from(body.into())),
        }
    }

    /// Sends the request. Panics if there is no response.
    pub async fn send(self) -> Answer {
        self.answer()
            .await
            .unwrap_or_else(|error| panic!("the API does not answer: {error:?}"))
    }

    /// Sends the request. Returns `None` if there is no complete response, because the process may
    /// have been killed.
    pub async fn try_send(self) -> Option<Answer> {
        self.answer().await.ok()
    }

    async fn answer(self) -> reqwest::Result<Answer> {
        let response = self.request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer {
            status,
            headers,
            body: response.bytes().await?,
        })
    }
}
