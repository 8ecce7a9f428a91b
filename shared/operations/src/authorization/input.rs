//! Reads a request for an authorization. A known provider is used only with its own addresses and
//! mail servers, so that consent to one provider is neither exchanged nor used at another.

use domain::authorization::{
    CLIENT_ID_LENGTH, CLIENT_SECRET_LENGTH, MAIL_SERVERS_MAX, Provider, ProviderFacts, SCOPE_LENGTH,
};
use domain::input::{FieldCode, Fields};
use domain::limits::URL;
use domain::settings::Address;
use domain::settings::webhook::is_header_value;
use egress::{Host, Schemes, Target};

use super::AuthorizationRequest;
use crate::destination::{Addresses, admit, refused};

pub(super) fn read(
    fields: &mut Fields<'_>,
    addresses: &Addresses<'_>,
) -> Option<AuthorizationRequest> {
    fields.read_only(&[
        "id",
        "organization_id",
        "status",
        "detail",
        "url",
        "created_at",
        "expires_at",
    ]);
    let given = fields.given("provider");
    let provider = fields.choice("provider", Provider::ALL);
    let provider = fields.require("provider", given, provider);
    let client_id = fields.required_text("client_id", CLIENT_ID_LENGTH);
    let client_secret = fields.required_text("client_secret", CLIENT_SECRET_LENGTH);
    fields.check_format(
        "client_secret",
        client_secret.as_deref(),
        is_header_value,
        "must be printable ASCII without spaces at its ends",
    );
    let facts = provider.and_then(Provider::facts);
    let is_custom = provider == Some(Provider::Custom);
    let authorize_url = address(fields, "authorize_url", is_custom, |url| {
        // The person's browser opens this URL; Waybill does not connect to it.
        Target::parse(url, Schemes::with_plain_http(addresses.plain_http)).map(drop)
    });
    let token_url = address(fields, "token_url", is_custom, |url| {
        admit(Address::Url(url), addresses)
    });
    refuse_foreign_hosts(
        fields,
        provider,
        &[
            ("authorize_url", authorize_url.as_deref()),
            ("token_url", token_url.as_deref()),
        ],
    );
    let scope = fields.text("scope", SCOPE_LENGTH);
    let mail_servers = read_mail_servers(fields, facts.as_ref(), addresses);
    let known =
        |url: Option<String>, own: Option<&'static str>| url.or_else(|| own.map(str::to_owned));
    Some(AuthorizationRequest {
        provider: provider?,
        client_id: client_id?,
        client_secret: client_secret?.into(),
        authorize_url: known(authorize_url, facts.map(|facts| facts.authorize_url))?,
        token_url: known(token_url, facts.map(|facts| facts.token_url))?,
        scope: known(scope, facts.map(|facts| facts.scope)),
        mail_servers,
    })
}

/// Takes a URL and checks it. It is required for a custom provider.
fn address(
    fields: &mut Fields<'_>,
    name: &str,
    required: bool,
    check: impl FnOnce(&str) -> Result<(), egress::Refusal>,
) -> Option<String> {
    let url = if required {
        fields.required_text(name, URL)
    } else {
        fields.text(name, URL)
    };
    if let Some(Err(refusal)) = url.as_deref().map(check) {
        fields.refuse(name, refused(&refusal), refusal.to_string());
    }
    url
}

/// Refuses a URL of a known provider that is on another host, and a URL of a custom provider that
/// is on a known provider's host. Otherwise another server could exchange the code that a person's
/// consent produced.
fn refuse_foreign_hosts(
    fields: &Fields<'_>,
    provider: Option<Provider>,
    given: &[(&str, Option<&str>)],
) {
    let Some(provider) = provider else { return };
    for (name, url) in given {
        let Some(Ok(target)) = url.map(|url| Target::parse(url, Schemes::HttpAndHttps)) else {
            continue;
        };
        let host = target.host().to_url_host();
        let owner = Provider::ALL.iter().find(|(_, known)| {
            known
                .facts()
                .is_some_and(|facts| facts.hosts.contains(&&*host))
        });
        match (provider.facts(), owner) {
            (Some(facts), _) if !facts.hosts.contains(&&*host) => {
                let detail = format!(
                    "must be at {}; another provider is custom",
                    facts.hosts.join(" or ")
                );
                fields.refuse(name, FieldCode::InvalidValue, detail);
            }
            (None, Some((owner, _))) => {
                fields.refuse(
                    name,
                    FieldCode::Conflict,
                    format!("belongs to {owner}: name it as the provider"),
                );
            }
            _ => {}
        }
    }
}

/// Takes the mail servers that access tokens may be sent to. The default is all of the provider's
/// own. A known provider permits no others.
fn read_mail_servers(
    fields: &mut Fields<'_>,
    facts: Option<&ProviderFacts>,
    addresses: &Addresses<'_>,
) -> Option<Vec<String>> {
    let own = |facts: &ProviderFacts| {
        facts
            .mail_servers
            .iter()
            .map(|&server| server.to_owned())
            .collect()
    };
    let given = fields.given("mail_servers");
    let listed = fields.parsed_list("mail_servers", MAIL_SERVERS_MAX, |text| {
        mail_server(text, facts, addresses)
    });
    if given && listed.as_ref().is_some_and(Vec::is_empty) {
        fields.refuse(
            "mail_servers",
            FieldCode::TooShort,
            "must name at least one mail server",
        );
    }
    listed.or_else(|| facts.map(own))
}

fn mail_server(
    text: &str,
    facts: Option<&ProviderFacts>,
    addresses: &Addresses<'_>,
) -> Result<String, &'static str> {
    const FORM: &str = "must be a host, or a host and a port: smtp.example.com:587";
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port = port
        .map(|port| {
            port.parse::<u16>()
                .ok()
                .filter(|port| *port != 0)
                .ok_or(FORM)
        })
        .transpose()?;
    let host = Host::parse(host).map_err(|_| FORM)?;
    addresses
        .policy
        .admit(&host)
        .map_err(|_| "is an address that no destination may have")?;
    let host = host.to_url_host();
    if facts.is_some_and(|facts| !facts.mail_servers.contains(&&*host)) {
        return Err("is not a mail server of this provider");
    }
    Ok(port.map_or(host.clone(), |port| format!("{host}:{port}")))
}
