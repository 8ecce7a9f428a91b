//! Creates API keys and their texts.

use domain::api_key::ApiKey;
use domain::id::{KeyId, OrganizationId};
use domain::role::Role;
use domain::{Random, Timestamp};
use secrecy::SecretString;

use crate::bearer::Bearer;

/// Creates the key `id` and its text, which is shown once and never stored. `organization` is
/// `None` for an operator's key, `created_by` for the first one.
#[allow(
    clippy::too_many_arguments,
    reason = "all that a key says, and the sources of its secret and its time"
)]
#[must_use]
pub fn issue(
    id: KeyId,
    role: Role,
    organization: Option<OrganizationId>,
    name: String,
    expires_at: Option<Timestamp>,
    created_by: Option<KeyId>,
    random: &Random,
    now: Timestamp,
) -> (ApiKey, SecretString) {
    let bearer = Bearer::new(id, random.bytes());
    let key = ApiKey {
        id,
        organization_id: organization,
        name,
        role,
        secret_sha256: bearer.secret_sha256(),
        hint: bearer.hint(),
        created_at: now,
        created_by,
        expires_at,
        last_used_at: None,
    };
    (key, bearer.plaintext())
}
