//! Sends through Amazon SES: with the function's role from the identities that the organization was
//! granted, or with a customer's own role.

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::config::Config;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::primitives::Blob;
use aws_sdk_sesv2::types::{Destination as Recipients, EmailContent, RawMessage};
use domain::Reason;
use domain::check::StepName;
use domain::destination::Destination;
use domain::receipt::Receipt;
use domain::settings::email::{EmailSettings, Mailbox};
use domain::settle::Outcome;
use roles::{NotAssumed, Purpose};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use worker::{ConnectorError, Opened, Unavailable, dependency, within};

use crate::Email;
use crate::connector::{Sent, is_own_role};
use crate::email_message::EmailMessage;
use crate::verdict::{self, LATE};

impl Email {
    /// Sends a message through SES.
    pub(crate) async fn send_by_ses(
        &self,
        destination: &Destination,
        settings: &EmailSettings,
        email: &EmailMessage,
        deadline: Instant,
    ) -> Result<Sent, ConnectorError> {
        let client = within(deadline, LATE, self.ses(destination, settings)).await?;
        let list = |mailboxes: &[Mailbox]| {
            Some(
                mailboxes
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>(),
            )
        };
        let recipients = Recipients::builder()
            .set_to_addresses(list(&settings.to))
            .set_cc_addresses(list(&settings.cc))
            .set_bcc_addresses(list(&settings.bcc))
            .build();
        let raw = RawMessage::builder()
            .data(Blob::new(email.bytes.to_vec()))
            .build();
        let raw = raw.map_err(Unavailable::because)?;
        let content = EmailContent::builder().raw(raw).build();
        let call = client
            .send_email()
            .from_email_address(settings.from.to_string())
            .destination(recipients)
            .content(content);
        // SES has no idempotency: if the SDK repeated a call after a time-out, the message could be
        // sent twice.
        let once = Config::builder().retry_config(RetryConfig::disabled());
        let sent = match timeout_at(deadline, call.customize().config_override(once).send()).await {
            Ok(Ok(sent)) => sent,
            Ok(Err(error)) if may_have_arrived(&error) => {
                return Err(unconfirmed(
                    Reason::Protocol,
                    &format!("did not confirm it ({})", domain::chain(&error)),
                ));
            }
            Ok(Err(error)) => return Err(refused(StepName::Write, error)),
            Err(_) => return Err(unconfirmed(Reason::Timeout, "did not confirm it in time")),
        };
        let id = sent.message_id().unwrap_or_default().to_owned();
        let detail = format!("Amazon SES accepted the message as {id}");
        Ok(Sent {
            detail,
            receipt: Receipt::SesMessage {
                id,
                message_id: format!("<{}>", email.message_id),
            },
        })
    }

    /// Returns a client that may send for this destination.
    pub(crate) async fn ses(
        &self,
        destination: &Destination,
        settings: &EmailSettings,
    ) -> Result<Client, ConnectorError> {
        let organization = self.organization(destination).await?;
        if is_own_role(destination) {
            let (address, domain) = (settings.from.address(), settings.from.domain());
            let granted = organization
                .grants
                .ses_identities
                .iter()
                .any(|identity| identity == address || identity == domain);
            // The deployment sends its own alerts from its own address, which belongs to no
            // organization.
            if !granted && !destination.is_system() {
                let detail = format!(
                    "the sender {address} is not granted to this organization; ask the operator"
                );
                return Err(ConnectorError::misconfigured(detail).at(StepName::Authorize));
            }
            return Ok(Client::new(&self.parts.aws));
        }
        let role = Opened::of(&self.parts.vault, destination).open("role_arn")?;
        let config = assumed(
            &self.parts.aws,
            role,
            &organization.aws_external_id,
            settings,
        )
        .await?;
        Ok(Client::new(&config))
    }

