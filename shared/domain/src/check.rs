//! The connection check, which tests a destination step by step when it is saved. It runs in the
//! same place as deliveries.

use serde::{Deserialize, Serialize};

use crate::Reason;
use crate::destination::Destination;

/// The request of the API to a worker to check a destination. It contains only sealed credentials,
/// but must not be logged.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckRequest {
    /// The destination as it would be saved.
    pub check: Destination,
}

/// The request of the API to the SFTP worker to read the host keys of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostKeysRequest {
    /// The server whose keys are requested.
    pub host_keys: HostKeysServer,
}

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostKeysServer {
    /// The host name or address of the server.
    pub host: String,
    /// The TCP port of the server.
    pub port: u16,
}

/// The result of reading the host keys of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum HostKeysAnswer {
    /// The keys of the server, in order of preference.
    Keys {
        /// The keys, each of a different type.
        host_keys: Vec<PresentedKey>,
    },
    /// The keys could not be read.
    Refused {
        /// This member is always `false`.
        ok: bool,
        /// The steps that were taken, as in a check.
        steps: Vec<CheckStep>,
    },
}

/// A host key that a server presented.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresentedKey {
    /// The algorithm, such as `ssh-ed25519`, `ecdsa-sha2-nistp256` or `ssh-rsa`.
    pub algorithm: String,
    /// The key as in a `known_hosts` file: `ssh-ed25519 AAAA…`.
    pub public_key: String,
    /// The fingerprint of the key, in the form `SHA256:…`.
    pub fingerprint: String,
}

/// The result of a connection check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Whether no step failed.
    pub ok: bool,
    /// The steps in order. A step that was not reached is absent or has the value `None` for `ok`.
    pub steps: Vec<CheckStep>,
}

/// One step of a connection check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckStep {
    /// The name of the step.
    pub name: StepName,
    /// Whether the step succeeded; `None` if it was not reached.
    pub ok: Option<bool>,
    /// A description of the result for people.
    pub detail: String,
    /// The failure category that a failed attempt would have; `None` if the step did not fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// How long the step took, in milliseconds.
    pub duration_ms: u64,
}

/// The steps that a check may take, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepName {
    /// The host name is resolved to addresses that destinations may use.
    Resolve,
    /// A connection to the server is established.
    Connect,
    /// A TLS session is established and the certificate is verified.
    Tls,
    /// The server's host key is compared with the pinned one.
    HostKey,
    /// The server verifies the credentials.
    Authenticate,
    /// The permissions that deliveries need are verified.
    Authorize,
    /// A write to the destination is tested.
    Write,
}

impl CheckReport {
    /// Creates the report of these steps.
    #[must_use]
    pub fn of(steps: Vec<CheckStep>) -> Self {
        Self {
            ok: steps.iter().all(|step| step.ok != Some(false)),
            steps,
        }
    }

    /// Returns the first step that failed.
    #[must_use]
    pub fn failed_step(&self) -> Option<&CheckStep> {
        self.steps.iter().find(|step| step.ok == Some(false))
    }
}
