//! Console sessions: a signed cookie that names a link and an expiry.
//!
//! The cookie alone grants nothing: the link that it names is read on every request, with
//! everything that the link depends on.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::Timestamp;
use domain::id::{OrganizationId, PortalLinkId};
use domain::key_ring::{KeyRing, SigningKey};
use domain::portal_link::PortalLink;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use store::StoreError;

use crate::caller::lineage_of;
use crate::{Access, AuthenticateError, Caller, Unauthenticated};

const TAG_BYTES: usize = 32;
/// The longest cookie that is accepted. Valid ones are shorter.
const COOKIE_CHARS_MAX: usize = 300;

/// A console session, as its cookie describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The organization of the console; `None` for the operator's.
    pub organization: Option<OrganizationId>,
    /// The link that opened the session.
    pub link: PortalLinkId,
    /// When the session ends.
    pub until: Timestamp,
}

impl From<&PortalLink> for Session {
    fn from(link: &PortalLink) -> Self {
        let until = link.session_until.unwrap_or(Timestamp::from_millis(0));
        Self {
            organization: link.organization_id,
            link: link.id,
            until,
        }
    }
}

/// Signs and verifies the cookies of sessions.
#[derive(Clone)]
pub struct Sessions {
    keys: KeyRing,
}

impl Sessions {
    /// Creates sessions that are signed with secret keys.
    #[must_use]
    pub fn new(keys: impl Into<KeyRing>) -> Self {
        Self { keys: keys.into() }
    }

    /// Returns the value of a session's cookie.
    #[must_use]
    pub fn seal(&self, session: &Session) -> String {
        let Session {
            organization,
            link,
            until,
        } = session;
        let organization = organization
            .map(|organization| organization.to_string())
            .unwrap_or_default();
        let text = format!("{link}/{}/{organization}", until.as_millis());
        let tag = mac(&self.keys.signing(), "session", text.as_bytes())
            .finalize()
            .into_bytes();
        URL_SAFE_NO_PAD.encode([&tag[..], text.as_bytes()].concat())
    }

    /// Returns the session in a cookie, if its signature is valid and it has not ended.
    #[must_use]
    pub fn open(&self, cookie: &str, now: Timestamp) -> Option<Session> {
        if cookie.len() > COOKIE_CHARS_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(cookie).ok()?;
        let (tag, text) = bytes.split_at_checked(TAG_BYTES)?;
        self.keys
            .accepted()
            .iter()
            .find(|key| mac(key, "session", text).verify_slice(tag).is_ok())?;
        let mut parts = std::str::from_utf8(text).ok()?.split('/');
        let (link, until) = (
            parts.next()?.parse().ok()?,
            Timestamp::from_millis(parts.next()?.parse().ok()?),
        );
        let organization = match parts.next()? {
            "" => None,
            organization => Some(organization.parse().ok()?),
        };
        (now < until).then_some(Session {
            organization,
            link,
            until,
        })
    }

    /// Returns the token that a form of this session must carry. Another site cannot know it.
    #[must_use]
    pub fn form_token(&self, cookie: &str) -> String {
        URL_SAFE_NO_PAD.encode(
            mac(&self.keys.signing(), "form", cookie.as_bytes())
                .finalize()
                .into_bytes(),
        )
    }

    /// Whether a form's token belongs to this session.
    #[must_use]
    pub fn is_own_form(&self, cookie: &str, token: &str) -> bool {
        let token = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
        self.keys.accepted().iter().any(|key| {
            mac(key, "form", cookie.as_bytes())
                .verify_slice(&token)
                .is_ok()
        })
    }
}

