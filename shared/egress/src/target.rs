//! A URL to send requests to.

use crate::{Host, Refusal, host::refuse_characters};
use http::Uri;
use url::Url;

/// Which schemes are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schemes {
    /// `https` alone.
    Https,
    /// `http` too, where a deployment allows it: a laptop.
    HttpAndHttps,
}

impl Schemes {
    /// The schemes of a deployment that does or does not allow plain HTTP.
    pub fn with_plain_http(allowed: bool) -> Self {
        if allowed { Self::HttpAndHttps } else { Self::Https }
    }
}

/// A parsed, normalised URL: no user, no fragment, a port that can be connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    url: Url,
    host: Host,
    port: u16,
}

impl Target {
    /// Reads a URL. Whether its address may be reached is the policy's to say: [`crate::Policy::admit`].
    pub fn parse(text: &str, schemes: Schemes) -> Result<Self, Refusal> {
        refuse_characters(text)?;
        let authority = authority(text);
        if authority.contains('@') {
            return Err(Refusal::UserInfo);
        }
        if authority.contains('[') && authority.contains('%') {
            return Err(Refusal::Zone);
        }
        let mut url = Url::parse(text).map_err(|error| match error {
            url::ParseError::EmptyHost => Refusal::EmptyLabel,
            other => Refusal::Url(other),
        })?;
        match (url.scheme(), schemes) {
            ("https", _) | ("http", Schemes::HttpAndHttps) => {}
            (_, Schemes::Https) => return Err(Refusal::Scheme { accepted: "https" }),
            (_, Schemes::HttpAndHttps) => return Err(Refusal::Scheme { accepted: "https or http" }),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::UserInfo);
        }
        let host = Host::of(url.host().ok_or(Refusal::EmptyLabel)?)?;
        let port = url.port_or_known_default().unwrap_or(0);
        if port == 0 {
            return Err(Refusal::PortZero);
        }
        url.set_host(Some(&host.to_url_host())).map_err(Refusal::Url)?;
        url.set_fragment(None);
        // The HTTP client reads it so.
        Uri::try_from(url.as_str()).map_err(|_| Refusal::Url(url::ParseError::InvalidDomainCharacter))?;
        Ok(Self { url, host, port })
    }

    /// The name or address to connect to.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether TLS is spoken.
    pub fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The normalised URL.
    pub fn url(&self) -> &Url {
        &self.url
    }
}

/// What stands between `//` and the path, as the WHATWG parser cuts it: a backslash ends it too.
fn authority(text: &str) -> &str {
    let rest = text.split_once(':').map_or(text, |(_, rest)| rest);
    let rest = rest.trim_start_matches(['/', '\\']);
    rest.split(['/', '\\', '?', '#']).next().unwrap_or(rest)
}
