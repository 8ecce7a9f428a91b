//! Style, script and icon: part of the binary, kept by browsers for as long as they like since their addresses name their version.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use front::{Front, Refused};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use operations::Refusal;
use sha2::{Digest as _, Sha256};

/// (name, type, content)
type Asset = (&'static str, &'static str, &'static str);

const STYLE: Asset = ("console.css", "text/css; charset=utf-8", include_str!("../assets/console.css"));
const SCRIPT: Asset = ("console.js", "text/javascript; charset=utf-8", include_str!("../assets/console.js"));
const ICON: Asset = ("icon.svg", "image/svg+xml", include_str!("../assets/icon.svg"));
/// <https://htmx.org>, 0BSD.
const HTMX: Asset = ("htmx.js", "text/javascript; charset=utf-8", include_str!("../assets/htmx-2.0.11.min.js"));
const ALL: [Asset; 4] = [STYLE, SCRIPT, ICON, HTMX];

/// What tells this build's assets from another's.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    ALL.iter().for_each(|(_, _, content)| hash.update(content));
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
});

/// Where an asset is.
pub(crate) fn address(name: &str) -> String {
    format!("/assets/{}/{name}", *VERSION)
}

pub(crate) fn router() -> Router<Front> {
    Router::new().route("/assets/{version}/{name}", get(read)).route("/favicon.ico", get(icon))
}

async fn read(Path((_, name)): Path<(String, String)>) -> Result<Response, Refused> {
    let found = ALL.iter().find(|(own, _, _)| *own == name).ok_or_else(Refusal::not_found)?;
    Ok(sent(*found))
}

async fn icon() -> Response {
    sent(ICON)
}

fn sent((_, content_type, content): Asset) -> Response {
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, "public, max-age=31536000, immutable")], content).into_response()
}
