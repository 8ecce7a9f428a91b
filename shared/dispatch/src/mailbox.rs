//! The mailboxes for an organization's alerts. They are destinations that Waybill manages and that
//! send from the deployment's address. There is one for each address of `alert_emails`, so that
//! recipients do not see each other.
//!
//! These destinations have no routes, so no message of a customer is delivered to them.

use std::time::Duration;

use domain::Timestamp;
use domain::credentials::{CredentialKind, Credentials};
use domain::id::{DestinationId, IdMint, OrganizationId};
use domain::settings::email::{Attach, EmailSettings, Mailbox, Transport};
use domain::settings::{DestinationType, Settings};
use domain::system_destination::SystemDestination;
use sha2::{Digest as _, Sha256};
use store::{Counted, Routes, Store, StoreError, Window};

use crate::{Dispatcher, Target};

const TIMEOUT_SECONDS: u32 = 30;
/// The maximum number of alerts that one address receives in an hour from all organizations
/// together. Further alerts appear only in the list of alerts.
const ALERTS_PER_HOUR: u32 = 20;
const HOUR: Duration = Duration::from_secs(3600);

/// Returns the name under which e-mails of one kind to an address are counted, for all
/// organizations together.
#[must_use]
pub fn mails_counted_as(kind: &str, address: &str) -> String {
    let digest = hex::encode(Sha256::digest(address.to_lowercase()));
    format!("mail#{kind}#{digest}")
}

impl Dispatcher {
    /// Returns the mailboxes that receive alerts, with their addresses. There are none if the
    /// organization has no addresses or the deployment has no sender. An address that has reached
    /// its hourly limit is left out.
    pub(crate) async fn alert_mailboxes<'r>(
        &self,
        ids: &IdMint,
        routes: &'r Routes,
        organization: OrganizationId,
    ) -> Result<Vec<(&'r str, Target)>, StoreError> {
        let Some(from) = &self.alert_from else {
            return Ok(Vec::new());
        };
        let mut targets = Vec::new();
        for address in &routes.settings.alert_emails {
            let Ok(to) = Mailbox::parse(address) else {
                continue;
            };
            if may_be_mailed(&self.store, address, self.clock.now()).await? {
                let mailbox = self.alert_mailbox(ids, organization, from, to).await?;
                targets.push((address.as_str(), mailbox));
            } else {
                tracing::warn!(
                    %organization,
                    "an alert was not e-mailed, because its address has reached the hourly limit"
                );
            }
        }
        Ok(targets)
    }

    /// Counts an alert for an address. Called once the alert is committed, so that a failure before
    /// does not use up the limit.
    pub(crate) async fn count_alert_mail(&self, address: &str) {
        let name = mails_counted_as("alert", address);
        let window = window(&name, ALERTS_PER_HOUR);
        if let Err(error) = self
            .store
            .count_in_window(window, 1, self.clock.now())
            .await
        {
            tracing::warn!(
                error = %domain::chain(&error),
                "failed to count an alert e-mail towards the hourly limit of its address"
            );
        }
    }

    async fn alert_mailbox(
        &self,
        ids: &IdMint,
        organization: OrganizationId,
        from: &Mailbox,
        to: Mailbox,
    ) -> Result<Target, StoreError> {
        let id: DestinationId = ids.derive(
            organization,
            1,
            Timestamp::from_millis(0),
            &format!("alert_email:{}", to.address()),
        );
        let settings = Settings::Email(EmailSettings {
            transport: Transport::Ses,
            from: from.clone(),
            to: vec![to],
            cc: Vec::new(),
            bcc: Vec::new(),
            reply_to: None,
            subject_template: None,
            text_template: None,
            html_template: None,
            attach: Attach::Never,
            timeout_seconds: TIMEOUT_SECONDS,
        });
        let saved = self.store.system_destination(organization, id).await?;
        if saved
            .as_ref()
            .is_none_or(|saved| saved.record().settings != settings)
        {
            let credentials = Credentials {
                kind: CredentialKind::Iam,
                ..Credentials::none()
            };
            let destination = SystemDestination::new(
                id,
                organization,
                "Alerts by e-mail",
                settings,
                credentials,
                self.clock.now(),
            );
            // If another process wrote the destination first, it wrote the same or newer settings.
            self.store
                .save_system_destination(&destination, saved.as_ref())
                .await?;
        }
        Ok(Target {
            destination: id,
            kind: DestinationType::Email,
            enabled: true,
        })
    }
}

/// Returns whether an address has not reached its hourly limit.
async fn may_be_mailed(store: &Store, address: &str, now: Timestamp) -> Result<bool, StoreError> {
    // One less is full here, because nothing is counted yet.
    let (name, limit) = (mails_counted_as("alert", address), ALERTS_PER_HOUR - 1);
    let window = window(&name, limit);
    Ok(store.count_in_window(window, 0, now).await? == Counted::Done)
}

fn window(name: &str, limit: u32) -> Window<'_> {
    Window {
        name,
        length: HOUR,
        limit,
    }
}
