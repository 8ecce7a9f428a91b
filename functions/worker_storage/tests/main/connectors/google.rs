//! Runs the connector contract against a server of Google Cloud Storage's JSON API.

use connector_contract::{Arrival, Login, Mistake, ServerAddress, Subject, TestServices, sha256};
use domain::Reason;
use domain::credentials::CredentialKind;
use domain::delivery::Delivery;
use domain::settings::DestinationType;
use kit::gcs::{self, Gcs};
use serde_json::{Value, json};
use worker_storage::ObjectStorage;

use super::{connector, port};

connector_contract::hold!(Google);

struct Google {
    server: Gcs,
    connector: ObjectStorage,
}

impl Subject for Google {
    type Connector = ObjectStorage;
    const NAME: &'static str = "Google Cloud Storage";
    const DESTINATION: DestinationType = DestinationType::Gcs;
    /// The server keeps its objects in memory, up to 64 MiB each.
    const LARGE_BYTES: usize = 48 << 20;
    const IS_IDEMPOTENT: bool = true;

    async fn start(services: &TestServices) -> Self {
        Self {
            server: Gcs::start().await,
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
        json!({"bucket": gcs::BUCKET, "endpoint": format!("http://{host}:{port}"),
            "key_template": "in/{{ message_id }}.bin"})
    }

    fn login(&self) -> Login {
        service_account(&self.server.service_account)
    }

    fn mistakes(&self) -> Vec<Mistake> {
        let stranger = service_account(&gcs::stranger());
        let no_bucket = json!({"bucket": "no-such-bucket"});
        vec![
            Mistake {
                name: "an unknown account",
                settings: json!({}),
                login: stranger,
                reason: Reason::Authentication,
            },
            Mistake {
                name: "no such bucket",
                settings: no_bucket,
                login: self.login(),
                reason: Reason::Misconfigured,
            },
        ]
    }

    async fn arrived(&self, delivery: &Delivery) -> Vec<Arrival> {
        let key = format!("in/{}.bin", delivery.id.message);
        let found = self.server.object(&key);
        found
            .map(|object| Arrival {
                identity: key,
                sha256: sha256(&object.bytes),
            })
            .into_iter()
            .collect()
    }
}

fn service_account(file: &Value) -> Login {
    Login {
        kind: CredentialKind::ServiceAccount,
        open: Vec::new(),
        secrets: vec![("json", file.to_string())],
    }
}
