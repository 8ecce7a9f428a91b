//! Runs the connector contract against an S3 server that stores objects as files.

use std::time::Duration;

use connector_contract::{Arrival, Login, Mistake, ServerAddress, Subject, TestServices, sha256};
use domain::Reason;
use domain::credentials::CredentialKind;
use domain::delivery::Delivery;
use domain::settings::DestinationType;
use kit::file_s3::{self, FileS3};
use serde_json::{Value, json};
use worker_storage::ObjectStorage;

use super::{connector, port};

connector_contract::hold!(S3);

struct S3 {
    server: FileS3,
    connector: ObjectStorage,
}

impl Subject for S3 {
    type Connector = ObjectStorage;
    const NAME: &'static str = "S3 (s3s)";
    const DESTINATION: DestinationType = DestinationType::S3;
    /// The server writes an object's metadata after the object.
    const WORKS_ON: Duration = Duration::from_millis(200);
    const IS_IDEMPOTENT: bool = true;

    async fn start(services: &TestServices) -> Self {
        Self {
            server: FileS3::start().await,
            connector: connector(services),
        }
    }

    fn connector(&self) -> &ObjectStorage {
        &self.connector
    }

    fn port(&self) -> u16 {
        port(&self.server.endpoint)
    }

    fn settings(&self, ServerAddress { host, port }: &ServerAddress) -> Value {
        json!({"bucket": file_s3::BUCKET, "region": "us-east-1",
            "endpoint": format!("http://{host}:{port}"),
            "key_template": "in/{{ message_id }}.bin"})
    }

    fn login(&self) -> Login {
        access_key(file_s3::ACCESS_KEY_ID, file_s3::SECRET_ACCESS_KEY)
    }

    fn mistakes(&self) -> Vec<Mistake> {
        // This server creates requested buckets, so a missing bucket cannot be tested.
        let wrong = |name, login| Mistake {
            name,
            settings: json!({}),
            login,
            reason: Reason::Authentication,
        };
        vec![
            wrong(
                "a wrong secret",
                access_key(file_s3::ACCESS_KEY_ID, "wrong"),
            ),
            wrong(
                "an unknown key",
                access_key("AKIDWRONG", file_s3::SECRET_ACCESS_KEY),
            ),
        ]
    }

    async fn arrived(&self, delivery: &Delivery) -> Vec<Arrival> {
        let key = format!("in/{}.bin", delivery.id.message);
        let found = std::fs::read(self.server.files().join(&key));
        found
            .map(|bytes| Arrival {
                identity: key,
                sha256: sha256(&bytes),
            })
            .into_iter()
            .collect()
    }
}

fn access_key(id: &str, secret: &str) -> Login {
    let open = vec![("access_key_id", id.to_owned())];
    let secrets = vec![("secret_access_key", secret.to_owned())];
    Login {
        kind: CredentialKind::AccessKey,
        open,
        secrets,
    }
}
