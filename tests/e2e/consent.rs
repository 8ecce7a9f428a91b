//! A person consents that Waybill sends e-mails from their mailbox.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use kit::sink::{Reply, Sink};
use kit::smtp::{MailServer, TOKEN};
use kit::stack::Organization;
use kit::tls::Authority;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::stage;

const SOON: Duration = Duration::from_secs(10);

fn request(provider: &Sink) -> Value {
    json!({"provider": "custom", "client_id": "app", "client_secret": "s3cret-of-the-app",
        "scope": "mail.send",
        "authorize_url": provider.path("/authorize?tenant=1").url(),
        "token_url": provider.path("/token").url()})
}

/// Returns a token that expires after one use, so that each use requests another token.
fn grant(refresh_token: &str) -> Reply {
    let body = json!({"access_token": TOKEN, "token_type": "bearer", "expires_in": 30,
        "refresh_token": refresh_token});
    Reply::status(200)
        .header("content-type", "application/json")
        .body(body.to_string())
}

fn refusal(code: &str) -> Reply {
    Reply::status(400)
        .header("content-type", "application/json")
        .body(json!({"error": code}).to_string())
}

fn parameter<'u>(url: &'u str, name: &str) -> &'u str {
    let query = url.split_once('?').unwrap().1;
    let found = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name);
    found.unwrap_or_else(|| panic!("no {name} in {url}")).1
}

async fn comes_back(state: &str, rest: &str) -> kit::stack::Answer {
    stage::stack()
        .await
        .anonymous()
        .get(&format!("/v1/oauth2/callback?state={state}&{rest}"))
        .await
}

fn mailbox(
    acme: &Organization,
    server: &MailServer,
    authorization: &str,
) -> kit::stack::NewDestination {
    let settings = json!({"transport": {"smtp": {"host": "localhost", "port": server.port,
        "security": "none"}},
        "from": "reports@acme.example", "to": ["ada@customer.example"],
        "subject_template": "{{ event_type }}"});
    let credentials = json!({"kind": "oauth2_authorization", "authorization_id": authorization,
        "username": "ada@acme.example"});
    acme.destination()
        .with("type", "email")
        .settings(settings)
        .credentials(credentials)
}

#[tokio::test]
async fn a_person_consents_and_mails_are_sent_with_what_the_provider_gave() {
    let server = MailServer::start("none", &Authority::new());
    let (acme, provider) = (stage::organization("Acme").await, Sink::start().await);
    let token = provider.path("/token");
    token.replies([grant("first"), grant("second"), grant("second")]);
    let requested = acme
        .post("/v1/oauth2/authorizations", request(&provider))
        .await
        .ok(201);
    let (id, url) = (
        requested["id"].as_str().unwrap(),
        requested["url"].as_str().unwrap(),
    );
    assert!(
        url.starts_with(&provider.path("/authorize?tenant=1&").url()),
        "{url}"
    );
    assert_eq!(
        (parameter(url, "response_type"), parameter(url, "scope")),
        ("code", "mail.send")
    );
    assert!(!requested.to_string().contains("s3cret"), "{requested}");
    let early = mailbox(&acme, &server, id).asks().await;
    early.problem(422, "validation_failed");
    assert_eq!(early.mistakes(), ["/credentials/authorization_id"]);

    let state = parameter(url, "state");
    let page = comes_back(state, "code=the-code&session_state=whatever").await;
    assert_eq!(
        (page.status, page.text().contains("Access was granted")),
        (200, true),
        "{}",
        page.text()
    );
    let exchanged = token.requests().remove(0);
    let sent = format!("?{}", exchanged.text());
    assert_eq!(
        (parameter(&sent, "grant_type"), parameter(&sent, "code")),
        ("authorization_code", "the-code")
    );
    assert_eq!(
        BASE64.encode(Sha256::digest(parameter(&sent, "code_verifier"))),
        parameter(url, "code_challenge")
    );
    assert_eq!(
        parameter(&sent, "redirect_uri"),
        parameter(url, "redirect_uri")
    );
    assert_eq!(
        comes_back(state, "code=the-code").await.status,
        404,
        "a consent is given once"
    );
    let read = acme
        .get(&format!("/v1/oauth2/authorizations/{id}"))
        .await
        .ok(200);
    assert_eq!(read["status"], "granted");

    let destination = mailbox(&acme, &server, id).create().await;
    acme.send([&destination], json!(1))
        .await
        .delivery(0)
        .reaches("succeeded")
        .await;
    server.wait_for(1, SOON).await;
    let refreshed: Vec<String> = token
        .requests()
        .iter()
        .skip(1)
        .map(|request| format!("?{}", request.text()))
        .collect();
    assert_eq!(parameter(&refreshed[0], "refresh_token"), "first");
    assert!(
        refreshed[1..]
            .iter()
            .all(|sent| parameter(sent, "refresh_token") == "second"),
        "a changed one is kept: {refreshed:?}"
    );
    let shown = destination.read().await["credentials"].take();
    assert_eq!(
        shown,
        json!({"kind": "oauth2_authorization", "authorization_id": id,
            "username": "ada@acme.example"})
    );
    assert_eq!(acme.audited("authorization.granted").await.len(), 1);
    let log = stage::stack().await.log();
    assert!(
        !log.contains("the-code") && !log.contains(state),
        "neither code nor state is logged"
    );
}

