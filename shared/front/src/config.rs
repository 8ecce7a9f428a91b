//! The configuration of a front.

use domain::quota::Quotas;
use domain::settings::PerLane;
use domain::settings::email::Mailbox;
use egress::Policy;
use runtime::{ConfigError, Environment};

/// The configuration of a front. Each field is read from the variable that it names.
#[derive(Clone, Debug)]
pub struct Config {
    /// `TABLE_NAME`: the name of the table.
    pub table_name: String,
    /// `BUCKET_NAME`: the bucket of large payloads.
    pub bucket_name: String,
    /// `ACCOUNT_ID`: the AWS account of the stack. None of its roles is a customer's.
    pub account_id: String,
    /// `KMS_KEY_ID`: the key that seals credentials.
    pub kms_key_id: String,
    /// `SIGNING_KEYS_SECRET_ARN`: the keys that tag ids.
    pub signing_keys_secret_arn: String,
    /// `CURSOR_KEYS_SECRET_ARN`: the keys that sign cursors. If empty, random keys are used, which
    /// no other process accepts.
    pub cursor_keys_secret_arn: Option<String>,
    /// `LINK_KEYS_SECRET_ARN`: the keys that sign links to payloads. If empty, random keys are
    /// used, which no other process accepts.
    pub link_keys_secret_arn: Option<String>,
    /// `SESSION_KEYS_SECRET_ARN`: the keys that sign console sessions. If empty, random keys are
    /// used, which no other process accepts.
    pub session_keys_secret_arn: Option<String>,
    /// `OWN_SECRET_ARNS`: the deployment's own secrets, which no organization may be granted.
    pub own_secret_arns: Vec<String>,
    /// `WEBHOOK_QUEUE_URL` and the equivalent of each other lane: the queue of its deliveries.
    pub queue_urls: PerLane<String>,
    /// `JOBS_QUEUE_URL`: the queue of jobs.
    pub jobs_queue_url: String,
    /// `WORKER_WEBHOOK_FUNCTION` and the equivalent of each other lane: the function that checks
    /// destinations.
    pub worker_functions: PerLane<String>,
    /// `PUBLIC_URL`: the address of Waybill for people. If empty, it is taken from the request.
    pub public_url: Option<String>,
    /// `EVENT_BUS_NAME`: the bus on which alerts and security events are published. If empty, they
    /// are not.
    pub event_bus_name: Option<String>,
    /// `ALERT_FROM`: the sender of alert e-mails. If empty, none are sent.
    pub alert_from: Option<Mailbox>,
    /// `EGRESS_ALLOW`: networks that destinations may be in, in addition to public ones.
    pub egress: Policy,
    /// `ALLOW_PLAIN_HTTP`: whether destinations may have an `http://` address.
    pub plain_http: bool,
    /// `RATE_LIMITS`: whether quotas are enforced.
    pub rate_limits: bool,
    /// `REQUESTS_PER_SECOND` and the equivalent of each other quota: the quotas of organizations
    /// that have none of their own.
    pub quotas: Quotas,
    /// `FUNCTION_TIMEOUT_SECONDS`: how long a request may run.
    pub function_timeout_seconds: u32,
}

/// The type that `EGRESS_ALLOW` is parsed into.
#[derive(Default)]
struct Networks(Policy);

impl std::str::FromStr for Networks {
    type Err = egress::PolicyError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Policy::parse(text).map(Self)
    }
}

impl Config {
    /// Reads the configuration. The error names every mistake in it.
    pub fn read(environment: &Environment) -> Result<Self, ConfigError> {
        let variables = environment.variables();
        let public_url: Option<String> = variables.optional("PUBLIC_URL");
        let networks: Option<Networks> = variables.optional("EGRESS_ALLOW");
        let usual = Quotas::default();
        let config = Self {
            table_name: variables.required("TABLE_NAME"),
            bucket_name: variables.required("BUCKET_NAME"),
            account_id: variables.required("ACCOUNT_ID"),
            kms_key_id: variables.required("KMS_KEY_ID"),
            signing_keys_secret_arn: variables.required("SIGNING_KEYS_SECRET_ARN"),
            cursor_keys_secret_arn: variables.optional("CURSOR_KEYS_SECRET_ARN"),
            link_keys_secret_arn: variables.optional("LINK_KEYS_SECRET_ARN"),
            session_keys_secret_arn: variables.optional("SESSION_KEYS_SECRET_ARN"),
            own_secret_arns: variables
                .required::<String>("OWN_SECRET_ARNS")
                .split(',')
                .map(str::to_owned)
                .collect(),
            queue_urls: variables.per_lane("*_QUEUE_URL"),
            jobs_queue_url: variables.required("JOBS_QUEUE_URL"),
            worker_functions: variables.per_lane("WORKER_*_FUNCTION"),
            event_bus_name: variables.optional("EVENT_BUS_NAME"),
            alert_from: variables.optional("ALERT_FROM"),
            public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()),
            egress: networks.unwrap_or_default().0,
            plain_http: variables.switch("ALLOW_PLAIN_HTTP", "true", "false"),
            rate_limits: variables.switch("RATE_LIMITS", "on", "off"),
            quotas: Quotas {
                requests_per_second: variables
                    .optional("REQUESTS_PER_SECOND")
                    .unwrap_or(usual.requests_per_second),
                deliveries_per_second: variables
                    .optional("DELIVERIES_PER_SECOND")
                    .unwrap_or(usual.deliveries_per_second),
                checks_per_minute: variables
                    .optional("CHECKS_PER_MINUTE")
                    .unwrap_or(usual.checks_per_minute),
                previews_per_minute: variables
                    .optional("PREVIEWS_PER_MINUTE")
                    .unwrap_or(usual.previews_per_minute),
                upload_bytes_outstanding: variables
                    .optional("UPLOAD_BYTES_OUTSTANDING")
                    .unwrap_or(usual.upload_bytes_outstanding),
            },
            function_timeout_seconds: variables.required("FUNCTION_TIMEOUT_SECONDS"),
        };
        variables.finish(config)
    }
}
