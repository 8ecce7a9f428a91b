//! A destination on a server, and deliveries to it.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::check::{CheckReport, StepName};
use domain::settings::sftp::{HostKey, HostKeys, IfExists, SftpSettings};
use domain::settle::Outcome;
use domain::{Reason, Timestamp};
use egress::{Guard, Policy};
use kit::sshd::{self, Sshd};
use secrecy::SecretString;
use serde_json::Value;
use tokio::time::Instant;
use worker::{Attempted, Payload, StepRecorder, Unavailable};
use worker_sftp::{Credentials, Meta};

/// A destination with what is needed to deliver to it.
pub(crate) struct World {
    pub(crate) guard: Guard,
    pub(crate) settings: SftpSettings,
    pub(crate) credentials: Credentials,
    pub(crate) timeout: Duration,
}

impl World {
    /// Returns a destination that uses the server's account with its password, and pins its Ed25519
    /// key.
    pub(crate) fn on(sshd: &Sshd) -> Self {
        Self::at(sshd.port, &sshd.host_key("ed25519"))
    }

    /// Returns a destination on the given port with the given pinned host key.
    pub(crate) fn at(port: u16, host_key: &str) -> Self {
        let settings = SftpSettings {
            host: "127.0.0.1".to_owned(),
            port,
            username: sshd::USERNAME.to_owned(),
            host_keys: HostKeys::one(HostKey::parse(host_key).unwrap()),
            directory_template: "in/{{ event_type }}".to_owned(),
            filename_template: "{{ message_id }}{{ filename | ext }}".to_owned(),
            if_exists: IfExists::Replace,
            timeout_seconds: 300,
        };
        Self {
            guard: loopback(),
            settings,
            credentials: password(sshd::PASSWORD),
            timeout: Duration::from_secs(60),
        }
    }

    pub(crate) fn if_exists(mut self, if_exists: IfExists) -> Self {
        self.settings.if_exists = if_exists;
        self
    }

    pub(crate) async fn deliver(&self, delivery_id: &str, payload: Payload) -> Attempted {
        let metadata = BTreeMap::new();
        self.deliver_as(&meta(delivery_id, &metadata), payload)
            .await
    }

    pub(crate) async fn deliver_as(&self, meta: &Meta<'_>, payload: Payload) -> Attempted {
        self.try_deliver(meta, payload)
            .await
            .expect("Waybill itself does not fail")
    }

    /// Delivers a payload. Returns an error if Waybill itself failed.
    pub(crate) async fn try_deliver(
        &self,
        meta: &Meta<'_>,
        payload: Payload,
    ) -> Result<Attempted, Unavailable> {
        let deadline = Instant::now() + self.timeout;
        let attempted = worker_sftp::deliver(
            &self.guard,
            &self.settings,
            &self.credentials,
            meta,
            payload,
            deadline,
        )
        .await;
        attempted.or_else(|error| error.into_attempted(None))
    }

    pub(crate) async fn check(&self) -> CheckReport {
        let deadline = Instant::now() + self.timeout;
        let mut steps = StepRecorder::default();
        let checked = worker_sftp::check(
            &self.guard,
            &self.settings,
            &self.credentials,
            "chk_1",
            deadline,
            &mut steps,
        )
        .await;
        steps.report(checked)
    }
}

pub(crate) fn loopback() -> Guard {
    Guard::new("127.0.0.0/8".parse::<Policy>().unwrap())
}

pub(crate) fn password(text: &str) -> Credentials {
    Credentials::Password {
        password: SecretString::from(text),
    }
}

pub(crate) fn private_key(key: &str, passphrase: Option<&str>) -> Credentials {
    Credentials::PrivateKey {
        private_key: SecretString::from(key),
        passphrase: passphrase.map(SecretString::from),
    }
}

pub(crate) fn meta<'m>(delivery_id: &'m str, metadata: &'m BTreeMap<String, String>) -> Meta<'m> {
    Meta {
        organization_id: "org_1",
        message_id: "msg_1",
        delivery_id,
        event_type: "report.ready",
        reference: None,
        metadata,
        created_at: Timestamp::parse("2026-11-23T09:30:00Z").unwrap(),
        content_type: "text/csv",
        filename: None,
        sha256: None,
        attempt: 1,
        fallback_of: None,
    }
}

/// The path of the file for a delivery with [`meta`].
pub(crate) const PATH: &str = "in/report.ready/msg_1.csv";

pub(crate) fn delivered(attempted: &Attempted) -> Value {
    match &attempted.outcome {
        Outcome::Delivered(receipt) => receipt.to_json(),
        other => panic!("{other:?}: {}", attempted.detail),
    }
}

pub(crate) fn reason(attempted: &Attempted) -> Reason {
    match attempted.outcome {
        Outcome::Retry(reason)
        | Outcome::ClientError(reason)
        | Outcome::Reject(reason)
        | Outcome::Gone(reason)
        | Outcome::Throttled(reason, _) => reason,
        Outcome::Delivered(_) => panic!("it was delivered: {}", attempted.detail),
    }
}

pub(crate) fn failed_step(report: &CheckReport) -> Option<StepName> {
    report.failed_step().map(|step| step.name)
}

/// Returns pseudorandom bytes that do not repeat.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next)
        .flatten()
        .take(length)
        .collect()
}