#[tokio::test]
async fn a_withdrawn_consent_is_not_used() {
    let server = MailServer::start("none", &Authority::new());
    let (acme, provider) = (stage::organization("Acme").await, Sink::start().await);
    provider
        .path("/token")
        .replies([grant("first"), refusal("invalid_grant")]);
    let requested = acme
        .post("/v1/oauth2/authorizations", request(&provider))
        .await
        .ok(201);
    let (id, url) = (
        requested["id"].as_str().unwrap(),
        requested["url"].as_str().unwrap(),
    );
    assert_eq!(
        comes_back(parameter(url, "state"), "code=c").await.status,
        200
    );
    let checked = mailbox(&acme, &server, id)
        .asks()
        .await
        .problem(422, "connection_check_failed");
    assert!(checked.to_string().contains("invalid_grant"), "{checked}");
    let destination = mailbox(&acme, &server, id)
        .skip_check()
        .retries(0)
        .create()
        .await;
    let delivery = acme
        .send([&destination], json!(1))
        .await
        .delivery(0)
        .settles()
        .await;
    assert_eq!(
        (&delivery["status"], &delivery["reason"]),
        (&json!("failed"), &json!("authentication"))
    );
    acme.delete(&format!("/v1/oauth2/authorizations/{id}"))
        .await
        .ok(204);
    let delivery = acme
        .send([&destination], json!(1))
        .await
        .delivery(0)
        .settles()
        .await;
    assert_eq!(
        (&delivery["status"], &delivery["reason"]),
        (&json!("failed"), &json!("authentication"))
    );
}

