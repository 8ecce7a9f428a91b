//! The processes of one function, and the invocations that wait for them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use lambda_runtime::LambdaEvent;
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use crate::function::Handler;

/// The most processes of one function, as the template has for webhooks. Further invocations wait.
const PROCESSES_MAX: usize = 100;

/// An invocation, as the Runtime API represents it.
pub(super) struct Invocation {
    pub(super) id: String,
    pub(super) deadline_ms: u64,
    pub(super) arn: String,
    pub(super) payload: Bytes,
}

/// The response of a process: its bytes or its error.
type Answer = Result<Bytes, String>;

/// The processes of one function.
pub(super) struct Pool {
    bootstrap: PathBuf,
    environment: BTreeMap<String, String>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Invocation>,
    answers: HashMap<String, oneshot::Sender<Answer>>,
    processes: Vec<Child>,
    /// Idle processes, the most recently used last, because it is warm.
    idle: Vec<oneshot::Sender<Invocation>>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({})", self.bootstrap.display())
    }
}

impl Pool {
    pub(super) fn new(bootstrap: PathBuf, environment: BTreeMap<String, String>) -> Self {
        Self {
            bootstrap,
            environment,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next invocation of a process; `None` if the pool no longer exists.
    pub(super) async fn next(&self) -> Option<Invocation> {
        let asked = {
            let mut state = self.state();
            if let Some(invocation) = state.waiting.pop_front() {
                return Some(invocation);
            }
            let (sender, receiver) = oneshot::channel();
            state.idle.push(sender);
            receiver
        };
        asked.await.ok()
    }

    /// Passes a response to its waiting caller, if it has not timed out.
    pub(super) fn answered(&self, id: &str, answer: Answer) {
        if let Some(waiting) = self.state().answers.remove(id) {
            drop(waiting.send(answer));
        }
    }

    /// Runs an invocation in a process.
    pub(super) async fn invoke(
        &self,
        invocation: Invocation,
    ) -> Result<Bytes, lambda_runtime::Error> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.state();
            state.answers.insert(invocation.id.clone(), sender);
            state
                .processes
                .retain_mut(|process| matches!(process.try_wait(), Ok(None)));
            let mut left = Some(invocation);
            // A process that has ended does not receive it, so the next idle one is tried.
            while let Some(process) = left.as_ref().and_then(|_| state.idle.pop()) {
                left = left
                    .take()
                    .and_then(|invocation| process.send(invocation).err());
            }
            if let Some(invocation) = left {
                state.waiting.push_back(invocation);
                if state.processes.len() < PROCESSES_MAX {
                    let process = self.spawn().map_err(|error| {
                        format!("{} does not start: {error}", self.bootstrap.display())
                    })?;
                    state.processes.push(process);
                }
            }
        }
        Ok(receiver
            .await
            .map_err(|_| "the function's process is gone")??)
    }

    /// Starts a process without any of this process's environment, as on Lambda. It ends with the
    /// host.
    fn spawn(&self) -> std::io::Result<Child> {
        Command::new(&self.bootstrap)
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
    }
}

/// Makes a handler of a function that handles events.
pub(super) fn handler(pool: Arc<Pool>) -> Handler {
    Arc::new(move |event: LambdaEvent<Value>| {
        let pool = pool.clone();
        Box::pin(async move {
            let LambdaEvent {
                payload, context, ..
            } = event;
            let invocation = Invocation {
                id: context.request_id,
                deadline_ms: context.deadline,
                arn: context.invoked_function_arn,
                payload: payload.to_string().into(),
            };
            let answer = pool.invoke(invocation).await?;
            Ok(serde_json::from_slice(&answer)?)
        })
    })
}
