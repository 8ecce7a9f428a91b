//! Renders on separate threads, with a time limit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use template::Stop;
use tokio::sync::{AcquireError, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use crate::Fault;

/// How long everything that one attempt or preview renders may take, from its start.
const RENDER_MAX: Duration = Duration::from_millis(250);

/// How many renders run at once in a process. More would only slow each other down.
const RENDERS_AT_ONCE: usize = 4;

static PERMITS: Semaphore = Semaphore::const_new(RENDERS_AT_ONCE);

/// Limits how many renders of each organization have a permit or wait for one directly. The others
/// wait behind those, so that an organization with many slow templates delays another one by a
/// single render.
static TURNS: Mutex<BTreeMap<String, Weak<Semaphore>>> = Mutex::new(BTreeMap::new());

/// The name in a fault that does not concern a setting.
const RENDERING: &str = "rendering";

/// Runs `render` on a separate thread, for this organization. It is stopped after 250 ms, at
/// `deadline`, and when the caller is dropped.
pub async fn off_thread<T, F>(
    organization: String,
    deadline: Option<Instant>,
    render: F,
) -> Result<T, Fault>
where
    T: Send + 'static,
    F: FnOnce(&Stop) -> Result<T, Fault> + Send + 'static,
{
    let late = |_| Fault::ours(RENDERING, "the service is too busy to render templates now");
    let permits = async {
        let turn = turns_of(organization).acquire_owned().await?;
        Ok::<_, AcquireError>((turn, PERMITS.acquire().await?))
    };
    let permit = match deadline {
        Some(deadline) => timeout_at(deadline, permits).await.map_err(late)?,
        None => permits.await,
    };
    let permit = permit.map_err(|_| Fault::ours(RENDERING, "the service is shutting down"))?;
    let stop = StopOnDrop(Stop::default());
    let seen = stop.0.clone();
    let mut rendering = spawn_blocking(move || {
        let _permit = permit;
        render(&seen)
    });
    let end = Instant::now() + RENDER_MAX;
    let end = deadline.map_or(end, |deadline| deadline.min(end));
    let finished = match timeout_at(end, &mut rendering).await {
        Ok(finished) => finished,
        Err(_) => {
            stop.0.set();
            rendering.await
        }
    };
    finished.unwrap_or_else(|error| {
        tracing::error!(error = %domain::chain(&error), "rendering a template panicked");
        Err(Fault::of(RENDERING, "the template could not be rendered"))
    })
}

/// Returns the turns of an organization, which exist while one of its renders has or wants one.
fn turns_of(organization: String) -> Arc<Semaphore> {
    let mut all = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(turns) = all.get(&organization).and_then(Weak::upgrade) {
        return turns;
    }
    all.retain(|_, turns| turns.strong_count() > 0);
    let turns = Arc::new(Semaphore::new(RENDERS_AT_ONCE));
    all.insert(organization, Arc::downgrade(&turns));
    turns
}

/// Stops the render when its caller is dropped.
struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;
    use std::thread::sleep;

    use tokio::task::JoinSet;

    use super::*;

    fn until_stopped(stop: &Stop) {
        while !stop.is_set() {
            sleep(Duration::from_millis(1));
        }
    }

    #[tokio::test]
    async fn rendering_that_takes_too_long_is_stopped() {
        let began = Instant::now();
        let ended = off_thread(String::new(), None, |stop| {
            until_stopped(stop);
            Ok("stopped")
        });
        assert_eq!(ended.await, Ok("stopped"));
        assert!(began.elapsed() >= RENDER_MAX);
        let deadline = Some(Instant::now());
        let ended = off_thread(String::new(), deadline, |stop| {
            until_stopped(stop);
            Ok(())
        });
        assert!(matches!(
            ended.await,
            Ok(()) | Err(Fault { is_ours: true, .. })
        ));
    }

    #[tokio::test]
    async fn a_render_that_panics_is_a_fault() {
        let ended = off_thread(String::new(), None, |_| -> Result<(), Fault> {
            panic!("on purpose")
        })
        .await;
        assert_eq!(ended.map_err(|fault| fault.is_ours), Err(false));
    }

    #[tokio::test]
    async fn a_render_stops_with_its_caller() {
        let (started, wait_for_start) = channel();
        let (ended, wait_for_end) = channel();
        let rendering = off_thread(String::new(), None, move |stop| {
            started.send(()).unwrap();
            until_stopped(stop);
            ended.send(()).unwrap();
            Ok(())
        });
        let caller = tokio::spawn(rendering);
        let started = tokio::task::spawn_blocking(move || wait_for_start.recv())
            .await
            .unwrap();
        started.unwrap();
        caller.abort();
        tokio::task::spawn_blocking(move || wait_for_end.recv())
            .await
            .unwrap()
            .unwrap();
    }

    #[tokio::test]
    async fn an_organization_with_many_renders_delays_another_one_by_one_render() {
        const MANY: usize = 40;
        let ended = Arc::new(AtomicUsize::new(0));
        let render = |organization: &str| {
            let ended = Arc::clone(&ended);
            off_thread(organization.to_owned(), None, move |_| {
                sleep(Duration::from_millis(20));
                Ok(ended.fetch_add(1, Ordering::Relaxed))
            })
        };
        let mut many = JoinSet::new();
        for _ in 0..MANY {
            many.spawn(render("greedy"));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        let before = render("modest").await.expect("it is rendered");
        assert!(before < MANY / 2, "{before} of the others were first");
    }
}
