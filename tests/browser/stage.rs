//! The process that the tasks share.

use std::path::Path;
use std::time::Duration;

use kit::browser;
use kit::stack::{Launch, Organization, Stack};
use serde_json::{Value, json};
use tokio::sync::{OnceCell, Semaphore};

static STACK: OnceCell<Stack> = OnceCell::const_new();
/// Browsers open at once.
static WINDOWS: Semaphore = Semaphore::const_new(2);

/// Returns the process that the tasks share.
pub(crate) async fn stack() -> &'static Stack {
    STACK
        .get_or_init(|| Launch::of(env!("CARGO_BIN_EXE_waybill")).start())
        .await
}

/// An organization of the test's own.
pub(crate) async fn organization(name: &str) -> Organization {
    stack().await.organization(name).await
}

/// Waits until there is something, up to half a minute.
pub(crate) async fn until<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = found().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), looking)
        .await
        .unwrap_or_else(|_| panic!("{what}: not within 30 s"))
}

/// Runs a task of the browser with the addresses of the console and the API, in addition to `knows`.
pub(crate) async fn does(task: &str, mut knows: Value) -> Value {
    let local = stack().await.local_json();
    knows["url"] = local["console_url"].clone();
    knows["api"] = local["api_url"].clone();
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/browser/tasks")
        .join(format!("{task}.mjs"));
    let _window = WINDOWS.acquire().await.unwrap();
    browser::does(path, knows).await
}

/// An organization's admin key, which signs in.
pub(crate) fn key(organization: &Organization) -> Value {
    json!(organization.plain_key())
}
