//! Signing keys are rotated, and what was signed before stays valid.

use std::fs;
use std::process::Command;

use http::Method;
use kit::sink::Sink;
use kit::stack::{Message, Organization, Stack};
use serde_json::json;

use crate::stage;

const TEMPLATE: &str = include_str!("../../template.yaml");
const USES: [&str; 4] = ["ids", "cursors", "links", "sessions"];

/// Everything signed that an organization was given.
struct Issued {
    acme: Organization,
    messages: [Message; 2],
    cursor: String,
    link: String,
    cookie: String,
}

/// Whether each of them is accepted.
#[derive(Debug, PartialEq, Eq)]
struct Accepted {
    ids: bool,
    cursor: bool,
    link: bool,
    session: bool,
}

const ALL: Accepted = Accepted {
    ids: true,
    cursor: true,
    link: true,
    session: true,
};

impl Issued {
    async fn by(stack: &Stack) -> Self {
        let (acme, sink) = (stack.organization("Acme").await, Sink::start().await);
        let destination = acme.destination().webhook(&sink).create().await;
        let messages = [
            acme.send([&destination], json!({"n": 1})).await,
            acme.send([&destination], json!({"n": 2})).await,
        ];
        let page = acme.get("/v1/messages?limit=1").await.ok(200);
        let cursor = page["next_cursor"].as_str().expect("a cursor").to_owned();
        let link = acme
            .get(&format!("{}/payload?link=true", messages[0].path()))
            .await
            .ok(200);
        let link = link["url"]
            .as_str()
            .and_then(|url| url.rsplit('/').next())
            .expect("a link")
            .to_owned();
        let key = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("key", acme.plain_key())
            .finish();
        let call = stack
            .anonymous()
            .call(Method::POST, "/sign-in")
            .header("accept", "text/html");
        let answer = call
            .header("content-type", "application/x-www-form-urlencoded")
            .body(key)
            .send()
            .await;
        let cookie = answer
            .header("set-cookie")
            .and_then(|cookie| cookie.split(';').next())
            .expect("a cookie");
        Self {
            cookie: cookie.to_owned(),
            acme,
            messages,
            cursor,
            link,
        }
    }

    async fn accepted(&self, stack: &Stack) -> Accepted {
        let mut ids = true;
        for message in &self.messages {
            ids &= self.acme.get(&message.path()).await.status == 200;
        }
        let cursor = self
            .acme
            .get(&format!("/v1/messages?limit=1&cursor={}", self.cursor))
            .await
            .status
            == 200;
        let link = stack
            .anonymous()
            .get(&format!("/d/{}", self.link))
            .await
            .status
            == 200;
        let call = stack
            .anonymous()
            .call(Method::GET, "/deliveries")
            .header("accept", "text/html");
        let session = call.header("cookie", &self.cookie).send().await.status == 200;
        Accepted {
            ids,
            cursor,
            link,
            session,
        }
    }
}

/// Rotates the keys of one use in the data directory of a process, and returns the error, if any.
fn rotate(stack: &Stack, usage: &str) -> Result<(), String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waybill"));
    let output = command
        .args(["rotate-keys", "--use", usage, "--data"])
        .arg(stack.data())
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        Ok(())
    } else {
        Err(message)
    }
}

async fn rotated(stack: &mut Stack) {
    assert_eq!(stack.stop().await.0, Some(0), "{}", stack.log());
    for usage in USES {
        rotate(stack, usage).unwrap();
    }
    stack.restart().await;
}

#[tokio::test]
async fn signatures_outlive_one_rotation_and_ids_outlive_all() {
    let mut stack = stage::launch().start().await;
    let first = Issued::by(&stack).await;
    assert_eq!(first.accepted(&stack).await, ALL);
    assert!(
        rotate(&stack, "links").unwrap_err().contains("in use"),
        "a running process keeps its keys"
    );

    rotated(&mut stack).await;
    assert_eq!(first.accepted(&stack).await, ALL, "after one rotation");
    let second = Issued::by(&stack).await;

    rotated(&mut stack).await;
    let ids_alone = Accepted {
        ids: true,
        cursor: false,
        link: false,
        session: false,
    };
    assert_eq!(first.accepted(&stack).await, ids_alone, "after two");
    assert_eq!(second.accepted(&stack).await, ALL, "signed between the two");
    let stranger = stack.organization("Stranger").await;
    for message in first.messages.iter().chain(&second.messages) {
        stranger
            .get(&message.path())
            .await
            .problem(404, "not_found");
    }
}

#[test]
fn a_rotation_that_cannot_be_done_says_why_and_creates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("no/data");
    let data = data.to_str().unwrap();
    let cases: [(&[&str], &str); 5] = [
        (&["--use", "links", "--data", data], data),
        (
            &["--use", "mails", "--data", data],
            "must be ids, cursors, links or sessions",
        ),
        (&["--use", "links"], "--secret-arn"),
        (
            &["--use", "links", "--data", data, "--accept", "arn"],
            "--accept",
        ),
        (&["--data", data], "--use"),
    ];
    for (arguments, said) in cases {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waybill"));
        let output = command.arg("rotate-keys").args(arguments).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(said), "{arguments:?}: {message}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// A release that signed everything with keys derived from one secret.
fn earlier_template() -> String {
    let mut text = TEMPLATE.to_owned();
    for name in ["CursorKeys", "LinkKeys", "SessionKeys"] {
        let start = text.find(&format!("\n  {name}:\n")).expect("the secret");
        let end = start + 1 + text[start + 1..].find("\n\n").expect("what follows it");
        text.replace_range(start..end, "");
        text = text
            .replace(&format!("!Ref {name}"), "!Ref SigningKeys")
            .replace(&format!("${{{name}}}"), "${SigningKeys}");
    }
    text
}

fn secrets(stack: &Stack) -> String {
    fs::read_to_string(stack.data().join("secrets.json")).unwrap()
}

#[tokio::test]
async fn signatures_of_an_earlier_release_with_a_single_secret_stay_valid() {
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("template.yaml");
    fs::write(&template, earlier_template()).unwrap();
    let mut stack = stage::launch()
        .arguments(["--template", template.to_str().unwrap()])
        .start()
        .await;
    let issued = Issued::by(&stack).await;
    assert_eq!(stack.stop().await.0, Some(0));
    assert!(
        !secrets(&stack).contains("waybill-LinkKeys"),
        "the earlier release has one secret"
    );

    fs::write(&template, TEMPLATE).unwrap();
    stack.restart().await;
    assert!(secrets(&stack).contains("waybill-LinkKeys"));
    assert_eq!(
        issued.accepted(&stack).await,
        ALL,
        "at the first start of this release"
    );
    assert_eq!(stack.stop().await.0, Some(0));
    stack.restart().await;
    assert_eq!(issued.accepted(&stack).await, ALL, "and at the second");
    rotated(&mut stack).await;
    let ids_alone = Accepted {
        ids: true,
        cursor: false,
        link: false,
        session: false,
    };
    assert_eq!(
        issued.accepted(&stack).await,
        ids_alone,
        "a rotation drops the earlier release's keys"
    );
}
