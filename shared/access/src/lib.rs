//! Who asks, and what they may do.
//!
//! A request brings a **key**: `wbk_<26 of its id>_<43 of secret>`. [`Access::authenticate`] reads it from the `Authorization` header,
//! looks it up, without a cache so that a revoked key is refused by the very next request, and names the [`Caller`]. A caller
//! [**requires**](Caller::require) a permission of its role and has a [**scope**](Caller::scope): its own organization, or, the
//! operator's, the one it names. [`issue`] makes keys; of the secret half only a hash is kept.
//!
//! A person comes by a **portal link**, which opens once and starts a **session**: a signed cookie that names the link, which is
//! [read](Access::resume) on each request, so that revoking it ends the session at once. A person who signs in with a
//! [key](signed_in_with_key), or whom the identity provider [vouches for](let_in), gets a link that is open as it is made.
//!
//! Whatever lets a caller in ends with its organization, and a link or a session also ends with what it was
//! [made by](domain::portal_link::Maker): the key, and each session that it was made in. All of that is read with it, in one read. A key
//! belongs to its organization, not to who made it: it stays when its maker is revoked, as rotating keys requires.

mod authenticate;
mod bearer;
mod caller;
mod issue;
mod lineage;
mod payload_link;
mod portal;
mod session;

pub use authenticate::{Access, AuthenticateError, Unauthenticated};
pub use caller::{Caller, Forbidden, LetInBy, ScopeRefused};
pub use issue::issue;
pub use payload_link::PayloadLinks;
pub use portal::{NewPortalLink, Person, issue_portal_link, let_in, signed_in_with_key};
pub use session::{Session, Sessions};
