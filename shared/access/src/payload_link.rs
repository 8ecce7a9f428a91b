//! Links to payloads. A signed token names an organization, a message and an expiry; whoever has it
//! may download the payload until then.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::Timestamp;
use domain::id::{MessageId, OrganizationId};
use domain::key_ring::{KeyRing, SigningKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Half the length of an HMAC-SHA256, which RFC 2104 §5 allows.
const TAG_BYTES: usize = 16;
/// The longest token that is accepted. Valid ones are shorter.
const TOKEN_CHARS_MAX: usize = 200;

/// Signs and verifies the tokens of links.
#[derive(Clone)]
pub struct PayloadLinks {
    keys: KeyRing,
}

impl PayloadLinks {
    /// Creates links that are signed with secret keys.
    #[must_use]
    pub fn new(keys: impl Into<KeyRing>) -> Self {
        Self { keys: keys.into() }
    }

    /// Creates a token for a message's payload that is valid until `until`.
    #[must_use]
    pub fn seal(
        &self,
        organization: OrganizationId,
        message: MessageId,
        until: Timestamp,
    ) -> String {
        let text = format!("{organization}/{message}/{}", until.as_millis());
        let tag = mac(&self.keys.signing(), text.as_bytes())
            .finalize()
            .into_bytes();
        URL_SAFE_NO_PAD.encode([&tag[..TAG_BYTES], text.as_bytes()].concat())
    }

    /// Returns what a token names, if its signature is valid and it has not expired.
    #[must_use]
    pub fn open(&self, token: &str, now: Timestamp) -> Option<(OrganizationId, MessageId)> {
        if token.len() > TOKEN_CHARS_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (tag, text) = bytes.split_at_checked(TAG_BYTES)?;
        self.keys
            .accepted()
            .iter()
            .find(|key| mac(key, text).verify_truncated_left(tag).is_ok())?;
        let mut parts = std::str::from_utf8(text).ok()?.split('/');
        let (organization, message) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let until = Timestamp::from_millis(parts.next()?.parse().ok()?);
        (now < until).then_some((organization, message))
    }
}

fn mac(key: &SigningKey, text: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text);
    mac
}

impl std::fmt::Debug for PayloadLinks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PayloadLinks")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::{Id as _, Ulid};

    /// A link in an e-mail must still work in later versions. The expected bytes were computed
    /// independently of this code.
    #[test]
    fn a_link_of_an_earlier_version_is_read_and_is_still_written_so() {
        const LINK: &str = "FRwbXtGaF1ood0eQp7UoO29yZ18wMWthdjlmdDAwMDI1OHp5a2pmc3I4d3Bmdy9tc2dfMDFrYXY5ZnQwMjA1YXR6Mzd4bWptMDY4aGIvMTc2NDAwMDAwMTAwMA";
        let (organization, message) = (
            "org_01kav9ft000258zykjfsr8wpfw".parse().unwrap(),
            "msg_01kav9ft0205atz37xmjm068hb".parse().unwrap(),
        );
        let (links, until) = (
            PayloadLinks::new([7; 32]),
            Timestamp::from_millis(1_764_000_001_000),
        );
        assert_eq!(
            links.open(LINK, Timestamp::from_millis(1_764_000_000_000)),
            Some((organization, message))
        );
        assert_eq!(links.seal(organization, message, until), LINK);
    }

    #[test]
    fn a_link_leads_to_its_payload_until_its_end_and_nowhere_else() {
        let now = Timestamp::from_millis(1_764_000_000_000);
        let ulid = Ulid::first_at(now);
        let (organization, message) = (OrganizationId::from(ulid), MessageId::from(ulid));
        let links = PayloadLinks::new([7; 32]);
        let end = Timestamp::from_millis(now.as_millis() + 1000);
        let token = links.seal(organization, message, end);
        assert_eq!(links.open(&token, now), Some((organization, message)));
        assert_eq!(links.open(&token, end), None);
        assert_eq!(PayloadLinks::new([8; 32]).open(&token, now), None);
        let rotated = PayloadLinks::new(KeyRing::new([9; 32], vec![[9; 32], [7; 32]]));
        assert_eq!(
            rotated.open(&token, now),
            Some((organization, message)),
            "links that are out outlive a rotation"
        );
        assert_eq!(
            links.open(&rotated.seal(organization, message, end), now),
            None
        );
        let mut forged = token.clone();
        forged.replace_range(30..31, if &token[30..31] == "A" { "B" } else { "A" });
        assert_eq!(links.open(&forged, now), None);
        assert_eq!(links.open("", now), None);
        assert_eq!(message.ulid(), ulid);
    }
}
