//! The queue contract: what Waybill relies on of Amazon SQS, with one row per behaviour.
//!
//! A [`Backend`] creates queues. Every row creates its own, so all rows run concurrently
//! ([`check`]). The rows use only the AWS SDK and wait on tokio's clock, so they run against a
//! server and, with a paused clock, against an engine inside the test.

mod attributes;
mod batches;
mod deleting;
mod fixture;
mod queues;
mod receiving;
mod redriving;
mod refusals;
mod sending;
mod visibility;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

pub use fixture::{QueueFixture, Shape};

/// An implementation of SQS under test.
pub trait Backend: Send + Sync + 'static {
    /// Creates a queue of this shape, with its dead-letter queue.
    fn fixture(&self, shape: Shape) -> impl Future<Output = QueueFixture> + Send;

    /// Creates a queue of the usual shape.
    fn plain(&self) -> impl Future<Output = QueueFixture> + Send {
        self.fixture(Shape::default())
    }
}

type Row<B> = (
    &'static str,
    fn(Arc<B>) -> Pin<Box<dyn Future<Output = ()> + Send>>,
);

/// Names each row once: its function is its name.
macro_rules! rows {
    ($($module:ident: $($row:ident),+;)+) => {
        vec![$($((concat!(stringify!($module), "::", stringify!($row)),
            |backend| Box::pin($module::$row(backend)))),+),+]
    };
}

fn rows<B: Backend>() -> Vec<Row<B>> {
    rows! {
        sending: a_message_arrives_as_it_was_sent, digests_of_bodies_are_right,
        a_delayed_message_waits, the_queues_delay_applies, no_delay_overrides_the_queues,
            a_group_is_kept, a_trace_header_is_kept, a_mebibyte_is_taken;
        receiving: a_received_message_is_hidden, at_most_as_many_as_asked, one_unless_asked,
        receives_are_counted, an_empty_queue_answers_at_once,
            a_long_poll_ends_when_a_message_comes, a_long_poll_ends_when_a_message_becomes_visible,
            a_long_poll_waits_its_time,
            the_queues_wait_applies, two_receivers_share_no_message;
        visibility: a_message_returns_when_its_time_is_over, the_queues_timeout_applies,
        zero_returns_it_at_once, a_new_timeout_shortens, a_new_timeout_extends,
            backoff_by_visibility_counts_receives, a_batch_changes_each_and_fails_each;
        deleting: a_deleted_message_never_returns, deleting_twice_is_fine, a_late_delete_counts,
        a_batch_deletes_each_and_fails_each, purging_empties;
        batches: ten_messages_at_once, a_bad_entry_fails_alone, entries_have_their_own_delays,
        entries_have_their_own_groups_and_attributes;
        attributes: every_type_comes_back, none_unless_asked, asked_by_name_or_prefix,
        digests_of_attributes_are_right;
        redriving: too_many_receives_move_it, as_many_as_allowed_leave_it,
        its_identity_goes_with_it, a_dead_letter_can_be_deleted;
        queues: its_url_by_name, listed_by_prefix, counts_say_where_messages_are,
        attributes_describe_it;
        refusals: an_unknown_queue, receipt_handles_that_are_none, a_deleted_messages_visibility,
        visibility_beyond_twelve_hours, a_delay_beyond_fifteen_minutes,
            receives_out_of_range, a_batch_of_none, a_batch_of_eleven, a_batch_with_an_id_twice,
            a_batch_with_an_ill_formed_id, a_batch_beyond_a_mebibyte,
            a_message_beyond_a_mebibyte, an_unknown_attribute;
    }
}

/// Runs every row concurrently, and fails with the names of the rows that failed.
pub async fn check<B: Backend>(backend: B) {
    let backend = Arc::new(backend);
    let running: Vec<_> = rows::<B>()
        .into_iter()
        .map(|(name, row)| (name, tokio::spawn(row(Arc::clone(&backend)))))
        .collect();
    let count = running.len();
    let mut failed = Vec::new();
    for (name, row) in running {
        if let Err(error) = row.await {
            failed.push(format!("{name}: {error}"));
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {count} rows of the queue contract failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
}
