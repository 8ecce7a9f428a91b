//! Observers of calls, with which tests count AWS calls and capacity units.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::Call;

type Observer = Arc<dyn Fn(&Call) + Send + Sync>;

/// The observers that are notified of each call once it has a response.
#[derive(Default)]
pub(crate) struct Observers(RwLock<Vec<Observer>>);

impl Observers {
    pub(crate) fn add(&self, observer: Observer) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(observer);
    }

    pub(crate) fn notify(&self, call: &Call) {
        for observer in self.0.read().unwrap_or_else(PoisonError::into_inner).iter() {
            observer(call);
        }
    }
}

/// Records the calls that it observes.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<Vec<Call>>>);

impl Recorder {
    /// Adds a call to the record.
    pub fn note(&self, call: &Call) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(call.clone());
    }

    /// Takes the calls since the last time, oldest first.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns all recorded calls, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
