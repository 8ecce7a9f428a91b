//! Organizations, keys, links and sessions end together; signing out ends the session on the
//! server.

use http::Method;
use kit::stack::{Answer, Call, Caller, Organization};
use serde_json::{Value, json};

use crate::stage;

/// The credentials that give access, and those that were created with them.
struct Access {
    acme: Organization,
    /// The admin key under test, and its id.
    key: Caller,
    key_id: String,
    /// A session that was started with the key.
    console: Session,
    /// The path and the id of a link that was created with the key and not opened.
    unopened: String,
    unopened_id: String,
    /// An open session of another such link.
    session: Session,
    session_id: String,
    /// A link that was made in that session.
    made_in_session: String,
    /// Keys: made with the key, and made in the session.
    made_by_key: Caller,
    made_by_session: Caller,
}

/// A browser with a cookie.
struct Session {
    cookie: String,
}

/// Whether each of them still gives access.
#[derive(Debug, PartialEq, Eq)]
struct StillValid {
    api: bool,
    console: bool,
    unopened: bool,
    session: bool,
    made_in_session: bool,
    made_by_key: bool,
    made_by_session: bool,
}

const ALL: StillValid = StillValid {
    api: true,
    console: true,
    unopened: true,
    session: true,
    made_in_session: true,
    made_by_key: true,
    made_by_session: true,
};
const NONE: StillValid = StillValid {
    api: false,
    console: false,
    unopened: false,
    session: false,
    made_in_session: false,
    made_by_key: false,
    made_by_session: false,
};

async fn browser() -> Caller {
    stage::stack().await.anonymous()
}

fn form(call: Call, fields: &[(&str, &str)]) -> Call {
    let body = fields.iter().fold(
        url::form_urlencoded::Serializer::new(String::new()),
        |mut form, (name, value)| {
            form.append_pair(name, value);
            form
        },
    );
    let mut body = body;
    call.header("content-type", "application/x-www-form-urlencoded")
        .header("accept", "text/html")
        .body(body.finish())
}

/// The session that an answer begins.
#[track_caller]
fn begun(answer: &Answer) -> Session {
    assert_eq!(answer.status, 303, "{}", answer.text());
    let cookie = answer
        .header("set-cookie")
        .and_then(|cookie| cookie.split(';').next())
        .expect("a cookie");
    Session {
        cookie: cookie.to_owned(),
    }
}

impl Session {
    async fn get(&self, path: &str) -> Answer {
        browser()
            .await
            .call(Method::GET, path)
            .header("cookie", &self.cookie)
            .header("accept", "text/html")
            .send()
            .await
    }

    async fn lets_in(&self) -> bool {
        let answer = self.get("/deliveries").await;
        assert!(
            matches!(answer.status, 200 | 303),
            "{} {}",
            answer.status,
            answer.text()
        );
        answer.status == 200
    }

    /// The token that forms of this session carry.
    async fn token(&self) -> String {
        let page = self.get("/").await;
        let (_, rest) = page
            .text()
            .split_once("name=\"_form\" value=\"")
            .expect("a form");
        rest.split_once('"').expect("a token").0.to_owned()
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.token().await;
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .copied()
            .chain([("_form", token.as_str())])
            .collect();
        form(
            browser()
                .await
                .call(Method::POST, path)
                .header("cookie", &self.cookie),
            &fields,
        )
        .send()
        .await
    }

    /// The page to which the response of a form redirects. It shows once what was created.
    async fn makes(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let answer = self.post(path, fields).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        let notice = answer
            .header("set-cookie")
            .and_then(|cookie| cookie.split(';').next())
            .expect("a notice");
        let both = format!("{}; {notice}", self.cookie);
        let page = answer.header("location").expect("a page");
        browser()
            .await
            .call(Method::GET, page)
            .header("cookie", &both)
            .header("accept", "text/html")
            .send()
            .await
    }
}

