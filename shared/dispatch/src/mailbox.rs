//! The mailbox of an organization's alerts: a destination of Waybill's own, which sends from the deployment's address to `alert_emails`.
//!
//! It is in no route, so no message of a customer's goes there, and of revision 0, which no customer's destination ever has.

use domain::Timestamp;
use domain::credentials::{CredentialKind, Credentials};
use domain::destination::Destination;
use domain::id::{DestinationId, IdMint, OrganizationId};
use domain::settings::email::{Attach, EmailSettings, Mailbox, Transport};
use domain::settings::{DestinationType, Settings};
use store::{Routes, StoreError};

use crate::{Dispatcher, Target};

const TIMEOUT_SECONDS: u32 = 30;

impl Dispatcher {
    /// Where alerts go by e-mail; `None` when nobody wants them so, or the deployment has no sender.
    pub(crate) async fn alert_mailbox(
        &self,
        ids: &IdMint,
        routes: &Routes,
        organization: OrganizationId,
    ) -> Result<Option<Target>, StoreError> {
        let to: Vec<Mailbox> = routes.settings.alert_emails.iter().filter_map(|address| Mailbox::parse(address).ok()).collect();
        let (Some(from), false) = (&self.alert_from, to.is_empty()) else { return Ok(None) };
        let id: DestinationId = ids.derive(organization, 1, Timestamp::from_millis(0), "alert_emails");
        let settings = Settings::Email(EmailSettings {
            transport: Transport::Ses,
            from: from.clone(),
            to,
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
        Ok(Some(Target { destination: id, kind: DestinationType::Email, enabled: true }))
    }
}
