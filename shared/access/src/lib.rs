//! Authentication: who makes a request, and what they may do.
//!
//! A program authenticates with an API key: `wbk_<26 characters of id>_<43 of secret>`.
//! [`Access::authenticate`] reads it from the `Authorization` header and looks it up, without a
//! cache so that a revoked key is refused by the next request. The result is a [`Caller`], which
//! can [require](Caller::require) a permission of its role and has a [scope](Caller::scope): its
//! own organization or, for the operator, the one that the request names. [`issue`] creates keys;
//! only a hash of the secret is stored.
//!
//! A person authenticates with a portal link, which opens once and starts a session: a signed
//! cookie that names the link. The link is [read](Access::resume) on each request, so that revoking
//! it ends the session at once. A person who signs in with a [key](signed_in_with_key), or whom the
//! identity provider [vouches for](sign_in_person), gets a link that is already open.
//!
//! Every credential ends with its organization. A link or a session also ends with what [created
//! it](domain::portal_link::Maker): the key, and each session that it was created in. All of that
//! is fetched in the same read. A key belongs to its organization and not to its creator: it stays
//! valid when its creator is revoked, as rotating keys requires.

mod authenticate;
mod bearer;
mod caller;
mod dependencies;
mod issue;
mod payload_link;
mod portal;
mod session;

pub use authenticate::{Access, AuthenticateError, Unauthenticated};
pub use caller::{Caller, CallerCredential, Forbidden, ScopeRefused};
pub use issue::issue;
pub use payload_link::PayloadLinks;
pub use portal::{NewPortalLink, Person, issue_portal_link, sign_in_person, signed_in_with_key};
pub use session::{Session, Sessions};
