//! What goes wrong with a secret, by what is to be done about it.

use std::error::Error;

/// Why a secret could not be sealed, opened or read. Names no secret.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// A dependency of ours is down, throttled or refuses us: whatever needs the secret waits, nothing fails for it.
    #[error("{service} did not {action}")]
    Unavailable {
        /// KMS or Secrets Manager.
        service: &'static str,
        /// What it was asked to do.
        action: &'static str,
        /// Its answer, or the lack of one.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The organization may not use this secret: its owner has to tag it, or to let Waybill read it.
    #[error("the secret {arn} is not tagged `{tag}` for this organization, or may not be read", tag = crate::ORGANIZATION_TAG)]
    Refused {
        /// Which.
        arn: String,
    },
    /// The customer's role does not exist or does not trust Waybill: its owner has to mend it, or to name another.
    #[error("the role {role_arn} cannot be assumed; its trust policy must name Waybill and the organization's external id")]
    RoleRefused {
        /// The role.
        role_arn: String,
    },
    /// The customer's role may not read the secret: its owner has to allow it, or to name another.
    #[error("the role {role_arn} may not read the secret {arn}, or may not use the key that it is encrypted under")]
    RoleMayNotRead {
        /// The secret.
        arn: String,
        /// The role.
        role_arn: String,
    },
    /// There is no such secret: its owner has to name another, or to give it a value.
    #[error("the secret {arn} does not exist or has no text in it")]
    Missing {
        /// Which.
        arn: String,
    },
    /// The ciphertext was damaged, or stands where it was not sealed for: the secret has to be given anew.
    #[error("the stored secret does not open: {0}")]
    Corrupt(&'static str),
    /// This function has no key to seal with.
    #[error("this function opens secrets and seals none")]
    NoKey,
}

impl VaultError {
    pub(crate) fn unavailable<E>(service: &'static str, action: &'static str) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        move |source| Self::Unavailable { service, action, source: source.into() }
    }

    /// May it work later without anybody's doing?
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
