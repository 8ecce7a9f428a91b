//! The public interface of the connector.

use aws_config::SdkConfig;
use domain::Clock;
use domain::attempt::RequestRecord;
use domain::settle::Outcome;
use egress::{Client, Schemes};
use tokio::time::Instant;
use worker::{Attempted, ConnectorError, Payload, within};

use crate::answer::Answer;
use crate::aws::Aws;
use crate::azure::Tokens;
use crate::conditions::ConditionalStores;
use crate::deliver::Delivered;
use crate::error::UPLOAD_TIMED_OUT;
use crate::open_bucket::Settings;
use crate::{Credentials, Meta};

/// The address of Entra ID.
const AUTHORITY: &str = "https://login.microsoftonline.com";

/// Delivers to object storage. Create one per process, because it caches credentials.
#[derive(Debug)]
pub struct Storage {
    pub(crate) client: Client,
    pub(crate) schemes: Schemes,
    pub(crate) clock: Clock,
    pub(crate) aws: Aws,
    pub(crate) tokens: Tokens,
    pub(crate) conditional_stores: ConditionalStores,
}

impl Storage {
    /// Creates a connector. `aws` is the function's own configuration: its credentials, region and,
    /// on a laptop, the endpoint of S3.
    pub fn new(client: Client, schemes: Schemes, aws: SdkConfig, clock: Clock) -> Self {
        Self::with_authority(client, schemes, aws, clock, AUTHORITY)
    }

    /// Creates a connector with another address for Entra ID: that of a national cloud, or a
    /// test's.
    pub fn with_authority(
        client: Client,
        schemes: Schemes,
        aws: SdkConfig,
        clock: Clock,
        authority: &str,
    ) -> Self {
        let tokens = Tokens::new(client.clone(), schemes, authority.to_owned(), clock.clone());
        Self {
            client,
            schemes,
            clock: clock.clone(),
            aws: Aws::new(aws, clock),
            tokens,
            conditional_stores: ConditionalStores::default(),
        }
    }

    /// Makes one attempt to write the payload to `key` by `deadline`.
    pub async fn deliver(
        &self,
        settings: Settings<'_>,
        credentials: &Credentials,
        meta: &Meta,
        key: &str,
        payload: Payload,
        deadline: Instant,
    ) -> Result<Attempted, ConnectorError> {
        let size_bytes = payload.size_bytes();
        let putting = Box::pin(self.put(settings, credentials, meta, key, payload, deadline));
        let done = within(deadline, UPLOAD_TIMED_OUT, putting).await;
        let mut request = self.record(settings, meta, key, size_bytes);
        match done {
            Ok(Delivered {
                receipt,
                detail,
                copied_from,
            }) => {
                request
                    .headers
                    .extend(copied_from.map(|source| ("x-amz-copy-source".to_owned(), source)));
                let outcome = Outcome::delivered(receipt);
                Ok(Attempted {
                    request: Some(request),
                    ..Attempted::unsent(outcome, detail)
                })
            }
            Err(error) => {
                let response = error.answer().map(Answer::record);
                let attempted = ConnectorError::from(error).into_attempted(Some(request))?;
                Ok(Attempted {
                    response,
                    ..attempted
                })
            }
        }
    }

    /// Returns the record of the upload: one request for the whole object, however many are sent.
    fn record(
        &self,
        settings: Settings<'_>,
        meta: &Meta,
        key: &str,
        size_bytes: u64,
    ) -> RequestRecord {
        let mut headers = vec![("content-type".to_owned(), meta.content_type.clone())];
        headers.extend(
            meta.entries()
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.into_owned())),
        );
        RequestRecord {
            method: "PUT".to_owned(),
            url: self.url(settings, key),
            headers,
            size_bytes,
            body_sha256: meta.sha256.clone().unwrap_or_default(),
        }
    }
}
