//! Runs the connector contract against a mail server (aiosmtpd).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use connector_contract::{Arrival, Login, Mistake, ServerAddress, Subject, TestServices, sha256};
use domain::Reason;
use domain::credentials::CredentialKind;
use domain::delivery::Delivery;
use domain::settings::DestinationType;
use egress::{Client, Schemes, Tls};
use kit::smtp::{self, Mail, MailServer};
use kit::tls::Authority;
use oauth::Tokens;
use rustls::RootCertStore;
use serde_json::{Value, json};
use store::Store;
use worker_email::{Email, Links, Parts};

connector_contract::hold!(Mailbox);

/// How long a mail server may take to confirm a message in these tests, instead of ten minutes.
const CONFIRMATION_MAX: Duration = Duration::from_secs(6);

struct Mailbox {
    server: MailServer,
    connector: Email,
}

impl Subject for Mailbox {
    type Connector = Email;
    const NAME: &'static str = "e-mail (aiosmtpd)";
    const DESTINATION: DestinationType = DestinationType::Email;
    // Up to 25 MiB are attached, but this server would take longer to confirm that than the limit
    // here.
    const LARGE_BYTES: usize = 3 << 20;
    // Each attempt sends the message again; its Message-ID stays the same.
    const IS_IDEMPOTENT: bool = false;

    async fn start(services: &TestServices) -> Self {
        let (aws, guard) = (services.aws(), services.guard());
        let tls = Tls::with_roots(RootCertStore::empty()).unwrap();
        let client = Client::new(guard.clone(), tls.clone());
        let connector = Email::new(Parts {
            guard,
            tls,
            tokens: Tokens::new(client, Schemes::HttpAndHttps, services.clock()),
            vault: services.vault(),
            store: Store::new(&aws, "none".to_owned(), None),
            links: Links::new(
                &aws,
                services.signing_keys_arn(),
                "https://waybill.example".to_owned(),
            ),
            ehlo_name: None,
            aws,
            clock: services.clock(),
            random: services.random(),
        });
        let server = MailServer::start("none", &Authority::new());
        Self {
            server,
            connector: connector.with_confirmation_max(CONFIRMATION_MAX),
        }
    }

    fn connector(&self) -> &Email {
        &self.connector
    }

    fn port(&self) -> u16 {
        self.server.port
    }

    fn settings(&self, ServerAddress { host, port }: &ServerAddress) -> Value {
        json!({"transport": {"smtp": {"host": host, "port": port, "security": "none"}},
            "from": "reports@acme.example",
            "to": ["ada@customer.example"], "attach": "always"})
    }

    fn login(&self) -> Login {
        password(smtp::PASSWORD)
    }

    fn mistakes(&self) -> Vec<Mistake> {
        let mistake = |name, settings, reason| Mistake {
            name,
            settings,
            login: self.login(),
            reason,
        };
        let wrong = password("wrong");
        vec![
            Mistake {
                name: "a wrong password",
                settings: json!({}),
                login: wrong,
                reason: Reason::Authentication,
            },
            mistake(
                "a mailbox that does not exist",
                json!({"to": ["reject@customer.example"]}),
                Reason::Rejected,
            ),
            mistake(
                "a mailbox that is busy",
                json!({"to": ["busy@customer.example"]}),
                Reason::ServerError,
            ),
        ]
    }

    async fn arrived(&self, delivery: &Delivery) -> Vec<Arrival> {
        let id = delivery.id.to_string();
        let is_of_delivery =
            |mail: &Mail| mail.header("X-Waybill-Delivery-Id").as_deref() == Some(&id);
        let arrival = |mail: Mail| Arrival {
            identity: mail.header("Message-ID").unwrap(),
            sha256: sha256(&attachment(&mail.text)),
        };
        self.server
            .mails()
            .into_iter()
            .filter(is_of_delivery)
            .map(arrival)
            .collect()
    }
}

/// Returns the bytes of the attached file.
fn attachment(message: &str) -> Vec<u8> {
    let (_, rest) = message
        .split_once("Content-Disposition: attachment")
        .expect("a file is attached");
    let (_, body) = rest.split_once("\r\n\r\n").expect("the part has a body");
    let body = body.split("\r\n--").next().unwrap_or_default();
    BASE64
        .decode(body.replace("\r\n", ""))
        .expect("the file is in base 64")
}

fn password(text: &str) -> Login {
    let open = vec![("username", smtp::USERNAME.to_owned())];
    let secrets = vec![("password", text.to_owned())];
    Login {
        kind: CredentialKind::SmtpPassword,
        open,
        secrets,
    }
}
