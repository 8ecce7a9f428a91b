//! Invokes a function on a schedule, as EventBridge Scheduler does.

use std::sync::Arc;

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::function::Function;
use crate::template::Schedule;

/// Invokes the function at `first` and then once per period, until `stop`. A run in progress is
/// awaited, so runs of one schedule never overlap.
pub async fn run(
    schedule: Schedule,
    first: Instant,
    function: Arc<Function>,
    stop: CancellationToken,
) {
    let mut ticks = tokio::time::interval_at(first, schedule.period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = function.invoke(schedule.input.clone()).await {
            tracing::error!(
                function = function.name(),
                schedule = schedule.name,
                error = %domain::chain(&error),
                "a scheduled run failed"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};
    use tokio::sync::mpsc;

    use super::*;
    use crate::function::tests::function;

    #[tokio::test(start_paused = true)]
    async fn a_schedule_runs_once_a_period_until_stopped() {
        let (runs, mut ran) = mpsc::unbounded_channel();
        let function = function(Duration::from_secs(5), move |event| {
            let runs = runs.clone();
            async move {
                runs.send((Instant::now(), event.payload))?;
                Err("a failing run does not end the schedule".into())
            }
        });
        let (start, stop) = (Instant::now(), CancellationToken::new());
        let schedule = Schedule {
            name: "Sweep".into(),
            period: Duration::from_secs(60),
            input: json!({"a": 1}),
        };
        let ticking = tokio::spawn(run(schedule, start, Arc::new(function), stop.clone()));
        for minute in 0..3_u64 {
            let (at, payload): (_, Value) = ran.recv().await.unwrap();
            assert_eq!(
                ((at - start).as_secs(), payload),
                (60 * minute, json!({"a": 1}))
            );
        }
        stop.cancel();
        ticking.await.unwrap();
    }
}
