//! The thread of the engine.

use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use dynoxide::Database;
use tokio::sync::oneshot;

use super::{Answer, Request};

struct Job {
    request: Request,
    reply: oneshot::Sender<Answer>,
}

/// Runs requests one after another. A request whose caller has gone is still run, as on AWS.
pub(crate) struct EngineThread {
    running: Mutex<Option<(Sender<Job>, JoinHandle<()>)>>,
}

impl EngineThread {
    pub(crate) fn start(database: Database) -> Self {
        let (jobs, queue) = mpsc::channel::<Job>();
        let thread = std::thread::Builder::new()
            .name("dynamodb".into())
            .spawn(move || {
                for job in queue {
                    // The caller may have gone, so that nothing receives the response.
                    let _ = job.reply.send(job.request.run(&database));
                }
            })
            .expect("a thread can be started");
        Self {
            running: Mutex::new(Some((jobs, thread))),
        }
    }

    pub(crate) async fn run(&self, request: Request) -> Answer {
        let (reply, answer) = oneshot::channel();
        let sent = {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            running
                .as_ref()
                .is_some_and(|(jobs, _)| jobs.send(Job { request, reply }).is_ok())
        };
        if sent && let Ok(answer) = answer.await {
            return answer;
        }
        Answer::closed()
    }

    /// Waits for the requests that were sent, then ends the thread.
    pub(crate) fn stop(&self) {
        let running = self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some((jobs, thread)) = running {
            drop(jobs);
            if thread.join().is_err() {
                tracing::error!("the DynamoDB engine's thread had panicked");
            }
        }
    }
}

impl Drop for EngineThread {
    fn drop(&mut self) {
        self.stop();
    }
}
