//! The connection check: the way of a delivery, one step after the other.

use std::time::Duration;

use domain::Reason;
use domain::check::{CheckReport, CheckStep, StepName};
use domain::settings::storage::key_refusal;
use domain::settle::Outcome;
use egress::{Probe, StepOutcome};
use object_store::{GetOptions, ObjectStore as _};
use tokio::time::{Instant, timeout_at};
use worker::Payload;

use crate::conditions::{Conditions, UNPROTECTED, find_out};
use crate::existing::{Existing, look};
use crate::place::{Place, Settings, path};
use crate::storage::Storage;
use crate::trouble::Trouble;
use crate::upload::upload;
use crate::{Credentials, Meta, verdict};

const CONTENT: &str = "Waybill checked that it may write here.\n";

impl Storage {
    /// Takes the steps in their order and stops at the first that fails.
    pub(crate) async fn walk(
        &self,
        settings: Settings<'_>,
        credentials: &Credentials,
        sample_key: &str,
        unique: &str,
        deadline: Instant,
    ) -> CheckReport {
        let started = Instant::now();
        let target = match self.address(settings) {
            Ok(target) => target,
            Err(trouble) => return CheckReport::of(vec![step(StepName::Resolve, Some(false), &trouble.to_string(), started)]),
        };
        let probe = self.client.probe(&target, deadline).await;
        let mut steps = probed(&probe);
        if probe.passed() {
            let walk = Walk { storage: self, settings, credentials, key: beside(sample_key, unique), sample_key, unique };
            steps.extend(walk.bucket(deadline).await);
        } else {
            steps.extend(untaken(&[StepName::Authenticate, StepName::Authorize, StepName::Write]));
        }
        CheckReport::of(steps)
    }
}

struct Walk<'w> {
    storage: &'w Storage,
    settings: Settings<'w>,
    credentials: &'w Credentials,
    key: String,
    sample_key: &'w str,
    unique: &'w str,
}

