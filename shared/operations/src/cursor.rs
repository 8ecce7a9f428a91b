//! Cursors: positions in lists. The signature of a cursor covers its list, filters and
//! organization, so that it is not valid for any other.

use std::ops::RangeInclusive;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::key_ring::{KeyRing, SigningKey};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The length of a tag: half of HMAC-SHA256. A cursor contains no secret, and its tag only proves
/// that Waybill issued it.
const TAG_BYTES: usize = 16;
/// The longest position, in bytes. A cursor that is longer than this permits is not decoded.
const POSITION_BYTES_MAX: usize = 512;
/// The length of a cursor in characters: base64 of the tag and the position.
pub const CURSOR: RangeInclusive<usize> = 1..=(TAG_BYTES + POSITION_BYTES_MAX) * 4 / 3 + 4;

/// Signs and verifies cursors.
#[derive(Clone)]
pub(crate) struct Cursors {
    keys: KeyRing,
}

/// What a cursor belongs to: a route, an organization and filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListScope(Vec<String>);

impl ListScope {
    /// Creates the scope of a route's list, without filters.
    #[must_use]
    pub(crate) fn of(route: &str) -> Self {
        Self(vec![route.to_owned()])
    }

    /// Adds a filter to the scope. `None` adds nothing, which differs from an empty value.
    #[must_use]
    pub(crate) fn with<T: ToString>(mut self, filter: &str, value: Option<T>) -> Self {
        if let Some(value) = value {
            self.0.push(format!("{filter}={}", value.to_string()));
        }
        self
    }
}

impl Cursors {
    /// Creates cursors that are signed with secret keys.
    #[must_use]
    pub(crate) fn new(keys: impl Into<KeyRing>) -> Self {
        Self { keys: keys.into() }
    }

    /// Returns the cursor of a position in a list.
    #[must_use]
    pub(crate) fn seal(&self, scope: &ListScope, position: &str) -> String {
        let digest = mac(&self.keys.signing(), scope, position.as_bytes())
            .finalize()
            .into_bytes();
        let mut bytes = digest[..TAG_BYTES].to_vec();
        bytes.extend_from_slice(position.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Returns the position of a cursor, if it was sealed for the same scope.
    #[must_use]
    pub(crate) fn open(&self, scope: &ListScope, cursor: &str) -> Option<String> {
        if cursor.len() > *CURSOR.end() {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (tag, position) = bytes.split_at_checked(TAG_BYTES)?;
        self.keys
            .accepted()
            .iter()
            .find(|key| mac(key, scope, position).verify_truncated_left(tag).is_ok())?;
        String::from_utf8(position.to_vec()).ok()
    }
}

fn mac(key: &SigningKey, scope: &ListScope, position: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in &scope.0 {
        // The length prefix distinguishes `a`, `bc` from `ab`, `c`.
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    mac.update(&u64::MAX.to_be_bytes());
    mac.update(position);
    mac
}

impl std::fmt::Debug for Cursors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cursors")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_of_one_query_or_tenant_is_refused_in_another() {
        let cursors = Cursors::new([1; 32]);
        let scope = |org: &str, status: Option<&str>| {
            ListScope::of("/v1/deliveries")
                .with("organization", Some(org))
                .with("status", status)
        };
        let cursor = cursors.seal(&scope("a", Some("failed")), "dlv_1");
        assert_eq!(
            cursors
                .open(&scope("a", Some("failed")), &cursor)
                .as_deref(),
            Some("dlv_1")
        );
        assert_eq!(cursors.open(&scope("b", Some("failed")), &cursor), None);
        assert_eq!(cursors.open(&scope("a", None), &cursor), None);
        assert_eq!(
            cursors.open(
                &ListScope::of("/v1/messages").with("organization", Some("a")),
                &cursor
            ),
            None
        );
        assert_eq!(
            Cursors::new([2; 32]).open(&scope("a", Some("failed")), &cursor),
            None
        );
    }

    /// Later versions must accept the cursors that clients hold. The expected bytes were computed
    /// independently of this code.
    #[test]
    fn a_cursor_of_an_earlier_version_is_read_and_is_still_written_so() {
        const CURSOR: &str = "h6fgkuX3h_7ZX5dfH9gJ12Rsdl8wMWthdjlmdDAyMDVhdHozN3htam0wNjhoYl8wMA";
        const POSITION: &str = "dlv_01kav9ft0205atz37xmjm068hb_00";
        let organization = Some("org_01kav9ft000258zykjfsr8wpfw");
        let scope = ListScope::of("/v1/deliveries")
            .with("organization", organization)
            .with("status", Some("failed"));
        let cursors = Cursors::new([1; 32]);
        assert_eq!(cursors.open(&scope, CURSOR).as_deref(), Some(POSITION));
        assert_eq!(cursors.seal(&scope, POSITION), CURSOR);
    }

    #[test]
    fn an_invalid_cursor_is_refused() {
        let cursors = Cursors::new([1; 32]);
        let scope = ListScope::of("/v1/messages");
        for bad in ["", "x", "====", "AAAA", &"A".repeat(5000)] {
            assert_eq!(cursors.open(&scope, bad), None, "{bad}");
        }
        let mut cursor = cursors.seal(&scope, "msg_1").into_bytes();
        cursor[25] = if cursor[25] == b'A' { b'B' } else { b'A' };
        assert_eq!(
            cursors.open(&scope, std::str::from_utf8(&cursor).unwrap()),
            None
        );
    }
}
