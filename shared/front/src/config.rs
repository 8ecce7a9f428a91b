//! What a front is configured with.

use domain::quota::Quotas;
use domain::settings::PerLane;
use domain::settings::email::Mailbox;
use egress::Policy;
use runtime::{ConfigError, Environment};

/// A front's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// `TABLE_NAME`.
    pub table_name: String,
    /// `BUCKET_NAME`: where large payloads are.
    pub bucket_name: String,
    /// `ACCOUNT_ID`: the AWS account that the stack stands in; none of its roles is a customer's.
    pub account_id: String,
    /// `KMS_KEY_ID`: what credentials are sealed under.
    pub kms_key_id: String,
    /// `SIGNING_KEYS_SECRET_ARN`: the keys that tag ids.
    pub signing_keys_secret_arn: String,
    /// `CURSOR_KEYS_SECRET_ARN`: the keys that sign cursors; empty: the function's are accepted by no other function.
    pub cursor_keys_secret_arn: Option<String>,
    /// `LINK_KEYS_SECRET_ARN`: the keys that sign links to payloads; empty: as above.
    pub link_keys_secret_arn: Option<String>,
    /// `SESSION_KEYS_SECRET_ARN`: the keys that sign console sessions; empty: as above.
    pub session_keys_secret_arn: Option<String>,
    /// `OWN_SECRET_ARNS`: the deployment's own secrets, which no organization may be granted.
    pub own_secret_arns: Vec<String>,
    /// `WEBHOOK_QUEUE_URL` and each other lane's.
    pub queue_urls: PerLane<String>,
    /// `JOBS_QUEUE_URL`: where jobs are asked for.
    pub jobs_queue_url: String,
    /// `WORKER_WEBHOOK_FUNCTION` and each other lane's: checks destinations.
    pub worker_functions: PerLane<String>,
    /// `PUBLIC_URL`: where people reach Waybill; empty: the request's host.
    pub public_url: Option<String>,
    /// `EVENT_BUS_NAME`: where alerts and security events are told besides; empty: nowhere.
    pub event_bus_name: Option<String>,
    /// `ALERT_FROM`: the sender of alerts by e-mail; empty: no e-mail is sent.
    pub alert_from: Option<Mailbox>,
    /// `EGRESS_ALLOW`: networks that destinations may stand in besides public ones.
    pub egress: Policy,
    /// `ALLOW_PLAIN_HTTP`: whether destinations may have an `http://` address.
    pub plain_http: bool,
    /// `RATE_LIMITS`: whether quotas are enforced.
    pub rate_limits: bool,
    /// `REQUESTS_PER_SECOND` and the other quotas of organizations for which the operator has set no others.
    pub quotas: Quotas,
    /// `FUNCTION_TIMEOUT_SECONDS`: how long a request may run.
    pub function_timeout_seconds: u32,
}

/// `EGRESS_ALLOW`, as a variable that parses.
#[derive(Default)]
struct Networks(Policy);

impl std::str::FromStr for Networks {
    type Err = egress::PolicyError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Policy::parse(text).map(Self)
    }
}

impl Config {
    /// Reads the configuration, naming everything that is wrong with it.
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
            own_secret_arns: variables.required::<String>("OWN_SECRET_ARNS").split(',').map(str::to_owned).collect(),
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
                requests_per_second: variables.optional("REQUESTS_PER_SECOND").unwrap_or(usual.requests_per_second),
                deliveries_per_second: variables.optional("DELIVERIES_PER_SECOND").unwrap_or(usual.deliveries_per_second),
                checks_per_minute: variables.optional("CHECKS_PER_MINUTE").unwrap_or(usual.checks_per_minute),
                previews_per_minute: variables.optional("PREVIEWS_PER_MINUTE").unwrap_or(usual.previews_per_minute),
                upload_bytes_outstanding: variables.optional("UPLOAD_BYTES_OUTSTANDING").unwrap_or(usual.upload_bytes_outstanding),
            },
            function_timeout_seconds: variables.required("FUNCTION_TIMEOUT_SECONDS"),
        };
        variables.finish(config)
    }
}