async fn sign_in(key: &str) -> Session {
    begun(
        &form(
            browser().await.call(Method::POST, "/sign-in"),
            &[("key", key)],
        )
        .send()
        .await,
    )
}

async fn open(path: &str) -> Answer {
    form(browser().await.call(Method::POST, path), &[])
        .send()
        .await
}

/// The path and the id of a new link.
async fn link(key: &Caller) -> (String, String) {
    let made = key
        .post(
            "/v1/portal-links",
            json!({"role": "admin", "subject": {"id": "u7", "name": "Ana"}}),
        )
        .await
        .ok(201);
    let url = made["url"].as_str().expect("a url");
    (
        format!("/portal/{}", url.rsplit('/').next().expect("a token")),
        made["id"].as_str().expect("an id").to_owned(),
    )
}

/// What a page shows once, by the id of its element.
fn shown_once(page: &Answer, id: &str) -> String {
    let (_, rest) = page
        .text()
        .split_once(&format!("<code id=\"{id}\">"))
        .unwrap_or_else(|| panic!("{}", page.text()));
    rest.split_once('<').expect("an end").0.to_owned()
}

impl Access {
    async fn new() -> Self {
        let acme = stage::organization("Acme").await;
        let made = acme.key("admin").await;
        let (key, key_id) = (made.caller, made.id);
        let console = sign_in(key.plain_key()).await;
        let (unopened, unopened_id) = link(&key).await;
        let (opened, session_id) = link(&key).await;
        let session = begun(&open(&opened).await);
        let made_by_key = key
            .post("/v1/api-keys", json!({"name": "second", "role": "viewer"}))
            .await
            .ok(201);
        let made_by_key = key.with_key(made_by_key["key"].as_str().expect("a key"));
        let page = session
            .makes("/api-keys", &[("name", "third"), ("role", "viewer")])
            .await;
        let made_by_session = key.with_key(&shown_once(&page, "secret"));
        let page = session
            .makes("/portal-links", &[("name", "Ben"), ("role", "viewer")])
            .await;
        let made_in_session = shown_once(&page, "link");
        let made_in_session = format!(
            "/portal/{}",
            made_in_session.rsplit('/').next().expect("a token")
        );
        Self {
            acme,
            key,
            key_id,
            console,
            unopened,
            unopened_id,
            session,
            session_id,
            made_in_session,
            made_by_key,
            made_by_session,
        }
    }

    async fn lets(&self) -> StillValid {
        let reads = async |caller: &Caller| match caller.get("/v1/destinations").await {
            answer if answer.status == 200 => true,
            answer => {
                answer.problem(401, "unauthenticated");
                false
            }
        };
        let shown = async |path: &str| {
            browser()
                .await
                .call(Method::GET, path)
                .header("accept", "text/html")
                .send()
                .await
                .status
                == 200
        };
        StillValid {
            api: reads(&self.key).await,
            console: self.console.lets_in().await,
            unopened: shown(&self.unopened).await,
            session: self.session.lets_in().await,
            made_in_session: shown(&self.made_in_session).await,
            made_by_key: reads(&self.made_by_key).await,
            made_by_session: reads(&self.made_by_session).await,
        }
    }

    async fn erased(&self) {
        let operator = stage::stack().await.operator();
        let job = operator
            .post(
                &format!("/v1/organizations/{}/erase", self.acme.id),
                json!({}),
            )
            .await
            .ok(202);
        assert_eq!(self.lets().await, NONE, "from the request on");
        let path = format!(
            "/v1/jobs/{}?organization_id={}",
            job["id"].as_str().expect("an id"),
            self.acme.id
        );
        stage::until("the job ends", async || {
            (operator.get(&path).await.ok(200)["status"] == "finished").then_some(())
        })
        .await;
    }
}

