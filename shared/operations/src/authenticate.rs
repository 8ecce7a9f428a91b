//! Who asks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::{AuthenticateError, Caller, Unauthenticated};
use domain::Timestamp;
use domain::audit::{Actor, ActorKind, AuditEvent, AuditOutcome};
use domain::id::{AuditId, OrganizationId};

use crate::{Operations, Refusal};

/// Failed authentications of one key that are recorded in a minute. Whoever knows a key's id can make any number; all are logged and counted.
const RECORDED_PER_MINUTE: u32 = 10;
const MINUTE: Duration = Duration::from_secs(60);
/// Keys whose failures are counted at a time.
const KEYS_MAX: usize = 10_000;

/// How many failed authentications of each key were recorded in its current minute, by this instance of the function.
#[derive(Clone, Debug, Default)]
pub struct FailedAuthentications(Arc<Mutex<HashMap<String, (Timestamp, u32)>>>);

impl FailedAuthentications {
    /// Is another one to be recorded?
    fn count(&self, key: &str, now: Timestamp) -> bool {
        let mut minutes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if minutes.len() >= KEYS_MAX {
            minutes.retain(|_, (began, _)| now.since(*began) < MINUTE);
        }
        if minutes.len() >= KEYS_MAX && !minutes.contains_key(key) {
            return false;
        }
        let (began, recorded) = minutes.entry(key.to_owned()).or_insert((now, 0));
        if now.since(*began) >= MINUTE {
            (*began, *recorded) = (now, 0);
        }
        *recorded += 1;
        *recorded <= RECORDED_PER_MINUTE
    }
}

impl Operations {
    /// The caller behind an `Authorization` header. A refusal that names an existing key is recorded in its organization's trail, up to a limit.
    pub async fn authenticate(&self, header: Option<&str>, ip: Option<&str>, request_id: &str) -> Result<Caller, Refusal> {
        match self.access.authenticate(header).await {
            Ok(caller) => Ok(caller),
            Err(AuthenticateError::Unavailable(error)) => Err(error.into()),
            Err(AuthenticateError::Unauthenticated(Unauthenticated { named })) => {
                if let Some(named) = named
                    && let Some(organization) = named.organization
                {
                    self.record_failed_authentication(&named, organization, ip, request_id);
                }
                Err(Refusal::unauthenticated())
            }
        }
    }

    /// The answer does not wait for the record: how long it takes must not tell whether a key exists.
    fn record_failed_authentication(&self, named: &Caller, organization: OrganizationId, ip: Option<&str>, request_id: &str) {
        let now = self.clock.now();
        if !self.failed_authentications.count(&named.by.to_string(), now) {
            return;
        }
        let event = AuditEvent {
            id: self.ids.mint::<AuditId>(organization, 1),
            organization_id: organization,
            at: now,
            action: "authentication_failed".to_owned(),
            outcome: AuditOutcome::Denied,
            actor: Actor { kind: ActorKind::Key, id: Some(named.by.to_string()), name: Some(named.name.clone()) },
            ip: ip.map(str::to_owned),
            target: Some(named.by.to_string()),
            changes: Vec::new(),
            request_id: Some(request_id.to_owned()),
        };
        let store = self.store.clone();
        tokio::spawn(async move {
            if let Err(error) = store.record_audit(&event).await {
                tracing::error!(%error, request_id = event.request_id, "failed to record a failed authentication");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_one_key_are_recorded_up_to_a_limit_each_minute() {
        let (failures, start) = (FailedAuthentications::default(), Timestamp::from_millis(1_764_000_000_000));
        let recorded = |key: &str, at| (0..100).filter(|_| failures.count(key, at)).count();
        assert_eq!(recorded("key_1", start), 10);
        assert_eq!(recorded("key_2", start), 10, "each key has its own");
        assert_eq!(recorded("key_1", start.plus(MINUTE - Duration::from_millis(1))), 0);
        assert_eq!(recorded("key_1", start.plus(MINUTE)), 10);
    }

    #[test]
    fn the_keys_that_are_counted_are_bounded() {
        let (failures, start) = (FailedAuthentications::default(), Timestamp::from_millis(1_764_000_000_000));
        for n in 0..KEYS_MAX + 100 {
            failures.count(&n.to_string(), start);
        }
        assert_eq!(failures.0.lock().unwrap().len(), KEYS_MAX);
    }
}
