//! The confirmation of an e-mail address for alerts. The operator's address sends a mail with a
//! link that only the recipient knows.

use serde::{Deserialize, Serialize};

use crate::id::OrganizationId;
use crate::settings::email::Mailbox;

/// The request of the API to the e-mail worker to send a confirmation. The link is never stored
/// where the organization could read it.
#[derive(Clone, Serialize, Deserialize)]
pub struct ConfirmationRequest {
    /// The mail that is to be sent.
    pub confirmation: Confirmation,
}

/// A mail that asks the recipient to confirm an address.
#[derive(Clone, Serialize, Deserialize)]
pub struct Confirmation {
    /// The organization whose alerts the address is to receive.
    pub organization_id: OrganizationId,
    /// The display name of the organization.
    pub organization_name: String,
    /// The operator's address, which sends the mail.
    pub from: Mailbox,
    /// The address that is to be confirmed.
    pub to: Mailbox,
    /// The URL at which the recipient confirms the address.
    pub link: String,
    /// How long the link is valid, in hours.
    pub valid_hours: u32,
}

/// The result of sending a [`Confirmation`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmationAnswer {
    /// Whether the mail was sent.
    pub mailed: bool,
    /// A description of the failure if the mail was not sent.
    pub detail: String,
}

impl std::fmt::Debug for ConfirmationRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.confirmation.fmt(f)
    }
}

/// The link is secret and is therefore not shown.
impl std::fmt::Debug for Confirmation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Confirmation")
            .field("organization_id", &self.organization_id)
            .finish_non_exhaustive()
    }
}
