//! Tokens for databases at AWS (RDS, Aurora): a presigned request that is sent as the password.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use domain::percent::encoded;
use secrecy::SecretString;

/// How long a token is valid. RDS accepts no longer lifetimes.
const TOKEN_SECONDS: u64 = 900;

/// Why a token cannot be generated.
#[derive(Debug, thiserror::Error)]
pub enum NoToken {
    /// The host is not an RDS endpoint, whose name contains the region.
    #[error(
        "the host does not contain a region: iam credentials require the endpoint of a database \
         at AWS"
    )]
    Region,
    /// The signature could not be computed.
    #[error("the token cannot be signed")]
    Signing(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Returns the region in an endpoint's name: `<name>.<id>.<region>.rds.amazonaws.com`,
/// `….rds.amazonaws.com.cn`.
#[must_use]
pub fn region(host: &str) -> Option<&str> {
    let host = host.strip_suffix(".cn").unwrap_or(host);
    let front = host.strip_suffix(".rds.amazonaws.com")?;
    front
        .rsplit('.')
        .next()
        .filter(|region| region.contains('-') && front.len() > region.len())
}

/// Generates the token with which `username` logs in at `host:port`, signed with AWS credentials
/// that permit `rds-db:connect`.
pub fn token(
    credentials: Credentials,
    host: &str,
    port: u16,
    username: &str,
    now: SystemTime,
) -> Result<SecretString, NoToken> {
    let region = region(host).ok_or(NoToken::Region)?;
    let signing = |error: Box<dyn std::error::Error + Send + Sync>| NoToken::Signing(error);
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(Duration::from_secs(TOKEN_SECONDS));
    settings.percent_encoding_mode = PercentEncodingMode::Double;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Enabled;
    let identity: Identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("rds-db")
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| signing(error.into()))?;
    let username = encoded(username);
    let url = format!("https://{host}:{port}/?Action=connect&DBUser={username}");
    let request = SignableRequest::new(
        "GET",
        url.as_str(),
        std::iter::empty(),
        SignableBody::Bytes(&[]),
    )
    .map_err(|error| signing(error.into()))?;
    let (instructions, _signature) = sign(request, &parameters.into())
        .map_err(|error| signing(error.into()))?
        .into_parts();
    let mut token = url["https://".len()..].to_owned();
    for (name, value) in instructions.params() {
        token.push_str(&format!("&{name}={}", encoded(value)));
    }
    Ok(token.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    /// The token that AWS's SDK for Python generates for the same input (`generate_db_auth_token`
    /// of botocore 1.x), with sorted parameters.
    const REFERENCE: &[&str] = &[
        "DBUser=app_user%40x",
        "X-Amz-Algorithm=AWS4-HMAC-SHA256",
        "X-Amz-Credential=AKIDEXAMPLE%2F20261124%2Feu-central-1%2Frds-db%2Faws4_request",
        "X-Amz-Date=20261124T034838Z",
        "X-Amz-Expires=900",
        "X-Amz-Security-Token=sess%2Bion%2Ftok%3Den",
        "X-Amz-Signature=d898ebe7f4aeb1f1c70f58e14b22cfc739cb317bcad2dcb94daa660924bf742b",
        "X-Amz-SignedHeaders=host",
        "db1.abc123.eu-central-1.rds.amazonaws.com:5432/?Action=connect",
    ];

    #[test]
    fn a_token_is_what_awss_own_sdk_makes() {
        let credentials = Credentials::from_keys(
            "AKIDEXAMPLE",
            "wJalrXUtnFEMI",
            Some("sess+ion/tok=en".into()),
        );
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1795492118);
        let token = token(
            credentials,
            "db1.abc123.eu-central-1.rds.amazonaws.com",
            5432,
            "app_user@x",
            now,
        )
        .unwrap();
        let mut parts: Vec<&str> = token.expose_secret().split('&').collect();
        parts.sort_unstable();
        assert_eq!(parts, REFERENCE);
    }

    #[test]
    fn the_region_is_in_the_endpoints_name() {
        assert_eq!(
            region("db1.abc123.eu-central-1.rds.amazonaws.com"),
            Some("eu-central-1")
        );
        assert_eq!(
            region("db1.cluster-abc.cn-north-1.rds.amazonaws.com.cn"),
            Some("cn-north-1")
        );
        for other in [
            "db.example",
            "rds.amazonaws.com",
            "eu-central-1.rds.amazonaws.com",
            "x.rds.amazonaws.com.evil.example",
        ] {
            assert_eq!(region(other), None, "{other}");
        }
    }
}
