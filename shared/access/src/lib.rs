//! Who asks, and what they may do.
//!
//! A request brings a **key**: `wbk_<26 of its id>_<43 of secret>`. [`Access::authenticate`] reads it from the `Authorization` header,
//! looks it up, without a cache so that a revoked key is refused by the very next request, and names the [`Caller`]. A caller
//! [**requires**](Caller::require) a permission of its role and has a [**scope**](Caller::scope): its own organization, or, the
//! operator's, the one it names. [`issue`] makes keys; of the secret half only a hash is kept.
//!
//! A person comes by a **portal link**, which opens once and starts a **session**: a signed cookie that names the link (or the key somebody
//! signed in with), which is [read](Access::resume) on each request, so that deleting it ends the session at once. Whom the identity
//! provider vouches for is [let in](let_in) by a link that is open as it is made.

mod authenticate;
mod bearer;
mod caller;
mod issue;
mod payload_link;
mod portal;
mod session;

pub use authenticate::{Access, AuthenticateError, Unauthenticated};
pub use caller::{Caller, Forbidden, LetInBy, ScopeRefused};
pub use issue::issue;
pub use payload_link::PayloadLinks;
pub use portal::{NewPortalLink, Person, issue_portal_link, let_in};
pub use session::{Holder, Session, Sessions};
