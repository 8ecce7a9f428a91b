//! What settings and credentials must be to each other, and the addresses that credentials name.

use domain::credentials::CredentialKind;
use domain::input::{FieldCode, Fields};
use domain::settings::database::Engine;
use domain::settings::database::connection_string::ConnectionString;
use domain::settings::{Address, Settings};

use super::credentials::CredentialsDraft;
use super::input::{Addresses, admit, refused};

/// Records what does not go together.
pub(super) fn check(settings: &Settings, credentials: &CredentialsDraft, addresses: &Addresses<'_>, fields: &Fields<'_>) {
    let errors = fields.errors();
    if let Some(url) = credentials.open.get("token_url")
        && let Err(refusal) = admit(Address::Url(url), addresses)
    {
        errors.add("/credentials/token_url", refused(&refusal), refusal.to_string());
    }
    match settings {
        Settings::Postgres(database) | Settings::Mysql(database) => {
            database.check_address(credentials.kind == CredentialKind::ConnectionString, "/settings", errors);
        }
        Settings::S3(bucket) if bucket.endpoint.is_some() && credentials.kind != CredentialKind::AccessKey => {
            errors.add("/credentials/kind", FieldCode::Conflict, "goes with Amazon S3 alone: another endpoint takes access_key");
        }
        Settings::Webhook(_) | Settings::S3(_) | Settings::Gcs(_) | Settings::AzureBlob(_) | Settings::Sftp(_) => {}
    }
    let Some(said) = credentials.given("connection_string").and_then(|text| connection_string(settings, text)) else { return };
    if let Err(refusal) = admit(Address::Host { host: &said.host, port: said.port }, addresses) {
        errors.add("/credentials/connection_string", refused(&refusal), format!("its host cannot be used: {refusal}"));
    }
}

/// What a connection string says, when it is one.
pub(super) fn connection_string(settings: &Settings, text: &str) -> Option<ConnectionString> {
    let engine = match settings {
        Settings::Postgres(_) => Engine::Postgres,
        Settings::Mysql(_) => Engine::Mysql,
        _ => return None,
    };
    ConnectionString::parse(engine, text).ok()
}
