//! Renders on separate threads, with a time limit.

use std::time::Duration;

use template::Stop;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use crate::Fault;

/// How long everything that one attempt or preview renders may take, from its start.
const RENDER_MAX: Duration = Duration::from_millis(250);

/// How many renders run at once in a process. More would only slow each other down.
const RENDERS_AT_ONCE: usize = 4;

static PLACES: Semaphore = Semaphore::const_new(RENDERS_AT_ONCE);

/// The name in a fault that does not concern a setting.
const RENDERING: &str = "rendering";

/// Runs `render` on a separate thread. It is stopped after 250 ms, at `deadline`, and when the
/// caller is dropped.
pub async fn off_thread<T, F>(deadline: Option<Instant>, render: F) -> Result<T, Fault>
where
    T: Send + 'static,
    F: FnOnce(&Stop) -> Result<T, Fault> + Send + 'static,
{
    let late = |_| Fault::ours(RENDERING, "the service is too busy to render templates now");
    let place = match deadline {
        Some(deadline) => timeout_at(deadline, PLACES.acquire()).await.map_err(late)?,
        None => PLACES.acquire().await,
    };
    let place = place.map_err(|_| Fault::ours(RENDERING, "the service is shutting down"))?;
    let stop = StopOnDrop(Stop::default());
    let seen = stop.0.clone();
    let mut rendering = spawn_blocking(move || {
        let _place = place;
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

/// Stops the render when its caller is dropped.
struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread::sleep;

    use super::*;

    fn until_stopped(stop: &Stop) {
        while !stop.is_set() {
            sleep(Duration::from_millis(1));
        }
    }

    #[tokio::test]
    async fn rendering_that_takes_too_long_is_stopped() {
        let began = Instant::now();
        let ended = off_thread(None, |stop| {
            until_stopped(stop);
            Ok("stopped")
        });
        assert_eq!(ended.await, Ok("stopped"));
        assert!(began.elapsed() >= RENDER_MAX);
        let deadline = Some(Instant::now());
        let ended = off_thread(deadline, |stop| {
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
        let ended = off_thread(None, |_| -> Result<(), Fault> { panic!("on purpose") }).await;
        assert_eq!(ended.map_err(|fault| fault.is_ours), Err(false));
    }

    #[tokio::test]
    async fn a_render_stops_with_its_caller() {
        let (started, wait_for_start) = channel();
        let (ended, wait_for_end) = channel();
        let rendering = off_thread(None, move |stop| {
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
}
