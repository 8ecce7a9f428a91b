//! How much of a queue's work is under way at once, and how much of that may be one tenant's.
//!
//! On AWS a mapping's maximum concurrency says how many instances of a function run at once, and each instance costs an account's
//! concurrency. In one process a delivery that waits for its receiver costs a socket, so that files are the bound, and a lane has
//! room for twice what one organization may have under way: an organization alone is not slowed down, and the others find room.

use local_aws::sqs::Share;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::template::Mapping;

/// The most messages of one mapping under way at once.
const MESSAGES_MAX: u32 = 500;
/// As few as this, however few files the process may open.
const MESSAGES_MIN: u32 = 32;
/// Files for everything but deliveries: engines, requests, idle connections.
const OTHER_FILES: u32 = 200;
/// Mappings that share the files, with some to spare for connections that are kept.
const LANES: u32 = 8;
/// The most invocations at once when the template sets no limit.
const INVOCATIONS_MAX: u32 = 100;

/// What may be under way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// Invocations of the function.
    pub invocations: u32,
    /// Messages, over all invocations.
    pub messages: u32,
    /// Whether an invocation is an instance of its own, which is busy until the last of its messages is done.
    pub are_instances: bool,
}

impl Places {
    /// As the mapping says, each invocation an instance of its own.
    pub fn of(mapping: &Mapping) -> Self {
        let invocations = mapping.maximum_concurrency.unwrap_or(INVOCATIONS_MAX);
        let messages = invocations.saturating_mul(mapping.batch_size).min(MESSAGES_MAX);
        Self { invocations, messages, are_instances: true }
    }

    /// Of a lane whose deliveries all run in this process, which may open so many files.
    pub fn in_process(files_max: u32) -> Self {
        let messages = (files_max.saturating_sub(OTHER_FILES) / LANES).clamp(MESSAGES_MIN, MESSAGES_MAX);
        Self { invocations: messages, messages, are_instances: false }
    }

    /// What one tenant may have of them, and one place of a tenant: half, and half of that. Where messages of one tenant may be
    /// spread over as many instances, it is instances that are divided.
    pub fn share(&self) -> Share {
        let divided = if self.are_instances { self.invocations } else { self.messages };
        let part = |of: u32| usize::try_from(divided / of).unwrap_or(1).max(1);
        Share { tenant: part(2), place: part(4) }
    }
}

/// Lets this process open as many files as the system permits it, and says how many that are.
pub fn raise_files_max() -> u32 {
    let mut limit = getrlimit(Resource::Nofile);
    let before = limit.current;
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::info!(%error, "failed to raise the limit of open files");
        limit.current = before;
    }
    limit.current.map_or(u32::MAX, |files| u32::try_from(files).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_half_and_a_place_of_it_a_quarter() {
        let cases = [(20_000, 500, 250, 125), (1_024, 103, 51, 25), (256, 32, 16, 8)];
        for (files, messages, tenant, place) in cases {
            let places = Places::in_process(files);
            assert_eq!((places.messages, places.share()), (messages, Share { tenant, place }), "{files} files");
        }
        let mapping = Mapping {
            queue_arn: String::new(),
            function: String::new(),
            batch_size: 10,
            maximum_concurrency: Some(20),
            reports_item_failures: true,
        };
        let places = Places::of(&mapping);
        assert_eq!((places.invocations, places.messages, places.share()), (20, 200, Share { tenant: 10, place: 5 }));
        let two = Places::of(&Mapping { maximum_concurrency: Some(2), ..mapping });
        assert_eq!(two.share(), Share { tenant: 1, place: 1 });
    }
}
