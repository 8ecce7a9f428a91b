//! Property tests: everything that is written reads back unchanged.

use domain::attempt::{Attempt, Failure, RequestRecord, ResponseRecord, Trigger};
use domain::delivery::{Delivery, FallbackOf, Pending, SkipReason, State};
use domain::id::{Id, MessageId, Ulid};
use domain::message::{MessageFacts, PayloadInfo, StatusCallback};
use domain::receipt::Receipt;
use domain::settle::AfterAttempt;
use domain::waiting::{Waiting, WaitingFor};
use domain::{Reason, Timestamp};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::item::{decode, encode};
use super::{record, sample};

fn times() -> impl Strategy<Value = Timestamp> {
    (0..253_402_300_799_999_i64).prop_map(Timestamp::from_millis)
}

fn triggers() -> impl Strategy<Value = Trigger> {
    prop_oneof![
        Just(Trigger::First),
        Just(Trigger::Retry),
        Just(Trigger::Manual),
        Just(Trigger::Replay),
        Just(Trigger::Fallback)
    ]
}

fn reasons() -> impl Strategy<Value = Reason> {
    proptest::sample::select(Reason::ALL)
}

fn headers() -> impl Strategy<Value = Vec<(String, String)>> {
    vec((any::<String>(), any::<String>()), 0..5)
}

prop_compose! {
    fn requests()(method in ".*", url in ".*", headers in headers(), size_bytes: u64, known: bool,
        other in "[0-9a-f]{64}") -> RequestRecord {
        let of_payload = sample::delivery().message.payload.sha256.filter(|_| known);
        RequestRecord { method, url, headers, size_bytes, body_sha256: of_payload.unwrap_or(other) }
    }
}

prop_compose! {
    fn responses()(status: u16, headers in headers(), body: String,
        truncated: bool) -> ResponseRecord {
        ResponseRecord { status, headers, body, truncated }
    }
}

prop_compose! {
    fn attempts()(
        number: u32, trigger in triggers(), started_at in times(), duration_ms: u64,
        failure in option::of((reasons(),
            any::<String>()).prop_map(|(reason, detail)| Failure { reason, detail })),
        request in option::of(requests()), response in option::of(responses()),
        trace in prop_oneof![Just(None), "[1-9a-f]{32}".prop_map(Some)],
    ) -> Attempt {
        let trace_id = trace.map_or(sample::delivery().message.trace,
            |trace: String| trace.parse().unwrap());
        Attempt { number, trigger, started_at, duration_ms, failure, request, response, trace_id }
    }
}

fn states() -> impl Strategy<Value = State> {
    let pending = prop_oneof![
        Just(Pending::Queued),
        (times(), option::of(reasons())).prop_map(|(next_attempt_at, reason)| Pending::Retrying {
            next_attempt_at,
            reason
        }),
    ];
    let skips = prop_oneof![
        Just(SkipReason::DestinationDisabled),
        Just(SkipReason::DestinationDeleted)
    ];
    prop_oneof![
        (pending, option::of(times()))
            .prop_map(|(pending, lease_until)| pending.leased(lease_until)),
        times().prop_map(|finished_at| State::Succeeded {
            finished_at,
            receipt: None
        }),
        (times(), reasons(), any::<bool>(), option::of(times())).prop_map(
            |(finished_at, reason, exhausted, attempt_until)| {
                State::Failed {
                    finished_at,
                    reason,
                    exhausted,
                    attempt_until,
                }
            }
        ),
        (times(), skips, option::of(times())).prop_map(|(finished_at, reason, attempt_until)| {
            State::Skipped {
                finished_at,
                reason,
                attempt_until,
            }
        }),
        (times(), option::of(times())).prop_map(|(finished_at, attempt_until)| State::Cancelled {
            finished_at,
            attempt_until
        }),
    ]
}

fn waits() -> impl Strategy<Value = Waiting> {
    let reasons = prop_oneof![
        Just(WaitingFor::Pause),
        Just(WaitingFor::Rate),
        Just(WaitingFor::Concurrency)
    ];
    (reasons, option::of(times())).prop_map(|(reason, expected_at)| Waiting {
        reason,
        expected_at,
    })
}

fn callbacks() -> impl Strategy<Value = StatusCallback> {
    prop_oneof![
        Just(StatusCallback::DestinationId(
            sample::delivery().destination
        )),
        "https://[a-z]{1,20}/[^\u{0}]{0,80}".prop_map(StatusCallback::Url),
    ]
}

prop_compose! {
    fn facts()(
        reference in option::of("[^\u{0}]{1,255}"),
        metadata in btree_map(".+", any::<String>(), 0..4), size_bytes: u64,
        content_type in prop_oneof![Just("application/json".to_owned()), any::<String>()],
        filename in option::of(any::<String>()),
        sha256 in option::of(prop_oneof!["[0-9a-f]{64}", "[g-z]{3}"]),
        expires_at in option::of(times()), test: bool,
        status_callback in option::of(callbacks()),
    ) -> MessageFacts {
        let payload = PayloadInfo { size_bytes, content_type, filename, sha256 };
        MessageFacts { reference, metadata, payload, expires_at, test, status_callback,
            ..sample::delivery().message }
    }
}

prop_compose! {
    fn deliveries()(
        created_at in times(), position in 0..1200_u16, message in facts(), fan_out: u16,
        updated_at in times(), generation: u32,
        attempts: u32, budget_start: u32, trigger in triggers(), state in states(),
        waiting in option::of(waits()), failed in option::of(reasons()), born_skipped: bool,
        retention_days: u32, payload_retention_days: u32,
    ) -> Delivery {
        let mut delivery = sample::delivery();
        delivery.id.message = MessageId::from(Ulid::first_at(created_at));
        delivery.id.position = position;
        let fallback_of = failed.map(|reason| FallbackOf { delivery: sample::delivery().id,
            reason });
        Delivery {
            waiting, fallback_of, created_at, message, fan_out, updated_at, generation, attempts,
            budget_start, trigger, state, born_skipped,
            retention_days, payload_retention_days, ..delivery
        }
    }
}

proptest! {
    #[test]
    fn a_delivery_reads_back_as_it_was(delivery in deliveries()) {
        prop_assert_eq!(decode(&encode(&delivery)).unwrap(), delivery);
    }

    #[test]
    fn an_attempt_reads_back_as_it_was(attempt in attempts(),
        tracking in option::of(any::<String>())) {
        let delivery = sample::delivery();
        let tracking: Option<Value> = tracking.map(|id| json!({"kind": "http_response", "id": id}));
        let packed = record::pack(&delivery, &attempt, tracking.as_ref());
        prop_assert_eq!(record::unpack(&delivery, &packed).unwrap(), (attempt, tracking));
    }

    #[test]
    fn no_bytes_crash_the_reader(bytes: Vec<u8>) {
        let _ = record::unpack(&sample::delivery(), &bytes);
    }
}

#[test]
fn a_finished_delivery_reads_back_with_its_attempt_and_tracking() {
    let mut delivery = sample::delivery();
    let (attempt, receipt) = (
        sample::attempt(&delivery),
        Receipt::HttpResponse {
            id: None,
            status: 200,
        },
    );
    let now = delivery.created_at;
    delivery = delivery
        .settle(attempt, AfterAttempt::Succeeded(receipt), now)
        .unwrap();
    assert_eq!(decode(&encode(&delivery)).unwrap(), delivery);
    assert_eq!(delivery.id.message.ulid().time(), delivery.created_at);
}
