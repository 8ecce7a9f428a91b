//! What decides which server receives a destination's secrets.

use std::borrow::Cow;

use super::Address;

/// A setting that decides which server receives a destination's secrets, or how that server proves
/// its identity.
///
/// Each type of settings names its anchors in a function that takes the settings apart without
/// `..`, so that a new setting does not compile until somebody has decided whether it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anchor<'s> {
    /// Scheme, host and port count; paths do not. `None`: the setting is absent and another one
    /// decides.
    Address(Option<Address<'s>>),
    /// Any change counts. `None`: the setting is absent or decides nothing here.
    Exactly(Option<Cow<'s, str>>),
    /// A lower value counts: the server has to prove less, or the connection protects less.
    AtLeast(u8),
}

/// An anchor and its pointer inside the settings.
pub type NamedAnchor<'s> = (&'static str, Anchor<'s>);
