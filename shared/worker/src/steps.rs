//! Records the steps of a connection check.

use std::time::Duration;

use domain::Reason;
use domain::check::{CheckReport, CheckStep, StepName};
use domain::settle::Outcome;
use egress::{Guard, Host, Probe, StepOutcome};
use tokio::time::Instant;

use crate::{ConnectorError, unanswered};

/// Records the steps of a check. Every check first names its steps with [`expect`](Self::expect) or
/// [`probed`](Self::probed). Steps that it does not reach are reported as not tried.
#[derive(Debug)]
pub struct StepRecorder {
    expected: Vec<StepName>,
    steps: Vec<CheckStep>,
    /// When the step in progress began.
    since: Instant,
}

/// The result of a step.
#[derive(Clone, Copy, Debug)]
enum StepEnd {
    Passed,
    Failed(Option<Reason>),
    /// The step was not run, or its result is not known.
    Unknown,
}

impl Default for StepRecorder {
    fn default() -> Self {
        Self {
            expected: Vec::new(),
            steps: Vec::new(),
            since: Instant::now(),
        }
    }
}

impl StepRecorder {
    /// Names the steps of this check in their order.
    pub fn expect(&mut self, names: &[StepName]) {
        self.expected = names.to_vec();
    }

    /// Records the result of probing an HTTP server. `then` names the steps after it. Returns
    /// whether the check can continue.
    #[must_use]
    pub fn probed(&mut self, probe: &Probe, then: &[StepName]) -> bool {
        self.expected = probe
            .steps
            .iter()
            .map(|step| name_of(step.name))
            .chain(then.iter().copied())
            .collect();
        for step in &probe.steps {
            let end = match &step.outcome {
                StepOutcome::Passed => StepEnd::Passed,
                StepOutcome::Failed(failure) => {
                    StepEnd::Failed(unanswered(failure.kind()).reason())
                }
                StepOutcome::NotReached => break,
            };
            self.push(name_of(step.name), end, step.detail.clone(), step.duration);
        }
        self.since = Instant::now();
        probe.passed()
    }

    /// Records that a step passed, and with it the expected steps before it.
    pub fn passed(&mut self, name: StepName, detail: impl Into<String>) {
        self.record(name, StepEnd::Passed, detail.into());
    }

    /// Records that a step was not run, or that its result is not known.
    pub fn skipped(&mut self, name: StepName, detail: impl Into<String>) {
        self.record(name, StepEnd::Unknown, detail.into());
    }

    /// Removes a step and those after it, because its result turned out to be wrong.
    pub fn retract(&mut self, name: StepName) {
        let keep = self.steps.iter().position(|step| step.name == name);
        self.steps.truncate(keep.unwrap_or(self.steps.len()));
    }

    /// Runs a step and records that it passed, with the detail from `describe`. A failure belongs
    /// to this step, unless it names a later one.
    pub async fn take<T>(
        &mut self,
        name: StepName,
        step: impl Future<Output = Result<T, ConnectorError>>,
        describe: impl FnOnce(&T) -> String,
    ) -> Result<T, ConnectorError> {
        self.since = Instant::now();
        // Boxed, because the check's future would contain those of all its steps.
        let value = Box::pin(step).await.map_err(|error| error.or_at(name))?;
        self.passed(name, describe(&value));
        Ok(value)
    }

    /// Resolves the name of a server, checks its addresses and records the step.
    pub async fn resolve(
        &mut self,
        guard: &Guard,
        host: &Host,
        port: u16,
        deadline: Instant,
    ) -> Result<(), ConnectorError> {
        let resolving = async {
            guard
                .resolve(host, port, deadline)
                .await
                .map_err(ConnectorError::from)
        };
        let count = |addresses: &Vec<_>| match addresses.len() {
            1 => format!("{host} has 1 address"),
            count => format!("{host} has {count} addresses"),
        };
        self.take(StepName::Resolve, resolving, count)
            .await
            .map(drop)
    }

    /// Returns the report of a check that ended with `result`.
    #[must_use]
    pub fn report(mut self, result: Result<(), ConnectorError>) -> CheckReport {
        if let Err(error) = result {
            let step = self.failed_step(error.step());
            let reason = error
                .outcome()
                .map_or(Some(Reason::Internal), Outcome::reason);
            self.record(step, StepEnd::Failed(reason), error.detail().to_owned());
        }
        for name in self.expected.split_off(self.position()) {
            self.push(
                name,
                StepEnd::Unknown,
                "not tried".to_owned(),
                Duration::ZERO,
            );
        }
        CheckReport::of(self.steps)
    }

    /// Returns how many of the expected steps have ended.
    fn position(&self) -> usize {
        let last = self.steps.last().and_then(|last| self.rank(last.name));
        last.map_or(0, |last| last + 1)
    }

    fn rank(&self, name: StepName) -> Option<usize> {
        self.expected.iter().position(|expected| *expected == name)
    }

