//! Confirms the addresses that are to get alerts by e-mail. An admin **names** an address, Waybill
//! **mails** a link to it, and the person who reads the mail **confirms** it.
//!
//! Only the mail contains the link's secret; Waybill stores its hash. Removing an address ends its
//! link. An address that is named again needs another link.

use std::time::Duration;

use aws_sdk_lambda::primitives::Blob;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use dispatch::mails_counted_as;
use domain::alert_email::{Confirmation, ConfirmationAnswer, ConfirmationRequest};
use domain::audit::AuditEvent;
use domain::id::OrganizationId;
use domain::organization::Organization;
use domain::settings::Lane;
use domain::settings::email::Mailbox;
use store::{Counted, PendingConfirmation, Saved, Window};
use subtle::ConstantTimeEq as _;

use crate::message::sha256_hex;
use crate::{Context, Operations, RACES_MAX, Refusal};

/// The path of the console's page on which a person confirms an address. The token of the link
/// follows it.
pub const CONFIRM_PATH: &str = "/alert-emails/";
/// How long a confirmation link can be used.
const LIFE: Duration = Duration::from_secs(72 * 3600);
/// The number of confirmation mails that one address gets in an hour, from all organizations
/// together.
const MAILS_TO_AN_ADDRESS: u32 = 5;
/// The number of new addresses that one organization may have confirmed in an hour.
const MAILS_OF_AN_ORGANIZATION: u32 = 60;
const HOUR: Duration = Duration::from_secs(3600);
const INVOCATION_MAX: Duration = Duration::from_secs(24);

/// The address that a link confirms, and the organization whose alerts it is to get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressToConfirm {
    /// The address that gets alerts once it is confirmed.
    pub address: String,
    /// The name of the organization whose alerts the address is to get.
    pub organization_name: String,
}

/// The parts of a confirmation link's token.
struct Token {
    organization: OrganizationId,
    address_sha256: String,
    secret: String,
}

impl Token {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let (organization, address_sha256, secret) = (
            parts.next()?.parse().ok()?,
            parts.next()?.to_owned(),
            parts.next()?.to_owned(),
        );
        let good = address_sha256.len() == 64
            && address_sha256.bytes().all(|b| b.is_ascii_hexdigit())
            && secret.len() <= 64;
        good.then_some(Self {
            organization,
            address_sha256,
            secret,
        })
    }
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}.{}.{}",
            self.organization, self.address_sha256, self.secret
        )
    }
}

impl Operations {
    /// Counts the addresses that a change adds. Returns an error if the organization adds more of
    /// them in an hour than it may.
    pub(crate) async fn may_ask_for_confirmations(
        &self,
        before: &Organization,
        after: &Organization,
    ) -> Result<(), Refusal> {
        let known = &before.settings.unconfirmed_alert_emails;
        let new = after
            .settings
            .unconfirmed_alert_emails
            .iter()
            .filter(|address| !known.contains(address))
            .count();
        let Some(new) = u32::try_from(new).ok().filter(|new| *new > 0) else {
            return Ok(());
        };
        let now = self.clock.now();
        let name = format!("{}#confirmations", after.id);
        let window = Window {
            name: &name,
            length: HOUR,
            limit: MAILS_OF_AN_ORGANIZATION,
        };
        match self.store.count_in_window(window, new, now).await? {
            Counted::Done => Ok(()),
            Counted::Over { until } => {
                let seconds = u32::try_from(until.since(now).as_secs())
                    .unwrap_or(u32::MAX)
                    .max(1);
                let detail = format!(
                    "an organization has at most {MAILS_OF_AN_ORGANIZATION} new addresses for alerts confirmed in an hour; \
                     send the request again in {seconds} s"
                );
                Err(Refusal {
                    detail,
                    ..Refusal::rate_limited(seconds)
                })
            }
        }
    }

    /// Mails a link to each unconfirmed address that has no valid link. A mail that cannot be sent
    /// is logged, and is sent when the settings are saved again.
    pub(crate) async fn ask_for_confirmations(&self, ctx: &Context, organization: &Organization) {
        for address in &organization.settings.unconfirmed_alert_emails {
            if let Err(error) = self.ask_for_confirmation(ctx, organization, address).await {
                let chain = error.chain().unwrap_or(error.detail);
                tracing::error!(
                    error = chain,
                    organization = %organization.id,
                    "failed to mail a confirmation; the address stays unconfirmed"
                );
            }
        }
    }

    /// Ends the links of addresses that were removed. If such an address is named again, it gets
    /// another link.
    pub(crate) async fn end_confirmations(
        &self,
        before: &Organization,
        after: &Organization,
    ) -> Result<(), Refusal> {
        let still = &after.settings.unconfirmed_alert_emails;
        for address in before
            .settings
            .unconfirmed_alert_emails
            .iter()
            .filter(|address| !still.contains(address))
        {
            let address_sha256 = sha256_hex(address.as_bytes());
            if let Some(pending) = self.store.confirmation(after.id, &address_sha256).await? {
                self.store
                    .end_confirmation(after.id, &address_sha256, &pending)
                    .await?;
            }
        }
        Ok(())
    }

