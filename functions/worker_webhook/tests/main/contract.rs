//! Runs the connector contract against a webhook receiver.

use connector_contract::{Arrival, Login, Mistake, ServerAddress, Subject, TestServices, sha256};
use domain::Reason;
use domain::credentials::CredentialKind;
use domain::delivery::Delivery;
use domain::settings::DestinationType;
use egress::{Client, Schemes, Tls};
use kit::sink::{Received, Sink};
use rustls::RootCertStore;
use serde_json::{Value, json};
use worker_webhook::Webhook;

connector_contract::hold!(Receiver);

struct Receiver {
    sink: Sink,
    connector: Webhook,
}

impl Subject for Receiver {
    type Connector = Webhook;
    const NAME: &'static str = "webhook";
    const DESTINATION: DestinationType = DestinationType::Webhook;
    // Each attempt sends the request again; its Idempotency-Key and webhook-id stay the same.
    const IS_IDEMPOTENT: bool = false;

    async fn start(services: &TestServices) -> Self {
        let client = Client::new(
            services.guard(),
            Tls::with_roots(RootCertStore::empty()).unwrap(),
        );
        let (vault, clock, random) = (services.vault(), services.clock(), services.random());
        let sink = Sink::start().await;
        for (path, status) in [("/denied", 401), ("/forbidden", 403), ("/missing", 404)] {
            sink.path(path).answers(std::iter::repeat_n(status, 100));
        }
        Self {
            sink,
            connector: Webhook::new(client, Schemes::HttpAndHttps, vault, clock, random),
        }
    }

    fn connector(&self) -> &Webhook {
        &self.connector
    }

    fn port(&self) -> u16 {
        self.sink.address().port()
    }

    fn settings(&self, ServerAddress { host, port }: &ServerAddress) -> Value {
        json!({"url": format!("http://{host}:{port}/hook"), "signature": {"enabled": false}})
    }

    fn login(&self) -> Login {
        let secrets = vec![("token", "a token".to_owned())];
        Login {
            kind: CredentialKind::Bearer,
            open: Vec::new(),
            secrets,
        }
    }

    fn mistakes(&self) -> Vec<Mistake> {
        let refusing = |name, path: &str, reason| {
            let settings = json!({"url": format!("http://127.0.0.1:{}{path}", self.port())});
            Mistake {
                name,
                settings,
                login: self.login(),
                reason,
            }
        };
        vec![
            refusing(
                "credentials that the receiver does not accept",
                "/denied",
                Reason::Authentication,
            ),
            refusing("a forbidden path", "/forbidden", Reason::Authorization),
            refusing("a path that does not exist", "/missing", Reason::Rejected),
        ]
    }

    async fn arrived(&self, delivery: &Delivery) -> Vec<Arrival> {
        let id = delivery.id.to_string();
        let is_of_delivery = |request: &Received| request.header("idempotency-key") == Some(&id);
        let arrival = |request: Received| Arrival {
            identity: request.header("webhook-id").unwrap().to_owned(),
            sha256: sha256(&request.body),
        };
        self.sink
            .path("/hook")
            .requests()
            .into_iter()
            .filter(is_of_delivery)
            .map(arrival)
            .collect()
    }
}
