//! Quotas limit how much of the service one organization may use, so that it does not affect the
//! other organizations.
//!
//! The [`Quotas`] of a deployment apply to every organization. The operator's [`QuotaOverrides`]
//! replace them for one organization. Usage per second is counted in a [`Bucket`].
//! a [`Bucket`].

mod bucket;

pub use bucket::{Bucket, Rate};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strum::IntoStaticStr;

use crate::bounds::{Bounds, Number, members};
use crate::input::Fields;

/// The capacity of the bucket for requests, in seconds of its rate.
const REQUESTS_BURST_FACTOR: u32 = 4;
/// The capacity of the bucket for deliveries, in seconds of its rate. It is larger, because one
/// message may have a thousand deliveries.
const DELIVERIES_BURST_FACTOR: u32 = 20;
const fn rate(default: u32) -> Bounds<u32> {
    Bounds::new(1, 1_000_000).with_default(default)
}
const REQUESTS_PER_SECOND: Bounds<u32> = rate(50);
const DELIVERIES_PER_SECOND: Bounds<u32> = rate(1000);
const CHECKS_PER_MINUTE: Bounds<u32> = rate(30);
const PREVIEWS_PER_MINUTE: Bounds<u32> = rate(60);
/// The limit of outstanding uploads: from one byte to 1 PiB, 50 GiB by default.
const UPLOAD_BYTES_OUTSTANDING: Bounds<u64> = Bounds::new(1, 1 << 50).with_default(50 << 30);

/// The name of one quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Quota {
    /// The requests of the organization's callers to the API and the console.
    RequestsPerSecond,
    /// The deliveries that are created for the organization's messages.
    DeliveriesPerSecond,
    /// The connections that Waybill opens for connection checks, by any route.
    ChecksPerMinute,
    /// The previews of what a destination would receive.
    PreviewsPerMinute,
    /// The bytes of announced uploads that are not used by a message yet.
    UploadBytesOutstanding,
}

impl Quota {
    /// Returns the name of the quota in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The quotas of an organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quotas {
    /// The number of requests per second; bursts may have four times as many.
    pub requests_per_second: u32,
    /// The number of deliveries per second; bursts may have twenty times as many.
    pub deliveries_per_second: u32,
    /// The number of connection checks per minute.
    pub checks_per_minute: u32,
    /// The number of previews per minute.
    pub previews_per_minute: u32,
    /// The bytes of announced uploads that are not used by a message yet.
    pub upload_bytes_outstanding: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            requests_per_second: REQUESTS_PER_SECOND.default_value(),
            deliveries_per_second: DELIVERIES_PER_SECOND.default_value(),
            checks_per_minute: CHECKS_PER_MINUTE.default_value(),
            previews_per_minute: PREVIEWS_PER_MINUTE.default_value(),
            upload_bytes_outstanding: UPLOAD_BYTES_OUTSTANDING.default_value(),
        }
    }
}

impl Quotas {
    /// Returns the JSON schemas of the quotas, by their names.
    #[must_use]
    pub fn schemas() -> Map<String, Value> {
        members([
            ("requests_per_second", REQUESTS_PER_SECOND.schema()),
            ("deliveries_per_second", DELIVERIES_PER_SECOND.schema()),
            ("checks_per_minute", CHECKS_PER_MINUTE.schema()),
            ("previews_per_minute", PREVIEWS_PER_MINUTE.schema()),
            (
                "upload_bytes_outstanding",
                UPLOAD_BYTES_OUTSTANDING.schema(),
            ),
        ])
    }

    /// Returns the rate at which requests are accepted.
    #[must_use]
    pub fn requests(&self) -> Rate {
        Rate::new(self.requests_per_second, REQUESTS_BURST_FACTOR)
    }

    /// Returns the rate at which deliveries are accepted.
    #[must_use]
    pub fn deliveries(&self) -> Rate {
        Rate::new(self.deliveries_per_second, DELIVERIES_BURST_FACTOR)
    }
}

