//! Style, script and icon: part of the binary, kept by browsers for as long as they like since their addresses name their version.

use std::io::Write as _;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use front::{Front, Refused};
use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
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

/// A third of the bytes.
static COMPRESSED: LazyLock<[Bytes; 4]> = LazyLock::new(|| ALL.map(|(_, _, content)| gzip(content)));

fn gzip(content: &str) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content.as_bytes()).and_then(|()| encoder.finish()).expect("a vector takes all that is written").into()
}

/// Where an asset is.
pub(crate) fn address(name: &str) -> String {
    format!("/assets/{}/{name}", *VERSION)
}

pub(crate) fn router() -> Router<Front> {
    Router::new().route("/assets/{version}/{name}", get(read)).route("/favicon.ico", get(icon))
}

async fn read(Path((_, name)): Path<(String, String)>, headers: HeaderMap) -> Result<Response, Refused> {
    sent(&name, &headers)
}

/// Browsers ask for it by themselves.
async fn icon(headers: HeaderMap) -> Result<Response, Refused> {
    sent(ICON.0, &headers)
}

fn sent(name: &str, headers: &HeaderMap) -> Result<Response, Refused> {
    let found = ALL.iter().position(|(own, _, _)| *own == name).ok_or_else(Refusal::not_found)?;
    let kept = (CACHE_CONTROL, "public, max-age=31536000, immutable");
    let common = [(CONTENT_TYPE, ALL[found].1), kept, (VARY, "accept-encoding")];
    Ok(if takes_gzip(headers) {
        (common, [(CONTENT_ENCODING, "gzip")], COMPRESSED[found].clone()).into_response()
    } else {
        (common, ALL[found].2).into_response()
    })
}

/// Pages are not compressed: what a page repeats of its address would tell, by its length, of what else is in it (BREACH).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).flat_map(|line| line.split(','));
    accepted.map(|coding| coding.split(';').map(str::trim)).any(|mut coding| {
        coding.next() == Some("gzip")
            && !coding.next().is_some_and(|weight| weight.strip_prefix("q=0").is_some_and(|rest| rest.trim_matches(['.', '0']).is_empty()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_gzip_gets_it() {
        let takes = |accept: &'static str| takes_gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, http::HeaderValue::from_static(accept))]));
        assert!(takes("gzip, deflate, br") && takes("br;q=1.0, gzip;q=0.8") && takes("gzip; q=0.001"));
        assert!(!takes("br") && !takes("gzip;q=0") && !takes("gzip; q=0.0, br") && !takes_gzip(&HeaderMap::new()));
        let small: usize = COMPRESSED.iter().map(Bytes::len).sum();
        let large: usize = ALL.iter().map(|(_, _, content)| content.len()).sum();
        assert!(small * 2 < large, "{small} of {large}");
    }
}
