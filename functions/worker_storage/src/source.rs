//! The payload that an attempt reads, watched for failures of its source.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::TryStreamExt as _;
use worker::{Payload, Unavailable};

/// Whether reading the payload failed, whatever the failure became on its way through the HTTP client and the object-store library.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source(Arc<Mutex<Option<String>>>);

impl Source {
    /// The failure, when there was one.
    pub(crate) fn failure(&self) -> Option<Unavailable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().map(Unavailable)
    }
}

/// The same payload, whose failures are recorded.
pub(crate) fn watched(payload: Payload) -> (Payload, Source) {
    let source = Source::default();
    if payload.at_hand().is_some() {
        return (payload, source);
    }
    let (size_bytes, own_object) = (payload.size_bytes(), payload.own_object().cloned());
    let slot = source.clone();
    let pieces = payload.into_pieces().inspect_err(move |error| {
        *slot.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.0.clone());
    });
    (Payload::streamed(size_bytes, pieces).kept_as(own_object), source)
}
