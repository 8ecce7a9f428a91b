//! A URL to which requests are sent.

use crate::{Host, Refusal, host::refuse_characters};
use http::Uri;
use url::Url;

/// The URL schemes that are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schemes {
    /// Only `https` URLs are accepted.
    Https,
    /// `https` and `http`, if a deployment allows it, as on a laptop.
    HttpAndHttps,
}

impl Schemes {
    /// Returns the schemes for a deployment that allows plain HTTP or not.
    pub fn with_plain_http(allowed: bool) -> Self {
        if allowed {
            Self::HttpAndHttps
        } else {
            Self::Https
        }
    }
}

/// A normalised URL without a user or fragment, and with a port that is not 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    url: Url,
    host: Host,
    port: u16,
}

impl Target {
    /// Parses a URL. Use [`crate::Policy::admit`] to check whether its address is permitted.
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
            (_, Schemes::HttpAndHttps) => {
                return Err(Refusal::Scheme {
                    accepted: "https or http",
                });
            }
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::UserInfo);
        }
        let host = Host::of(url.host().ok_or(Refusal::EmptyLabel)?)?;
        let port = url.port_or_known_default().unwrap_or(0);
        if port == 0 {
            return Err(Refusal::PortZero);
        }
        url.set_host(Some(&host.to_url_host()))
            .map_err(Refusal::Url)?;
        url.set_fragment(None);
        // The HTTP client parses the URL as a `Uri`.
        Uri::try_from(url.as_str())
            .map_err(|_| Refusal::Url(url::ParseError::InvalidDomainCharacter))?;
        Ok(Self { url, host, port })
    }

    /// Returns the name or address to connect to.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Returns the port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the target uses TLS.
    pub fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Returns the normalised URL.
    pub fn url(&self) -> &Url {
        &self.url
    }
}

/// Returns the part between `//` and the path. As in the WHATWG parser, a backslash ends it too.
fn authority(text: &str) -> &str {
    let rest = text.split_once(':').map_or(text, |(_, rest)| rest);
    let rest = rest.trim_start_matches(['/', '\\']);
    rest.split(['/', '\\', '?', '#']).next().unwrap_or(rest)
}
