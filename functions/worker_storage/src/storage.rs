//! The connector's public face.

use aws_config::SdkConfig;
use domain::Clock;
use domain::attempt::RequestRecord;
use domain::check::CheckReport;
use domain::settle::Outcome;
use egress::{Client, Schemes};
use tokio::time::Instant;
use worker::{Attempted, Payload, Unavailable};

use crate::aws::Aws;
use crate::azure::Tokens;
use crate::conditions::Proven;
use crate::deliver::Delivered;
use crate::place::Settings;
use crate::source::watched;
use crate::trouble::Trouble;
use crate::{Credentials, Meta, verdict};

/// Where Entra ID is.
const AUTHORITY: &str = "https://login.microsoftonline.com";

/// Delivers to object storage. One per process: it keeps the credentials it was issued.
#[derive(Debug)]
pub struct Storage {
    pub(crate) client: Client,
    pub(crate) schemes: Schemes,
    pub(crate) clock: Clock,
    pub(crate) aws: Aws,
    pub(crate) tokens: Tokens,
    pub(crate) proven: Proven,
}

impl Storage {
    /// `aws` is the function's own configuration: its credentials, region and, on a laptop, where Amazon is.
    pub fn new(client: Client, schemes: Schemes, aws: SdkConfig, clock: Clock) -> Self {
        Self::with_authority(client, schemes, aws, clock, AUTHORITY)
    }

    /// The same with Entra ID elsewhere: a national cloud, or a test.
    pub fn with_authority(client: Client, schemes: Schemes, aws: SdkConfig, clock: Clock, authority: &str) -> Self {
        let tokens = Tokens::new(client.clone(), schemes, authority.to_owned(), clock.clone());
        Self { client, schemes, clock: clock.clone(), aws: Aws::new(aws, clock), tokens, proven: Proven::default() }
    }

    /// Makes one attempt to put the payload at `key`, by `deadline`. [`Unavailable`] when the payload or something else of the service's
    /// own cannot be read: the attempt then does not count.
    pub async fn deliver(
        &self,
        settings: Settings<'_>,
        credentials: &Credentials,
        meta: &Meta,
        key: &str,
        payload: Payload,
        deadline: Instant,
    ) -> Result<Attempted, Unavailable> {
        let size_bytes = payload.size_bytes();
        let (payload, source) = watched(payload);
        let done = tokio::time::timeout_at(deadline, self.put(settings, credentials, meta, key, payload, deadline)).await;
        let mut request = self.record(settings, meta, key, size_bytes);
        match done.unwrap_or(Err(Trouble::TooSlow)) {
            Ok(Delivered { receipt, detail, copied_from }) => {
                request.headers.extend(copied_from.map(|source| ("x-amz-copy-source".to_owned(), source)));
                let outcome = Outcome::Delivered(Some(receipt.tracking()));
                Ok(Attempted { outcome, detail: detail.to_owned(), request: Some(request), response: None, body: None })
            }
            Err(Trouble::Ours(why)) => Err(Unavailable(why)),
            Err(trouble) => {
                if let Some(unavailable) = source.failure() {
                    return Err(unavailable);
                }
                let response = trouble.answer().map(|answer| answer.record());
                let outcome = verdict::outcome(&trouble);
                Ok(Attempted { outcome, detail: trouble.to_string(), request: Some(request), response, body: None })
            }
        }
    }

    /// Tests connection and credentials step by step: resolve → connect → tls → authenticate → authorize → write. Writes a small object
    /// beside `sample_key`, named with `unique`, and deletes it.
    pub async fn check(
        &self,
        settings: Settings<'_>,
        credentials: &Credentials,
        sample_key: &str,
        unique: &str,
        deadline: Instant,
    ) -> CheckReport {
        self.walk(settings, credentials, sample_key, unique, deadline).await
    }

    /// What people see of the upload: an object's worth, however many requests it takes.
    fn record(&self, settings: Settings<'_>, meta: &Meta, key: &str, size_bytes: u64) -> RequestRecord {
        let mut headers = vec![("content-type".to_owned(), meta.content_type.clone())];
        headers.extend(meta.entries().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
        RequestRecord {
            method: "PUT".to_owned(),
            url: self.receipt(settings, key, None, None).url,
            headers,
            size_bytes,
            body_sha256: meta.sha256.clone().unwrap_or_default(),
        }
    }
}
