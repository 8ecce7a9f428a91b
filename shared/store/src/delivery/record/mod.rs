//! The record of an attempt. It is embedded in its delivery and kept small, because the settle that
//! writes it costs by the kibibyte.
//!
//! A record is compressed with zstd against data that the reader knows too: a dictionary of what
//! requests and responses usually contain, and what follows from the delivery (its ids, its times,
//! the expected request), see [`prediction`]. What matches costs next to nothing; signatures and
//! the receiver's own ids remain.
//!
//! The format is `version | number | start | zstd frame without its magic number`, with numbers as
//! varints.

mod bytes;
mod code;
mod prediction;

use domain::Timestamp;
use domain::attempt::{Attempt, Failure, RequestRecord, ResponseRecord};
use domain::delivery::Delivery;
use serde_json::Value;

use super::compression;
use bytes::{Reader, Unreadable, Writer};

/// The first byte of a packed record. The codes, the dictionary and the prediction are part of the
/// format: a change to one of them needs a new version, and earlier versions must remain readable.
/// `golden_v1.txt` holds records as version 1 wrote them.
const VERSION: u8 = 1;
/// Higher levels save a few bytes at many times the cost.
const LEVEL: i32 = 6;
/// The start of every zstd frame, which is not stored.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The largest unpacked record. What an attempt keeps is far smaller.
const UNPACKED_MAX_BYTES: usize = 1 << 20;

/// Flags for the parts that a record has, and for those that equal the delivery's.
mod flag {
    pub(super) const FAILURE: u64 = 1;
    pub(super) const REQUEST: u64 = 1 << 1;
    pub(super) const RESPONSE: u64 = 1 << 2;
    pub(super) const TRUNCATED: u64 = 1 << 3;
    pub(super) const TRACKING: u64 = 1 << 4;
    pub(super) const TRACE_OF_MESSAGE: u64 = 1 << 5;
    pub(super) const BODY_IS_PAYLOAD: u64 = 1 << 6;
}

/// Packs an attempt of `delivery`, and the tracking data that it led to.
pub(crate) fn pack(delivery: &Delivery, attempt: &Attempt, tracking: Option<&Value>) -> Vec<u8> {
    let mut packed = Writer::default();
    packed
        .byte(VERSION)
        .number(u64::from(attempt.number))
        .signed(attempt.started_at.as_millis() - delivery.created_at.as_millis());
    let known = prediction::dictionary(delivery, attempt.number, attempt.started_at);
    let frame = compression::compress(&write(delivery, attempt, tracking), LEVEL, &known);
    let mut packed = packed.into_bytes();
    packed.extend_from_slice(
        frame
            .strip_prefix(&MAGIC)
            .expect("every frame starts with its magic number"),
    );
    packed
}

/// Unpacks what [`pack`] packed for the same delivery.
pub(crate) fn unpack(
    delivery: &Delivery,
    packed: &[u8],
) -> Result<(Attempt, Option<Value>), Unreadable> {
    let mut header = Reader::new(packed);
    match header.byte()? {
        VERSION => {}
        other => return Err(Unreadable::new(format!("a record of version {other}"))),
    }
    let number = header.number()?;
    let started_at = Timestamp::from_millis(
        delivery
            .created_at
            .as_millis()
            .saturating_add(header.signed()?),
    );
    let frame = [&MAGIC, header.rest()].concat();
    let known = prediction::dictionary(delivery, number, started_at);
    let size = compression::content_size(&frame).filter(|size| *size <= UNPACKED_MAX_BYTES);
    let size = size.ok_or_else(|| Unreadable::new("a record that says it is huge"))?;
    let content = compression::decompress(&frame, size, &known)
        .map_err(|error| Unreadable::new(error.to_string()))?;
    read(delivery, number, started_at, &content)
}

