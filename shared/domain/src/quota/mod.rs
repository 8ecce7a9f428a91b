//! Quotas: how much of the service one organization may use, so that no organization takes it from
//! the others (api.md, Quotas).
//!
//! A deployment has [`Quotas`] that every organization starts with; the operator's
//! [`QuotaOverrides`] replace them for one organization. What is counted by the second goes through
//! a [`Bucket`].

mod bucket;

pub use bucket::{Bucket, Rate};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strum::IntoStaticStr;

use crate::bounds::{Bounds, Number, members};
use crate::input::Fields;

/// A second's quota may be exceeded this many times at once, when it was not used before.
const REQUESTS_BURST_FACTOR: u32 = 4;
/// The same for deliveries: one message may have a thousand.
const DELIVERIES_BURST_FACTOR: u32 = 20;
const fn rate(default: u32) -> Bounds<u32> {
    Bounds::new(1, 1_000_000).or(default)
}
const REQUESTS_PER_SECOND: Bounds<u32> = rate(50);
const DELIVERIES_PER_SECOND: Bounds<u32> = rate(1000);
const CHECKS_PER_MINUTE: Bounds<u32> = rate(30);
const PREVIEWS_PER_MINUTE: Bounds<u32> = rate(60);
/// From one byte to 1 PiB; 50 GiB by default.
const UPLOAD_BYTES_OUTSTANDING: Bounds<u64> = Bounds::new(1, 1 << 50).or(50 << 30);

/// One of the quotas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Quota {
    /// Requests of its callers to the API and the console.
    RequestsPerSecond,
    /// Deliveries that its messages make.
    DeliveriesPerSecond,
    /// Connections that Waybill opens to check something, whatever route asks for it.
    ChecksPerMinute,
    /// Previews of what a destination would receive.
    PreviewsPerMinute,
    /// Bytes of announced uploads that no message uses yet.
    UploadBytesOutstanding,
}

impl Quota {
    /// The quota's name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// How much an organization may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quotas {
    /// Requests a second; four times as many at once.
    pub requests_per_second: u32,
    /// Deliveries a second; twenty times as many at once.
    pub deliveries_per_second: u32,
    /// Connection checks a minute.
    pub checks_per_minute: u32,
    /// Previews a minute.
    pub previews_per_minute: u32,
    /// Bytes of announced uploads that no message uses yet.
    pub upload_bytes_outstanding: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            requests_per_second: REQUESTS_PER_SECOND.usual(),
            deliveries_per_second: DELIVERIES_PER_SECOND.usual(),
            checks_per_minute: CHECKS_PER_MINUTE.usual(),
            previews_per_minute: PREVIEWS_PER_MINUTE.usual(),
            upload_bytes_outstanding: UPLOAD_BYTES_OUTSTANDING.usual(),
        }
    }
}

impl Quotas {
    /// The schemas of the quotas, by their names.
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

    /// How fast requests may come.
    #[must_use]
    pub fn requests(&self) -> Rate {
        Rate::new(self.requests_per_second, REQUESTS_BURST_FACTOR)
    }

    /// How fast deliveries may be made.
    #[must_use]
    pub fn deliveries(&self) -> Rate {
        Rate::new(self.deliveries_per_second, DELIVERIES_BURST_FACTOR)
    }
}

/// What the operator set for one organization; everything else is the deployment's.
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
    /// Reads a merge patch: absent members keep `self`'s values, null ones return to the
    /// deployment's.
    #[must_use]
    pub fn read(&self, fields: &mut Fields<'_>) -> Self {
        fn read<T: Number>(
            fields: &mut Fields<'_>,
            quota: Quota,
            bounds: Bounds<T>,
            kept: Option<T>,
        ) -> Option<T> {
            if fields.has(quota.as_str()) {
                bounds.read(fields, quota.as_str())
            } else {
                kept
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

    /// The quotas that hold for the organization in a deployment with these.
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
    fn nobody_can_be_given_a_quota_of_nothing() {
        let errors = Errors::default();
        let json = br#"{"requests_per_second": 0, "upload_bytes_outstanding": 0, "deliveries_per_second": "x"}"#;
        let mut fields = Fields::new("/quotas", parse_object(json).unwrap(), &errors);
        let _ = QuotaOverrides::default().read(&mut fields);
        fields.finish();
        assert_eq!(errors.into_result(()).unwrap_err().len(), 3);
    }
}
