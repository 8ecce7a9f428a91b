//! Turns an `Authorization` header into a caller.

use std::time::Duration;

use domain::api_key::ApiKey;
use domain::{Clock, Timestamp};
use store::{Routes, Store, StoreError};
use subtle::ConstantTimeEq as _;

use crate::Caller;
use crate::bearer::Bearer;
use crate::dependencies::DependencyCache;

/// The precision of `last_used_at`: a busy key costs one write per minute.
const TOUCHED_EVERY: Duration = Duration::from_secs(60);

/// A hash that no secret has, as long as any other.
const NO_SECRET: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Authenticates API keys and sessions.
#[derive(Clone, Debug)]
pub struct Access {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) dependencies: DependencyCache,
}

/// The error behind 401 `unauthenticated`. It is always the same, so that it does not reveal
/// whether a key is missing, malformed, unknown, wrong, revoked or expired.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("a valid API key is required")]
pub struct Unauthenticated {
    /// The key that was named with a wrong secret or after it expired. The refusal is recorded in
    /// its organization's audit log; the response does not mention it.
    pub named: Option<Caller>,
}

/// Why a request could not be authenticated.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// The credentials are not valid.
    #[error(transparent)]
    Unauthenticated(#[from] Unauthenticated),
    /// The key could not be looked up. This is Waybill's failure and becomes a 5xx.
    #[error("the API key could not be looked up")]
    Unavailable(#[from] StoreError),
}

impl Access {
    /// Creates an authenticator that looks keys up in `store`.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        Self {
            store,
            clock,
            dependencies: DependencyCache::default(),
        }
    }

    /// Returns the caller that an `Authorization` header authenticates.
    pub async fn authenticate(&self, header: Option<&str>) -> Result<Caller, AuthenticateError> {
        let bearer = header
            .and_then(Bearer::from_header)
            .ok_or_else(Unauthenticated::default)?;
        let known = self.dependencies.organization(bearer.id);
        let found = self.store.key_and_standing(bearer.id, known).await?;
        self.admit(&bearer, found).await
    }

    /// Like [`Self::authenticate`], with the routes of the caller's organization where one read
    /// fetches both.
    pub async fn authenticate_with_routes(
        &self,
        header: Option<&str>,
    ) -> Result<(Caller, Option<Routes>), AuthenticateError> {
        let bearer = header
            .and_then(Bearer::from_header)
            .ok_or_else(Unauthenticated::default)?;
        let known = self.dependencies.organization(bearer.id);
        let found = self.store.key_with_routes(bearer.id, known).await?;
        let (found, routes) = found
            .map(|(key, stands, routes)| ((key, stands), routes))
            .unzip();
        Ok((self.admit(&bearer, found).await?, routes.flatten()))
    }

    /// Returns the caller that a key names, if the bearer has its secret and the key is still
    /// valid.
    async fn admit(
        &self,
        bearer: &Bearer,
        found: Option<(ApiKey, Option<bool>)>,
    ) -> Result<Caller, AuthenticateError> {
        // Until the secret has been compared, the work is the same whether or not the key exists,
        // so that its duration reveals nothing.
        let is_its_secret = is_secret(
            bearer,
            found
                .as_ref()
                .map_or(NO_SECRET, |(key, _)| &key.secret_sha256),
        );
        let Some((key, stands)) = found else {
            return Err(Unauthenticated::default().into());
        };
        let now = self.clock.now();
        if !is_its_secret || key.is_expired(now) {
            telemetry::metrics::security_event("authentication_failed");
            tracing::warn!(key = %key.id, security_event = true, "authentication_failed");
            return Err(Unauthenticated {
                named: Some(key.into()),
            }
            .into());
        }
        self.dependencies.note_key(&key);
        let stands = match (stands, key.organization_id) {
            (None, Some(organization)) => self.store.organization_is_active(organization).await?,
            (stands, _) => stands.unwrap_or(true),
        };
        if !stands {
            return Err(Unauthenticated::default().into());
        }
        self.touch(&key, now);
        Ok(key.into())
    }

    /// Records the use of the key. The request does not wait for this and does not fail with it.
    fn touch(&self, key: &ApiKey, now: Timestamp) {
        if key
            .last_used_at
            .is_some_and(|at| now.since(at) < TOUCHED_EVERY)
        {
            return;
        }
        let (store, id) = (self.store.clone(), key.id);
        tokio::spawn(async move {
            if let Err(error) = store.touch_key(id, now).await {
                tracing::warn!(
                    error = %domain::chain(&error),
                    key = %id,
                    "failed to record when an API key was used"
                );
            }
        });
    }
}

/// Compares a secret with a hash in constant time.
fn is_secret(bearer: &Bearer, sha256: &str) -> bool {
    bearer
        .secret_sha256()
        .as_bytes()
        .ct_eq(sha256.as_bytes())
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Random;
    use domain::id::IdMint;
    use domain::role::Role;
    use secrecy::ExposeSecret as _;

    fn key() -> (ApiKey, Bearer) {
        let now = Timestamp::from_millis(1_764_000_000_000);
        let random = Random::new(|buffer| buffer.fill(7));
        let ids = IdMint::new([1; 32], Clock::new(move || now), random.clone());
        let organization = ids.organization();
        let (key, text) = crate::issue(
            ids.mint(organization, 1),
            Role::Admin,
            Some(organization),
            "ci".to_owned(),
            None,
            None,
            &random,
            now,
        );
        let bearer = Bearer::from_header(&format!("Bearer {}", text.expose_secret())).unwrap();
        (key, bearer)
    }

    #[test]
    fn a_key_opens_with_its_own_secret_only() {
        let (key, bearer) = key();
        assert_eq!(
            (bearer.id, is_secret(&bearer, &key.secret_sha256)),
            (key.id, true)
        );
        for hash in [NO_SECRET, ""] {
            assert!(!is_secret(&bearer, hash));
        }
        assert!(!is_secret(
            &Bearer::new(key.id, [8; 32]),
            &key.secret_sha256
        ));
    }
}
