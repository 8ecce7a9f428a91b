//! A service account like those of Google Cloud.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The e-mail address of the account.
pub const EMAIL: &str = "deliveries@project.iam.gserviceaccount.com";

/// A service account with a key of its own.
#[derive(Debug, Clone)]
pub struct ServiceAccount {
    /// The public key that verifies its signatures: an RSAPublicKey (RFC 8017, A.1.1).
    pub public_key: Vec<u8>,
    /// The key file, as Google offers it for download.
    pub file: Value,
}

impl ServiceAccount {
    /// Generates a service account.
    #[must_use]
    pub fn generate() -> Self {
        let key = KeyPair::generate(KeySize::Rsa2048).expect("an RSA key");
        let private = key.as_der().expect("a key has a form");
        let lines: Vec<u8> = STANDARD.encode(private.as_ref()).into_bytes();
        let lines: Vec<&str> = lines
            .chunks(64)
            .map(|line| std::str::from_utf8(line).expect("base64 is ASCII"))
            .collect();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            lines.join("\n")
        );
        let file = json!({"type": "service_account", "project_id": "project",
            "private_key_id": "key-1", "private_key": pem,
            "client_email": EMAIL, "token_uri": "https://oauth2.googleapis.com/token"});
        Self {
            public_key: key.public_key().as_ref().to_vec(),
            file,
        }
    }
}
