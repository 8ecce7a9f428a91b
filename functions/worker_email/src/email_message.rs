//! Builds the MIME message: headers, texts and attachment.

use bytes::Bytes;
use domain::Timestamp;
use domain::delivery::Delivery;
use domain::settings::email::{EmailSettings, Mailbox};
use mail_send::mail_builder::MessageBuilder;
use mail_send::mail_builder::headers::address::Address;
use mail_send::mail_builder::headers::text::Text;
use render::mail::Mail;
use worker::{ConnectorError, Unavailable};

use crate::mime::{Attachment, subject, text_part};

/// A message that is ready to be sent.
#[derive(Debug)]
pub(crate) struct EmailMessage {
    /// The whole MIME message.
    pub(crate) bytes: Bytes,
    /// Whether the message contains lines of 8-bit text.
    pub(crate) is_8bit: bool,
    /// The `Message-ID` without its brackets. It is the same on every attempt.
    pub(crate) message_id: String,
    /// The headers that the attempt's record shows.
    pub(crate) headers: Vec<(String, String)>,
}

impl EmailMessage {
    /// Builds the message of a delivery. The library encodes every value, so that no value can end
    /// its header.
    pub(crate) fn write(
        settings: &EmailSettings,
        delivery: &Delivery,
        mail: Mail,
        attachment: Option<Attachment>,
        now: Timestamp,
    ) -> Result<Self, ConnectorError> {
        let message_id = format!("{}@{}", delivery.id, settings.from.domain());
        let mut message = MessageBuilder::new()
            .message_id(message_id.clone())
            .date(now.as_seconds())
            .from(address(&settings.from))
            .to(addresses(&settings.to))
            .header("Subject", subject(&mail.subject))
            .header("X-Waybill-Delivery-Id", Text::new(delivery.id.to_string()))
            .header(
                "X-Waybill-Event-Type",
                Text::new(delivery.message.event_type.as_str().to_owned()),
            );
        message.text_body = Some(text_part("plain", mail.text));
        message.html_body = mail.html.map(|html| text_part("html", html));
        if !settings.cc.is_empty() {
            message = message.cc(addresses(&settings.cc));
        }
        if let Some(reply_to) = &settings.reply_to {
            message = message.reply_to(address(reply_to));
        }
        // Borrowed, so that the file is in memory twice while the message is written, and once
        // afterwards.
        message.attachments = attachment
            .as_ref()
            .map(|attachment| vec![attachment.part()]);
        let bytes = message.write_to_vec().map_err(Unavailable::because)?;
        let list = |mailboxes: &[Mailbox]| {
            mailboxes
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let mut headers = vec![
            ("from".to_owned(), settings.from.to_string()),
            ("to".to_owned(), list(&settings.to)),
        ];
        for (name, mailboxes) in [("cc", &settings.cc), ("bcc", &settings.bcc)] {
            if !mailboxes.is_empty() {
                headers.push((name.to_owned(), list(mailboxes)));
            }
        }
        headers.push(("subject".to_owned(), mail.subject));
        headers.push(("message-id".to_owned(), format!("<{message_id}>")));
        Ok(Self {
            bytes: bytes.into(),
            is_8bit: attachment.is_some_and(|attachment| attachment.is_8bit()),
            message_id,
            headers,
        })
    }
}

/// Builds the message that asks a person to confirm an address.
pub(crate) fn confirmation_message(
    from: &Mailbox,
    to: &Mailbox,
    mail: Mail,
    random: [u8; 16],
    now: Timestamp,
) -> Result<Vec<u8>, std::io::Error> {
    let unique = hex::encode(random);
    let mut message = MessageBuilder::new()
        .message_id(format!("{unique}@{}", from.domain()))
        .date(now.as_seconds())
        .from(address(from))
        .to(address(to))
        .subject(mail.subject)
        .header("Auto-Submitted", Text::new("auto-generated"))
        .text_body(mail.text);
    if let Some(html) = mail.html {
        message = message.html_body(html);
    }
    message.write_to_vec()
}

fn address(mailbox: &Mailbox) -> Address<'static> {
    Address::new_address(
        mailbox.name().map(str::to_owned),
        mailbox.address().to_owned(),
    )
}

fn addresses(mailboxes: &[Mailbox]) -> Address<'static> {
    Address::new_list(mailboxes.iter().map(address).collect())
}
