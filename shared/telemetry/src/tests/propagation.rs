use std::collections::HashMap;

use domain::trace::TraceId;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _};

use crate::propagation::{TRACEPARENT, XRAY_HEADER, extract, new_trace};

fn from(headers: &[(&str, &str)]) -> Option<SpanContext> {
    let headers: HashMap<&str, &str> = headers.iter().copied().collect();
    let context = extract(|name| headers.get(name).map(|text| (*text).to_owned()));
    context.map(|context| context.span().span_context().clone())
}

const W3C: &str = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
const XRAY: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

#[test]
fn a_trace_is_continued_from_either_header() {
    let w3c = from(&[(TRACEPARENT, W3C)]).unwrap();
    assert_eq!(from(&[(XRAY_HEADER, XRAY)]), Some(w3c.clone()));
    assert_eq!(w3c.span_id().to_string(), "53995c3f42cd8ad8");
    assert_eq!(
        from(&[(XRAY_HEADER, "Root=1-5759e988-bd862e3fe1be46a994272793")])
            .unwrap()
            .span_id(),
        SpanId::INVALID
    );
}

#[test]
fn the_standard_header_comes_first_and_a_malformed_one_is_ignored() {
    let other = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert_eq!(
        from(&[(TRACEPARENT, other), (XRAY_HEADER, XRAY)]),
        from(&[(TRACEPARENT, other)])
    );
    let malformed = [
        "",
        "00-4bf92f3577b34da6-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ];
    for header in malformed {
        assert_eq!(from(&[(TRACEPARENT, header)]), None, "{header}");
        assert_eq!(
            from(&[(TRACEPARENT, header), (XRAY_HEADER, XRAY)]),
            from(&[(XRAY_HEADER, XRAY)]),
            "{header}"
        );
    }
    for header in [
        "",
        "Self=1-2-3",
        "Root=1-5759e988",
        "Root=1-00000000-000000000000000000000000",
    ] {
        assert_eq!(from(&[(XRAY_HEADER, header)]), None, "{header}");
    }
}

/// X-Ray rejects a trace whose id does not begin with a time of the last 30 days.
#[test]
fn a_new_trace_begins_with_its_time() {
    let seconds = |trace: TraceId| u32::from_str_radix(&trace.to_string()[..8], 16).unwrap();
    let (one, other) = (new_trace(), new_trace());
    assert_ne!(one, other);
    let now = opentelemetry::time::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    assert!(u64::from(seconds(one)).abs_diff(now) < 60);
}
