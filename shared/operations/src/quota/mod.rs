//! Enforces quotas. Before something is done, it is **counted** for its organization. What exceeds
//! a quota is refused as a whole with 429.
//!
//! Requests and deliveries are frequent, so each instance of a function counts them in its own
//! [`Meter`] and **shares** its counts from time to time, with one write for each
//! [`meter::SHARED_EVERY`] of them. What the other instances shared in the meantime is charged to
//! its own buckets. Checks, previews and tests are rare and cost more than a write, so each is
//! counted in the table.

mod meter;

pub(crate) use meter::Meter;

use std::time::Duration;

use access::Caller;
use domain::Timestamp;
use domain::id::OrganizationId;
use domain::quota::{Quota, Quotas};
use store::{Counted, Window};

use crate::{Operations, Refusal};
use meter::SpendOutcome;

/// The number of test deliveries that an organization may send in a minute.
const TESTS_PER_MINUTE: u32 = 30;
const MINUTE: Duration = Duration::from_secs(60);
/// The longest wait that a client is given when there is no room for an upload.
const UPLOADS_WAIT_MAX: Duration = Duration::from_secs(3600);

/// The operations that are limited by the minute, each on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Limited {
    /// A connection that Waybill opens to check something.
    Check,
    /// A preview of what a destination receives.
    Preview,
    /// A test delivery to a destination.
    Test,
}

impl Limited {
    fn name(self) -> &'static str {
        match self {
            Self::Check => Quota::ChecksPerMinute.as_str(),
            Self::Preview => Quota::PreviewsPerMinute.as_str(),
            Self::Test => "tests_per_minute",
        }
    }

    fn per_minute(self, quotas: &Quotas) -> u32 {
        match self {
            Self::Check => quotas.checks_per_minute,
            Self::Preview => quotas.previews_per_minute,
            Self::Test => TESTS_PER_MINUTE,
        }
    }
}

impl Operations {
    /// Counts a request of an organization's caller. The requests of operators are not limited.
    pub async fn admit_request(&self, caller: &Caller) -> Result<(), Refusal> {
        let Some(organization) = caller.organization.filter(|_| self.settings.rate_limits) else {
            return Ok(());
        };
        let quotas = self.quotas(organization).await?;
        let spent = self
            .meter
            .spend_request(organization, &quotas, self.clock.now());
        self.concluded(
            organization,
            spent,
            Quota::RequestsPerSecond,
            u64::from(quotas.requests_per_second),
        )
        .await
    }

    /// Counts the deliveries of some messages, all or none. Returns an error if they exceed the
    /// quota.
    pub(crate) async fn admit_deliveries(
        &self,
        organization: OrganizationId,
        messages: usize,
        deliveries: usize,
    ) -> Result<(), Refusal> {
        if !self.settings.rate_limits {
            return Ok(());
        }
        let quotas = self.quotas(organization).await?;
        let (messages, deliveries) = (messages as u64, deliveries as u64);
        let spent = self.meter.spend_deliveries(
            organization,
            &quotas,
            messages,
            deliveries,
            self.clock.now(),
        );
        self.concluded(
            organization,
            spent,
            Quota::DeliveriesPerSecond,
            u64::from(quotas.deliveries_per_second),
        )
        .await
    }

    async fn concluded(
        &self,
        organization: OrganizationId,
        spent: SpendOutcome,
        quota: Quota,
        limit: u64,
    ) -> Result<(), Refusal> {
        match spent {
            SpendOutcome::Done => Ok(()),
            SpendOutcome::Over(wait) => Err(over(quota.as_str(), limit, wait)),
            SpendOutcome::Share(own) => {
                let now = self.clock.now();
                match self.store.add_usage(organization, own, now).await {
                    Ok(all) => self.meter.shared(organization, own, all, now),
                    // The instance's own count stays, and the next share includes this one.
                    Err(error) => {
                        tracing::warn!(
                            error = %domain::chain(&error),
                            %organization,
                            "failed to share an organization's usage; sharing it again later"
                        );
                        self.meter.not_shared(organization, own);
                    }
                }
                Ok(())
            }
        }
    }

    /// Counts one operation. Returns an error if it exceeds the limit.
    pub(crate) async fn limit(
        &self,
        organization: OrganizationId,
        what: Limited,
    ) -> Result<(), Refusal> {
        if !self.settings.rate_limits {
            return Ok(());
        }
        let (now, limit) = (
            self.clock.now(),
            what.per_minute(&self.quotas(organization).await?),
        );
        if let Some(until) = self.meter.over_until(organization, what, now) {
            return Err(over(what.name(), u64::from(limit), until.since(now)));
        }
        let name = format!("{organization}#{}", what.name());
        match self
            .store
            .count_in_window(
                Window {
                    name: &name,
                    length: MINUTE,
                    limit,
                },
                1,
                now,
            )
            .await?
        {
            Counted::Done => Ok(()),
            Counted::Over { until } => {
                self.meter.note_over(organization, what, until);
                Err(over(what.name(), u64::from(limit), until.since(now)))
            }
        }
    }

    /// Returns how many bytes of uploads may be outstanding; `None` if quotas are not enforced.
    pub(crate) async fn upload_bytes_max(
        &self,
        organization: OrganizationId,
    ) -> Result<Option<u64>, Refusal> {
        if !self.settings.rate_limits {
            return Ok(None);
        }
        Ok(Some(
            self.quotas(organization).await?.upload_bytes_outstanding,
        ))
    }

    /// Returns the 429 for an upload that exceeds the quota until other uploads are used or expire.
    pub(crate) fn over_upload_bytes(&self, most: u64, until: Option<Timestamp>) -> Refusal {
        // A message may use the upload before its link expires.
        let wait = until.map_or(MINUTE, |until| {
            until.since(self.clock.now()).min(UPLOADS_WAIT_MAX)
        });
        over(Quota::UploadBytesOutstanding.as_str(), most, wait)
    }

    /// Returns the quotas of an organization, or the deployment's if the organization does not
    /// exist.
    async fn quotas(&self, organization: OrganizationId) -> Result<Quotas, Refusal> {
        let now = self.clock.now();
        if let Some(known) = self.meter.quotas(organization, now) {
            return Ok(known);
        }
        let found = self.store.organization(organization).await?;
        let quotas = found
            .map(|found| found.quotas)
            .unwrap_or_default()
            .over(&self.settings.quotas);
        self.meter.set_quotas(organization, quotas, now);
        Ok(quotas)
    }
}

fn over(name: &str, limit: u64, wait: Duration) -> Refusal {
    let seconds = u32::try_from(wait.as_millis().div_ceil(1000))
        .unwrap_or(u32::MAX)
        .max(1);
    let detail = format!(
        "the organization's quota {name} of {limit} is used up; send the request again in \
         {seconds} s"
    );
    Refusal {
        detail,
        ..Refusal::rate_limited(seconds)
    }
}