/// Writes numbers first, then texts, then the body, so that what resembles the prediction stays in
/// one piece.
fn write(delivery: &Delivery, attempt: &Attempt, tracking: Option<&Value>) -> Vec<u8> {
    let mut out = Writer::default();
    let of_message = attempt.trace_id == delivery.message.trace;
    let body_is_payload = attempt.request.as_ref().is_some_and(|request| {
        Some(&request.body_sha256) == delivery.message.payload.sha256.as_ref()
    });
    let flags = [
        (attempt.failure.is_some(), flag::FAILURE),
        (attempt.request.is_some(), flag::REQUEST),
        (attempt.response.is_some(), flag::RESPONSE),
        (
            attempt
                .response
                .as_ref()
                .is_some_and(|response| response.truncated),
            flag::TRUNCATED,
        ),
        (tracking.is_some(), flag::TRACKING),
        (of_message, flag::TRACE_OF_MESSAGE),
        (body_is_payload, flag::BODY_IS_PAYLOAD),
    ];
    out.number(
        flags
            .iter()
            .filter(|(set, _)| *set)
            .map(|(_, bit)| bit)
            .sum(),
    );
    out.number(code::of_trigger(attempt.trigger));
    out.number(attempt.duration_ms);
    if !of_message {
        out.text(&attempt.trace_id.to_string());
    }
    if let Some(failure) = &attempt.failure {
        out.number(code::of_reason(failure.reason))
            .text(&failure.detail);
    }
    if let Some(request) = &attempt.request {
        out.number(request.size_bytes)
            .number(request.headers.len() as u64);
        if !body_is_payload {
            out.text(&request.body_sha256);
        }
        out.text(&request.method).text(&request.url);
        write_headers(&mut out, &request.headers);
    }
    if let Some(response) = &attempt.response {
        out.number(u64::from(response.status))
            .number(response.headers.len() as u64);
        write_headers(&mut out, &response.headers);
        out.text(&response.body);
    }
    if let Some(tracking) = tracking {
        out.text(&tracking.to_string());
    }
    out.into_bytes()
}

fn write_headers(out: &mut Writer, headers: &[(String, String)]) {
    for (name, value) in headers {
        out.text(name).text(value);
    }
}

fn read(
    delivery: &Delivery,
    number: u32,
    started_at: Timestamp,
    content: &[u8],
) -> Result<(Attempt, Option<Value>), Unreadable> {
    let mut from = Reader::new(content);
    let flags: u64 = from.number()?;
    let has = |bit| flags & bit != 0;
    let trigger =
        code::trigger(from.number()?).ok_or_else(|| Unreadable::new("an unknown trigger"))?;
    let duration_ms = from.number()?;
    let trace_id = match has(flag::TRACE_OF_MESSAGE) {
        true => delivery.message.trace,
        false => from
            .text()?
            .parse()
            .map_err(|error| Unreadable::new(format!("the trace {error}")))?,
    };
    let failure = has(flag::FAILURE)
        .then(|| read_failure(&mut from))
        .transpose()?;
    let payload_sha256 = has(flag::BODY_IS_PAYLOAD)
        .then(|| delivery.message.payload.sha256.clone().unwrap_or_default());
    let request = has(flag::REQUEST)
        .then(|| read_request(&mut from, payload_sha256))
        .transpose()?;
    let response = has(flag::RESPONSE)
        .then(|| read_response(&mut from, has(flag::TRUNCATED)))
        .transpose()?;
    let tracking = has(flag::TRACKING).then(|| from.text()).transpose()?;
    let tracking = tracking
        .map(|text| serde_json::from_str(&text).map_err(|error| Unreadable::new(error.to_string())))
        .transpose()?;
    Ok((
        Attempt {
            number,
            trigger,
            started_at,
            duration_ms,
            failure,
            request,
            response,
            trace_id,
        },
        tracking,
    ))
}

fn read_failure(from: &mut Reader<'_>) -> Result<Failure, Unreadable> {
    let reason =
        code::reason(from.number()?).ok_or_else(|| Unreadable::new("an unknown reason"))?;
    Ok(Failure {
        reason,
        detail: from.text()?,
    })
}

