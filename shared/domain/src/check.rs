//! The connection check: what saving a destination tests, step by step, from where deliveries will
//! run (R1.3, R1.4).

use serde::{Deserialize, Serialize};

use crate::Reason;
use crate::destination::Destination;

/// What the api asks a worker to check. Holds sealed credentials only; never logged all the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckRequest {
    /// The destination as it would be saved.
    pub check: Destination,
}

/// What the api asks the SFTP worker to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostKeysRequest {
    /// Where.
    pub host_keys: HostKeysPlace,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostKeysPlace {
    /// Name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// What the SFTP worker found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum HostKeysAnswer {
    /// The keys, the preferred first.
    Keys {
        /// Each of another type.
        host_keys: Vec<PresentedKey>,
    },
    /// It did not come to that.
    Refused {
        /// Never.
        ok: bool,
        /// As of a check.
        steps: Vec<CheckStep>,
    },
}

/// A key that a server presents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresentedKey {
    /// `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa` …
    pub algorithm: String,
    /// As in a `known_hosts` file: `ssh-ed25519 AAAA…`.
    pub public_key: String,
    /// `SHA256:…`
    pub fingerprint: String,
}

/// What the worker found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Every step that was taken succeeded.
    pub ok: bool,
    /// In order; steps not reached are not there or `ok: null`.
    pub steps: Vec<CheckStep>,
}

/// One step of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckStep {
    /// Which.
    pub name: StepName,
    /// `None`: not reached.
    pub ok: Option<bool>,
    /// In words.
    pub detail: String,
    /// Why it failed: the category that a failed attempt would have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// How long it took.
    pub duration_ms: u64,
}

/// The steps a check may take, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepName {
    /// The name resolves, to addresses that destinations may have.
    Resolve,
    /// A connection is made.
    Connect,
    /// TLS is agreed and the certificate verifies.
    Tls,
    /// The server's key is the pinned one.
    HostKey,
    /// The credentials are accepted.
    Authenticate,
    /// They allow what deliveries do.
    Authorize,
    /// A write is taken.
    Write,
}

impl CheckReport {
    /// The report of these steps.
    #[must_use]
    pub fn of(steps: Vec<CheckStep>) -> Self {
        Self {
            ok: steps.iter().all(|step| step.ok != Some(false)),
            steps,
        }
    }

    /// The first step that failed.
    #[must_use]
    pub fn failed_step(&self) -> Option<&CheckStep> {
        self.steps.iter().find(|step| step.ok == Some(false))
    }
}
