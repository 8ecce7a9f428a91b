//! People sign in with the operator's identity provider, a real one.

use std::path::Path;

use kit::browser;
use kit::identity_provider::{CLIENT_ID, CLIENT_SECRET, IdentityProvider};
use kit::stack::Launch;
use serde_json::json;

#[tokio::test]
async fn people_sign_in_with_the_identity_provider_in_the_role_that_it_claims() {
    let provider = IdentityProvider::start();
    let parameters = [
        format!("OidcIssuer={}", provider.issuer),
        format!("OidcClientId={CLIENT_ID}"),
        format!("OidcClientSecret={CLIENT_SECRET}"),
    ];
    let arguments = parameters
        .iter()
        .flat_map(|parameter| ["--parameter", parameter]);
    let stack = Launch::of(env!("CARGO_BIN_EXE_waybill"))
        .arguments(arguments)
        .start()
        .await;
    let (acme, other) = (
        stack.organization("Acme").await,
        stack.organization("Other").await,
    );
    let local = stack.local_json();
    let knows = json!({
        "url": local["console_url"], "api": local["api_url"], "key": acme.plain_key(),
        "issuer": provider.issuer,
        "organization": acme.id, "other": other.id,
    });
    let task = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/browser/tasks/identity.mjs");
    browser::does(task, knows).await;
    let signed_in = acme.audited("person.signed_in").await;
    assert_eq!(
        signed_in.len(),
        1,
        "one person of Acme's signed in: {signed_in:?}"
    );
    assert_eq!(
        signed_in[0]["actor"],
        json!({"kind": "person", "id": format!("Ann/viewer/{}", acme.id), "name": "Ann"})
    );
    assert!(other.audited("person.signed_in").await.is_empty());
}