impl Walk<'_> {
    async fn bucket(&self, deadline: Instant) -> Vec<CheckStep> {
        let started = Instant::now();
        let authenticated = timeout_at(deadline, self.authenticate(deadline)).await.unwrap_or(Err(Trouble::TooSlow));
        let place = match authenticated {
            Ok(place) => place,
            Err(trouble) => {
                // A bucket that is not granted is no question of who asks.
                let name = if let Trouble::Unauthorized(_) = trouble { StepName::Authorize } else { StepName::Authenticate };
                return self.ended(name, &trouble, started);
            }
        };
        let mut steps = vec![step(StepName::Authenticate, Some(true), "the credentials are accepted", started)];
        let started = Instant::now();
        let written = timeout_at(deadline, self.write(&place)).await.unwrap_or(Err(Trouble::TooSlow));
        match written {
            Ok(conditions) => {
                let allowed = format!("the credentials may write to {}", self.settings.bucket());
                steps.push(step(StepName::Authorize, Some(true), &allowed, started));
                let deleted = self.delete(&place, deadline).await;
                steps.push(step(StepName::Write, Some(true), &self.summary(&place, conditions, deleted), started));
            }
            // Where anybody may read, only writing tells.
            Err(trouble) if verdict::is_unauthenticated(&trouble) => return self.ended(StepName::Authenticate, &trouble, started),
            Err(trouble) => {
                let name = if is_about_permission(&trouble) { StepName::Authorize } else { StepName::Write };
                if name == StepName::Write {
                    steps.push(step(StepName::Authorize, None, "not known", started));
                }
                steps.extend(self.ended(name, &trouble, started).into_iter().filter(|step| step.name != StepName::Authenticate));
            }
        }
        steps
    }

    /// Asks for an object that is not there. Whatever the answer, it tells whether the credentials are believed.
    async fn authenticate(&self, deadline: Instant) -> Result<Place, Trouble> {
        let place = self.storage.open(self.settings, self.credentials, deadline).await?;
        let path = path(&self.key)?;
        match place.store.get_opts(&path, GetOptions::default()).await.map_err(Trouble::from) {
            Err(trouble) if verdict::is_unauthenticated(&trouble) || trouble.answer().is_none() => Err(trouble),
            _ => Ok(place),
        }
    }

    async fn delete(&self, place: &Place, deadline: Instant) -> Result<(), Trouble> {
        let deleted = timeout_at(deadline, self.storage.delete(place, self.settings, &self.key)).await;
        deleted.unwrap_or(Err(Trouble::TooSlow))
    }

    /// What the step `write` found, with everything that the owner has to know.
    fn summary(&self, place: &Place, conditions: Conditions, deleted: Result<(), Trouble>) -> String {
        let mut warnings: Vec<String> = conditions.warning().into_iter().collect();
        let mut summary = format!("{} was written", self.key);
        match deleted {
            Ok(()) => summary.push_str(" and deleted"),
            Err(trouble) => warnings.push(format!("it could not be deleted ({trouble}), so it stays")),
        }
        if place.wire.left_parts_behind() {
            warnings.push("an unfinished upload in parts could not be aborted; a lifecycle rule of the bucket has to".to_owned());
        }
        for warning in warnings {
            summary.push_str("; warning: ");
            summary.push_str(&warning);
        }
        summary
    }

    /// Writes an object as deliveries do, then once more to find out whether an existing object would be kept.
    async fn write(&self, place: &Place) -> Result<Conditions, Trouble> {
        if let Some(refusal) = key_refusal(self.sample_key).or_else(|| key_refusal(&self.key)) {
            return Err(Trouble::Misconfigured(refusal.to_owned()));
        }
        let meta = Meta {
            organization_id: String::new(),
            delivery_id: self.unique.to_owned(),
            message_id: self.unique.to_owned(),
            event_type: "waybill.destination.check".to_owned(),
            content_type: "text/plain".to_owned(),
            sha256: None,
        };
        let path = path(&self.key)?;
        place.wire.relies_on_conditions();
        let found = look(place, &path, &meta, CONTENT.len() as u64).await?;
        upload(place, self.settings, &path, &meta, Payload::whole(CONTENT)).await?;
        let conditions = find_out(place, self.settings, &path, &meta, CONTENT).await;
        match conditions {
            Ok(Conditions::Honored) => Ok(Conditions::Honored),
            Ok(conditions) if found != Existing::Unseen => Ok(conditions),
            Ok(_) => Err(self.withdrawn(place, Trouble::Misconfigured(UNPROTECTED.to_owned())).await),
            Err(trouble) => Err(self.withdrawn(place, trouble).await),
        }
    }

    /// Deletes what was written before the check failed, as far as that works.
    async fn withdrawn(&self, place: &Place, trouble: Trouble) -> Trouble {
        if let Err(error) = self.storage.delete(place, self.settings, &self.key).await {
            let error = worker::redacted(&error.to_string());
            tracing::info!(error, "failed to delete the object that a check wrote; it stays in the bucket");
        }
        trouble
    }

    fn ended(&self, name: StepName, trouble: &Trouble, started: Instant) -> Vec<CheckStep> {
        let detail = match trouble.answer().and_then(|answer| answer.code.as_deref()) {
            Some("NoSuchBucket" | "ContainerNotFound") => format!("there is no {} ({trouble})", self.settings.bucket()),
            _ => trouble.to_string(),
        };
        let order = [StepName::Authenticate, StepName::Authorize, StepName::Write];
        let later: Vec<StepName> = order.into_iter().skip_while(|step| *step != name).skip(1).collect();
        let mut steps = vec![step(name, Some(false), &detail, started)];
        steps.extend(untaken(&later));
        steps
    }
}

/// What the credentials may do, and where: the step `authorize`.
fn is_about_permission(trouble: &Trouble) -> bool {
    match verdict::outcome(trouble) {
        Outcome::ClientError(reason) => reason == Reason::Authorization,
        Outcome::Reject(Reason::Misconfigured) => {
            trouble.answer().is_some_and(|answer| matches!(answer.code.as_deref(), Some("NoSuchBucket" | "ContainerNotFound")))
        }
        _ => false,
    }
}

/// A key under the prefix that deliveries go to.
fn beside(sample_key: &str, unique: &str) -> String {
    let name = format!("waybill-check-{unique}");
    match sample_key.rsplit_once('/') {
        Some((prefix, _)) if key_refusal(prefix).is_none() => format!("{prefix}/{name}"),
        _ => name,
    }
}

fn probed(probe: &Probe) -> Vec<CheckStep> {
    let told = |step: &egress::Step| CheckStep {
        name: match step.name {
            egress::StepName::Resolve => StepName::Resolve,
            egress::StepName::Connect => StepName::Connect,
            egress::StepName::Tls => StepName::Tls,
        },
        ok: match step.outcome {
            StepOutcome::Passed => Some(true),
            StepOutcome::Failed(_) => Some(false),
            StepOutcome::NotReached => None,
        },
        detail: step.detail.clone(),
        duration_ms: millis(step.duration),
    };
    probe.steps.iter().map(told).collect()
}

fn untaken(names: &[StepName]) -> Vec<CheckStep> {
    names.iter().map(|name| CheckStep { name: *name, ok: None, detail: "not tried".to_owned(), duration_ms: 0 }).collect()
}

fn step(name: StepName, ok: Option<bool>, detail: &str, started: Instant) -> CheckStep {
    CheckStep { name, ok, detail: detail.to_owned(), duration_ms: millis(started.elapsed()) }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
