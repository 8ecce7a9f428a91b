//! What a function runs on.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_types::timeout::TimeoutConfig;
use domain::{Clock, Random, Timestamp};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// AWS, time, chance and the wish to stop, handed to a function's `build`.
#[derive(Clone, Debug)]
pub struct Platform {
    /// How AWS is reached, and as whom.
    pub aws: SdkConfig,
    /// The time.
    pub clock: Clock,
    /// Randomness, good enough for secrets.
    pub random: Random,
    /// Cancelled when the process is about to stop: no new attempt starts.
    pub shutdown: CancellationToken,
}

/// The longest a single AWS call may take before it is given up and retried.
const AWS_CALL_MAX: Duration = Duration::from_secs(8);

impl Platform {
    /// The platform of a function on Lambda.
    pub async fn lambda() -> Self {
        let https = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https();
        let timeouts = TimeoutConfig::builder().connect_timeout(Duration::from_secs(2)).operation_attempt_timeout(AWS_CALL_MAX).build();
        let aws = aws_config::defaults(BehaviorVersion::latest()).http_client(https).timeout_config(timeouts).load().await;
        Self { aws, clock: system_clock(), random: system_random(), shutdown: CancellationToken::new() }
    }
}

/// The system's clock.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the system's clock")]
#[must_use]
pub fn system_clock() -> Clock {
    Clock::new(|| {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    })
}

/// The operating system's randomness.
#[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system for randomness")]
#[must_use]
pub fn system_random() -> Random {
    Random::new(|buffer| getrandom::fill(buffer).expect("the operating system provides randomness"))
}

/// Installs the process's one TLS provider, aws-lc-rs; doing so twice is harmless.
pub fn install_tls() {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
}
