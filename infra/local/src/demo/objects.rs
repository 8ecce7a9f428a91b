//! The object stores of the demo. They handle the requests of Google Cloud Storage (XML API) and
//! Azure Blob Storage (REST API) that read and write one object, and store each object as a file.
//! Credentials are not checked.

use std::io;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{self, DefaultBodyLimit, State};
use axum::http::header::{ETAG, LAST_MODIFIED};
use axum::response::IntoResponse;
use axum::routing::get;
use http::StatusCode;
use serde_json::json;
use servers::google::ServiceAccount;

use super::{Destination, within};

/// The largest request body.
const OBJECT_BYTES_MAX: usize = 16 << 20;

/// Creates a router that stores objects in a folder.
pub(super) fn router(folder: PathBuf) -> Router {
    Router::new()
        .route("/{*path}", get(show).put(keep))
        .layer(DefaultBodyLimit::max(OBJECT_BYTES_MAX))
        .with_state(folder)
}

async fn keep(
    State(folder): State<PathBuf>,
    extract::Path(path): extract::Path<String>,
    bytes: Bytes,
) -> impl IntoResponse {
    let Some(path) = within(&folder, &path) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let upload = async {
        tokio::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).await?;
        tokio::fs::write(&path, &bytes).await
    };
    match upload.await {
        Ok(()) => (StatusCode::CREATED, [(ETAG, "\"kept\"")]).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Responds with an object and its headers; a HEAD request gets only the headers.
async fn show(
    State(folder): State<PathBuf>,
    extract::Path(path): extract::Path<String>,
) -> impl IntoResponse {
    let Some(path) = within(&folder, &path) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let read = async {
        Ok::<_, io::Error>((
            tokio::fs::metadata(&path).await?.modified()?,
            tokio::fs::read(&path).await?,
        ))
    };
    match read.await {
        Ok((modified, bytes)) => (
            [
                (ETAG, "\"kept\"".to_owned()),
                (LAST_MODIFIED, httpdate::fmt_http_date(modified)),
            ],
            bytes,
        )
            .into_response(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            StatusCode::NOT_FOUND.into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Returns the destinations of these object stores.
pub(super) fn destinations(server: &str, account_key: &str) -> [Destination; 2] {
    let google = json!({"bucket": "demo", "endpoint": format!("{server}/google")});
    let azure =
        json!({"account": "demo", "container": "demo", "endpoint": format!("{server}/azure")});
    let google_credentials =
        json!({"kind": "service_account", "json": ServiceAccount::generate().file});
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