/// The quotas that the operator set for one organization. All others are the deployment's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct QuotaOverrides {
    /// Replaces the deployment's [`Quotas::requests_per_second`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u32>,
    /// Replaces the deployment's [`Quotas::deliveries_per_second`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deliveries_per_second: Option<u32>,
    /// Replaces the deployment's [`Quotas::checks_per_minute`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks_per_minute: Option<u32>,
    /// Replaces the deployment's [`Quotas::previews_per_minute`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previews_per_minute: Option<u32>,
    /// Replaces the deployment's [`Quotas::upload_bytes_outstanding`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload_bytes_outstanding: Option<u64>,
}

impl QuotaOverrides {
    /// Reads a merge patch. Absent members keep the values of `self`; null resets a member to the
    /// deployment's value.
    #[must_use]
    pub fn read(&self, fields: &mut Fields<'_>) -> Self {
        fn read<T: Number>(
            fields: &mut Fields<'_>,
            quota: Quota,
            bounds: Bounds<T>,
            stored: Option<T>,
        ) -> Option<T> {
            if fields.has(quota.as_str()) {
                bounds.read(fields, quota.as_str())
            } else {
                stored
            }
        }
        Self {
            requests_per_second: read(
                fields,
                Quota::RequestsPerSecond,
                REQUESTS_PER_SECOND,
                self.requests_per_second,
            ),
            deliveries_per_second: read(
                fields,
                Quota::DeliveriesPerSecond,
                DELIVERIES_PER_SECOND,
                self.deliveries_per_second,
            ),
            checks_per_minute: read(
                fields,
                Quota::ChecksPerMinute,
                CHECKS_PER_MINUTE,
                self.checks_per_minute,
            ),
            previews_per_minute: read(
                fields,
                Quota::PreviewsPerMinute,
                PREVIEWS_PER_MINUTE,
                self.previews_per_minute,
            ),
            upload_bytes_outstanding: read(
                fields,
                Quota::UploadBytesOutstanding,
                UPLOAD_BYTES_OUTSTANDING,
                self.upload_bytes_outstanding,
            ),
        }
    }

    /// Returns the quotas that apply to the organization in a deployment with these quotas.
    #[must_use]
    pub fn over(&self, deployment: &Quotas) -> Quotas {
        Quotas {
            requests_per_second: self
                .requests_per_second
                .unwrap_or(deployment.requests_per_second),
            deliveries_per_second: self
                .deliveries_per_second
                .unwrap_or(deployment.deliveries_per_second),
            checks_per_minute: self
                .checks_per_minute
                .unwrap_or(deployment.checks_per_minute),
            previews_per_minute: self
                .previews_per_minute
                .unwrap_or(deployment.previews_per_minute),
            upload_bytes_outstanding: self
                .upload_bytes_outstanding
                .unwrap_or(deployment.upload_bytes_outstanding),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Errors, parse_object};

    fn patched(before: QuotaOverrides, json: &str) -> QuotaOverrides {
        let errors = Errors::default();
        let mut fields = Fields::new("/quotas", parse_object(json.as_bytes()).unwrap(), &errors);
        let after = before.read(&mut fields);
        fields.finish();
        errors.into_result(after).unwrap()
    }

    #[test]
    fn a_patch_sets_keeps_and_resets() {
        let first = patched(
            QuotaOverrides::default(),
            r#"{"requests_per_second": 5, "upload_bytes_outstanding": 9}"#,
        );
        let second = patched(
            first,
            r#"{"requests_per_second": null, "checks_per_minute": 7}"#,
        );
        let expected = Quotas {
            checks_per_minute: 7,
            upload_bytes_outstanding: 9,
            ..Quotas::default()
        };
        assert_eq!(second.over(&Quotas::default()), expected);
    }

    #[test]
    fn a_quota_cannot_be_zero() {
        let errors = Errors::default();
        let json = br#"{"requests_per_second": 0, "upload_bytes_outstanding": 0, "deliveries_per_second": "x"}"#;
        let mut fields = Fields::new("/quotas", parse_object(json).unwrap(), &errors);
        let _ = QuotaOverrides::default().read(&mut fields);
        fields.finish();
        assert_eq!(errors.into_result(()).unwrap_err().len(), 3);
    }
}
