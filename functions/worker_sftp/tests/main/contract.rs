//! Runs the connector contract against OpenSSH.

use connector_contract::{Arrival, Login, Mistake, ServerAddress, Subject, TestServices, sha256};
use domain::Reason;
use domain::credentials::CredentialKind;
use domain::delivery::Delivery;
use domain::settings::DestinationType;
use kit::sshd::{self, Sshd};
use serde_json::{Value, json};
use worker_sftp::Sftp;

connector_contract::hold!(OpenSsh);

struct OpenSsh {
    sshd: Sshd,
    connector: Sftp,
}

impl Subject for OpenSsh {
    type Connector = Sftp;
    const NAME: &'static str = "SFTP (OpenSSH)";
    const DESTINATION: DestinationType = DestinationType::Sftp;
    const IS_IDEMPOTENT: bool = true;

    async fn start(services: &TestServices) -> Self {
        let connector = Sftp::new(services.guard(), services.vault(), services.random());
        Self {
            sshd: Sshd::start().await,
            connector,
        }
    }

    fn connector(&self) -> &Sftp {
        &self.connector
    }

    fn port(&self) -> u16 {
        self.sshd.port
    }

    fn settings(&self, ServerAddress { host, port }: &ServerAddress) -> Value {
        json!({"host": host, "port": port, "username": sshd::USERNAME,
            "host_key": self.sshd.host_key("ed25519"),
            "directory_template": "in", "filename_template": "{{ message_id }}.bin"})
    }

    fn login(&self) -> Login {
        password(sshd::PASSWORD)
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
                "a directory of others",
                json!({"directory_template": "/etc"}),
                Reason::Authorization,
            ),
            mistake(
                "another host key",
                json!({"host_key": format!("SHA256:{}", "A".repeat(43))}),
                Reason::Tls,
            ),
        ]
    }

    async fn arrived(&self, delivery: &Delivery) -> Vec<Arrival> {
        let name = format!("{}.bin", delivery.id.message);
        let found = std::fs::read(self.sshd.home().join("in").join(&name));
        found
            .map(|bytes| Arrival {
                identity: name,
                sha256: sha256(&bytes),
            })
            .into_iter()
            .collect()
    }
}

fn password(text: &str) -> Login {
    let secrets = vec![("password", text.to_owned())];
    Login {
        kind: CredentialKind::Password,
        open: Vec::new(),
        secrets,
    }
}
