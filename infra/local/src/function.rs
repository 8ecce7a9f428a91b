//! Invokes functions as Lambda does: with a request id and a deadline, and isolated from each
//! other's failures.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::{Clock, Random};
use futures_util::future::BoxFuture;
use lambda_runtime::{Context, LambdaEvent};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::task::JoinHandle;
use tower::{Service, ServiceExt as _};

use crate::template;

/// The handler of a function with its types erased: JSON in, JSON out.
pub type Handler = Arc<
    dyn Fn(LambdaEvent<Value>) -> BoxFuture<'static, Result<Value, lambda_runtime::Error>>
        + Send
        + Sync,
>;

/// Erases the types of a service. Its input and output are serialized as on Lambda.
pub fn erase<S, In, Out>(service: S) -> Handler
where
    S: Service<LambdaEvent<In>, Response = Out> + Clone + Send + 'static,
    S::Error: Into<lambda_runtime::Error>,
    S::Future: Send,
    In: DeserializeOwned + Send + 'static,
    Out: Serialize,
{
    let service = Mutex::new(service);
    Arc::new(move |event| {
        let service = service
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        Box::pin(async move {
            let payload = serde_json::from_value(event.payload)?;
            let answer = service
                .oneshot(LambdaEvent::new(payload, event.context))
                .await
                .map_err(Into::into)?;
            Ok(serde_json::to_value(answer)?)
        })
    })
}

/// The properties of a function that Lambda knows without running it.
#[derive(Debug, Clone)]
pub struct Frame {
    name: String,
    arn: String,
    timeout: Duration,
    memory_mb: u32,
    clock: Clock,
    random: Random,
}

/// A function that handles events.
#[derive(Clone)]
pub struct Function {
    frame: Frame,
    handler: Handler,
}

/// Why an invocation failed.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// The handler returned an error.
    #[error(transparent)]
    Failed(lambda_runtime::Error),
    /// The handler panicked, so the invocation has no result.
    #[error("the handler panicked")]
    Panicked,
    /// The handler took longer than its template allows and was dropped.
    #[error("timed out after {0:?}")]
    TimedOut(Duration),
}

impl Function {
    /// Creates a function that handles events with `handler`.
    pub fn new(frame: Frame, handler: Handler) -> Self {
        Self { frame, handler }
    }

    /// Returns the physical name of the function.
    pub fn name(&self) -> &str {
        &self.frame.name
    }

    /// Invokes the function and waits for its result. Dropping the future drops the handler.
    pub async fn invoke(&self, payload: Value) -> Result<Value, InvokeError> {
        let handling = (self.handler)(LambdaEvent::new(payload, self.frame.context()));
        self.frame
            .limit(handling)
            .await?
            .map_err(InvokeError::Failed)
    }
}

impl Frame {
    /// Creates the frame of a function that a template declares.
    pub fn new(declared: &template::Function, clock: Clock, random: Random) -> Self {
        Self {
            name: declared.name.clone(),
            arn: declared.arn.clone(),
            timeout: declared.timeout,
            memory_mb: declared.memory_mb,
            clock,
            random,
        }
    }

    /// Returns the physical name of the function.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs an invocation in its own task, so that a panic affects nothing else, and for no longer
    /// than the function's timeout.
    pub(crate) async fn limit<T: Send + 'static>(
        &self,
        invocation: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, InvokeError> {
        let mut task = DropAborts(tokio::spawn(invocation));
        match tokio::time::timeout(self.timeout, &mut task.0).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(InvokeError::Panicked),
            Err(_) => Err(InvokeError::TimedOut(self.timeout)),
        }
    }

    /// Creates the context of a new invocation.
    pub(crate) fn context(&self) -> Context {
        let timeout_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        let mut context = Context::default();
        context.request_id = request_id(&self.random);
        context.deadline = u64::try_from(self.clock.now().as_millis())
            .unwrap_or_default()
            .saturating_add(timeout_ms);
        context.invoked_function_arn.clone_from(&self.arn);
        context.env_config = Arc::new(lambda_runtime::Config {
            function_name: self.name.clone(),
            memory: i32::try_from(self.memory_mb).unwrap_or(i32::MAX),
            version: "$LATEST".to_owned(),
            log_stream: String::new(),
            log_group: format!("/aws/lambda/{}", self.name),
        });
        context
    }
}