/// Each kind of access with each way in which it can end. A key belongs to its organization and not
/// to the key that created it: revoking a key must not end the keys that it created.
#[tokio::test]
async fn organizations_keys_links_and_sessions_end_together() {
    let operator = stage::stack().await.operator();
    let access = Access::new().await;
    assert_eq!(access.lets().await, ALL);

    access
        .acme
        .delete(&format!("/v1/api-keys/{}", access.key_id))
        .await
        .ok(204);
    assert_eq!(
        access.lets().await,
        StillValid {
            made_by_key: true,
            made_by_session: true,
            ..NONE
        },
        "key revoked"
    );
    assert_eq!(open(&access.unopened).await.status, 404);
    assert!(
        access.acme.list("/v1/portal-links").await.is_empty(),
        "what has ended is not listed"
    );

    let access = Access::new().await;
    access
        .acme
        .delete(&format!("/v1/portal-links/{}", access.session_id))
        .await
        .ok(204);
    assert_eq!(
        access.lets().await,
        StillValid {
            session: false,
            made_in_session: false,
            ..ALL
        },
        "link of the session deleted"
    );
    access
        .acme
        .delete(&format!("/v1/portal-links/{}", access.unopened_id))
        .await
        .ok(204);
    assert_eq!(
        access.lets().await,
        StillValid {
            session: false,
            made_in_session: false,
            unopened: false,
            ..ALL
        },
        "unopened link deleted"
    );
    access
        .acme
        .delete(&format!("/v1/portal-links/{}", access.unopened_id))
        .await
        .problem(404, "not_found");
    assert_eq!(open(&access.unopened).await.status, 404);

    let path = format!("/v1/organizations/{}", access.acme.id);
    operator
        .patch(&path, json!({"status": "suspended"}))
        .await
        .ok(200);
    assert_eq!(
        access.lets().await,
        StillValid {
            session: false,
            made_in_session: false,
            unopened: false,
            ..ALL
        },
        "suspended: reading goes on"
    );
    for (path, body) in [
        ("/v1/messages", json!({"event_type": "a", "payload": 1})),
        ("/v1/api-keys", json!({"name": "x", "role": "viewer"})),
        ("/v1/portal-links", json!({"role": "viewer"})),
        (
            "/v1/uploads",
            json!({"content_type": "text/plain", "size_bytes": 3}),
        ),
    ] {
        access
            .key
            .post(path, body)
            .await
            .problem(403, "organization_suspended");
    }
    operator
        .patch(&path, json!({"status": "active"}))
        .await
        .ok(200);

    let access = Access::new().await;
    operator
        .delete(&format!("/v1/organizations/{}", access.acme.id))
        .await
        .ok(204);
    assert_eq!(access.lets().await, NONE, "organization deleted");
    assert_eq!(open(&access.unopened).await.status, 404);

    let access = Access::new().await;
    access.erased().await;
    assert_eq!(access.lets().await, NONE, "organization erased");
}

/// A copy of the cookie is refused after its owner has signed out. What was created in the session
/// stays.
#[tokio::test]
async fn signing_out_ends_the_session_on_the_server() {
    let access = Access::new().await;
    let answer = access.console.post("/sign-out", &[]).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/sign-in"))
    );
    assert_eq!(
        access.lets().await,
        StillValid {
            console: false,
            ..ALL
        }
    );
    assert_eq!(access.session.post("/sign-out", &[]).await.status, 303);
    assert_eq!(
        access.lets().await,
        StillValid {
            console: false,
            session: false,
            ..ALL
        }
    );
    assert_eq!(
        open(&access.unopened).await.status,
        303,
        "others of the same key still open"
    );
}

