//! The demo's object stores: what Google Cloud Storage (XML API, Upload an object) and Azure Blob Storage (REST API, Put Blob) are asked for one
//! object, kept as a file. Nobody is asked who they are.

use std::path::{Path, PathBuf};

use axum::body::Bytes;
use axum::extract::{self, DefaultBodyLimit, State};
use axum::response::IntoResponse;
use axum::routing::put;
use axum::{Router, http::header::ETAG};
use http::StatusCode;
use serde_json::json;
use servers::google::ServiceAccount;

use super::{Destination, within};

/// What is sent in one request.
const OBJECT_BYTES_MAX: usize = 16 << 20;

/// Keeps objects in a folder.
pub(super) fn router(folder: PathBuf) -> Router {
    Router::new().route("/{*path}", put(keep)).layer(DefaultBodyLimit::max(OBJECT_BYTES_MAX)).with_state(folder)
}

async fn keep(State(folder): State<PathBuf>, extract::Path(path): extract::Path<String>, bytes: Bytes) -> impl IntoResponse {
    let Some(path) = within(&folder, &path) else { return StatusCode::BAD_REQUEST.into_response() };
    let kept = async {
        tokio::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).await?;
        tokio::fs::write(&path, &bytes).await
    };
    match kept.await {
        Ok(()) => (StatusCode::CREATED, [(ETAG, "\"kept\"")]).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// The destinations that lead here.
pub(super) fn destinations(server: &str, account_key: &str) -> [Destination; 2] {
    let google = json!({"bucket": "demo", "endpoint": format!("{server}/google")});
    let azure = json!({"account": "demo", "container": "demo", "endpoint": format!("{server}/azure")});
    let google_credentials = json!({"kind": "service_account", "json": ServiceAccount::generate().file});
    let azure_credentials = json!({"kind": "account_key", "account_key": account_key});
    [
        Destination::new(
            "google",
            "Demo: Google Cloud Storage",
            json!({"type": "gcs", "settings": google, "credentials": google_credentials}),
        ),
        Destination::new(
            "azure",
            "Demo: Azure Blob Storage",
            json!({"type": "azure_blob", "settings": azure, "credentials": azure_credentials}),
        ),
    ]
}
