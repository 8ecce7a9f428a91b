//! Identifiers of messages: the storage key, the message id, and the receipt handle.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use md5::{Digest as _, Md5};

use super::refusal::Refusal;

/// The position of a message in the order of sending, over all queues of the engine. It never
/// changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MessageKey(pub(super) i64);

impl MessageKey {
    /// Returns the message id: a version 8 UUID derived from the key, which stays the same in a
    /// dead-letter queue.
    pub(super) fn message_id(self) -> String {
        let mut id: [u8; 16] = Md5::digest(self.0.to_be_bytes()).into();
        id[6] = (id[6] & 0x0f) | 0x80;
        id[8] = (id[8] & 0x3f) | 0x80;
        let hex = hex::encode(id);
        format!(
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        )
    }
}

/// One receive of one message, which a receipt handle identifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Receipt {
    pub(super) key: MessageKey,
    /// The receive count of the message at that receive. A handle of an earlier receive is stale.
    pub(super) receives: u32,
}

impl Receipt {
    /// Returns the opaque receipt handle.
    pub(super) fn handle(self, queue: &str) -> String {
        URL_SAFE_NO_PAD.encode(format!("1/{queue}/{}/{}", self.key.0, self.receives))
    }

    /// Parses a handle that was issued for this queue.
    pub(super) fn parse(handle: Option<&str>, queue: &str) -> Result<Self, Refusal> {
        let handle = handle.ok_or(Refusal::MissingParameter("ReceiptHandle"))?;
        Self::decode(handle, queue)
            .ok_or_else(|| Refusal::ReceiptHandleIsInvalid(handle.to_owned()))
    }

    fn decode(handle: &str, queue: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(handle).ok()?).ok()?;
        let mut parts = text.strip_prefix("1/")?.split('/');
        let (name, key, receives) = (parts.next()?, parts.next()?, parts.next()?);
        if name != queue || parts.next().is_some() {
            return None;
        }
        Some(Self {
            key: MessageKey(key.parse().ok()?),
            receives: receives.parse().ok()?,
        })
    }
}

/// Returns an MD5 digest in lower-case hexadecimal, as SQS does.
pub(super) fn md5_hex(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}