#[tokio::test]
async fn a_consent_that_is_refused_forged_or_anothers_opens_nothing() {
    let server = MailServer::start("none", &Authority::new());
    let (acme, rival, provider) = (
        stage::organization("Acme").await,
        stage::organization("Rival").await,
        Sink::start().await,
    );
    let requested = acme
        .post("/v1/oauth2/authorizations", request(&provider))
        .await
        .ok(201);
    let (id, url) = (
        requested["id"].as_str().unwrap(),
        requested["url"].as_str().unwrap(),
    );
    let state = parameter(url, "state");
    let forged = format!("{}x", &state[..state.len() - 1]);
    assert_eq!(comes_back(&forged, "code=c").await.status, 404);
    assert_eq!(comes_back("nonsense", "code=c").await.status, 404);
    let denied = comes_back(state, "error=access_denied").await;
    assert!(denied.text().contains("access_denied"), "{}", denied.text());
    assert_eq!(provider.count(), 0, "nothing was exchanged");
    let read = acme
        .get(&format!("/v1/oauth2/authorizations/{id}"))
        .await
        .ok(200);
    assert_eq!(read["status"], "refused");
    mailbox(&acme, &server, id)
        .asks()
        .await
        .problem(422, "validation_failed");

    let stolen = mailbox(&rival, &server, id).asks().await;
    stolen.problem(404, "not_found");
    assert_eq!(stolen.mistakes(), ["/credentials/authorization_id"]);
    assert_eq!(
        rival
            .audited("cross_organization_access_denied")
            .await
            .len(),
        1
    );
    rival
        .get(&format!("/v1/oauth2/authorizations/{id}"))
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn every_mistake_in_a_request_is_named_at_once() {
    let acme = stage::organization("Acme").await;
    let answer = acme
        .post(
            "/v1/oauth2/authorizations",
            json!({"provider": "custom", "token_url": "http://10.0.0.1/", "colour": 1}),
        )
        .await;
    answer.problem(422, "validation_failed");
    let mut mistakes = answer.mistakes();
    mistakes.sort();
    assert_eq!(
        mistakes,
        [
            "/authorize_url",
            "/client_id",
            "/client_secret",
            "/colour",
            "/token_url"
        ]
    );
    let known = json!({"provider": "google", "client_id": "app", "client_secret": "s3cret"});
    let requested = acme.post("/v1/oauth2/authorizations", known).await.ok(201);
    assert!(
        requested["url"]
            .as_str()
            .unwrap()
            .starts_with("https://accounts.google.com/"),
        "{requested}"
    );
}

/// A granted authorization of this organization, and its id.
async fn granted(acme: &Organization, provider: &Sink, more: Value) -> String {
    let mut body = request(provider);
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().cloned().unwrap_or_default());
    let requested = acme.post("/v1/oauth2/authorizations", body).await.ok(201);
    let page = comes_back(
        parameter(requested["url"].as_str().unwrap(), "state"),
        "code=c",
    )
    .await;
    assert!(
        page.text().contains("Access was granted") && page.text().contains("Acme"),
        "{}",
        page.text()
    );
    requested["id"].as_str().unwrap().to_owned()
}

fn must_not_follow(answer: &kit::stack::Answer) {
    answer.problem(422, "credentials_required");
    assert_eq!(answer.mistakes(), ["/credentials/authorization_id"]);
}

/// The id of an authorization is readable, so repeating it proves nothing: its token goes to the
/// mail server that it went to first.
#[tokio::test]
async fn a_consent_leads_to_no_other_mail_server_than_its_first() {
    let (server, thief) = (
        MailServer::start("none", &Authority::new()),
        MailServer::start("none", &Authority::new()),
    );
    let (acme, provider) = (stage::organization("Acme").await, Sink::start().await);
    provider.path("/token").replies([grant("refresh")]);
    let id = granted(&acme, &provider, json!({})).await;
    let path = format!("/v1/oauth2/authorizations/{id}");
    assert_eq!(acme.get(&path).await.ok(200)["mail_servers"], Value::Null);
    let unused = mailbox(&acme, &thief, &id)
        .skip_check()
        .retries(0)
        .create()
        .await;
    let destination = mailbox(&acme, &server, &id).create().await;
    assert_eq!(
        acme.get(&path).await.ok(200)["mail_servers"],
        json!([format!("localhost:{}", server.port)])
    );

    let elsewhere = json!({"smtp": {"host": "localhost", "port": thief.port, "security": "none"}});
    let credentials = json!({"kind": "oauth2_authorization", "authorization_id": id,
        "username": "ada@acme.example"});
    for patch in [
        json!({"settings": {"transport": elsewhere}}),
        json!({"settings": {"transport": elsewhere}, "credentials": {"authorization_id": id}}),
        json!({"settings": {"transport": elsewhere}, "credentials": credentials}),
    ] {
        must_not_follow(&acme.patch(&destination.path(), patch.clone()).await);
        must_not_follow(
            &acme
                .patch(&format!("{}?skip_check=true", destination.path()), patch)
                .await,
        );
    }
    must_not_follow(&mailbox(&acme, &thief, &id).asks().await);
    must_not_follow(&mailbox(&acme, &thief, &id).skip_check().asks().await);
    let body = json!({"type": "email", "name": "a", "credentials": credentials,
        "settings": {"transport": elsewhere,
        "from": "reports@acme.example", "to": ["ada@customer.example"]}});
    must_not_follow(&acme.post("/v1/destinations/check", body).await);

    // One that was saved before the consent was bound is refused when it is used.
    let delivery = acme
        .send([&unused], json!(1))
        .await
        .delivery(0)
        .settles()
        .await;
    assert_eq!(
        (&delivery["status"], &delivery["reason"]),
        (&json!("failed"), &json!("misconfigured")),
        "{delivery}"
    );
    let report = unused.action("check", json!({})).await.ok(200);
    assert_eq!(report["check"]["ok"], false, "{report}");
    assert!(thief.mails().is_empty(), "no mail went to the other server");

    let second = mailbox(&acme, &server, &id).create().await;
    acme.send([&destination, &second], json!(2)).await;
    server.wait_for(2, SOON).await;
}

