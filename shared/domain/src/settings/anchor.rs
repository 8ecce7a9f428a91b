//! The settings that determine which server receives a destination's secrets.

use std::borrow::Cow;

use super::Address;

/// A setting that determines which server receives a destination's secrets, or how that server
/// proves its identity.
///
/// Each setting is described with [`Decides`](crate::credentials::Decides) where it is read. A new
/// setting therefore does not compile until its author has decided whether it is an anchor. A test
/// compares these decisions with the anchors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anchor<'s> {
    /// A change of scheme, host or port counts; a change of the path does not. The value is `None`
    /// if the setting is absent and another one determines the server.
    Address(Option<Address<'s>>),
    /// Any change counts. The value is `None` if the setting is absent or has no effect on the
    /// server.
    Exactly(Option<Cow<'s, str>>),
    /// A lower value counts, because the server has to prove less or the connection is less
    /// protected.
    AtLeast(u8),
}

/// The pointer to an anchor inside the settings, and the anchor.
pub type NamedAnchor<'s> = (&'static str, Anchor<'s>);
