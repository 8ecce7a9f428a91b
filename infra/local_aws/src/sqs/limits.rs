//! SQS's quotas (Amazon SQS Developer Guide, "Amazon SQS quotas").

use super::refusal::Refusal;

/// The most entries in a batch, and messages in one receive.
pub(super) const BATCH_ENTRIES_MAX: usize = 10;
/// The most bytes of a message with its attributes, and of all messages in a batch.
pub(super) const REQUEST_BYTES_MAX: usize = 1024 * 1024;
/// The most attributes of a message.
pub(super) const ATTRIBUTES_MAX: usize = 10;
/// The most messages of a queue that were received and are neither deleted nor visible again.
pub(super) const IN_FLIGHT_MAX: usize = 120_000;
/// The most characters in the id of a message group.
const GROUP_ID_CHARS_MAX: usize = 128;
/// The most characters in the id of a batch entry.
const ENTRY_ID_CHARS_MAX: usize = 80;
pub(super) const VISIBILITY_SECONDS_MAX: u32 = 43_200;
const DELAY_SECONDS_MAX: u32 = 900;
const WAIT_SECONDS_MAX: u32 = 20;

fn within(
    parameter: &'static str,
    value: i64,
    min: u32,
    max: u32,
    reason: &str,
) -> Result<u32, Refusal> {
    match u32::try_from(value) {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(Refusal::InvalidParameterValue {
            parameter,
            value: value.to_string(),
            reason: reason.to_owned(),
        }),
    }
}

pub(super) fn visibility_seconds(value: i64) -> Result<u32, Refusal> {
    within(
        "VisibilityTimeout",
        value,
        0,
        VISIBILITY_SECONDS_MAX,
        "Must be between 0 and 43200.",
    )
}

pub(super) fn delay_seconds(value: i64) -> Result<u32, Refusal> {
    within(
        "DelaySeconds",
        value,
        0,
        DELAY_SECONDS_MAX,
        "DelaySeconds must be >= 0 and <= 900.",
    )
}

pub(super) fn wait_seconds(value: i64) -> Result<u32, Refusal> {
    within(
        "WaitTimeSeconds",
        value,
        0,
        WAIT_SECONDS_MAX,
        "Must be >= 0 and <= 20, if provided.",
    )
}

pub(super) fn receive_count(value: i64) -> Result<usize, Refusal> {
    let max = BATCH_ENTRIES_MAX as u32;
    within(
        "MaxNumberOfMessages",
        value,
        1,
        max,
        "Must be between 1 and 10, if provided.",
    )
    .map(|count| count as usize)
}

/// Checks the id of a message group: alphanumeric characters and punctuation.
pub(super) fn group_id(value: &str) -> Result<(), Refusal> {
    let fits = (1..=GROUP_ID_CHARS_MAX).contains(&value.len())
        && value.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        return Ok(());
    }
    Err(Refusal::InvalidParameterValue {
        parameter: "MessageGroupId",
        value: value.to_owned(),
        reason: "MessageGroupId can only include alphanumeric and punctuation characters. 1 to \
             128 in length."
            .to_owned(),
    })
}

/// Checks a batch: one to ten entries with well-formed, distinct ids.
pub(super) fn batch<'a>(
    entry_shape: &'static str,
    ids: impl ExactSizeIterator<Item = &'a str>,
) -> Result<(), Refusal> {
    match ids.len() {
        0 => return Err(Refusal::EmptyBatchRequest(entry_shape)),
        1..=BATCH_ENTRIES_MAX => {}
        count => return Err(Refusal::TooManyEntriesInBatchRequest(count)),
    }
    let mut seen = Vec::with_capacity(ids.len());
    for id in ids {
        let well_formed = id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if id.is_empty() || id.len() > ENTRY_ID_CHARS_MAX || !well_formed {
            return Err(Refusal::InvalidBatchEntryId);
        }
        if seen.contains(&id) {
            return Err(Refusal::BatchEntryIdsNotDistinct(id.to_owned()));
        }
        seen.push(id);
    }
    Ok(())
}

/// Checks that a body has only characters that XML 1.0 allows, as SQS requires.
pub(super) fn body_characters(body: &str) -> Result<(), Refusal> {
    let allowed = |c: char| {
        matches!(c,
        '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
    };
    if body.chars().all(allowed) {
        Ok(())
    } else {
        Err(Refusal::InvalidMessageContents)
    }
}
