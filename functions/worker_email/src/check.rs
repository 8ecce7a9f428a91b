//! The connection check: runs the steps of a delivery one after another, and sends no message
//! (`docs/destinations/email.md`).

use domain::check::StepName;
use domain::settings::email::{EmailSettings, Security, Smtp, Transport};
use worker::{Check, ConnectorError, within};

use crate::Email;
use crate::connector::settings;
use crate::verdict::LATE;

const SES_STEPS: &[StepName] = &[StepName::Authenticate, StepName::Authorize];
const PLAIN_STEPS: &[StepName] = &[
    StepName::Resolve,
    StepName::Connect,
    StepName::Authenticate,
    StepName::Authorize,
];
const TLS_STEPS: &[StepName] = &[
    StepName::Resolve,
    StepName::Connect,
    StepName::Tls,
    StepName::Authenticate,
    StepName::Authorize,
];

impl Email {
    /// Runs the steps in order and stops at the first that fails.
    pub(crate) async fn take_steps(&self, check: Check<'_>) -> Result<(), ConnectorError> {
        let (settings, deadline) = (settings(check.destination)?, check.deadline);
        match &settings.transport {
            Transport::Ses => {
                within(deadline, LATE, Box::pin(self.check_ses(check, settings))).await
            }
            Transport::Smtp(smtp) => {
                within(
                    deadline,
                    LATE,
                    Box::pin(self.check_smtp(check, settings, smtp)),
                )
                .await
            }
        }
    }

    async fn check_smtp(
        &self,
        check: Check<'_>,
        settings: &EmailSettings,
        smtp: &Smtp,
    ) -> Result<(), ConnectorError> {
        let Check {
            destination,
            deadline,
            steps,
            ..
        } = check;
        let (names, last, detail) = match smtp.security {
            Security::None => (
                PLAIN_STEPS,
                StepName::Connect,
                "the connection was accepted",
            ),
            Security::Tls | Security::Starttls => (
                TLS_STEPS,
                StepName::Tls,
                "the connection is encrypted and the certificate is accepted",
            ),
        };
        steps.expect(names);
        // A server greets before or after TLS, and may refuse in its greeting.
        let securing = self.secured(smtp, deadline);
        let secured = steps.take(last, securing, |_| detail.to_owned()).await?;
        let signing_in = self.signed_in(secured, destination, smtp, deadline);
        let accepted = |_: &_| "the credentials are accepted".to_owned();
        let mut session = steps
            .take(StepName::Authenticate, signing_in, accepted)
            .await?;
        let addressing = async {
            session
                .address(settings, None)
                .await
                .map_err(|not_sent| not_sent.failure)?;
            session.reset().await
        };
        let addressed =
            "sender and recipients are accepted; whether the server accepts a message is not tried";
        steps
            .take(StepName::Authorize, addressing, |()| addressed.to_owned())
            .await?;
        session.quit().await;
        Ok(())
    }

    async fn check_ses(
        &self,
        check: Check<'_>,
        settings: &EmailSettings,
    ) -> Result<(), ConnectorError> {
        let Check {
            destination, steps, ..
        } = check;
        steps.expect(SES_STEPS);
        let assuming = self.ses(destination, settings);
        let client = steps
            .take(StepName::Authenticate, assuming, |_| {
                "the role is accepted".to_owned()
            })
            .await?;
        let ready = self.identity_is_ready(&client, settings);
        steps
            .take(StepName::Authorize, ready, String::clone)
            .await
            .map(drop)
    }
}
