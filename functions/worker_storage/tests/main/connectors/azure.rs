//! Runs the connector contract against Azurite.

use connector_contract::{Arrival, Login, Mistake, ServerAddress, Subject, TestServices, sha256};
use domain::Reason;
use domain::credentials::CredentialKind;
use domain::delivery::Delivery;
use domain::settings::DestinationType;
use kit::azurite::{ACCOUNT, ACCOUNT_KEY, Azurite};
use serde_json::{Value, json};
use worker_storage::ObjectStorage;

use super::{connector, port};

connector_contract::hold!(AzureBlob);

const CONTAINER: &str = "reports";

struct AzureBlob {
    server: Azurite,
    connector: ObjectStorage,
}

impl Subject for AzureBlob {
    type Connector = ObjectStorage;
    const NAME: &'static str = "Azure (Azurite)";
    const DESTINATION: DestinationType = DestinationType::AzureBlob;
    const IS_IDEMPOTENT: bool = true;

    async fn start(services: &TestServices) -> Self {
        let server = Azurite::start();
        server.make_container(CONTAINER).await;
        Self {
            server,
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
        json!({"account": ACCOUNT, "container": CONTAINER,
            "endpoint": format!("http://{host}:{port}/{ACCOUNT}"),
            "key_template": "in/{{ message_id }}.bin"})
    }

    fn login(&self) -> Login {
        account_key(ACCOUNT_KEY)
    }

    fn mistakes(&self) -> Vec<Mistake> {
        let wrong = account_key("d3Jvbmcgd3Jvbmcgd3Jvbmc=");
        let no_container = json!({"container": "no-such-container"});
        vec![
            Mistake {
                name: "a wrong key",
                settings: json!({}),
                login: wrong,
                reason: Reason::Authentication,
            },
            Mistake {
                name: "no such container",
                settings: no_container,
                login: self.login(),
                reason: Reason::Misconfigured,
            },
        ]
    }

    async fn arrived(&self, delivery: &Delivery) -> Vec<Arrival> {
        let key = format!("in/{}.bin", delivery.id.message);
        let found = reqwest::get(format!("{}/{CONTAINER}/{key}", self.server.endpoint))
            .await
            .unwrap();
        if found.status() == 404 {
            return Vec::new();
        }
        assert_eq!(found.status(), 200);
        vec![Arrival {
            identity: key,
            sha256: sha256(&found.bytes().await.unwrap()),
        }]
    }
}

fn account_key(key: &str) -> Login {
    Login {
        kind: CredentialKind::AccountKey,
        open: Vec::new(),
        secrets: vec![("account_key", key.to_owned())],
    }
}
