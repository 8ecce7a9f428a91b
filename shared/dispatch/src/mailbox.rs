//! The mailboxes of an organization's alerts: destinations of Waybill's own, which send from the deployment's address, one for each address of
//! `alert_emails`, so that nobody learns who else is told.
//!
//! They are in no route, so no message of a customer's goes there, and of revision 0, which no customer's destination ever has.

use std::time::Duration;

use domain::Timestamp;
use domain::credentials::{CredentialKind, Credentials};
use domain::destination::Destination;
use domain::id::{DestinationId, IdMint, OrganizationId};
use domain::settings::email::{Attach, EmailSettings, Mailbox, Transport};
use domain::settings::{DestinationType, Settings};
use sha2::{Digest as _, Sha256};
use store::{Counted, Routes, Store, StoreError, Window};

use crate::{Dispatcher, Target};

const TIMEOUT_SECONDS: u32 = 30;
/// Alerts that one address gets in an hour, of all organizations together. What is above that stands in the list of alerts alone.
const ALERTS_PER_HOUR: u32 = 20;
const HOUR: Duration = Duration::from_secs(3600);

/// The name under which the mails of one kind to an address are counted, whichever organization causes them.
#[must_use]
pub fn mails_counted_as(kind: &str, address: &str) -> String {
    let digest = hex::encode(Sha256::digest(address.to_lowercase()));
    format!("mail#{kind}#{digest}")
}

impl Dispatcher {
    /// Where alerts go by e-mail; nowhere when nobody wants them so, or the deployment has no sender.
    pub(crate) async fn alert_mailboxes(
        &self,
        ids: &IdMint,
        routes: &Routes,
        organization: OrganizationId,
    ) -> Result<Vec<Target>, StoreError> {
        let Some(from) = &self.alert_from else { return Ok(Vec::new()) };
        let mut targets = Vec::new();
        for address in &routes.settings.alert_emails {
            let Ok(to) = Mailbox::parse(address) else { continue };
            if may_be_mailed(&self.store, address, self.clock.now()).await? {
                targets.push(self.alert_mailbox(ids, organization, from, to).await?);
            } else {
                tracing::warn!(%organization, "an alert was not mailed: its address has reached the limit of an hour");
            }
        }
        Ok(targets)
    }

    async fn alert_mailbox(&self, ids: &IdMint, organization: OrganizationId, from: &Mailbox, to: Mailbox) -> Result<Target, StoreError> {
        let id: DestinationId = ids.derive(organization, 1, Timestamp::from_millis(0), &format!("alert_email:{}", to.address()));
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
        let kept = self.store.destination(organization, id).await?;
        if kept.as_ref().is_none_or(|kept| kept.settings != settings) {
            let credentials = Credentials { kind: CredentialKind::Iam, ..Credentials::none() };
            let destination = Destination::system(id, organization, "Alerts by e-mail", settings, credentials, self.clock.now());
            // Whoever was faster wrote the same, or what was chosen since.
            self.store.keep_system_destination(&destination, kept.as_ref()).await?;
        }
        Ok(Target { destination: id, kind: DestinationType::Email, enabled: true })
    }
}

async fn may_be_mailed(store: &Store, address: &str, now: Timestamp) -> Result<bool, StoreError> {
    let name = mails_counted_as("alert", address);
    let window = Window { name: &name, length: HOUR, limit: ALERTS_PER_HOUR };
    Ok(store.count_in_window(window, 1, now).await? == Counted::Done)
}
