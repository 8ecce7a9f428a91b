//! One member of a kind of credentials.

use super::kind::SECRET_HEADERS_MAX;

/// What a member holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Text that is not secret.
    Open,
    /// A certificate, or several: PEM. Not secret; reads show its fingerprint and end instead.
    Certificate,
    /// A secret that fits into a header or a URL: printable ASCII.
    Secret,
    /// A secret of any characters and lines.
    SecretText,
    /// A JSON object, secret as a whole.
    SecretObject,
    /// Names and secrets: each is a secret of its own.
    SecretMap,
}

impl Shape {
    /// Secrets are sealed and never read back.
    #[must_use]
    pub fn is_secret(self) -> bool {
        !matches!(self, Self::Open | Self::Certificate)
    }

    /// How many members a map has at most.
    pub const MAP_MAX: usize = SECRET_HEADERS_MAX;
}

/// Whether a member decides which server receives the secrets beside it, or how that server proves
/// its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decides {
    /// It does not: it may change while stored secrets stay.
    Nothing,
    /// It does: a change must carry every secret again.
    Recipient,
}

/// One member of a kind of credentials.
#[derive(Clone, Copy, Debug)]
pub struct CredentialField {
    /// Its name in JSON; `group/name` is a member of an object.
    pub name: &'static str,
    /// What it holds.
    pub shape: Shape,
    /// Whether it decides which server receives the secrets.
    pub decides: Decides,
    /// Whether it must be there. The members of a group are there together or not at all.
    pub required: bool,
    /// The longest value, in characters.
    pub max: usize,
}

impl CredentialField {
    /// The object it is in and its name there; no object, when it is a member of the credentials
    /// themselves.
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
