//! API keys.

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
    /// Its id.
    #[schema(value_type = String, example = "key_01kavd83802s63efghp3q1cpj4")]
    pub id: KeyId,
    /// Whose it is.
    #[schema(value_type = Option<String>)]
    pub organization_id: Option<OrganizationId>,
    /// What people call it.
    pub name: String,
    /// What it may do.
    #[schema(value_type = RoleName)]
    pub role: Role,
    /// The key's last four characters.
    #[schema(example = "…x7Qp")]
    pub hint: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// By which key.
    #[schema(value_type = Option<String>)]
    pub created_by: Option<KeyId>,
    /// Refused from then on.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<Timestamp>,
}

/// A key that was just made, with the key itself: it is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewApiKey {
    /// What reads show of it.
    #[serde(flatten)]
    pub view: ApiKeyView,
    /// The key; null in a replayed answer.
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
