//! The letter: headers, texts and attachment, as one MIME message.

use bytes::Bytes;
use domain::Timestamp;
use domain::delivery::Delivery;
use domain::settings::email::{EmailSettings, Mailbox};
use mail_send::mail_builder::MessageBuilder;
use mail_send::mail_builder::headers::address::Address;
use mail_send::mail_builder::headers::text::Text;
use render::mail::Mail;
use worker::{Hindrance, Unavailable};

/// A letter ready to be sent.
#[derive(Debug)]
pub(crate) struct Letter {
    /// The whole message.
    pub(crate) bytes: Bytes,
    /// Without brackets; the same on every attempt.
    pub(crate) message_id: String,
    /// The headers people see in the record.
    pub(crate) headers: Vec<(String, String)>,
}

/// A file to be attached.
pub(crate) struct Attachment {
    pub(crate) content_type: String,
    pub(crate) filename: String,
    pub(crate) bytes: Bytes,
}

impl Letter {
    /// Writes the letter of a delivery. Every value passes the library's encoding: none can end its header.
    pub(crate) fn write(
        settings: &EmailSettings,
        delivery: &Delivery,
        mail: Mail,
        attachment: Option<Attachment>,
        now: Timestamp,
    ) -> Result<Self, Hindrance> {
        let message_id = format!("{}@{}", delivery.id, settings.from.domain());
        let mut message = MessageBuilder::new()
            .message_id(message_id.clone())
            .date(now.as_seconds())
            .from(address(&settings.from))
            .to(addresses(&settings.to))
            .subject(mail.subject.clone())
            .header("X-Waybill-Delivery-Id", Text::new(delivery.id.to_string()))
            .header("X-Waybill-Event-Type", Text::new(delivery.message.event_type.as_str().to_owned()))
            .text_body(mail.text);
        if !settings.cc.is_empty() {
            message = message.cc(addresses(&settings.cc));
        }
        if let Some(reply_to) = &settings.reply_to {
            message = message.reply_to(address(reply_to));
        }
        if let Some(html) = mail.html {
            message = message.html_body(html);
        }
        // Borrowed: the file is in memory as it came and, encoded, in the letter; once that is written, in the letter alone.
        if let Some(Attachment { content_type, filename, bytes }) = &attachment {
            message = message.attachment(content_type.clone(), filename.clone(), &bytes[..]);
        }
        let bytes = message.write_to_vec().map_err(|error| Hindrance::Ours(Unavailable(format!("the mail cannot be written: {error}"))))?;
        let list = |mailboxes: &[Mailbox]| mailboxes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let mut headers = vec![("from".to_owned(), settings.from.to_string()), ("to".to_owned(), list(&settings.to))];
        for (name, mailboxes) in [("cc", &settings.cc), ("bcc", &settings.bcc)] {
            if !mailboxes.is_empty() {
                headers.push((name.to_owned(), list(mailboxes)));
            }
        }
        headers.push(("subject".to_owned(), mail.subject));
        headers.push(("message-id".to_owned(), format!("<{message_id}>")));
        Ok(Self { bytes: bytes.into(), message_id, headers })
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
    let unique: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
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

/// The payload as a file, named as its submitter named it, or after its message.
pub(crate) fn attachment(delivery: &Delivery, bytes: Bytes) -> Attachment {
    let info = &delivery.message.payload;
    let is_safe = |c: &char| !c.is_control() && !matches!(c, '"' | '\\' | '/');
    let given: Option<String> = info.filename.as_ref().map(|name| name.chars().filter(is_safe).collect());
    let extension = if info.content_type == "application/json" { ".json" } else { "" };
    let filename = given.filter(|name| !name.is_empty()).unwrap_or_else(|| format!("{}{extension}", delivery.id.message));
    let essence = info.content_type.split(';').next().unwrap_or_default().trim();
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$&^_.+-/".contains(&b);
    let plain = essence.contains('/') && essence.bytes().all(is_token);
    let content_type = if plain { essence.to_owned() } else { "application/octet-stream".to_owned() };
    Attachment { content_type, filename, bytes }
}

fn address(mailbox: &Mailbox) -> Address<'static> {
    Address::new_address(mailbox.name().map(str::to_owned), mailbox.address().to_owned())
}

fn addresses(mailboxes: &[Mailbox]) -> Address<'static> {
    Address::new_list(mailboxes.iter().map(address).collect())
}
