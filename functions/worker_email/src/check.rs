//! The connection check: the way of a delivery, one step after the other; no mail is sent (destinations.md, email).

use std::time::Duration;

use domain::check::{CheckReport, CheckStep, StepName};
use domain::destination::Destination;
use domain::settings::email::{EmailSettings, Security, Smtp, Transport};
use tokio::time::Instant;

use crate::Email;
use crate::connector::settings;
use crate::failure::Failure;
use crate::session::{Connected, within};

/// All steps together: what the worker allows for a check (20 s), less what telling takes.
const CHECK_MAX: Duration = Duration::from_secs(18);

/// The steps taken so far.
struct Walk {
    names: &'static [StepName],
    taken: Vec<CheckStep>,
    since: Instant,
}

impl Email {
    /// Takes the steps in their order and stops at the first that fails.
    pub(crate) async fn walk(&self, destination: &Destination) -> CheckReport {
        let deadline = Instant::now() + CHECK_MAX.min(Duration::from_secs(destination.settings.timeout_seconds().into()));
        let settings = match settings(destination) {
            Ok(settings) => settings,
            Err(hindrance) => return worker::refused_check(hindrance.detail()),
        };
        let mut walk = Walk::over(settings);
        let failed = match &settings.transport {
            Transport::Ses => within(deadline, StepName::Authorize, self.check_ses(&mut walk, destination, settings)).await,
            Transport::Smtp(smtp) => {
                within(deadline, StepName::Connect, self.check_smtp(&mut walk, destination, settings, smtp, deadline)).await
            }
        };
        walk.report(failed.err())
    }

    async fn check_smtp(
        &self,
        walk: &mut Walk,
        destination: &Destination,
        settings: &EmailSettings,
        smtp: &Smtp,
        deadline: Instant,
    ) -> Result<(), Failure> {
        let connected = Connected::to(&self.parts.guard, smtp, self.parts.ehlo_name.as_deref(), deadline).await?;
        walk.passed(StepName::Resolve, "the name resolves");
        walk.passed(StepName::Connect, "the connection was accepted");
        let secured = connected.secured(&self.parts.tls, smtp.security, deadline).await?;
        if smtp.security != Security::None {
            walk.passed(StepName::Tls, "the connection is encrypted and the certificate is accepted");
        }
        let credentials = self.parts.sign_in(destination, deadline).await?;
        let mut session = secured.signed_in(&credentials).await?;
        walk.passed(StepName::Authenticate, "the credentials are accepted");
        session.address(settings, None).await.map_err(|not_sent| not_sent.failure)?;
        session.reset().await?;
        walk.passed(StepName::Authorize, "sender and recipients are accepted; whether the server accepts a message is not tried");
        session.quit().await;
        Ok(())
    }

    async fn check_ses(&self, walk: &mut Walk, destination: &Destination, settings: &EmailSettings) -> Result<(), Failure> {
        let client = self.ses(destination, settings).await?;
        walk.passed(StepName::Authenticate, "the role is accepted");
        let detail = self.identity_is_ready(&client, settings).await?;
        walk.passed(StepName::Authorize, &detail);
        Ok(())
    }
}

impl Walk {
    fn over(settings: &EmailSettings) -> Self {
        const SES: &[StepName] = &[StepName::Authenticate, StepName::Authorize];
        const PLAIN: &[StepName] = &[StepName::Resolve, StepName::Connect, StepName::Authenticate, StepName::Authorize];
        const SECURE: &[StepName] = &[StepName::Resolve, StepName::Connect, StepName::Tls, StepName::Authenticate, StepName::Authorize];
        let names = match &settings.transport {
            Transport::Ses => SES,
            Transport::Smtp(smtp) if smtp.security == Security::None => PLAIN,
            Transport::Smtp(_) => SECURE,
        };
        Self { names, taken: Vec::new(), since: Instant::now() }
    }

    fn passed(&mut self, name: StepName, detail: &str) {
        self.note(name, true, detail);
    }

    fn note(&mut self, name: StepName, ok: bool, detail: &str) {
        let duration_ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since = Instant::now();
        self.taken.push(CheckStep { name, ok: Some(ok), detail: detail.to_owned(), duration_ms });
    }

    /// The report, with the step that failed and those that were not reached.
    fn report(mut self, failed: Option<Failure>) -> CheckReport {
        if let Some(failure) = failed {
            let next = self.names.get(self.taken.len()).copied().unwrap_or(StepName::Authorize);
            let step = match &failure {
                Failure::Theirs { step, .. } if self.names.contains(step) => *step,
                _ => next,
            };
            // A connection that failed had its name resolved.
            let skipped: Vec<StepName> = self.names.iter().copied().skip(self.taken.len()).take_while(|name| *name != step).collect();
            for name in skipped {
                self.note(name, true, "passed");
            }
            self.note(step, false, failure.detail());
        }
        for name in &self.names[self.taken.len().min(self.names.len())..] {
            self.taken.push(CheckStep { name: *name, ok: None, detail: "not tried".to_owned(), duration_ms: 0 });
        }
        CheckReport::of(self.taken)
    }
}
