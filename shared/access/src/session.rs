//! Console sessions: a signed cookie that names what lets its bearer in, and until when.
//!
//! The cookie is no permission by itself: the key or the link it names is read on every request, so that revoking one ends its sessions.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::Timestamp;
use domain::id::{KeyId, OrganizationId, PortalLinkId};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{Access, AuthenticateError, Caller, Unauthenticated};

const TAG_BYTES: usize = 32;
/// No cookie of ours is longer.
const COOKIE_CHARS_MAX: usize = 300;

/// What a session is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Somebody signed in with this key.
    Key(KeyId),
    /// Somebody came by this link, into an organization's console or the operator's.
    PortalLink(Option<OrganizationId>, PortalLinkId),
}

/// A session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// What it is of.
    pub holder: Holder,
    /// Its end.
    pub until: Timestamp,
}

/// Signs and reads sessions.
#[derive(Clone)]
pub struct Sessions {
    key: [u8; 32],
}

impl Sessions {
    /// Sessions under a secret key.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The cookie's value.
    #[must_use]
    pub fn seal(&self, session: &Session) -> String {
        let until = session.until.as_millis();
        let text = match session.holder {
            Holder::Key(key) => format!("{key}/{until}"),
            Holder::PortalLink(Some(organization), link) => format!("{link}/{until}/{organization}"),
            Holder::PortalLink(None, link) => format!("{link}/{until}/"),
        };
        let tag = self.mac("session", text.as_bytes()).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode([&tag[..], text.as_bytes()].concat())
    }

    /// The session in a cookie, if it is ours and not over.
    #[must_use]
    pub fn open(&self, cookie: &str, now: Timestamp) -> Option<Session> {
        if cookie.len() > COOKIE_CHARS_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(cookie).ok()?;
        let (tag, text) = bytes.split_at_checked(TAG_BYTES)?;
        self.mac("session", text).verify_slice(tag).ok()?;
        let mut parts = std::str::from_utf8(text).ok()?.split('/');
        let (id, until) = (parts.next()?, Timestamp::from_millis(parts.next()?.parse().ok()?));
        let holder = match parts.next() {
            None => Holder::Key(id.parse().ok()?),
            Some("") => Holder::PortalLink(None, id.parse().ok()?),
            Some(organization) => Holder::PortalLink(Some(organization.parse().ok()?), id.parse().ok()?),
        };
        (now < until).then_some(Session { holder, until })
    }

    /// What a form of this session must carry: another site cannot know it.
    #[must_use]
    pub fn form_token(&self, cookie: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.mac("form", cookie.as_bytes()).finalize().into_bytes())
    }

    /// Was this form made for this session?
    #[must_use]
    pub fn is_own_form(&self, cookie: &str, token: &str) -> bool {
        let token = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
        self.mac("form", cookie.as_bytes()).verify_slice(&token).is_ok()
    }

    fn mac(&self, purpose: &str, text: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        mac.update(purpose.as_bytes());
        mac.update(&[0]);
        mac.update(text);
        mac
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

impl Access {
    /// The caller of a session, as long as its key or its link stands.
    pub async fn resume(&self, session: &Session) -> Result<Caller, AuthenticateError> {
        let refused = || AuthenticateError::from(Unauthenticated::default());
        let now = self.clock.now();
        match session.holder {
            Holder::Key(id) => {
                let key = self.store.key(id).await?.ok_or_else(refused)?;
                if key.expires_at.is_some_and(|at| at <= now) { Err(refused()) } else { Ok(key.into()) }
            }
            Holder::PortalLink(organization, id) => {
                let link = self.store.portal_link(organization, id).await?.ok_or_else(refused)?;
                if link.session_until.is_some_and(|until| now < until) { Ok(link.into()) } else { Err(refused()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::Ulid;

    #[test]
    fn a_session_is_what_was_signed_until_its_end() {
        let now = Timestamp::from_millis(1_764_000_000_000);
        let ulid = Ulid::first_at(now);
        let (sessions, until) = (Sessions::new([7; 32]), Timestamp::from_millis(now.as_millis() + 1));
        let links = [Some(ulid.into()), None].map(|organization| Holder::PortalLink(organization, ulid.into()));
        for holder in [Holder::Key(ulid.into())].into_iter().chain(links) {
            let session = Session { holder, until };
            let cookie = sessions.seal(&session);
            assert_eq!(sessions.open(&cookie, now), Some(session));
            assert_eq!(sessions.open(&cookie, until), None);
            assert_eq!(Sessions::new([8; 32]).open(&cookie, now), None);
            let form = sessions.form_token(&cookie);
            assert!(sessions.is_own_form(&cookie, &form) && !sessions.is_own_form("other", &form) && !sessions.is_own_form(&cookie, ""));
        }
    }
}
