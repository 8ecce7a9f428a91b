//! Reads the host keys that a server presents, so that a person can compare them before pinning one
//! (`POST /v1/host-keys`).

use domain::check::{PresentedKey, StepName};
use egress::{Guard, Host};
use russh::keys::HashAlg;
use tokio::time::Instant;
use worker::ConnectorError;

use crate::ssh::{Handshake, Trust, handshake, host_key_types, is_of_type};
use crate::verdict::{self, within};

/// Asks a server for its key of each type, without signing in. Returns at least one key, the
/// preferred type first.
pub async fn host_keys(
    guard: &Guard,
    host: &Host,
    port: u16,
    deadline: Instant,
) -> Result<Vec<PresentedKey>, ConnectorError> {
    let mut types = host_key_types();
    let mut keys = Vec::new();
    while !types.is_empty() {
        let stream = guard
            .connect(host, port, deadline)
            .await
            .map_err(ConnectorError::from)?;
        match within(
            deadline,
            StepName::HostKey,
            handshake(stream, Trust::NoCredentials, &types),
        )
        .await?
        {
            Handshake::Untrusted(key) => {
                types.retain(|algorithm| !is_of_type(&key, algorithm));
                keys.push(PresentedKey {
                    algorithm: key.algorithm().as_str().to_owned(),
                    public_key: key.to_openssh().unwrap_or_default(),
                    fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
                });
            }
            Handshake::Trusted(_) | Handshake::NoSuchKey => break,
        }
    }
    if keys.is_empty() {
        let error = russh::Error::NoCommonAlgo {
            kind: russh::AlgorithmKind::Key,
            ours: Vec::new(),
            theirs: Vec::new(),
        };
        return Err(verdict::of_ssh(StepName::HostKey, &error));
    }
    Ok(keys)
}
