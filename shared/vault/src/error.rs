//! The errors of the vault, by what has to be done about them.

use std::error::Error;

/// Why a secret could not be sealed, opened or read. The error never contains the secret.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// A dependency of Waybill is down, throttles or refuses the call. Whatever needs the secret
    /// waits, and nothing fails because of it.
    #[error("{service} did not {action}")]
    Unavailable {
        /// KMS or Secrets Manager.
        service: &'static str,
        /// The action that it was asked to do.
        action: &'static str,
        /// The error that it returned, or why it did not answer.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The organization may not use this secret. Its owner has to tag it, or to let Waybill read
    /// it.
    #[error("the secret {arn} is not tagged `{tag}` for this organization, or may not be read",
        tag = crate::ORGANIZATION_TAG)]
    Refused {
        /// The ARN of the secret.
        arn: String,
    },
    /// The customer's role does not exist or does not trust Waybill. Its owner has to correct it,
    /// or to configure another.
    #[error(
        "the role {role_arn} cannot be assumed; its trust policy must name Waybill and the \
         organization's external id"
    )]
    RoleRefused {
        /// The ARN of the role.
        role_arn: String,
    },
    /// The customer's role may not read the secret. Its owner has to permit it, or to configure
    /// another.
    #[error(
        "the role {role_arn} may not read the secret {arn}, or may not use the key that it is \
         encrypted under"
    )]
    RoleMayNotRead {
        /// The ARN of the secret.
        arn: String,
        /// The ARN of the role.
        role_arn: String,
    },
    /// The secret does not exist. Its owner has to configure another, or to give it a value.
    #[error("the secret {arn} does not exist or has no text in it")]
    Missing {
        /// The ARN of the secret.
        arn: String,
    },
    /// The ciphertext is damaged, or belongs to another record. The secret has to be set again.
    #[error("the stored secret does not open: {0}")]
    Corrupt(&'static str),
    /// This function has no key to seal with.
    #[error("this function can open secrets but not seal them")]
    NoKey,
}

impl VaultError {
    pub(crate) fn unavailable<E>(
        service: &'static str,
        action: &'static str,
    ) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        move |source| Self::Unavailable {
            service,
            action,
            source: source.into(),
        }
    }

    /// Whether the same call may succeed later without any change.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
