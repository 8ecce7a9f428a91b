//! The style sheet, the scripts, the font and the icon of the console. They are part of the binary.
//! Their addresses contain a version, so that browsers may cache them for as long as they like.

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

/// A file that is part of the binary.
struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static [u8],
    /// Whether the file is sent compressed. Fonts are compressed already.
    compress: bool,
}

impl Asset {
    const fn text(name: &'static str, kind: &'static str, content: &'static str) -> Self {
        Self {
            name,
            kind,
            content: content.as_bytes(),
            compress: true,
        }
    }
}

const ICON: &str = "icon.svg";
const SCRIPT_TYPE: &str = "text/javascript; charset=utf-8";
const ALL: [Asset; 5] = [
    Asset::text(
        "console.css",
        "text/css; charset=utf-8",
        include_str!("../assets/console.css"),
    ),
    Asset::text(
        "console.js",
        SCRIPT_TYPE,
        include_str!("../assets/console.js"),
    ),
    Asset::text(ICON, "image/svg+xml", include_str!("../assets/icon.svg")),
    // <https://htmx.org>, 0BSD.
    Asset::text(
        "htmx.js",
        SCRIPT_TYPE,
        include_str!("../assets/htmx-2.0.11.min.js"),
    ),
    // <https://rsms.me/inter>, SIL Open Font License 1.1 (assets/inter-LICENSE.txt): Latin, all
    // weights.
    Asset {
        name: "inter.woff2",
        kind: "font/woff2",
        content: include_bytes!("../assets/inter-latin-wght-normal.woff2"),
        compress: false,
    },
];

/// The version in the addresses: a hash of the content of all assets.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    ALL.iter().for_each(|asset| hash.update(asset.content));
    hex::encode(&hash.finalize()[..6])
});

/// The compressed content of each asset that is sent compressed.
static COMPRESSED: LazyLock<[Option<Bytes>; ALL.len()]> =
    LazyLock::new(|| ALL.map(|asset| asset.compress.then(|| gzip(asset.content))));

fn gzip(content: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let written = encoder.write_all(content).and_then(|()| encoder.finish());
    written.expect("a vector takes all that is written").into()
}

/// Returns the address of an asset.
pub(crate) fn address(name: &str) -> String {
    format!("/assets/{}/{name}", *VERSION)
}

pub(crate) fn router() -> Router<Front> {
    Router::new()
        .route("/assets/{version}/{name}", get(read))
        .route("/favicon.ico", get(icon))
        .route("/robots.txt", get(robots))
}

/// Keeps links that open a payload or a session out of search engines.
async fn robots() -> &'static str {
    "User-agent: *\nDisallow: /d/\nDisallow: /portal/\n"
}

async fn read(
    Path((version, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    sent(&name, caching(&version), &headers)
}

/// Returns how the assets may be cached under the address of a version. While a new version is
/// rolled out, a process may be asked for the assets of another version than its own. Its response
/// must not stay in caches under that address.
fn caching(version: &str) -> &'static str {
    if version == *VERSION {
        "public, max-age=31536000, immutable"
    } else {
        "no-store"
    }
}

/// Serves `/favicon.ico`, which browsers request without a link to it.
async fn icon(headers: HeaderMap) -> Result<Response, Refused> {
    sent(ICON, "public, max-age=86400", &headers)
}

fn sent(name: &str, caching: &'static str, headers: &HeaderMap) -> Result<Response, Refused> {
    let found = ALL
        .iter()
        .position(|asset| asset.name == name)
        .ok_or_else(Refusal::not_found)?;
    let common = [
        (CONTENT_TYPE, ALL[found].kind),
        (CACHE_CONTROL, caching),
        (VARY, "accept-encoding"),
    ];
    Ok(match &COMPRESSED[found] {
        Some(bytes) if takes_gzip(headers) => {
            (common, [(CONTENT_ENCODING, "gzip")], bytes.clone()).into_response()
        }
        _ => (common, ALL[found].content).into_response(),
    })
}

/// Whether the client accepts gzip. Only assets are compressed: the compressed length of a page
/// that repeats a part of its address would reveal its other content (BREACH).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(','));
    accepted
        .map(|coding| coding.split(';').map(str::trim))
        .any(|mut coding| {
            coding.next() == Some("gzip")
                && !coding.next().is_some_and(|weight| {
                    weight
                        .strip_prefix("q=0")
                        .is_some_and(|rest| rest.trim_matches(['.', '0']).is_empty())
                })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_assets_of_this_version_are_cached() {
        let cached = |version: &str| {
            let response = sent("console.css", caching(version), &HeaderMap::new());
            response.ok().unwrap().headers()[CACHE_CONTROL].clone()
        };
        assert_eq!(cached(&VERSION), "public, max-age=31536000, immutable");
        assert_eq!(cached("0123456789ab"), "no-store");
    }

    #[test]
    fn gzip_is_sent_to_clients_that_accept_it() {
        let takes = |accept: &'static str| {
            takes_gzip(&HeaderMap::from_iter([(
                ACCEPT_ENCODING,
                http::HeaderValue::from_static(accept),
            )]))
        };
        assert!(
            takes("gzip, deflate, br") && takes("br;q=1.0, gzip;q=0.8") && takes("gzip; q=0.001")
        );
        assert!(
            !takes("br")
                && !takes("gzip;q=0")
                && !takes("gzip; q=0.0, br")
                && !takes_gzip(&HeaderMap::new())
        );
        let small: usize = COMPRESSED.iter().flatten().map(Bytes::len).sum();
        let texts = ALL.iter().filter(|asset| asset.compress);
        let large: usize = texts.map(|asset| asset.content.len()).sum();
        assert!(small * 2 < large, "{small} of {large}");
    }
}
