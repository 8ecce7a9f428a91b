//! The server that a destination's secrets may be sent to.

use std::collections::BTreeMap;

use domain::authorization::Authorization;
use domain::credentials::{CredentialKind, Decides};
use domain::destination::Destination;
use domain::settings::{Address, Anchor, Settings};
use egress::{Host, Schemes, Target};
use sha2::{Digest as _, Sha256};

/// The server that a destination's secrets may be sent to, and its proof of identity: everything
/// that settings and credentials say about them, in canonical form. A secret sealed for one
/// recipient does not open for another, so changing the address of a destination, in the table or
/// on its way to a worker, does not reveal its secrets.
///
/// How strictly a server has to prove its identity is not part of it, so that secrets stay readable
/// when that becomes stricter.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient(BTreeMap<String, String>);

impl Recipient {
    /// Returns the recipient of a stored destination's secrets.
    #[must_use]
    pub fn of(destination: &Destination) -> Self {
        Self::new(
            &destination.settings,
            destination.credentials.kind,
            &destination.credentials.open,
        )
    }

    /// Returns the recipient for these settings and the members of the credentials that are not
    /// secret.
    #[must_use]
    pub fn new(settings: &Settings, kind: CredentialKind, open: &BTreeMap<String, String>) -> Self {
        let mut named = BTreeMap::new();
        for (name, anchor) in settings.anchors() {
            let value = match anchor {
                Anchor::Address(address) => address.map(canonical),
                Anchor::Exactly(value) => value.map(Into::into),
                Anchor::AtLeast(_) => None,
            };
            named.extend(value.map(|value| (format!("settings/{}", sealed_name(name)), value)));
        }
        let deciding = kind
            .fields(settings.kind())
            .filter(|field| field.decides == Decides::Recipient && !field.shape.is_secret());
        for field in deciding {
            let value = open
                .get(field.name)
                .map(|value| canonical(Address::Url(value)));
            named.extend(value.map(|value| (format!("credentials/{}", field.name), value)));
        }
        Self(named)
    }

    /// Returns the recipient of a client secret: the authorization server to which it is sent.
    #[must_use]
    pub fn of_token_url(url: &str) -> Self {
        Self(BTreeMap::from([(
            "token_url".to_owned(),
            canonical(Address::Url(url)),
        )]))
    }

    /// Returns the recipients of an authorization's refresh token, and of the access tokens that
    /// are requested with it.
    #[must_use]
    pub fn of_authorization(authorization: &Authorization) -> Self {
        let Self(mut named) = Self::of_token_url(&authorization.token_url);
        named.extend(
            authorization
                .mail_servers
                .as_ref()
                .map(|listed| ("mail_servers".to_owned(), listed.join(" "))),
        );
        Self(named)
    }

    /// Returns the digest that is authenticated together with a secret for this recipient.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let text = serde_json::to_vec(&self.0).expect("a map of texts is JSON");
        Sha256::digest(text).into()
    }
}

/// Shows only the names, because the text of a certificate would not help.
impl std::fmt::Debug for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Returns the name that a setting had when the first secrets were sealed, so that a new name does
/// not make them unreadable.
fn sealed_name(name: &'static str) -> &'static str {
    match name {
        "host_keys" => "host_key",
        name => name,
    }
}

/// Returns scheme, host and port of an address, independent of its notation. An invalid address is
/// returned unchanged.
fn canonical(address: Address<'_>) -> String {
    match address {
        Address::Url(url) => match Target::parse(url, Schemes::HttpAndHttps) {
            Ok(target) => {
                let scheme = if target.is_tls() { "https" } else { "http" };
                format!(
                    "{scheme}://{}:{}",
                    target.host().to_url_host(),
                    target.port()
                )
            }
            Err(_) => url.to_owned(),
        },
        Address::Host { host, port } => match Host::parse(host) {
            Ok(host) => format!("{}:{port}", host.to_url_host()),
            Err(_) => format!("{host}:{port}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::input::{Errors, Fields};
    use domain::settings::DestinationType;
    use serde_json::{Value, json};

    fn recipient(
        kind: DestinationType,
        settings: &Value,
        credentials: CredentialKind,
        open: &[(&str, &str)],
    ) -> Recipient {
        let errors = Errors::default();
        let members = settings.as_object().cloned().unwrap_or_default();
        let settings = Settings::read(kind, &mut Fields::new("", members, &errors))
            .expect("the settings are valid");
        let open = open
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Recipient::new(&settings, credentials, &open)
    }

    #[test]
    fn spellings_and_paths_are_one_recipient_and_schemes_hosts_and_ports_are_others() {
        let webhook = |url: &str| {
            recipient(
                DestinationType::Webhook,
                &json!({"url": url}),
                CredentialKind::Bearer,
                &[],
            )
        };
        let own = webhook("https://hooks.example.com/a");
        for same in [
            "https://hooks.example.com:443/b?c",
            "https://HOOKS.example.com./",
        ] {
            assert_eq!(webhook(same), own, "{same}");
        }
        for other in [
            "http://hooks.example.com/a",
            "https://hooks.example.com:8443/a",
            "https://example.com/a",
        ] {
            assert_ne!(webhook(other), own, "{other}");
            assert_ne!(webhook(other).digest(), own.digest(), "{other}");
        }
    }

    /// Secrets were sealed in this form when a server had one `host_key`.
    #[test]
    fn a_pinned_host_key_is_the_recipient_that_it_was_under_its_first_name() {
        let key = format!("SHA256:{}", "A".repeat(43));
        let sealed =
            format!(r#"{{"settings/host":"files.example.com:22","settings/host_key":"{key}"}}"#);
        for pinned in [json!({"host_key": key}), json!({"host_keys": [key]})] {
            let mut settings = json!({"host": "files.example.com", "username": "u"});
            settings
                .as_object_mut()
                .unwrap()
                .extend(pinned.as_object().unwrap().clone());
            let recipient = recipient(
                DestinationType::Sftp,
                &settings,
                CredentialKind::Password,
                &[],
            );
            let digest: [u8; 32] = Sha256::digest(&sealed).into();
            assert_eq!(recipient.digest(), digest, "{recipient:?}");
        }
    }

    #[test]
    fn token_urls_and_trust_anchors_count_and_user_names_do_not() {
        let settings = json!({"host": "db.example.com", "database": "d", "table": "t"});
        let database = |open: &[(&str, &str)]| {
            recipient(
                DestinationType::Postgres,
                &settings,
                CredentialKind::Password,
                open,
            )
        };
        assert_eq!(
            database(&[("username", "a")]),
            database(&[("username", "b")])
        );
        assert_ne!(
            database(&[("ca_pem", "one")]),
            database(&[("ca_pem", "two")])
        );
        assert_ne!(database(&[("ca_pem", "one")]), database(&[]));
        let settings = json!({"url": "https://hooks.example.com/"});
        let kind = CredentialKind::Oauth2ClientCredentials;
        let webhook = |url| {
            recipient(
                DestinationType::Webhook,
                &settings,
                kind,
                &[("token_url", url)],
            )
        };
        assert_eq!(
            webhook("https://id.example.com/token"),
            webhook("https://id.example.com/v2/token")
        );
        assert_ne!(
            webhook("https://id.example.com/token"),
            webhook("https://id.example.org/token")
        );
    }
}
