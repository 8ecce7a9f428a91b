//! Checks that settings and credentials are compatible, and the addresses that credentials contain.

use domain::credentials::CredentialKind;
use domain::input::{FieldCode, Fields};
use domain::settings::database::Engine;
use domain::settings::database::connection_string::ConnectionString;
use domain::settings::email::{EmailSettings, Security, Transport};
use domain::settings::{Address, Settings};

use egress::{Identity, UnreadableIdentity};
use secrecy::SecretString;

use super::credentials::CredentialsDraft;
use super::input::{Addresses, admit, refused};
use crate::role::customers_role;

/// Records every conflict between settings and credentials.
pub(super) fn check(
    settings: &Settings,
    credentials: &CredentialsDraft,
    addresses: &Addresses<'_>,
    fields: &Fields<'_>,
) {
    let errors = fields.errors();
    if let Some(url) = credentials.open.get("token_url")
        && let Err(refusal) = admit(Address::Url(url), addresses)
    {
        errors.add(
            "/credentials/token_url",
            refused(&refusal),
            refusal.to_string(),
        );
    }
    if let Some(Err(why)) = credentials
        .open
        .get("role_arn")
        .map(|role| customers_role(role, addresses.account_id))
    {
        errors.add("/credentials/role_arn", why.code(), why.to_string());
    }
    match settings {
        Settings::Postgres(database) | Settings::Mysql(database) => {
            database.check_address(
                credentials.kind == CredentialKind::ConnectionString,
                "/settings",
                errors,
            );
        }
        Settings::S3(bucket)
            if bucket.endpoint.is_some() && credentials.kind != CredentialKind::AccessKey =>
        {
            errors.add(
                "/credentials/kind",
                FieldCode::Conflict,
                "is allowed only with Amazon S3: another endpoint requires access_key",
            );
        }
        Settings::Webhook(webhook) => match (&webhook.url, credentials.kind) {
            (Some(_), CredentialKind::SecretUrl) => errors.add(
                "/settings/url",
                FieldCode::Conflict,
                "is already given by the credentials",
            ),
            (None, kind) if kind != CredentialKind::SecretUrl => {
                errors.add("/settings/url", FieldCode::Required, "url is required")
            }
            _ => {}
        },
        Settings::Email(email) => email_check(email, credentials, addresses, fields),
        Settings::S3(_) | Settings::Gcs(_) | Settings::AzureBlob(_) | Settings::Sftp(_) => {}
    }
    if let Some(url) = credentials
        .given("url")
        .filter(|_| credentials.kind == CredentialKind::SecretUrl)
        && let Err(refusal) = admit(Address::Url(url), addresses)
    {
        errors.add("/credentials/url", refused(&refusal), refusal.to_string());
    }
    identity_check(credentials, fields);
    let Some(said) = credentials
        .given("connection_string")
        .and_then(|text| connection_string(settings, text))
    else {
        return;
    };
    if let Err(refusal) = admit(
        Address::Host {
            host: &said.host,
            port: said.port,
        },
        addresses,
    ) {
        errors.add(
            "/credentials/connection_string",
            refused(&refusal),
            format!("its host cannot be used: {refusal}"),
        );
    }
}

/// Checks that a private key that was sent belongs to its certificate.
fn identity_check(credentials: &CredentialsDraft, fields: &Fields<'_>) {
    for group in ["", "client_certificate/"] {
        let certificate = credentials.open.get(&format!("{group}certificate_pem"));
        let key = credentials.given(&format!("{group}private_key_pem"));
        if let (Some(certificate), Some(key)) = (certificate, key)
            && let Err(why) = Identity::parse(certificate, &SecretString::from(key))
        {
            let member = if why == UnreadableIdentity::Certificate {
                "certificate_pem"
            } else {
                "private_key_pem"
            };
            fields.errors().add(
                format!("/credentials/{group}{member}"),
                FieldCode::InvalidFormat,
                why.to_string(),
            );
        }
    }
}

/// Checks that SES is used with IAM credentials and SMTP with those of a mail server, and that SMTP
/// is encrypted unless the deployment permits plain text.
fn email_check(
    email: &EmailSettings,
    credentials: &CredentialsDraft,
    addresses: &Addresses<'_>,
    fields: &Fields<'_>,
) {
    let is_aws = matches!(
        credentials.kind,
        CredentialKind::Iam | CredentialKind::IamRole
    );
    let errors = fields.errors();
    match &email.transport {
        Transport::Ses if !is_aws => errors.add(
            "/credentials/kind",
            FieldCode::Conflict,
            "is allowed only with SMTP; SES requires iam or iam_role",
        ),
        Transport::Smtp(_) if is_aws => errors.add(
            "/credentials/kind",
            FieldCode::Conflict,
            "is allowed only with SES",
        ),
        Transport::Smtp(smtp) if smtp.security == Security::None && !addresses.plain_http => {
            errors.add(
                "/settings/transport/smtp/security",
                FieldCode::InvalidValue,
                "must be starttls or tls",
            );
        }
        Transport::Ses | Transport::Smtp(_) => {}
    }
}

/// Parses a connection string. Returns `None` if it is invalid or the destination is not a
/// database.
pub(super) fn connection_string(settings: &Settings, text: &str) -> Option<ConnectionString> {
    let engine = match settings {
        Settings::Postgres(_) => Engine::Postgres,
        Settings::Mysql(_) => Engine::Mysql,
        _ => return None,
    };
    ConnectionString::parse(engine, text).ok()
}
