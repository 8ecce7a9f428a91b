//! Recoveries: the progress of enabling a destination again, kept in its health. Every change is
//! conditional on the epoch and on the time of the next check, so that of several monitors only one
//! makes a check, and none overrides what a person changed.

use domain::Timestamp;
use domain::alert::Alert;
use domain::audit::AuditEvent;
use domain::destination::Destination;
use domain::health::Health;
use domain::id::DestinationId;
use domain::recovery::{EnabledAgain, Recovery};
use serde::{Deserialize, Serialize};

use crate::attributes::{Reader, json, number, time};
use crate::document::{Saved, absent};
use crate::expression::{Change, Condition};
use crate::health::{
    ALERTED, EPOCH, LAST_ALERT, RATE_ALERTED, RATE_SINCE, STREAK, STREAK_BEGAN, forget_ended,
    of_epoch,
};
use crate::transaction::Transacted;
use crate::{Job, Store, StoreError, alert, audit, job, keys};

const RECOVERY: &str = "rec";
const NEXT_CHECK: &str = "chk";

/// The stored part of a recovery, without the time of the next check.
#[derive(Serialize, Deserialize)]
struct StoredRecovery {
    began_at: Timestamp,
    replay_since: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enabled: Option<EnabledAgain>,
}

/// The records to write when a destination is enabled because a check passed.
#[derive(Clone, Copy, Debug)]
pub struct Recovered<'a> {
    /// The destination, now enabled.
    pub destination: &'a Destination,
    /// The recovery of the destination, with the job that replays what it missed.
    pub recovery: &'a Recovery,
    /// The job that replays what the destination missed.
    pub job: &'a Job,
    /// The audit events of enabling the destination and of requesting the job.
    pub events: [&'a AuditEvent; 2],
    /// The alert that the destination was enabled.
    pub alert: &'a Alert,
}

impl Store {
    /// Begins a recovery, unless another monitor did or the destination was enabled since. Returns
    /// whether it was begun.
    pub async fn begin_recovery(
        &self,
        destination: DestinationId,
        health: &Health,
        recovery: &Recovery,
    ) -> Result<bool, StoreError> {
        let mut change = Change::default();
        put(&mut change, recovery);
        of_epoch(change.when(), health.epoch).missing(NEXT_CHECK);
        Ok(self
            .change("begin a recovery", &keys::health(destination), change)
            .await?
            .is_done())
    }

    /// Claims the check that is due, until `until`, when it must have ended. Returns whether it was
    /// claimed.
    pub async fn claim_check(
        &self,
        destination: DestinationId,
        health: &Health,
        due: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut change = Change::default();
        change.set(NEXT_CHECK, time(until));
        of_epoch(change.when(), health.epoch).equals(NEXT_CHECK, time(due));
        Ok(self
            .change("claim a check", &keys::health(destination), change)
            .await?
            .is_done())
    }

    /// Saves a recovery after the check that was claimed until `claimed`, unless the destination
    /// was enabled since.
    pub async fn check_again(
        &self,
        destination: DestinationId,
        health: &Health,
        claimed: Timestamp,
        recovery: &Recovery,
    ) -> Result<(), StoreError> {
        let mut change = Change::default();
        put(&mut change, recovery);
        of_epoch(change.when(), health.epoch).equals(NEXT_CHECK, time(claimed));
        self.change(
            "schedule the next check",
            &keys::health(destination),
            change,
        )
        .await
        .map(drop)
    }

    /// Ends a recovery that the destination's policy or state no longer allows.
    pub async fn forget_recovery(
        &self,
        destination: DestinationId,
        health: &Health,
    ) -> Result<(), StoreError> {
        let mut change = Change::default();
        forget(&mut change);
        of_epoch(change.when(), health.epoch);
        self.change("end a recovery", &keys::health(destination), change)
            .await
            .map(drop)
    }

    /// Enables a destination whose check passed and writes the job that replays what it missed, in
    /// one transaction, unless the destination has changed since. The monitor watches it until the
    /// job has been queued.
    pub async fn enable_recovered(
        &self,
        health: &Health,
        claimed: Timestamp,
        recovered: Recovered<'_>,
    ) -> Result<Saved, StoreError> {
        let Recovered {
            destination,
            recovery,
            job,
            events: [enabled, requested],
            alert,
        } = recovered;
        let mut change = Change::default();
        change
            .add(EPOCH, number(1))
            .set(RATE_SINCE, time(destination.updated_at));
        for name in [STREAK, STREAK_BEGAN, ALERTED, LAST_ALERT, RATE_ALERTED] {
            change.remove(name);
        }
        forget_ended(&mut change);
        put(&mut change, recovery);
        alert::watch(&mut change, destination);
        of_epoch(change.when(), health.epoch).equals(NEXT_CHECK, time(claimed));
        let retention_days = self
            .audit_retention_days(destination.organization_id)
            .await?;
        let switching = self.switching(
            destination,
            destination.revision() - 1,
            enabled,
            alert,
            change,
            retention_days,
        );
        let transaction = switching
            .put(job::item(job), absent())
            .put(audit::item(requested, retention_days), Condition::default());
        match self
            .transact("enable a destination that recovered", transaction)
            .await?
        {
            Transacted::Done => Ok(Saved::Done),
            Transacted::Refused { .. } => Ok(Saved::Conflict),
        }
    }

    /// Records that the job that replays what a destination missed was queued.
    pub async fn replay_sent(
        &self,
        destination: DestinationId,
        health: &Health,
        recovery: &Recovery,
    ) -> Result<(), StoreError> {
        let mut change = Change::default();
        put(&mut change, recovery);
        of_epoch(change.when(), health.epoch)
            .exists(RECOVERY)
            .missing(NEXT_CHECK);
        self.change(
            "note that a replay was sent",
            &keys::health(destination),
            change,
        )
        .await
        .map(drop)
    }
}

/// Reads the recovery in a health.
pub(crate) fn read(from: Reader<'_>) -> Result<Option<Recovery>, StoreError> {
    let Some(StoredRecovery {
        began_at,
        replay_since,
        enabled,
    }) = from.json_opt(RECOVERY)?
    else {
        return Ok(None);
    };
    Ok(Some(Recovery {
        began_at,
        replay_since,
        next_check_at: from.time_opt(NEXT_CHECK)?,
        enabled,
    }))
}

/// Writes a recovery to a health.
pub(crate) fn put(change: &mut Change, recovery: &Recovery) {
    let Recovery {
        began_at,
        replay_since,
        next_check_at,
        enabled,
    } = recovery.clone();
    change
        .set(
            RECOVERY,
            json(&StoredRecovery {
                began_at,
                replay_since,
                enabled,
            }),
        )
        .set_or_remove(NEXT_CHECK, next_check_at.map(time));
}

/// Removes the recovery from a health.
pub(crate) fn forget(change: &mut Change) {
    change.remove(RECOVERY).remove(NEXT_CHECK);
}
