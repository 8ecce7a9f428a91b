//! The definition of one member of a kind of credentials.

use super::kind::SECRET_HEADERS_MAX;

/// The type of value that a member holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A text that is not secret.
    Open,
    /// One or more certificates in PEM format. They are not secret, but responses show their
    /// fingerprint and expiry instead.
    Certificate,
    /// A secret that can be part of a header or a URL: printable ASCII characters only.
    Secret,
    /// A secret text that may contain any characters and several lines.
    SecretText,
    /// A JSON object that is secret as a whole.
    SecretObject,
    /// A map from names to secrets. Each value is sealed as a separate secret.
    SecretMap,
}

impl Shape {
    /// Returns whether values of this shape are secret. Secret values are sealed and never
    /// returned.
    #[must_use]
    pub fn is_secret(self) -> bool {
        !matches!(self, Self::Open | Self::Certificate)
    }

    /// The maximum number of entries in a map.
    pub const MAP_MAX: usize = SECRET_HEADERS_MAX;
}

/// Whether a member determines which server receives the stored secrets, or how that server proves
/// its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decides {
    /// The member does not; it may change while the stored secrets stay.
    Nothing,
    /// The member does; a request that changes it must include every secret again.
    Recipient,
}

/// The definition of one member of a kind of credentials.
#[derive(Clone, Copy, Debug)]
pub struct CredentialField {
    /// The name of the member in JSON. `group/name` is the member `name` of the object `group`.
    pub name: &'static str,
    /// The type of value that the member holds.
    pub shape: Shape,
    /// Whether the member determines which server receives the secrets.
    pub decides: Decides,
    /// Whether the member is required. The members of a group must be present together or not at
    /// all.
    pub required: bool,
    /// The maximum length of the value, in characters.
    pub max: usize,
}

impl CredentialField {
    /// Returns the name of the object that contains the member, and the member's name in it. The
    /// object is `None` for a member of the credentials themselves.
    #[must_use]
    pub fn path(&self) -> (Option<&'static str>, &'static str) {
        self.name
            .split_once('/')
            .map_or((None, self.name), |(group, name)| (Some(group), name))
    }
}

pub(super) const fn required(
    name: &'static str,
    shape: Shape,
    decides: Decides,
    max: usize,
) -> CredentialField {
    CredentialField {
        name,
        shape,
        decides,
        required: true,
        max,
    }
}

pub(super) const fn optional(
    name: &'static str,
    shape: Shape,
    decides: Decides,
    max: usize,
) -> CredentialField {
    CredentialField {
        name,
        shape,
        decides,
        required: false,
        max,
    }
}
