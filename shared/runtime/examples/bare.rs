//! A function that does nothing on the same runtime library, as the baseline for cold starts.

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;

fn main() -> Result<(), lambda_runtime::Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(lambda_runtime::run(service_fn(
        |event: LambdaEvent<Value>| async move { Ok::<_, lambda_runtime::Error>(event.payload) },
    )))
}
