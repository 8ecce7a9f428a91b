//! The table of a delivery's transitions in `docs/ARCHITECTURE.md` is what the code does.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::Reason;
use domain::attempt::Trigger;
use domain::delivery::{Delivery, Redelivery, State};
use domain::retry::RetryPolicy;
use domain::settle::{Outcome, settle};

use crate::{apply, at, delivery};

const PAGE: &str = include_str!("../../../../docs/ARCHITECTURE.md");

/// From, by, to.
type Edge = (String, String, String);

#[test]
fn the_transitions_in_the_documentation_are_those_that_the_code_makes() {
    let (drawn, made) = (drawn(), made());
    assert!(drawn.len() > 10, "the table is read: {drawn:?}");
    assert_eq!(drawn.difference(&made).collect::<Vec<_>>(), Vec::<&Edge>::new(), "drawn, and not made");
    assert_eq!(made.difference(&drawn).collect::<Vec<_>>(), Vec::<&Edge>::new(), "made, and not drawn");
}

fn drawn() -> BTreeSet<Edge> {
    let (_, section) = PAGE.split_once("## A delivery's states").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix("` |"));
    let edges = rows.flat_map(|row| {
        let (from, rest) = row.split_once("` | ").unwrap();
        let (by, to) = rest.split_once(" | `").unwrap();
        to.split("`, `").map(|to| (from.to_owned(), by.to_owned(), to.to_owned())).collect::<Vec<_>>()
    });
    edges.collect()
}

fn made() -> BTreeSet<Edge> {
    let now = at(60);
    let states = [
        State::Queued,
        State::Retrying { next_attempt_at: now, reason: Some(Reason::Timeout) },
        State::Succeeded { finished_at: now, tracking: None },
        State::Failed { finished_at: now, reason: Reason::Rejected, exhausted: false },
        State::Skipped { finished_at: now, reason: Reason::DestinationDisabled },
        State::Cancelled { finished_at: now },
    ];
    let mut edges = BTreeSet::new();
    for state in states {
        let before = Delivery { state, ..delivery() };
        let mut note = |by: &str, after: &Delivery| {
            edges.insert((before.status().as_str().to_owned(), by.to_owned(), after.status().as_str().to_owned()));
        };
        if !before.status().is_finished() {
            for outcome in outcomes() {
                let settlement = settle(&before, outcome, &RetryPolicy::default(), now, 0.5);
                note("attempt", &apply(before.clone(), &settlement, now));
            }
        }
        if let Ok(after) = before.clone().cancel(now) {
            note("cancel", &after);
        }
        for (by, force) in [("retry", false), ("forced retry", true)] {
            if let Ok(Redelivery::Reopened(after)) = before.clone().redeliver(Trigger::Manual, force, now) {
                note(by, &after);
            }
        }
    }
    edges
}

fn outcomes() -> [Outcome; 6] {
    [
        Outcome::Delivered(None),
        Outcome::Retry(Reason::ServerError),
        Outcome::Throttled(Reason::RateLimited, Duration::from_secs(9)),
        Outcome::ClientError(Reason::Authentication),
        Outcome::Reject(Reason::Rejected),
        Outcome::Gone(Reason::Rejected),
    ]
}
