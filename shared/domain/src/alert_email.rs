//! The confirmation of an address that is to get alerts: a mail from the operator's address with a
//! link that only its receiver knows.

use serde::{Deserialize, Serialize};

use crate::id::OrganizationId;
use crate::settings::email::Mailbox;

/// What the api asks the e-mail worker to send. The link is never stored where the organization
/// could read it.
#[derive(Clone, Serialize, Deserialize)]
pub struct ConfirmationRequest {
    /// The mail.
    pub confirmation: Confirmation,
}

/// A mail that asks a person to confirm an address.
#[derive(Clone, Serialize, Deserialize)]
pub struct Confirmation {
    /// Whose alerts it is to get.
    pub organization_id: OrganizationId,
    /// What people call the organization.
    pub organization_name: String,
    /// The operator's address.
    pub from: Mailbox,
    /// The address.
    pub to: Mailbox,
    /// Where the person confirms.
    pub link: String,
    /// How long the link can be used.
    pub valid_hours: u32,
}

/// What became of a [`Confirmation`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmationAnswer {
    /// The mail is on its way.
    pub mailed: bool,
    /// In words, when it is not.
    pub detail: String,
}

impl std::fmt::Debug for ConfirmationRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.confirmation.fmt(f)
    }
}

/// The link is a secret.
impl std::fmt::Debug for Confirmation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Confirmation")
            .field("organization_id", &self.organization_id)
            .finish_non_exhaustive()
    }
}
