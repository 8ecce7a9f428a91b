//! The secrets that sign a webhook destination's requests, newest first, and their rotation (R4.4,
//! R4.5).

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use crate::Timestamp;
use crate::bounds::Bounds;
use crate::credentials::Sealed;
use crate::id::SecretId;

/// No destination has more live secrets.
pub const LIVE_SECRETS_MAX: usize = 5;
/// How long the previous secrets of a destination go on signing after a rotation, in seconds.
pub const OVERLAP_SECONDS: Bounds<u32> = Bounds::new(0, 604_800).or(86_400);

/// One signing secret of a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningSecret {
    /// Its id.
    pub id: SecretId,
    /// Where it comes from.
    pub source: SecretSource,
    /// What reads may show of it.
    pub hint: Option<String>,
    /// When it was added.
    pub created_at: Timestamp,
    /// Signs until then; `None` until replaced.
    pub valid_until: Option<Timestamp>,
}

/// Where a signing secret comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SecretSource {
    /// Waybill made it.
    Generated {
        /// The ciphertext of `whsec_…`.
        sealed: Sealed,
    },
    /// The customer brought it.
    Provided {
        /// The ciphertext of `whsec_…`.
        sealed: Sealed,
    },
    /// The customer keeps it in Secrets Manager; it is read when used.
    SecretsManager {
        /// Its ARN.
        arn: String,
        /// The customer's role that reads it. Without one, the deployment's own role does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: Option<SecretRole>,
    },
}

/// A customer's IAM role that reads a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretRole {
    /// The role's ARN.
    pub role_arn: String,
    /// The external id that was issued to the organization; it never changes.
    pub external_id: String,
}

impl SecretSource {
    /// As written in JSON.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        self.into()
    }
}

impl SigningSecret {
    /// The name a signing secret is sealed under: moved to another one it does not open.
    #[must_use]
    pub fn sealed_name(id: SecretId) -> String {
        format!("signing_secrets/{id}")
    }

    /// Does it sign at `now`?
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.valid_until.is_none_or(|until| now < until)
    }
}

/// A rotation that would leave too many secrets signing: 409 `too_many_secrets`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("at most {LIVE_SECRETS_MAX} secrets may be live at once")]
pub struct TooManySecrets;

/// `secrets` after `new` replaces the current one at `now`: older secrets that had no end sign
/// until `overlap_ends`; an overlap of zero ends all of them. Secrets that no longer sign are
/// dropped.
pub fn rotate(
    secrets: &[SigningSecret],
    new: SigningSecret,
    now: Timestamp,
    overlap_ends: Timestamp,
) -> Result<Vec<SigningSecret>, TooManySecrets> {
    let mut rotated = vec![new];
    if overlap_ends > now {
        let live = secrets.iter().filter(|secret| secret.is_live(now));
        rotated.extend(live.map(|old| SigningSecret {
            valid_until: old.valid_until.or(Some(overlap_ends)),
            ..old.clone()
        }));
    }
    if rotated.len() > LIVE_SECRETS_MAX {
        Err(TooManySecrets)
    } else {
        Ok(rotated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Id, Ulid};

    fn secret(n: i64, valid_until: Option<i64>) -> SigningSecret {
        SigningSecret {
            id: SecretId::from(Ulid::first_at(Timestamp::from_millis(n))),
            source: SecretSource::SecretsManager {
                arn: format!("arn:{n}"),
                role: None,
            },
            hint: None,
            created_at: Timestamp::from_millis(n),
            valid_until: valid_until.map(Timestamp::from_millis),
        }
    }

    #[test]
    fn a_second_rotation_within_the_overlap_keeps_the_first_ones_end() {
        let (now, ends) = (Timestamp::from_millis(500), Timestamp::from_millis(9000));
        let rotated = rotate(
            &[secret(2, None), secret(1, Some(700))],
            secret(3, None),
            now,
            ends,
        )
        .unwrap();
        let lives: Vec<_> = rotated
            .iter()
            .map(|s| {
                (
                    s.id.ulid().time().as_millis(),
                    s.valid_until.map(Timestamp::as_millis),
                )
            })
            .collect();
        assert_eq!(lives, [(3, None), (2, Some(9000)), (1, Some(700))]);
    }

    #[test]
    fn no_overlap_ends_all_older_ones_and_dead_ones_are_dropped() {
        let now = Timestamp::from_millis(500);
        assert_eq!(
            rotate(
                &[secret(2, None), secret(1, Some(700))],
                secret(3, None),
                now,
                now
            )
            .unwrap()
            .len(),
            1
        );
        assert_eq!(
            rotate(
                &[secret(2, None), secret(1, Some(400))],
                secret(3, None),
                now,
                Timestamp::from_millis(600)
            )
            .unwrap()
            .len(),
            2
        );
    }

    /// What an earlier release stored has no role.
    #[test]
    fn a_reference_is_read_as_it_was_stored() {
        let before = r#"{"kind":"secrets_manager","arn":"arn:1"}"#;
        let source = SecretSource::SecretsManager {
            arn: "arn:1".to_owned(),
            role: None,
        };
        assert_eq!(
            serde_json::from_str::<SecretSource>(before).unwrap(),
            source
        );
        assert_eq!(serde_json::to_string(&source).unwrap(), before);
        let role = SecretRole {
            role_arn: "arn:2".to_owned(),
            external_id: "id".to_owned(),
        };
        let by_role = SecretSource::SecretsManager {
            arn: "arn:1".to_owned(),
            role: Some(role),
        };
        let text = r#"{"kind":"secrets_manager","arn":"arn:1","role":{"role_arn":"arn:2","external_id":"id"}}"#;
        assert_eq!(serde_json::to_string(&by_role).unwrap(), text);
        assert_eq!(serde_json::from_str::<SecretSource>(text).unwrap(), by_role);
    }

    #[test]
    fn a_sixth_live_secret_is_refused() {
        let now = Timestamp::from_millis(500);
        let five: Vec<_> = (1..=5).map(|n| secret(n, Some(9000))).collect();
        assert_eq!(
            rotate(&five, secret(6, None), now, Timestamp::from_millis(600)),
            Err(TooManySecrets)
        );
        assert!(rotate(&five, secret(6, None), now, now).is_ok());
    }
}
