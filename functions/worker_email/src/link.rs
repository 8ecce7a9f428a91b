//! Links to payloads that are not attached.

use access::PayloadLinks;
use aws_config::SdkConfig;
use domain::Timestamp;
use domain::delivery::Delivery;
use std::time::Duration;
use tokio::sync::OnceCell;
use vault::{Confidential, SigningKeys};
use worker::{Hindrance, Unavailable};

/// How long a link in a mail leads to its payload.
const LIFE: Duration = Duration::from_secs(7 * 86_400);

/// Makes links; the first one loads the key that signs them.
#[derive(Debug)]
pub struct Links {
    aws: SdkConfig,
    signing_keys_secret_arn: String,
    public_url: String,
    signer: OnceCell<PayloadLinks>,
}

impl Links {
    /// Links that lead to `public_url`.
    #[must_use]
    pub fn new(aws: SdkConfig, signing_keys_secret_arn: String, public_url: String) -> Self {
        Self { aws, signing_keys_secret_arn, public_url, signer: OnceCell::new() }
    }

    /// A link to a delivery's payload.
    pub(crate) async fn to(&self, delivery: &Delivery, now: Timestamp) -> Result<String, Hindrance> {
        let load = async || SigningKeys::load(&self.aws, &self.signing_keys_secret_arn).await.map(|keys| PayloadLinks::new(keys.link_key));
        let signer = self.signer.get_or_try_init(load).await.map_err(|error| Hindrance::Ours(Unavailable(error.to_string())))?;
        let token = signer.seal(delivery.organization, delivery.id.message, now.plus(LIFE));
        // Whoever holds it may download: a mail server's reply must not show it.
        Confidential::add(&token.as_str().into());
        Ok(format!("{}/d/{token}", self.public_url))
    }
}
