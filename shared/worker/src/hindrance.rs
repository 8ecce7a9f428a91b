//! What keeps an attempt from being sent.

use std::error::Error;

use domain::Reason;
use domain::settle::Outcome;
use render::Fault;
use vault::VaultError;

use crate::{Attempted, Unavailable};

/// Why nothing is sent.
#[derive(Debug)]
pub enum Hindrance {
    /// A dependency of ours does not answer: the delivery waits, it does not fail.
    Ours(Unavailable),
    /// The attempt ends like this.
    Ends {
        /// What it means for the delivery.
        outcome: Outcome,
        /// In words, for the destination's owner.
        detail: String,
    },
}

impl Hindrance {
    /// The destination's settings do not work out.
    pub fn misconfigured(detail: impl Into<String>) -> Self {
        Self::Ends { outcome: Outcome::Reject(Reason::Misconfigured), detail: detail.into() }
    }

    /// The attempt that this makes, unless it is ours.
    pub fn into_attempted(self) -> Result<Attempted, Unavailable> {
        match self {
            Self::Ours(unavailable) => Err(unavailable),
            Self::Ends { outcome, detail } => Ok(Attempted::unsent(outcome, detail)),
        }
    }

    /// The same as a sentence.
    #[must_use]
    pub fn detail(&self) -> &str {
        match self {
            Self::Ours(_) => "the destination's secrets could not be opened just now; try again",
            Self::Ends { detail, .. } => detail,
        }
    }
}

impl From<Fault> for Hindrance {
    fn from(fault: Fault) -> Self {
        let detail = fault.to_string();
        if fault.is_ours { Self::Ours(Unavailable(detail)) } else { Self::misconfigured(detail) }
    }
}

impl From<VaultError> for Hindrance {
    fn from(error: VaultError) -> Self {
        let detail = error.to_string();
        match error {
            VaultError::Unavailable { .. } | VaultError::NoKey => Self::Ours(Unavailable(with_causes(&error))),
            VaultError::Refused { .. }
            | VaultError::RoleRefused { .. }
            | VaultError::RoleMayNotRead { .. }
            | VaultError::Missing { .. } => Self::misconfigured(detail),
            VaultError::Corrupt(_) => {
                tracing::error!(%error, "a stored secret is damaged or not where it belongs");
                Self::Ends { outcome: Outcome::Retry(Reason::Internal), detail: format!("{detail}; it has to be set again") }
            }
        }
    }
}

fn with_causes(error: &VaultError) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told.push_str(": ");
        told.push_str(&error.to_string());
        cause = error.source();
    }
    told
}
