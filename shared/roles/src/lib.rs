//! Customers' IAM roles. [`assume`] assumes a role with the external id that was issued to the
//! organization, and for one [`Purpose`], whose session policy permits only the required actions on
//! one bucket, mailbox or secret. A session of Waybill cannot use other permissions of the role.

mod purpose;

use std::error::Error;
use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_sdk_sts::error::ProvideErrorMetadata as _;
use domain::role_arn::{NotARoleArn, RoleArn};

pub use purpose::Purpose;

const SESSION_NAME: &str = "waybill";
/// The session duration that every role permits.
const SESSION_SECONDS: i32 = 3600;

/// Why a role was not assumed.
#[derive(Debug, thiserror::Error)]
pub enum NotAssumed {
    /// The stored text is not the ARN of a role.
    #[error("role_arn is not the ARN of an IAM role")]
    NotARole(#[from] NotARoleArn),
    /// The role does not trust Waybill, or does not exist.
    #[error(
        "the role cannot be assumed; its trust policy must name Waybill and the organization's \
         external id"
    )]
    Refused,
    /// STS does not answer, or refuses for a reason on Waybill's side. Whatever needs the role
    /// waits.
    #[error("STS did not assume a role")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

/// Returns credentials of a customer's role for one purpose.
pub async fn assume(
    own: &SdkConfig,
    role_arn: &str,
    external_id: &str,
    purpose: Purpose<'_>,
) -> Result<Credentials, NotAssumed> {
    let role: RoleArn = role_arn.parse()?;
    let call = aws_sdk_sts::Client::new(own)
        .assume_role()
        .role_arn(role.as_str())
        .external_id(external_id);
    let call = call
        .role_session_name(SESSION_NAME)
        .duration_seconds(SESSION_SECONDS)
        .policy(purpose.session_policy(&role));
    let answer = call.send().await.map_err(|error| {
        let status = error
            .raw_response()
            .map(|response| response.status().as_u16());
        match (error.code(), status) {
            // Some services that implement STS's protocol put the code where the SDK does not find
            // it.
            (Some("AccessDenied"), _) | (None, Some(403)) => NotAssumed::Refused,
            (Some("ValidationError"), _) => NotAssumed::NotARole(NotARoleArn),
            _ => NotAssumed::Unavailable(error.into()),
        }
    })?;
    let given = answer
        .credentials()
        .ok_or_else(|| NotAssumed::Unavailable("its answer contains no credentials".into()))?;
    let expires: Option<SystemTime> = SystemTime::try_from(*given.expiration()).ok();
    let token = Some(given.session_token().to_owned());
    Ok(Credentials::new(
        given.access_key_id(),
        given.secret_access_key(),
        token,
        expires,
        SESSION_NAME,
    ))
}
