//! Remembers which refresh token replaced which. A server that replaces a refresh token may revoke
//! the old one, so the new one must be found even while it could not be stored.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use crate::token_cache::Entries;
use crate::{Client, Grant};

/// How long a replacement is remembered.
const REMEMBERED_FOR: Duration = Duration::from_hours(7 * 24);
/// How many replacements in a row are followed.
const CHAIN_MAX: usize = 100;

/// The successors of refresh tokens, by the digest of the token request with the replaced one.
#[derive(Debug, Default)]
pub(crate) struct Rotated(Mutex<Entries<SecretString>>);

impl Rotated {
    /// Returns the newest successor of the grant's refresh token, or `None` if it was not replaced.
    pub(crate) fn newest(
        &self,
        client: &Client<'_>,
        grant: &Grant<'_>,
        now: Timestamp,
    ) -> Option<SecretString> {
        let Grant::RefreshToken(_) = grant else {
            return None;
        };
        let rotated = self.lock();
        let mut newest: Option<SecretString> = None;
        for _ in 0..CHAIN_MAX {
            let digest = newest
                .as_ref()
                .map_or(*grant, Grant::RefreshToken)
                .digest(client);
            let Some((successor, _)) = rotated.get(client.organization, &digest, now) else {
                break;
            };
            newest = Some(successor.clone());
        }
        newest
    }

    /// Remembers the refresh token that a server returned, if it replaces the one of the grant.
    /// Returns the digest of the token request with the new one.
    pub(crate) fn note(
        &self,
        client: &Client<'_>,
        grant: &Grant<'_>,
        new: Option<&SecretString>,
        now: Timestamp,
    ) -> Option<[u8; 32]> {
        let Grant::RefreshToken(old) = grant else {
            return None;
        };
        let new = new.filter(|new| new.expose_secret() != old.expose_secret())?;
        let successor = Grant::RefreshToken(new).digest(client);
        let mut rotated = self.lock();
        // A server may return to an earlier token.
        rotated.remove(client.organization, &successor);
        rotated.put(
            client.organization,
            grant.digest(client),
            (new.clone(), now.plus(REMEMBERED_FOR)),
            now,
        );
        Some(successor)
    }

    fn lock(&self) -> MutexGuard<'_, Entries<SecretString>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use domain::id::Ulid;

    use super::*;

    #[test]
    fn the_newest_refresh_token_is_found_by_every_older_one() {
        let now = Timestamp::from_millis(1_764_000_000_000);
        let secret = SecretString::from("s3cret");
        let organization = Ulid::first_at(now).into();
        let client = Client {
            organization,
            token_url: "https://auth.example/token",
            id: "app",
            secret: &secret,
        };
        let [first, second, third] = ["first", "second", "third"].map(SecretString::from);
        let rotated = Rotated::default();
        let newest = |token| {
            rotated
                .newest(&client, &Grant::RefreshToken(token), now)
                .map(|newest| newest.expose_secret().to_owned())
        };
        let note = |old, new| rotated.note(&client, &Grant::RefreshToken(old), Some(new), now);
        assert!(
            note(&first, &first).is_none() && newest(&first).is_none(),
            "the same token is no replacement"
        );
        assert!(note(&first, &second).is_some() && note(&second, &third).is_some());
        assert_eq!(
            [newest(&first), newest(&second), newest(&third)],
            [Some("third".to_owned()), Some("third".to_owned()), None]
        );
        assert!(note(&third, &first).is_some());
        assert_eq!(
            [newest(&first), newest(&third)],
            [None, Some("first".to_owned())]
        );
    }
}
