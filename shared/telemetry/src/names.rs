//! Every span with its attributes, in the order of the table of `docs/telemetry.md`.

use opentelemetry::trace::SpanKind;

/// A kind of span, with every attribute that it may have.
#[derive(Clone, Debug)]
pub struct SpanName {
    /// The name that collectors show.
    pub name: &'static str,
    /// The side of a call that the span describes.
    pub kind: SpanKind,
    /// The attributes that the span may have.
    pub attributes: &'static [&'static str],
}

macro_rules! spans {
    ($($(#[$doc:meta])+ $constant:ident = $kind:ident $name:literal [$($attribute:literal)+])+) => {
        $($(#[$doc])+
        pub const $constant: SpanName = SpanName {
            name: $name,
            kind: SpanKind::$kind,
            attributes: &[$($attribute),+],
        };)+
        #[cfg(test)]
        pub(crate) const SPANS: &[SpanName] = &[$($constant),+];
    };
}

spans! {
    /// A request to the API or the console.
    REQUEST = Server "waybill.request" [
        "http.request.method" "http.route" "http.response.status_code" "waybill.request.id"
    ]
    /// A message being accepted, from its first write until its tasks are in their queues.
    SUBMIT = Producer "waybill.submit" [
        "waybill.organization" "waybill.message" "waybill.deliveries"
    ]
    /// The time that a task spent in its queue.
    QUEUE = Internal "waybill.queue" ["waybill.delivery" "waybill.receives"]
    /// One attempt at a delivery, from its lease until its outcome is stored.
    ATTEMPT = Consumer "waybill.attempt" [
        "waybill.organization" "waybill.message" "waybill.delivery" "waybill.destination"
        "waybill.destination_type" "waybill.attempt" "waybill.outcome" "waybill.reason"
    ]
    /// The exchange with the destination. A webhook's receiver gets its id as the parent in
    /// `traceparent`.
    SEND = Client "waybill.send" ["waybill.destination_type"]
    /// Storing the outcome of an attempt.
    SETTLE = Internal "waybill.settle" ["waybill.delivery"]
}