/// The person who consents sees the mail servers at which the access is used, and it is used at no
/// other.
#[tokio::test]
async fn a_consent_is_for_the_mail_servers_that_were_named_when_it_was_requested() {
    let (server, thief) = (
        MailServer::start("none", &Authority::new()),
        MailServer::start("none", &Authority::new()),
    );
    let (acme, provider) = (stage::organization("Acme").await, Sink::start().await);
    provider.path("/token").replies([grant("refresh")]);
    let named = format!("localhost:{}", server.port);
    let requested = acme.post("/v1/oauth2/authorizations", {
        let mut body = request(&provider);
        body["mail_servers"] = json!([named.to_uppercase()]);
        body
    });
    let requested = requested.await.ok(201);
    assert_eq!(requested["mail_servers"], json!([named]));
    let page = comes_back(
        parameter(requested["url"].as_str().unwrap(), "state"),
        "code=c",
    )
    .await;
    let page = page.text();
    assert!(
        page.contains(&named) && page.contains("no other mail server"),
        "{page}"
    );
    let id = requested["id"].as_str().unwrap();
    must_not_follow(&mailbox(&acme, &thief, id).skip_check().asks().await);
    mailbox(&acme, &server, id).create().await;
}

/// A known provider's consent is exchanged at the provider and used at its mail servers.
#[tokio::test]
async fn a_known_provider_uses_only_its_own_addresses() {
    let (acme, server) = (
        stage::organization("Acme").await,
        MailServer::start("none", &Authority::new()),
    );
    let ask = async |more: Value| {
        let mut body = json!({"provider": "google", "client_id": "app", "client_secret": "s3cret"});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().cloned().unwrap());
        acme.post("/v1/oauth2/authorizations", body).await
    };
    let own = ask(json!({})).await.ok(201);
    assert_eq!(
        own["mail_servers"],
        json!(["smtp.gmail.com", "smtp-relay.gmail.com"])
    );
    let microsoft = json!({"provider": "microsoft",
        "token_url": "https://login.microsoftonline.com/tenant/oauth2/v2.0/token"});
    ask(microsoft).await.ok(201);
    for (more, mistake) in [
        (
            json!({"token_url": "https://evil.example/token"}),
            "/token_url",
        ),
        (
            json!({"authorize_url": "https://evil.example/authorize"}),
            "/authorize_url",
        ),
        (
            json!({"mail_servers": ["smtp.evil.example"]}),
            "/mail_servers/0",
        ),
        (
            json!({"mail_servers": ["smtp.gmail.com:0"]}),
            "/mail_servers/0",
        ),
        (json!({"mail_servers": []}), "/mail_servers"),
        (
            json!({"provider": "custom",
                "authorize_url": "https://accounts.google.com/o/oauth2/v2/auth",
                "token_url": "https://evil.example/"}),
            "/authorize_url",
        ),
    ] {
        let answer = ask(more.clone()).await;
        answer.problem(422, "validation_failed");
        assert_eq!(answer.mistakes(), [mistake], "{more}");
    }
    let answer = mailbox(&acme, &server, own["id"].as_str().unwrap())
        .asks()
        .await;
    answer.problem(422, "validation_failed");
}
