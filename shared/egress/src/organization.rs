//! The organization for which connections are opened.

use std::sync::{Arc, LazyLock};

/// Waybill itself, for telemetry and the operator's identity provider.
static WAYBILL: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from(""));

tokio::task_local! {
    static ORGANIZATION: Arc<str>;
}

/// Runs `future` on behalf of an organization: its connections, kept connections and name lookups
/// are not shared with other organizations, whose receivers could delay it. Tasks that it spawns do
/// not inherit this; see [`on_current_behalf`].
pub async fn on_behalf_of<F: Future>(organization: impl Into<Arc<str>>, future: F) -> F::Output {
    ORGANIZATION.scope(organization.into(), future).await
}

/// Runs `future` on behalf of the current organization, for a task that is spawned.
pub fn on_current_behalf<F: Future>(future: F) -> impl Future<Output = F::Output> {
    on_behalf_of(current(), future)
}

pub(crate) fn current() -> Arc<str> {
    ORGANIZATION
        .try_with(Arc::clone)
        .unwrap_or_else(|_| Arc::clone(&WAYBILL))
}
