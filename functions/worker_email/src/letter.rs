//! The letter: headers, texts and attachment, as one MIME message.

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

/// A letter ready to be sent.
#[derive(Debug)]
pub(crate) struct Letter {
    /// The whole message.
    pub(crate) bytes: Bytes,
    /// Whether it has lines of 8-bit text.
    pub(crate) is_8bit: bool,
    /// Without brackets; the same on every attempt.
    pub(crate) message_id: String,
    /// The headers people see in the record.
    pub(crate) headers: Vec<(String, String)>,
}

impl Letter {
    /// Writes the letter of a delivery. Every value passes the library's encoding: none can end its header.
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
            .header("X-Waybill-Event-Type", Text::new(delivery.message.event_type.as_str().to_owned()));
        message.text_body = Some(text_part("plain", mail.text));
        message.html_body = mail.html.map(|html| text_part("html", html));
        if !settings.cc.is_empty() {
            message = message.cc(addresses(&settings.cc));
        }
        if let Some(reply_to) = &settings.reply_to {
            message = message.reply_to(address(reply_to));
        }
        // Borrowed: the file is in memory as it came and, encoded, in the letter; once that is written, in the letter alone.
        message.attachments = attachment.as_ref().map(|attachment| vec![attachment.part()]);
        let bytes = message.write_to_vec().map_err(Unavailable::because)?;
        let list = |mailboxes: &[Mailbox]| mailboxes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let mut headers = vec![("from".to_owned(), settings.from.to_string()), ("to".to_owned(), list(&settings.to))];
        for (name, mailboxes) in [("cc", &settings.cc), ("bcc", &settings.bcc)] {
            if !mailboxes.is_empty() {
                headers.push((name.to_owned(), list(mailboxes)));
            }
        }
        headers.push(("subject".to_owned(), mail.subject));
        headers.push(("message-id".to_owned(), format!("<{message_id}>")));
        Ok(Self { bytes: bytes.into(), is_8bit: attachment.is_some_and(|attachment| attachment.is_8bit()), message_id, headers })
    }
}

/// The bytes of a mail that asks a person to confirm an address.
pub(crate) fn confirmation_letter(
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
    Address::new_address(mailbox.name().map(str::to_owned), mailbox.address().to_owned())
}

fn addresses(mailboxes: &[Mailbox]) -> Address<'static> {
    Address::new_list(mailboxes.iter().map(address).collect())
}