fn mac(key: &SigningKey, purpose: &str, text: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(purpose.as_bytes());
    mac.update(&[0]);
    mac.update(text);
    mac
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

impl Access {
    /// Returns the caller of a session, as long as its link is valid and the person has not signed
    /// out. A person who signed in with a key acts as that key.
    pub async fn resume(&self, session: &Session) -> Result<Caller, AuthenticateError> {
        let refused = || AuthenticateError::from(Unauthenticated::default());
        let (link, key) = self
            .standing_link(session.organization, session.link)
            .await?
            .ok_or_else(refused)?;
        if link
            .session_until
            .is_none_or(|until| until <= self.clock.now())
        {
            return Err(refused());
        }
        match (link.signed_in_with, key) {
            (None, _) => Ok(link.into()),
            (Some(_), Some(key)) => Ok(Caller {
                makers: lineage_of(&link),
                ..key.into()
            }),
            (Some(_), None) => Err(refused()),
        }
    }

    /// Signs out of a session. Its cookie is refused from the next request on.
    pub async fn sign_out(&self, session: &Session) -> Result<(), StoreError> {
        self.store
            .end_session(session.organization, session.link, self.clock.now())
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::Ulid;

    /// An update must keep people signed in and accept the forms of open pages. The expected bytes
    /// were computed independently of this code.
    #[test]
    fn a_session_of_an_earlier_version_is_read_and_is_still_written_so() {
        const TENANTS: [&str; 2] = [
            "lPE5o7wuXZv7P5btG5w4h-yOFhuSU5r2XZ4jymwkIp9wbG5fMDFrYXY5ZnQwMjAxeXh6dnRwNjQxcWdleDgvMTc2NDAwMDAwMTAwMC9vcmdfMDFrYXY5ZnQwMDAyNTh6eWtqZnNyOHdwZnc",
            "rJu7mQWwIfLG6AJDrYOcR52mUN3ktX68yJh5TMRCbWg",
        ];
        const OPERATORS: [&str; 2] = [
            "NkogBfGa9JZCSsKZJMyudEQP0p1DiDr_Us038RjhdRhwbG5fMDFrYXY5ZnQwMjAxeXh6dnRwNjQxcWdleDgvMTc2NDAwMDAwMTAwMC8",
            "f52MxPxtFdod2OhEQ5rxvdl7Z3Dzg7T5dQw1nycXDfg",
        ];
        let sessions = Sessions::new([7; 32]);
        let link = "pln_01kav9ft0201yxzvtp641qgex8".parse().unwrap();
        let until = Timestamp::from_millis(1_764_000_001_000);
        let tenant = Some("org_01kav9ft000258zykjfsr8wpfw".parse().unwrap());
        for (organization, [cookie, form]) in [(tenant, TENANTS), (None, OPERATORS)] {
            let session = Session {
                organization,
                link,
                until,
            };
            assert_eq!(
                sessions.open(cookie, Timestamp::from_millis(1_764_000_000_000)),
                Some(session)
            );
            assert_eq!(
                (&*sessions.seal(&session), &*sessions.form_token(cookie)),
                (cookie, form)
            );
        }
    }

    #[test]
    fn a_session_is_what_was_signed_until_its_end() {
        let now = Timestamp::from_millis(1_764_000_000_000);
        let ulid = Ulid::first_at(now);
        let (sessions, until) = (
            Sessions::new([7; 32]),
            Timestamp::from_millis(now.as_millis() + 1),
        );
        for organization in [Some(ulid.into()), None] {
            let session = Session {
                organization,
                link: ulid.into(),
                until,
            };
            let cookie = sessions.seal(&session);
            assert_eq!(sessions.open(&cookie, now), Some(session));
            assert_eq!(sessions.open(&cookie, until), None);
            assert_eq!(Sessions::new([8; 32]).open(&cookie, now), None);
            let rotated = Sessions::new(KeyRing::new([9; 32], vec![[9; 32], [7; 32]]));
            assert_eq!(
                rotated.open(&cookie, now),
                Some(session),
                "sessions outlive a rotation"
            );
            assert!(
                rotated.is_own_form(&cookie, &sessions.form_token(&cookie)),
                "and so do the forms of open pages"
            );
            let form = sessions.form_token(&cookie);
            assert!(
                sessions.is_own_form(&cookie, &form)
                    && !sessions.is_own_form("other", &form)
                    && !sessions.is_own_form(&cookie, "")
            );
        }
    }
}