    /// Checks that the address or its domain is verified for sending.
    pub(crate) async fn identity_is_ready(
        &self,
        client: &Client,
        settings: &EmailSettings,
    ) -> Result<String, ConnectorError> {
        let mut last = None;
        for identity in [settings.from.address(), settings.from.domain()] {
            match client
                .get_email_identity()
                .email_identity(identity)
                .send()
                .await
            {
                Ok(found) if found.verified_for_sending_status() => {
                    return Ok(format!("{identity} is verified"));
                }
                Ok(_) => last = Some(format!("the identity {identity} is not verified")),
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(|error| error.is_not_found_exception()) => {}
                Err(error) => return Err(refused(StepName::Authorize, error)),
            }
        }
        let detail =
            last.unwrap_or_else(|| format!("SES has no identity for {}", settings.from.address()));
        Err(
            ConnectorError::new(Outcome::ClientError(Reason::Authorization), detail)
                .at(StepName::Authorize),
        )
    }
}

/// Returns the configuration of a customer's role, restricted to sending from this address.
async fn assumed(
    own: &SdkConfig,
    role_arn: &str,
    external_id: &str,
    settings: &EmailSettings,
) -> Result<SdkConfig, ConnectorError> {
    let purpose = Purpose::SendMailFrom(settings.from.address());
    let credentials = dependency(roles::assume(own, role_arn, external_id, purpose))
        .await
        .map_err(|why| {
            let outcome = match why {
                NotAssumed::NotARole(_) => Outcome::Reject(Reason::Misconfigured),
                NotAssumed::Refused => Outcome::ClientError(Reason::Authentication),
                NotAssumed::Unavailable(_) => return Unavailable::because(why).into(),
            };
            ConnectorError::new(outcome, why.to_string()).at(StepName::Authenticate)
        })?;
    Ok(own
        .to_builder()
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build())
}

/// Whether SES may have accepted the message although its answer did not arrive.
fn may_have_arrived<E>(error: &SdkError<E>) -> bool
where
    E: std::error::Error + 'static,
{
    match error {
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => true,
        SdkError::DispatchFailure(failure) => {
            let is_of_the_network =
                failure.is_io() || failure.is_timeout() || failure.as_other().is_some();
            is_of_the_network && !is_connecting(error)
        }
        _ => false,
    }
}

/// Whether the connection could not be made, so that nothing was sent.
fn is_connecting(error: &(dyn std::error::Error + 'static)) -> bool {
    let of_client = |cause: &(dyn std::error::Error + 'static)| {
        cause
            .downcast_ref::<hyper_util::client::legacy::Error>()
            .is_some_and(|error| error.is_connect())
    };
    egress::sources(error).any(of_client)
}

/// Returns the outcome of a message that SES received and did not confirm.
fn unconfirmed(reason: Reason, what: &str) -> ConnectorError {
    verdict::unconfirmed(
        reason,
        &format!("Amazon SES was sent the whole message, but {what}"),
    )
}

/// Returns the outcome of an error from SES. Its operations share these codes but no error type.
fn refused<E>(step: StepName, error: SdkError<E>) -> ConnectorError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let Some(refusal) = error.as_service_error() else {
        return Unavailable::because(error).into();
    };
    let code = refusal.code().unwrap_or("an error");
    let detail = format!(
        "Amazon SES answered {code}: {}",
        refusal.message().unwrap_or("no message")
    );
    let outcome = match code {
        "TooManyRequestsException"
        | "LimitExceededException"
        | "Throttling"
        | "ThrottlingException" => Outcome::Throttled(Reason::RateLimited, Duration::ZERO),
        "AccessDeniedException" | "AccessDenied" => Outcome::ClientError(Reason::Authorization),
        "InvalidClientTokenId" | "UnrecognizedClientException" | "ExpiredTokenException" => {
            Outcome::ClientError(Reason::Authentication)
        }
        "AccountSuspendedException"
        | "SendingPausedException"
        | "MailFromDomainNotVerifiedException" => Outcome::ClientError(Reason::Authorization),
        "MessageRejected" | "BadRequestException" | "NotFoundException" => {
            Outcome::Reject(Reason::Rejected)
        }
        _ => Outcome::Retry(Reason::ServerError),
    };
    ConnectorError::new(outcome, detail).at(step)
}
