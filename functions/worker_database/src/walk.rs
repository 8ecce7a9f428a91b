//! The way to the table, step by step: the same for a delivery and for a check, which shows the steps.

use std::time::Duration;

use domain::check::{CheckReport, CheckStep, StepName};
use tokio::time::Instant;

use crate::failure::Failure;

/// The steps of a database's check, in their order.
const STEPS: [StepName; 5] = [StepName::Resolve, StepName::Connect, StepName::Tls, StepName::Authenticate, StepName::Authorize];

/// The steps taken so far.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    taken: Vec<CheckStep>,
}

impl Walk {
    /// Takes a step and notes how it went; `told` says it in words.
    pub(crate) async fn take<T>(
        &mut self,
        name: StepName,
        step: impl Future<Output = Result<T, Failure>>,
        told: impl FnOnce(&T) -> String,
    ) -> Result<T, Failure> {
        self.take_together(&[name], step, told).await
    }

    /// Takes steps that a library takes as one. A failure says which of them it was.
    pub(crate) async fn take_together<T>(
        &mut self,
        names: &[StepName],
        step: impl Future<Output = Result<T, Failure>>,
        told: impl FnOnce(&T) -> String,
    ) -> Result<T, Failure> {
        let started = Instant::now();
        let result = step.await;
        let duration = started.elapsed();
        let last = names.last().copied().unwrap_or(StepName::Connect);
        let (reached, ok, detail) = match &result {
            Ok(value) => (last, true, told(value)),
            Err(Failure::Theirs { step, detail, .. }) => (step.unwrap_or(last), false, detail.clone()),
            Err(Failure::Ours(unavailable)) => (last, false, unavailable.to_string()),
        };
        for name in STEPS.into_iter().filter(|name| names.contains(name) && rank(*name) < rank(reached)) {
            self.note(name, true, passed(name).to_owned(), Duration::ZERO);
        }
        self.note(reached, ok, detail, duration);
        result
    }

    fn note(&mut self, name: StepName, ok: bool, detail: String, duration: Duration) {
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.taken.push(CheckStep { name, ok: Some(ok), detail, duration_ms });
    }

    /// The report, with the steps that were not reached.
    pub(crate) fn report(mut self) -> CheckReport {
        let reached = self.taken.last().map(|step| rank(step.name));
        for name in STEPS.into_iter().filter(|name| Some(rank(*name)) > reached) {
            self.taken.push(CheckStep { name, ok: None, detail: "not tried".to_owned(), duration_ms: 0 });
        }
        CheckReport::of(self.taken)
    }
}

fn rank(name: StepName) -> usize {
    STEPS.iter().position(|step| *step == name).unwrap_or(STEPS.len())
}

fn passed(name: StepName) -> &'static str {
    match name {
        StepName::Tls => "the connection is encrypted and the certificate is accepted",
        StepName::Authenticate => "the credentials are accepted",
        _ => "the connection was accepted",
    }
}
