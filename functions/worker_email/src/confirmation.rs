//! Sends the message with which a person confirms that an address receives alerts. It comes from
//! the operator's address, so its subject has no text that a customer wrote, and its body quotes
//! such text and does not link it.

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::primitives::Blob;
use aws_sdk_sesv2::types::{Destination as Recipients, EmailContent, RawMessage};
use domain::alert_email::{Confirmation, ConfirmationAnswer};

use crate::connector::Parts;
use crate::email_message::confirmation_message;

impl Parts {
    /// Sends a confirmation message through SES.
    pub(crate) async fn mail_confirmation(&self, confirmation: Confirmation) -> ConfirmationAnswer {
        match self.mailed(&confirmation).await {
            Ok(()) => ConfirmationAnswer {
                mailed: true,
                detail: String::new(),
            },
            Err(error) => {
                tracing::warn!(
                    error,
                    organization = %confirmation.organization_id,
                    "failed to mail a confirmation; the address stays unconfirmed"
                );
                ConfirmationAnswer {
                    mailed: false,
                    detail: "the mail could not be sent".to_owned(),
                }
            }
        }
    }

    async fn mailed(&self, confirmation: &Confirmation) -> Result<(), String> {
        let Confirmation {
            organization_name,
            from,
            to,
            link,
            valid_hours,
            ..
        } = confirmation;
        let mail = render::mail::confirmation(organization_name, link, *valid_hours);
        let random: [u8; 16] = self.random.bytes();
        let email = confirmation_message(from, to, mail, random, self.clock.now())
            .map_err(|error| error.to_string())?;
        let raw = RawMessage::builder()
            .data(Blob::new(email))
            .build()
            .map_err(|error| error.to_string())?;
        let recipients = Recipients::builder().to_addresses(to.to_string()).build();
        let content = EmailContent::builder().raw(raw).build();
        let call = Client::new(&self.aws)
            .send_email()
            .from_email_address(from.to_string())
            .destination(recipients)
            .content(content);
        call.send()
            .await
            .map(drop)
            .map_err(|error| domain::chain(&error).to_string())
    }
}
