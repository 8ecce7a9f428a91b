//! Links to payloads that are not attached.

use access::PayloadLinks;
use aws_config::SdkConfig;
use domain::Timestamp;
use domain::delivery::Delivery;
use std::time::Duration;
use vault::{Confidential, KeySource, KeyUse};
use worker::{ConnectorError, Unavailable, dependency};

/// How long a link in a message is valid.
const LIFE: Duration = Duration::from_secs(7 * 86_400);

/// Makes links. The signing keys are loaded when the first link is made.
#[derive(Debug)]
pub struct Links {
    keys: KeySource,
    public_url: String,
}

impl Links {
    /// Creates links that begin with `public_url`.
    #[must_use]
    pub fn new(aws: &SdkConfig, link_keys_secret_arn: String, public_url: String) -> Self {
        Self {
            keys: KeySource::new(aws, link_keys_secret_arn, KeyUse::Links),
            public_url,
        }
    }

    /// Returns a link to a delivery's payload.
    pub(crate) async fn to(
        &self,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Result<String, ConnectorError> {
        let keys = dependency(self.keys.ring(now))
            .await
            .map_err(Unavailable::because)?;
        let signer = PayloadLinks::new(keys);
        let token = signer.seal(delivery.organization, delivery.id.message, now.plus(LIFE));
        // The link permits the download, so it is redacted if a mail server's reply repeats it.
        Confidential::add(&token.as_str().into());
        Ok(format!("{}/d/{token}", self.public_url))
    }
}
