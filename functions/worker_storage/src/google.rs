//! A Google service account. Its key signs the token that requests carry (RFC 7523; self-signed, so
//! no token endpoint is asked).

use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

use crate::Credentials;
use crate::error::StorageError;

const MEMBERS: [&str; 4] = [
    "private_key",
    "private_key_id",
    "client_email",
    "project_id",
];

/// Returns the key file with only the known members. Other members could redirect the library's
/// requests.
pub(crate) fn service_account(credentials: &Credentials) -> Result<String, StorageError> {
    let Credentials::ServiceAccount { json } = credentials else {
        return Err(StorageError::misconfigured(
            "Google Cloud Storage takes a service account's credentials",
        ));
    };
    let unreadable =
        || StorageError::unauthenticated("the service account's key file cannot be read");
    let file: Map<String, Value> =
        serde_json::from_str(json.expose_secret()).map_err(|_| unreadable())?;
    if file.get("type").and_then(Value::as_str) != Some("service_account") {
        return Err(StorageError::unauthenticated(
            "the key file is not a service account's",
        ));
    }
    let mut known = json!({"type": "service_account"});
    for name in MEMBERS {
        match file.get(name) {
            Some(Value::String(value)) => known[name] = value.as_str().into(),
            None if name == "project_id" => {}
            _ => {
                return Err(StorageError::unauthenticated(format!(
                    "the service account's key file has no {name}"
                )));
            }
        }
    }
    Ok(known.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_members_reach_the_library() {
        let file = json!({"type": "service_account", "private_key": "k", "private_key_id": "1",
            "client_email": "a@b", "project_id": "p",
            "token_uri": "http://169.254.169.254/", "gcs_base_url": "http://evil",
            "disable_oauth": true});
        let known = service_account(&Credentials::ServiceAccount {
            json: file.to_string().into(),
        })
        .unwrap();
        let known: Map<String, Value> = serde_json::from_str(&known).unwrap();
        assert_eq!(
            known.keys().map(String::as_str).collect::<Vec<_>>(),
            [
                "client_email",
                "private_key",
                "private_key_id",
                "project_id",
                "type"
            ]
        );
    }

    #[test]
    fn an_invalid_key_file_is_refused_without_repeating_it() {
        for file in [
            "",
            "hunter2",
            "{}",
            r#"{"type": "external_account", "private_key": "hunter2"}"#,
            r#"{"type": "service_account"}"#,
        ] {
            let refused = service_account(&Credentials::ServiceAccount {
                json: file.to_owned().into(),
            })
            .unwrap_err();
            assert!(
                refused.is_unauthenticated() && !refused.to_string().contains("hunter2"),
                "{file}"
            );
        }
    }
}
