//! Reads the keys that an SFTP server presents, so that a person can compare them before pinning
//! one.

use std::time::Duration;

use aws_sdk_lambda::primitives::Blob;
use domain::check::{HostKeysAnswer, HostKeysRequest, HostKeysServer, PresentedKey};
use domain::input::FieldCode;
use domain::limits::HOST;
use domain::role::Permission;
use domain::settings::sftp::SFTP_PORT;
use domain::settings::{Address, Lane};
use serde::Serialize;
use utoipa::ToSchema;

use super::input::{admit, refused};
use crate::quota::Limited;
use crate::{Context, Input, Operations, Refusal};

const INVOCATION_MAX: Duration = Duration::from_secs(24);

/// The body of `POST /v1/host-keys`.
#[derive(Debug, Serialize, ToSchema)]
pub struct AskHostKeys {
    /// The host name or IP address of the server.
    pub host: String,
    /// The TCP port that the SFTP server listens on.
    pub port: Option<u16>,
}

/// The host keys that a server presents, the preferred one first.
#[derive(Debug, Serialize, ToSchema)]
pub struct HostKeysView {
    /// The host keys, one of each type.
    #[schema(value_type = Vec<Object>)]
    pub host_keys: Vec<PresentedKey>,
}

impl Operations {
    /// `POST /v1/host-keys`: returns the host keys that a server presents.
    pub async fn host_keys(
        &self,
        ctx: &Context,
        mut input: Input<HostKeysServer>,
    ) -> Result<HostKeysView, Refusal> {
        let organization = self
            .enter(ctx, Permission::ManageDestinations, &mut input.query)
            .await?;
        let addresses = self.addresses();
        let server = input.required(|fields| {
            let host = fields.required_text("host", HOST);
            let port = SFTP_PORT
                .read(fields, "port")
                .unwrap_or(SFTP_PORT.default_value());
            let host = host?;
            if let Err(refusal) = admit(Address::Host { host: &host, port }, &addresses) {
                fields.refuse("host", refused(&refusal), refusal.to_string());
            }
            Some(HostKeysServer { host, port })
        });
        let server = self
            .recording_blocked_addresses(ctx, organization, server)
            .await?;
        self.limit(organization, Limited::Check).await?;
        let request = serde_json::to_vec(&HostKeysRequest { host_keys: server })
            .map_err(Refusal::internal)?;
        let function = self.settings.worker_functions.of(Lane::Sftp);
        let call = self
            .lambda
            .invoke()
            .function_name(function)
            .payload(Blob::new(request))
            .send();
        let answer = tokio::time::timeout(INVOCATION_MAX, call)
            .await
            .map_err(Refusal::unavailable)?
            .map_err(Refusal::unavailable)?;
        if let Some(error) = answer.function_error() {
            return Err(Refusal::unavailable(format!(
                "the worker that looks at host keys failed: {error}"
            )));
        }
        let answer = serde_json::from_slice(answer.payload().map(Blob::as_ref).unwrap_or_default())
            .map_err(Refusal::internal)?;
        match answer {
            HostKeysAnswer::Keys { host_keys } => Ok(HostKeysView { host_keys }),
            HostKeysAnswer::Refused { steps, ok } => {
                let report = domain::check::CheckReport { ok, steps };
                self.note_blocked_check(ctx, organization, "host-keys", &report)
                    .await;
                let refusal = Refusal::connection_check_failed(report);
                Err(Refusal {
                    errors: vec![domain::input::FieldError::at(
                        "/host",
                        FieldCode::InvalidValue,
                        refusal.detail.clone(),
                    )],
                    ..refusal
                })
            }
        }
    }
}