/// Returns a random UUID, the format of Lambda's request ids.
fn request_id(random: &Random) -> String {
    let id = (u128::from_be_bytes(random.bytes()) & !(0xf << 76) & !(0x3 << 62))
        | (0x4 << 76)
        | (0x2 << 62);
    let hex = format!("{id:032x}");
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-")
}

struct DropAborts<T>(JoinHandle<T>);

impl<T> Drop for DropAborts<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicBool, Ordering};

    use serde::Deserialize;
    use serde_json::json;
    use tower::service_fn;

    use super::*;

    /// Returns the frame of a function with this timeout.
    pub(crate) fn frame(timeout: Duration) -> Frame {
        Frame {
            name: "waybill-Test".into(),
            arn: "arn:aws:lambda:us-east-1:000000000000:function:waybill-Test".into(),
            timeout,
            memory_mb: 128,
            clock: runtime::platform::system_clock(),
            random: runtime::platform::system_random(),
        }
    }

    /// Returns a function that runs a closure.
    pub(crate) fn function<F>(
        timeout: Duration,
        handler: impl Fn(LambdaEvent<Value>) -> F + Send + Sync + 'static,
    ) -> Function
    where
        F: Future<Output = Result<Value, lambda_runtime::Error>> + Send + 'static,
    {
        Function::new(
            frame(timeout),
            Arc::new(move |event| Box::pin(handler(event))),
        )
    }

    #[tokio::test]
    async fn a_typed_service_is_invoked_with_json() {
        #[derive(Deserialize)]
        struct Sum {
            a: u32,
            b: u32,
        }
        let service = service_fn(|event: LambdaEvent<Sum>| async move {
            Ok::<_, Infallible>(event.payload.a + event.payload.b)
        });
        let handler = erase(service);
        assert_eq!(
            handler(LambdaEvent::new(
                json!({"a": 1, "b": 2}),
                Context::default()
            ))
            .await
            .unwrap(),
            json!(3)
        );
        assert!(
            handler(LambdaEvent::new(json!({"a": 1}), Context::default()))
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn an_invocation_knows_its_deadline() {
        let function = function(Duration::from_secs(90), |event| async move {
            Ok(json!([event.context.deadline, event.context.request_id]))
        });
        let now = function.frame.clock.now().as_millis();
        let answer = function.invoke(json!({})).await.unwrap();
        let left = answer[0].as_i64().unwrap() - now;
        assert!((90_000..91_000).contains(&left), "{left}");
        assert_eq!(answer[1].as_str().unwrap().len(), 36);
    }

    #[tokio::test]
    async fn errors_and_panics_end_their_invocation_only() {
        let failing = function(Duration::from_secs(1), |_| async { Err("no".into()) });
        assert!(matches!(
            failing.invoke(json!({})).await,
            Err(InvokeError::Failed(_))
        ));
        let panicking = function(Duration::from_secs(1), |_| async { panic!("on purpose") });
        assert!(matches!(
            panicking.invoke(json!({})).await,
            Err(InvokeError::Panicked)
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_over_its_timeout_is_dropped() {
        struct Dropped(Arc<AtomicBool>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let dropped = Arc::new(AtomicBool::new(false));
        let witness = dropped.clone();
        let hanging = function(Duration::from_secs(5), move |_| {
            let guard = Dropped(witness.clone());
            async move {
                let _guard = guard;
                std::future::pending().await
            }
        });
        assert!(matches!(
            hanging.invoke(json!({})).await,
            Err(InvokeError::TimedOut(_))
        ));
        tokio::task::yield_now().await;
        assert!(dropped.load(Ordering::SeqCst));
    }
}
