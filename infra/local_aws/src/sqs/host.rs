//! Where the engine runs: on its own thread, or on the calling task.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::engine::Engine;
use super::refusal::Refusal;
use crate::Mode;

/// The most calls in one transaction. Calls share one if they arrive while the previous one is
/// committed.
const CALLS_PER_TRANSACTION_MAX: usize = 64;

/// The engine and where it runs.
pub(super) enum Host {
    /// Calls wait in the channel, which never holds more calls than there are callers, because each
    /// waits for its result.
    Thread(Sender<Task>),
    Inline(Box<Mutex<Option<Engine>>>),
}

/// A task of the engine's thread.
pub(super) enum Task {
    Call(Call),
    Close(oneshot::Sender<Result<(), Refusal>>),
}

pub(super) type Call = Box<dyn FnOnce(&mut Engine) -> Answered + Send>;

/// A call that ran and whose result waits for the commit.
pub(super) struct Answered {
    storage_failed: bool,
    answer: Box<dyn FnOnce(Result<(), Refusal>) + Send>,
}

impl Host {
    pub(super) fn new(mode: Mode, engine: Engine) -> std::io::Result<Self> {
        match mode {
            Mode::Inline => Ok(Self::Inline(Box::new(Mutex::new(Some(engine))))),
            Mode::Thread => {
                let (tasks, inbox) = channel();
                std::thread::Builder::new()
                    .name("sqs engine".to_owned())
                    .spawn(move || serve(engine, &inbox))?;
                Ok(Self::Thread(tasks))
            }
        }
    }

    /// Runs a call in a transaction and returns its result once that is committed.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Engine) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (answer, answered) = oneshot::channel();
        let call: Call = Box::new(move |engine| {
            let result = call(engine);
            Answered {
                storage_failed: matches!(result, Err(Refusal::Storage(_))),
                // The caller may have gone.
                answer: Box::new(move |committed| drop(answer.send(committed.and(result)))),
            }
        });
        match self {
            Self::Thread(tasks) => tasks.send(Task::Call(call)).map_err(|_| Refusal::Closed)?,
            Self::Inline(engine) => {
                transact(lock(engine).as_mut().ok_or(Refusal::Closed)?, call, || None)
            }
        }
        answered.await.unwrap_or(Err(Refusal::Closed))
    }

    /// Finishes the calls before this one, writes the log to the file and closes it.
    pub(super) async fn close(&self) -> Result<(), Refusal> {
        match self {
            Self::Thread(tasks) => {
                let (answer, answered) = oneshot::channel();
                if tasks.send(Task::Close(answer)).is_err() {
                    return Ok(());
                }
                answered.await.unwrap_or(Ok(()))
            }
            Self::Inline(engine) => lock(engine).take().map_or(Ok(()), Engine::close),
        }
    }
}

/// A panic inside a call leaves its transaction open. The next one then fails to begin, rolls back
/// and reads the file again.
fn lock(engine: &Mutex<Option<Engine>>) -> MutexGuard<'_, Option<Engine>> {
    engine.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(mut engine: Engine, inbox: &Receiver<Task>) {
    let mut closing = None;
    while closing.is_none() {
        match inbox.recv() {
            // The last `Sqs` was dropped. Dropping the engine closes the file.
            Err(_) => return,
            Ok(Task::Close(answer)) => closing = Some(answer),
            Ok(Task::Call(call)) => {
                transact(&mut engine, call, || match inbox.try_recv().ok()? {
                    Task::Call(call) => Some(call),
                    Task::Close(answer) => {
                        closing = Some(answer);
                        None
                    }
                })
            }
        }
    }
    let closed = engine.close();
    if let Some(answer) = closing {
        drop(answer.send(closed));
    }
}

/// Runs a call and those that wait behind it in one transaction, then returns all results.
fn transact(engine: &mut Engine, first: Call, mut next: impl FnMut() -> Option<Call>) {
    let mut answered = Vec::new();
    let mut outcome = engine.begin();
    let mut call = Some(first);
    while let Some(run) = call {
        let done = run(engine);
        if done.storage_failed && outcome.is_ok() {
            outcome = Err(Refusal::Storage(
                "another call of the same transaction failed".to_owned(),
            ));
        }
        answered.push(done.answer);
        call = if answered.len() < CALLS_PER_TRANSACTION_MAX {
            next()
        } else {
            None
        };
    }
    let outcome = outcome.and_then(|()| engine.commit());
    if outcome.is_err() {
        engine.recover();
    }
    for answer in answered {
        answer(outcome.clone());
    }
}
