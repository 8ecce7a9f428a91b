//! Limits how much of a queue's work runs concurrently, and how much of that one tenant may use.
//!
//! On AWS the maximum concurrency of a mapping limits the instances of a function, and each
//! instance uses the account's concurrency. In one process a delivery that waits for its receiver
//! uses a socket, so open files are the limit. A lane has room for twice what one organization may
//! have in progress: a single organization is not slowed down, and others find room.

use local_aws::sqs::Share;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::template::Mapping;

/// The most messages of one mapping in progress.
const MESSAGES_MAX: u32 = 500;
/// The least messages of one mapping in progress, however few files the process may open.
const MESSAGES_MIN: u32 = 32;
/// Files for everything except deliveries: engines, requests, idle connections.
const OTHER_FILES: u32 = 200;
/// Mappings that share the files, with a reserve for connections that are kept open.
const LANES: u32 = 8;
/// The most concurrent invocations if the template sets no limit.
const INVOCATIONS_MAX: u32 = 100;

/// How much may run concurrently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// The most invocations of the function.
    pub invocations: u32,
    /// The most messages, over all invocations.
    pub messages: u32,
    /// Whether each invocation is an instance of its own, which is busy until the last of its
    /// messages is done.
    pub are_instances: bool,
}

impl Capacity {
    /// Returns the limits of a mapping, with each invocation an instance of its own.
    pub fn of(mapping: &Mapping) -> Self {
        let invocations = mapping.maximum_concurrency.unwrap_or(INVOCATIONS_MAX);
        let messages = invocations
            .saturating_mul(mapping.batch_size)
            .min(MESSAGES_MAX);
        Self {
            invocations,
            messages,
            are_instances: true,
        }
    }

    /// Returns the limits of a lane whose deliveries all run in this process, which may open
    /// `files_max` files.
    pub fn in_process(files_max: u32) -> Self {
        let messages =
            (files_max.saturating_sub(OTHER_FILES) / LANES).clamp(MESSAGES_MIN, MESSAGES_MAX);
        Self {
            invocations: messages,
            messages,
            are_instances: false,
        }
    }

    /// Returns the share of one tenant, half of the limit, and of one destination of a tenant, half
    /// of that. If each invocation is an instance, instances are divided, because the messages of
    /// one tenant may be spread over as many.
    pub fn share(&self) -> Share {
        let divided = if self.are_instances {
            self.invocations
        } else {
            self.messages
        };
        let part = |of: u32| usize::try_from(divided / of).unwrap_or(1).max(1);
        Share {
            tenant: part(2),
            subgroup: part(4),
        }
    }
}

/// Raises the number of files that this process may open to the system's limit, and returns it.
pub fn raise_files_max() -> u32 {
    let mut limit = getrlimit(Resource::Nofile);
    let before = limit.current;
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::info!(%error, "failed to raise the limit of open files");
        limit.current = before;
    }
    limit
        .current
        .map_or(u32::MAX, |files| u32::try_from(files).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_half_and_a_place_of_it_a_quarter() {
        let cases = [
            (20_000, 500, 250, 125),
            (1_024, 103, 51, 25),
            (256, 32, 16, 8),
        ];
        for (files, messages, tenant, subgroup) in cases {
            let capacity = Capacity::in_process(files);
            assert_eq!(
                (capacity.messages, capacity.share()),
                (messages, Share { tenant, subgroup }),
                "{files} files"
            );
        }
        let mapping = Mapping {
            queue_arn: String::new(),
            function: String::new(),
            batch_size: 10,
            maximum_concurrency: Some(20),
            reports_item_failures: true,
        };
        let capacity = Capacity::of(&mapping);
        assert_eq!(
            (capacity.invocations, capacity.messages, capacity.share()),
            (
                20,
                200,
                Share {
                    tenant: 10,
                    subgroup: 5
                }
            )
        );
        let two = Capacity::of(&Mapping {
            maximum_concurrency: Some(2),
            ..mapping
        });
        assert_eq!(
            two.share(),
            Share {
                tenant: 1,
                subgroup: 1
            }
        );
    }
}