fn read_request(
    from: &mut Reader<'_>,
    payload_sha256: Option<String>,
) -> Result<RequestRecord, Unreadable> {
    let (size_bytes, headers) = (from.number()?, from.number()?);
    let body_sha256 = payload_sha256.map_or_else(|| from.text(), Ok)?;
    Ok(RequestRecord {
        method: from.text()?,
        url: from.text()?,
        headers: read_headers(from, headers)?,
        size_bytes,
        body_sha256,
    })
}

fn read_response(from: &mut Reader<'_>, truncated: bool) -> Result<ResponseRecord, Unreadable> {
    let (status, headers) = (from.number()?, from.number()?);
    Ok(ResponseRecord {
        status,
        headers: read_headers(from, headers)?,
        body: from.text()?,
        truncated,
    })
}

fn read_headers(from: &mut Reader<'_>, count: usize) -> Result<Vec<(String, String)>, Unreadable> {
    (0..count)
        .map(|_| Ok((from.text()?, from.text()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use base64::Engine as _;
    use domain::Reason;
    use domain::attempt::Trigger;

    use super::*;
    use crate::delivery::sample;

    #[test]
    fn an_ordinary_attempt_takes_less_than_a_settle_has_room_for() {
        let delivery = sample::delivery();
        let packed = pack(&delivery, &sample::attempt(&delivery), None);
        assert!(packed.len() <= 260, "{}", packed.len());
        assert_eq!(
            unpack(&delivery, &packed).unwrap().0,
            sample::attempt(&delivery)
        );
    }

    /// One attempt for each trigger and one for each reason, with the name that the golden file
    /// gives it.
    fn one_of_each(delivery: &Delivery) -> Vec<(String, Attempt, Option<Value>)> {
        let ordinary = sample::attempt(delivery);
        let tracking = serde_json::json!({"kind": "object", "id": "reports/1.json",
            "url": "https://bucket.example/reports/1.json"});
        let mut all = vec![("tracking".to_owned(), ordinary.clone(), Some(tracking))];
        for trigger in Trigger::ALL {
            all.push((
                format!("trigger {trigger:?}"),
                Attempt {
                    trigger,
                    number: 2,
                    ..ordinary.clone()
                },
                None,
            ));
        }
        for reason in Reason::ALL.iter().copied() {
            let failure = Some(Failure {
                reason,
                detail: "hooks.customer-name.com did not accept it".to_owned(),
            });
            let attempt = Attempt {
                failure,
                trace_id: "0af7651916cd43dd8448eb211c80319c".parse().unwrap(),
                ..ordinary.clone()
            };
            all.push((format!("reason {reason}"), attempt, None));
        }
        all
    }

    #[test]
    fn records_that_version_1_wrote_read_as_what_they_recorded() {
        let delivery = sample::delivery();
        let written: BTreeMap<_, _> = include_str!("golden_v1.txt")
            .lines()
            .filter_map(|line| line.split_once(": "))
            .collect();
        for (name, attempt, tracking) in one_of_each(&delivery) {
            let base64 = base64::engine::general_purpose::STANDARD;
            let today = || base64.encode(pack(&delivery, &attempt, tracking.as_ref()));
            let packed = written.get(name.as_str()).unwrap_or_else(|| {
                panic!("golden_v1.txt has no record of {name}, today {}", today())
            });
            let packed = base64.decode(packed).unwrap();
            assert_eq!(
                unpack(&delivery, &packed).unwrap(),
                (attempt, tracking),
                "{name}"
            );
        }
    }

    #[test]
    fn invalid_records_are_refused() {
        let delivery = sample::delivery();
        let packed = pack(&delivery, &sample::attempt(&delivery), None);
        assert!(unpack(&delivery, &[]).is_err());
        assert!(unpack(&delivery, &[9, 1, 1]).is_err());
        assert!(unpack(&delivery, &packed[..packed.len() - 1]).is_err());
    }
}
