//! The views of API keys.

use domain::Timestamp;
use domain::api_key::ApiKey;
use domain::id::{KeyId, OrganizationId};
use domain::role::Role;
use serde::Serialize;
use utoipa::ToSchema;

use crate::words::RoleName;

/// An API key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub struct ApiKeyView {
    /// Unique identifier of the object.
    #[schema(value_type = String, example = "key_01kavd83802s63efghp3q1cpj4")]
    pub id: KeyId,
    /// The organization that the object belongs to.
    #[schema(value_type = Option<String>)]
    pub organization_id: Option<OrganizationId>,
    /// The name of the key, which the console and the audit log show.
    pub name: String,
    /// The role of the key, which decides what it may do.
    #[schema(value_type = RoleName)]
    pub role: Role,
    /// The key's last four characters.
    #[schema(example = "…x7Qp")]
    pub hint: String,
    /// When the object was created.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// The key that created this key.
    #[schema(value_type = Option<String>)]
    pub created_by: Option<KeyId>,
    /// When the key expires. From then on, it is refused.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// When the key was last used, to the minute.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<Timestamp>,
}

/// A key that was created, with the key itself, which is shown once.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewApiKey {
    /// What reads show of it.
    #[serde(flatten)]
    pub view: ApiKeyView,
    /// The key itself, which is shown once; null in a replayed response.
    #[schema(value_type = Option<String>, example = "wbk_01kavd83802s63efghp3q1cpj4_…")]
    pub key: String,
}

impl From<ApiKey> for ApiKeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            organization_id: key.organization_id,
            name: key.name,
            role: key.role,
            hint: key.hint,
            created_at: key.created_at,
            created_by: key.created_by,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
        }
    }
}
