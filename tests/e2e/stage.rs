//! The process that most tests share.

use http::Method;
use kit::mail_folder::mails;
use kit::stack::{Launch, Organization, Stack};
use tokio::sync::OnceCell;

static STACK: OnceCell<Stack> = OnceCell::const_new();

/// The binary under test.
///
/// With `WAYBILL_TEST_PROCESSES` set each function runs in processes of its own, and every test of
/// this suite shows the same.
pub(crate) fn launch() -> Launch {
    let launch = Launch::of(env!("CARGO_BIN_EXE_waybill"));
    if std::env::var_os("WAYBILL_TEST_PROCESSES").is_some() {
        launch.arguments(["--processes"])
    } else {
        launch
    }
}

/// The shared process; it starts with the first test that asks for it.
pub(crate) async fn stack() -> &'static Stack {
    STACK.get_or_init(|| launch().start()).await
}

/// Creates an organization for the test.
pub(crate) async fn organization(name: &str) -> Organization {
    stack().await.organization(name).await
}

/// Texts of a JSON list, or of one member of its items.
pub(crate) fn texts(items: &[serde_json::Value], member: &str) -> Vec<String> {
    items
        .iter()
        .map(|item| {
            item[member]
                .as_str()
                .unwrap_or_else(|| panic!("no {member} in {item}"))
                .to_owned()
        })
        .collect()
}

/// The name of the first step that failed, after steps that did not.
pub(crate) fn failed_step(check: &serde_json::Value) -> &str {
    assert_eq!(check["ok"], false, "{check}");
    let steps = check["steps"].as_array().expect("steps");
    let failed = steps
        .iter()
        .find(|step| step["ok"] == false)
        .unwrap_or_else(|| panic!("no failed step in {check}"));
    assert!(
        failed["detail"]
            .as_str()
            .is_some_and(|detail| !detail.is_empty())
            && failed["duration_ms"].is_u64(),
        "{failed}"
    );
    failed["name"].as_str().expect("a name")
}

/// Repeats the request until there is a result, for half a minute.
pub(crate) async fn until<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    within(30, what, ask).await
}

/// Repeats the request until there is a result, for this many seconds.
pub(crate) async fn within<T>(seconds: u32, what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    for _ in 0..seconds * 20 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("not within {seconds} s: {what}");
}

/// The paths of the links in the mails that ask this address for a confirmation, oldest first.
pub(crate) fn confirmation_links(stack: &Stack, address: &str) -> Vec<String> {
    let api_url = stack.local_json()["api_url"]
        .as_str()
        .expect("an address")
        .to_owned();
    let asks = |mail: &serde_json::Value| {
        mail["subject"] == "Confirm your address for alerts of Waybill" && mail["to"] == address
    };
    let link = |mail: serde_json::Value| {
        mail["text"].as_str().and_then(|text| {
            text.lines()
                .find_map(|line| line.strip_prefix(&api_url))
                .map(str::to_owned)
        })
    };
    mails(&stack.data())
        .into_iter()
        .filter(asks)
        .filter_map(link)
        .collect()
}

/// A person reads the newest mail and confirms the address.
pub(crate) async fn confirms(stack: &Stack, address: &str) {
    let link = confirmation_links(stack, address)
        .pop()
        .expect("a mail with a link");
    assert_eq!(presses(stack, &link).await, 200);
}

/// The status of the answer to the button on a link's page.
pub(crate) async fn presses(stack: &Stack, link: &str) -> u16 {
    stack
        .anonymous()
        .call(Method::POST, link)
        .send()
        .await
        .status
}
