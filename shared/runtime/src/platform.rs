//! The platform that a function runs on.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use domain::{Clock, Random, Timestamp};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Environment;

/// AWS, the clock, randomness and what a shutdown needs, which a function's `build` receives.
#[derive(Clone, Debug)]
pub struct Platform {
    /// The configuration and credentials for calling AWS.
    pub aws: SdkConfig,
    /// The source of the current time.
    pub clock: Clock,
    /// Randomness that is good enough for secrets.
    pub random: Random,
    /// Cancelled when the process is about to stop, after which no new attempt starts.
    pub shutdown: CancellationToken,
    /// Work that continues after its invocation. A process that stops in an orderly way waits for
    /// it for a limited time after `shutdown`.
    pub background: TaskTracker,
}

/// The longest that one AWS call may take before it is abandoned and retried.
const AWS_CALL_MAX: Duration = Duration::from_secs(8);

impl Platform {
    /// Creates the platform of a function on Lambda. Region, credentials and endpoints come from
    /// the environment. The SDK's other sources do not exist there, and leaving them out makes a
    /// function smaller and its start faster.
    #[must_use]
    pub fn lambda(environment: &Environment) -> Self {
        let mut aws = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(SharedCredentialsProvider::new(
                EnvironmentVariableCredentialsProvider::new(),
            ))
            .identity_cache(IdentityCache::lazy().build())
            .service_config(Endpoints(environment.clone()))
            .retry_config(RetryConfig::standard())
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .time_source(SharedTimeSource::new(SystemTimeSource::new()))
            .http_client(https())
            .timeout_config(timeouts());
        aws.set_region(
            environment
                .get("AWS_REGION")
                .map(|region| Region::new(region.to_owned())),
        );
        aws.set_endpoint_url(environment.get("AWS_ENDPOINT_URL").map(str::to_owned));
        Self::of(aws.build())
    }

    /// Creates the platform of a developer's computer, where the SDK searches all its sources for
    /// credentials.
    pub async fn personal() -> Self {
        Self::of(
            aws_config::defaults(BehaviorVersion::latest())
                .http_client(https())
                .timeout_config(timeouts())
                .load()
                .await,
        )
    }

    fn of(aws: SdkConfig) -> Self {
        Self {
            aws,
            clock: system_clock(),
            random: system_random(),
            shutdown: CancellationToken::new(),
            background: TaskTracker::new(),
        }
    }
}

fn https() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build_https()
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(AWS_CALL_MAX)
        .build()
}

/// Reads variables such as `AWS_ENDPOINT_URL_S3` (AWS SDKs and Tools Reference Guide,
/// Service-specific endpoints).
#[derive(Debug)]
struct Endpoints(Environment);

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_uppercase().replace(' ', "_");
        self.0
            .get(&format!("{}_{service}", key.env()))
            .map(str::to_owned)
    }
}

/// Returns the system's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the system's clock"
)]
#[must_use]
pub fn system_clock() -> Clock {
    Clock::new(|| {
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    })
}

/// Returns the operating system's randomness.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that asks the system for randomness"
)]
#[must_use]
pub fn system_random() -> Random {
    Random::new(|buffer| getrandom::fill(buffer).expect("the operating system provides randomness"))
}

/// Installs aws-lc-rs as the process's TLS provider. A second call does nothing.
pub fn install_tls() {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
}