/// `GET /v1/portal-links` lists links and sessions.
#[tokio::test]
async fn outstanding_links_and_open_sessions_are_listed() {
    let access = Access::new().await;
    let listed = access.acme.list("/v1/portal-links?limit=1").await;
    let by_id = |id: &str| {
        listed
            .iter()
            .find(|link| link["id"] == id)
            .unwrap_or_else(|| panic!("{id} in {listed:?}"))
            .clone()
    };
    assert_eq!(
        listed.len(),
        4,
        "two links, the one made in the session, and who signed in with the key: {listed:?}"
    );
    let newest_first: Vec<&Value> = listed.iter().map(|link| &link["created_at"]).collect();
    assert!(
        newest_first.is_sorted_by(|a, b| a.as_str() >= b.as_str()),
        "{newest_first:?}"
    );
    let (unopened, open) = (by_id(&access.unopened_id), by_id(&access.session_id));
    assert_eq!(
        (&unopened["status"], &unopened["session_expires_at"]),
        (&json!("outstanding"), &Value::Null)
    );
    assert_eq!(
        (&open["status"], &open["role"], &open["subject"]["name"]),
        (&json!("open"), &json!("admin"), &json!("Ana"))
    );
    assert!(open["session_expires_at"].is_string() && open["expires_at"].is_string());
    assert_eq!(open["created_by"], json!(access.key_id));
    assert!(
        !json!(listed)
            .to_string()
            .contains(access.unopened.rsplit('.').next().expect("a secret")),
        "no secret is listed"
    );
    let manager = access.acme.key("manager").await.caller;
    manager
        .get("/v1/portal-links")
        .await
        .problem(403, "forbidden");
    let other = stage::organization("Other").await;
    assert!(other.list("/v1/portal-links").await.is_empty());
    other
        .delete(&format!("/v1/portal-links/{}", access.unopened_id))
        .await
        .problem(404, "not_found");
}

/// Another site cannot sign its visitor in, nor send anything else to the console.
#[tokio::test]
async fn requests_of_other_sites_to_the_console_are_refused() {
    let access = Access::new().await;
    let (token, key) = (
        access.console.token().await,
        access.key.plain_key().to_owned(),
    );
    let routes = [
        "/sign-in",
        "/sign-out",
        &access.unopened,
        "/api-keys",
        "/portal-links",
        "/destinations",
        "/organization",
        "/jobs",
        "/no/such/page",
    ];
    let foreign = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ];
    for path in routes {
        for (name, value) in foreign {
            let call = browser()
                .await
                .call(Method::POST, path)
                .header("cookie", &access.console.cookie)
                .header(name, value);
            let answer = form(call, &[("key", &key), ("_form", &token)]).send().await;
            assert_eq!(
                (answer.status, answer.header("set-cookie")),
                (403, None),
                "{path} {name}: {value}: {}",
                answer.text()
            );
        }
    }
    assert_eq!(access.lets().await, ALL);
    let own = browser()
        .await
        .call(Method::POST, "/sign-in")
        .header("sec-fetch-site", "same-origin")
        .header("origin", "https://x.example");
    begun(&form(own, &[("key", &key)]).send().await);
}

/// A link to a payload, given out before, ends with the organization whose payload it is.
#[tokio::test]
async fn links_to_payloads_end_with_the_organization() {
    let (acme, sink) = (
        stage::organization("Acme").await,
        kit::sink::Sink::start().await,
    );
    let destination = acme.destination().webhook(&sink).create().await;
    let message = acme.send([&destination], json!({"a": 1})).await;
    message.settles().await;
    let link = acme
        .get(&format!("{}/payload?link=true", message.path()))
        .await
        .ok(200);
    let path = format!(
        "/d/{}",
        link["url"]
            .as_str()
            .expect("a url")
            .rsplit('/')
            .next()
            .expect("a token")
    );
    assert_eq!(browser().await.get(&path).await.status, 200);
    acme.delete(&destination.path()).await.ok(204);
    stage::stack()
        .await
        .operator()
        .delete(&format!("/v1/organizations/{}", acme.id))
        .await
        .ok(204);
    assert_eq!(browser().await.get(&path).await.status, 404);
}