    async fn ask_for_confirmation(
        &self,
        ctx: &Context,
        organization: &Organization,
        address: &str,
    ) -> Result<(), Refusal> {
        let (Some(from), Ok(to)) = (self.dispatch.alert_from(), Mailbox::parse(address)) else {
            return Ok(());
        };
        let address_sha256 = sha256_hex(address.as_bytes());
        if self
            .store
            .confirmation(organization.id, &address_sha256)
            .await?
            .is_some()
        {
            return Ok(());
        }
        let now = self.clock.now();
        let name = mails_counted_as("confirmation", address);
        let window = Window {
            name: &name,
            length: HOUR,
            limit: MAILS_TO_AN_ADDRESS,
        };
        if self.store.count_in_window(window, 1, now).await? != Counted::Done {
            tracing::warn!(
                organization = %organization.id,
                "a confirmation was not mailed: the address has reached its hourly limit"
            );
            return Ok(());
        }
        let token = Token {
            organization: organization.id,
            address_sha256,
            secret: BASE64.encode(self.random.bytes::<32>()),
        };
        let pending = PendingConfirmation {
            address: address.to_owned(),
            secret_sha256: sha256_hex(token.secret.as_bytes()),
            expires_at: now.plus(LIFE),
        };
        let confirmation = Confirmation {
            organization_id: organization.id,
            organization_name: organization.name.clone(),
            from: from.clone(),
            to,
            link: format!("{}{CONFIRM_PATH}{token}", ctx.base_url),
            valid_hours: u32::try_from(LIFE.as_secs() / 3600).unwrap_or(u32::MAX),
        };
        if !self.mail_confirmation(confirmation).await?.mailed {
            return Ok(());
        }
        // Stored only now: without a stored confirmation, the next save sends another mail,
        // whatever interrupted this one.
        self.store
            .save_confirmation(organization.id, &token.address_sha256, &pending)
            .await?;
        let event = self.event(
            ctx,
            organization.id,
            "alert_email.confirmation_sent",
            address,
            Vec::new(),
        );
        self.record_made(&event).await;
        Ok(())
    }

    /// Invokes the e-mail worker, which sends the mail. The request contains the link and is never
    /// logged.
    async fn mail_confirmation(
        &self,
        confirmation: Confirmation,
    ) -> Result<ConfirmationAnswer, Refusal> {
        let request =
            serde_json::to_vec(&ConfirmationRequest { confirmation }).map_err(Refusal::internal)?;
        let function = self.settings.worker_functions.of(Lane::Email);
        let call = self
            .lambda
            .invoke()
            .function_name(function)
            .payload(Blob::new(request))
            .send();
        let answer = tokio::time::timeout(INVOCATION_MAX, call)
            .await
            .map_err(Refusal::unavailable)?
            .map_err(Refusal::unavailable)?;
        if let Some(error) = answer.function_error() {
            return Err(Refusal::unavailable(format!(
                "the worker that sends mails failed: {error}"
            )));
        }
        serde_json::from_slice(answer.payload().map(Blob::as_ref).unwrap_or_default())
            .map_err(Refusal::internal)
    }

    /// Returns what a link confirms; `None` if the link cannot be used. This changes nothing,
    /// because programs that scan mails follow links as well.
    pub async fn address_to_confirm(
        &self,
        token: &str,
    ) -> Result<Option<AddressToConfirm>, Refusal> {
        Ok(self
            .usable(token)
            .await?
            .map(|(_, organization, pending)| AddressToConfirm {
                address: pending.address,
                organization_name: organization.name,
            }))
    }

    /// Confirms an address by its link. Returns `None` if the link cannot be used.
    pub async fn confirm_address(
        &self,
        token: &str,
        ip: Option<&str>,
        request_id: &str,
    ) -> Result<Option<AddressToConfirm>, Refusal> {
        for _ in 0..RACES_MAX {
            let Some((token, before, pending)) = self.usable(token).await? else {
                return Ok(None);
            };
            let Some(settings) = before.settings.with_confirmed(&pending.address) else {
                return Ok(None);
            };
            let after = Organization {
                settings,
                revision: before.revision + 1,
                updated_at: self.clock.now(),
                ..before.clone()
            };
            let event = AuditEvent {
                ip: ip.map(str::to_owned),
                request_id: Some(request_id.to_owned()),
                ..AuditEvent::by_system(
                    self.ids.mint(after.id, 1),
                    after.id,
                    self.clock.now(),
                    "alert_email.confirmed",
                    &pending.address,
                )
            };
            if self
                .store
                .update_organization(&after, before.revision, &event)
                .await?
                == Saved::Done
            {
                self.store
                    .end_confirmation(after.id, &token.address_sha256, &pending)
                    .await?;
                return Ok(Some(AddressToConfirm {
                    address: pending.address,
                    organization_name: after.name,
                }));
            }
        }
        Err(Refusal::contended())
    }

    async fn usable(
        &self,
        token: &str,
    ) -> Result<Option<(Token, Organization, PendingConfirmation)>, Refusal> {
        let Some(token) = Token::parse(token) else {
            return Ok(None);
        };
        let Some(pending) = self
            .store
            .confirmation(token.organization, &token.address_sha256)
            .await?
        else {
            return Ok(None);
        };
        let is_its = bool::from(
            sha256_hex(token.secret.as_bytes())
                .as_bytes()
                .ct_eq(pending.secret_sha256.as_bytes()),
        );
        if !is_its || pending.expires_at <= self.clock.now() {
            return Ok(None);
        }
        let organization = self.store.organization(token.organization).await?;
        let waits = |organization: &Organization| {
            organization
                .settings
                .unconfirmed_alert_emails
                .contains(&pending.address)
        };
        Ok(organization
            .filter(waits)
            .map(|organization| (token, organization, pending)))
    }
}
