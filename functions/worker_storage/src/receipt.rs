//! Where the object is.

use serde_json::{Value, json};

/// What finds the object again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) version_id: Option<String>,
    pub(crate) etag: Option<String>,
    pub(crate) uri: String,
    pub(crate) url: String,
}

impl Receipt {
    /// The delivery's tracking data.
    pub(crate) fn tracking(&self) -> Value {
        json!({
            "kind": "object",
            "id": self.uri,
            "url": self.url,
            "bucket": self.bucket,
            "key": self.key,
            "version_id": self.version_id,
            "etag": self.etag,
            "uri": self.uri,
        })
    }
}
