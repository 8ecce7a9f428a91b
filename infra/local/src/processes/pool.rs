//! The processes of one function and the invocations they wait for.

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

/// Processes of one function at once, as the template has webhooks; as many invocations run, the others wait their turn.
const PROCESSES_MAX: usize = 100;

/// One invocation, as the Runtime API gives it.
pub(super) struct Invocation {
    pub(super) id: String,
    pub(super) deadline_ms: u64,
    pub(super) arn: String,
    pub(super) payload: Bytes,
}

/// What a process answered: its bytes, or its error.
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
    /// Processes that ask for work, the one that did last at the end: it is warm.
    idle: Vec<oneshot::Sender<Invocation>>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({})", self.bootstrap.display())
    }
}

impl Pool {
    pub(super) fn new(bootstrap: PathBuf, environment: BTreeMap<String, String>) -> Self {
        Self { bootstrap, environment, state: Mutex::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next invocation for a process that asks; nothing, when the pool is gone.
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

    /// Hands an answer to whoever waits for it; after a timeout nobody does.
    pub(super) fn answered(&self, id: &str, answer: Answer) {
        if let Some(waiting) = self.state().answers.remove(id) {
            drop(waiting.send(answer));
        }
    }

    /// Has an invocation carried out.
    pub(super) async fn invoke(&self, invocation: Invocation) -> Result<Bytes, lambda_runtime::Error> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.state();
            state.answers.insert(invocation.id.clone(), sender);
            state.processes.retain_mut(|process| matches!(process.try_wait(), Ok(None)));
            let mut left = Some(invocation);
            // One that has gone takes nothing, and the next idle one is asked.
            while let Some(process) = left.as_ref().and_then(|_| state.idle.pop()) {
                left = left.take().and_then(|invocation| process.send(invocation).err());
            }
            if let Some(invocation) = left {
                state.waiting.push_back(invocation);
                if state.processes.len() < PROCESSES_MAX {
                    let process = self.spawn().map_err(|error| format!("{} does not start: {error}", self.bootstrap.display()))?;
                    state.processes.push(process);
                }
            }
        }
        Ok(receiver.await.map_err(|_| "the function's process is gone")??)
    }

    /// Nothing of this process' own environment goes along, as on Lambda; and it ends with the host.
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

/// A function that takes events, as a handler.
pub(super) fn handler(pool: Arc<Pool>) -> Handler {
    Arc::new(move |event: LambdaEvent<Value>| {
        let pool = pool.clone();
        Box::pin(async move {
            let LambdaEvent { payload, context, .. } = event;
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
