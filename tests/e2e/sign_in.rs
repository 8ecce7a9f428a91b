//! Signing in with an identity provider that issues invalid tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Method;
use kit::sink::{Reply, Sink};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::stage;

const CLIENT_ID: &str = "waybill";
const CLIENT_SECRET: &str = "the-client-secret-of-the-identity-provider";

fn json_reply(body: &Value) -> Reply {
    Reply::status(200)
        .header("content-type", "application/json")
        .body(body.to_string())
}

/// An ID token of an operator, signed with the client's secret or not at all.
fn id_token(issuer: &str, nonce: &str, algorithm: &str) -> String {
    let now = now_seconds();
    let header = json!({"alg": algorithm, "typ": "JWT"});
    let claims = json!({
        "iss": issuer, "sub": "1", "aud": CLIENT_ID, "nonce": nonce, "iat": now, "exp": now + 600,
        "name": "Mallory", "waybill_role": "operator",
    });
    let signed = format!(
        "{}.{}",
        BASE64.encode(header.to_string()),
        BASE64.encode(claims.to_string())
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(CLIENT_SECRET.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    let signature = if algorithm == "none" {
        String::new()
    } else {
        BASE64.encode(mac.finalize().into_bytes())
    };
    format!("{signed}.{signature}")
}

#[expect(
    clippy::disallowed_methods,
    reason = "an identity provider is outside of Waybill and has a clock of its own"
)]
fn now_seconds() -> u64 {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn parameter(url: &str, name: &str) -> String {
    let query = url.split_once('?').expect("a query").1;
    let found = url::form_urlencoded::parse(query.as_bytes()).find(|(own, _)| own == name);
    found
        .unwrap_or_else(|| panic!("no {name} in {url}"))
        .1
        .into_owned()
}

/// With HS256, everyone who knows the client secret could sign tokens, so it is refused whatever
/// the provider's document says.
#[tokio::test]
async fn an_id_token_without_a_signature_of_the_provider_is_refused() {
    let provider = Sink::start().await;
    let issuer = format!("http://{}", provider.address());
    let arguments = [
        format!("OidcIssuer={issuer}"),
        format!("OidcClientId={CLIENT_ID}"),
        format!("OidcClientSecret={CLIENT_SECRET}"),
    ];
    let stack = stage::launch()
        .arguments(
            arguments
                .iter()
                .flat_map(|parameter| ["--parameter", parameter]),
        )
        .start()
        .await;
    let document = json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"), "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["HS256", "RS256", "none"],
    });
    provider
        .path("/.well-known/openid-configuration")
        .replies([json_reply(&document)]);
    provider
        .path("/jwks")
        .replies([json_reply(&json!({"keys": []}))]);
    for algorithm in ["HS256", "none"] {
        let started = stack.anonymous().get("/oidc/start").await;
        assert_eq!(started.status, 303, "{}", started.text());
        let location = started.header("location").expect("the provider").to_owned();
        let cookie = started
            .header("set-cookie")
            .and_then(|cookie| cookie.split(';').next())
            .expect("a cookie")
            .to_owned();
        let token = id_token(&issuer, &parameter(&location, "nonce"), algorithm);
        let granted = json!({"access_token": "a", "token_type": "Bearer", "expires_in": 600,
            "id_token": token});
        provider.path("/token").replies([json_reply(&granted)]);
        let path = format!(
            "/oidc/callback?code=c&state={}",
            parameter(&location, "state")
        );
        let call = stack
            .anonymous()
            .call(Method::GET, &path)
            .header("accept", "text/html")
            .header("cookie", &cookie);
        let answer = call.send().await;
        assert!(
            answer.status >= 400,
            "{algorithm}: {} {}",
            answer.status,
            answer.text()
        );
        let set = answer.header("set-cookie").unwrap_or_default();
        assert!(
            !set.starts_with("waybill="),
            "{algorithm}: a session begins: {set}"
        );
    }
    let log = stack.log();
    assert!(
        log.contains("Signature verification failed"),
        "the token was read and its signature refused: {log}"
    );
}