    /// Returns the step at which a failure is reported: the one that it names, unless that has
    /// already ended (for example, when a second lookup of a name fails).
    fn failed_step(&self, named: Option<StepName>) -> StepName {
        let position = self.position();
        let ahead = |name: &StepName| self.rank(*name).is_some_and(|rank| rank >= position);
        let current = || {
            self.expected
                .get(position)
                .or(self.expected.last())
                .copied()
        };
        match named.filter(|name| self.expected.is_empty() || ahead(name)) {
            Some(name) => name,
            None => current().unwrap_or(StepName::Resolve),
        }
    }

    fn record(&mut self, name: StepName, end: StepEnd, detail: String) {
        let before = self.position()..self.rank(name).unwrap_or(0);
        for name in self.expected.get(before).unwrap_or_default().to_vec() {
            self.push(
                name,
                StepEnd::Passed,
                passed(name).to_owned(),
                Duration::ZERO,
            );
        }
        let duration = self.since.elapsed();
        self.push(name, end, detail, duration);
        self.since = Instant::now();
    }

    fn push(&mut self, name: StepName, end: StepEnd, detail: String, duration: Duration) {
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let (ok, reason) = match end {
            StepEnd::Passed => (Some(true), None),
            StepEnd::Failed(reason) => (Some(false), reason),
            StepEnd::Unknown => (None, None),
        };
        self.steps.push(CheckStep {
            name,
            ok,
            detail,
            reason,
            duration_ms,
        });
    }
}

fn name_of(step: egress::StepName) -> StepName {
    match step {
        egress::StepName::Resolve => StepName::Resolve,
        egress::StepName::Connect => StepName::Connect,
        egress::StepName::Tls => StepName::Tls,
    }
}

/// Returns the detail of a step that a library performed together with a later one.
fn passed(name: StepName) -> &'static str {
    match name {
        StepName::Resolve => "the name resolves",
        StepName::Connect => "the connection was accepted",
        StepName::Tls => "the connection is encrypted",
        StepName::HostKey => "the host key is pinned",
        StepName::Authenticate => "the credentials are accepted",
        StepName::Authorize => "the credentials allow what deliveries do",
        StepName::Write => "a write was accepted",
    }
}

#[cfg(test)]
mod tests {
    use StepName::{Authenticate, Authorize, Connect, Resolve, Tls};

    use super::*;

    const STEPS: [StepName; 5] = [Resolve, Connect, Tls, Authenticate, Authorize];

    fn steps(report: &CheckReport) -> Vec<(StepName, Option<bool>)> {
        report
            .steps
            .iter()
            .map(|step| (step.name, step.ok))
            .collect()
    }

    fn recorder() -> StepRecorder {
        let mut recorder = StepRecorder::default();
        recorder.expect(&STEPS);
        recorder
    }

    #[test]
    fn steps_that_are_not_reached_are_not_tried() {
        let mut recorder = recorder();
        recorder.passed(Resolve, "1 address");
        let report = recorder.report(Err(ConnectorError::misconfigured("no")));
        let rest = [Tls, Authenticate, Authorize].map(|name| (name, None));
        assert_eq!(
            steps(&report),
            [
                [(Resolve, Some(true)), (Connect, Some(false))].to_vec(),
                rest.to_vec()
            ]
            .concat()
        );
        assert!(!report.ok);
    }

    #[tokio::test]
    async fn a_step_taken_together_with_earlier_ones_passes_them_and_a_failure_names_its_own() {
        let mut passing = recorder();
        passing
            .take(Authenticate, async { Ok(()) }, |()| "in".to_owned())
            .await
            .unwrap();
        let names = [Resolve, Connect, Tls, Authenticate].map(|name| (name, Some(true)));
        assert_eq!(
            steps(&passing.report(Ok(()))),
            [names.to_vec(), vec![(Authorize, None)]].concat()
        );

        let mut failing = recorder();
        let error = ConnectorError::misconfigured("no").at(Tls);
        let failed = failing
            .take(Authenticate, async { Err::<(), _>(error) }, |()| {
                String::new()
            })
            .await;
        let report = failing.report(failed);
        assert_eq!(report.failed_step().map(|step| step.name), Some(Tls));
        assert_eq!(report.steps.len(), STEPS.len());
    }

    #[test]
    fn a_failure_of_a_step_that_is_over_is_shown_where_the_check_is() {
        let mut recorder = recorder();
        recorder.passed(Resolve, "1 address");
        let report = recorder.report(Err(ConnectorError::misconfigured("no").at(Resolve)));
        assert_eq!(report.failed_step().map(|step| step.name), Some(Connect));
    }

    #[test]
    fn a_check_that_could_not_begin_has_one_step() {
        let report = StepRecorder::default().report(Err(ConnectorError::misconfigured("no")));
        assert_eq!(steps(&report), [(Resolve, Some(false))]);
    }

    #[test]
    fn a_step_whose_result_is_another_is_recorded_once() {
        let mut recorder = recorder();
        recorder.passed(Authenticate, "in");
        recorder.retract(Authenticate);
        let report = recorder.report(Err(ConnectorError::unauthenticated("no").at(Authenticate)));
        assert_eq!(
            report.failed_step().map(|step| step.name),
            Some(Authenticate)
        );
        assert_eq!(report.steps.len(), STEPS.len());
    }
}
