//! A parser for connection strings that accepts only a fixed list of options. The parsers of the
//! database libraries also accept sockets, files and `hostaddr`, which would bypass the egress
//! guard or reach the machine that runs Waybill.
//!
//! Two forms are accepted: a URL (`postgres://user:password@host:5432/database?sslmode=require`,
//! `mysql://…`) and PostgreSQL's `host=… port=… dbname=… user=… password=… sslmode=…`. Errors never
//! contain any of the text except the name of an option.

use std::fmt;

use percent_encoding::percent_decode_str;

use super::{Engine, TlsMode};

/// The maximum length of a connection string.
pub const CONNECTION_STRING_MAX: usize = 4096;

/// The contents of a connection string.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionString {
    /// The host name or IP address, which the egress policy has not checked yet.
    pub host: String,
    /// The TCP port; the engine's default if the text contains none.
    pub port: u16,
    /// The name of the database.
    pub database: String,
    /// The name of the user who connects.
    pub username: String,
    /// The password; empty if the text contains none.
    pub password: String,
    /// The mode that `sslmode` requests. It cannot weaken the `tls` of the settings; the stricter
    /// of both applies.
    pub tls: Option<TlsMode>,
    /// Whether the text contains PostgreSQL's `channel_binding=require`: the login must be bound to
    /// the TLS session through which it is sent.
    pub requires_channel_binding: bool,
}

/// Shows everything except the password and the options.
impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            host,
            port,
            database,
            username,
            ..
        } = self;
        write!(f, "ConnectionString({username}@{host}:{port}/{database})")
    }
}

/// The reason why a connection string is rejected. It never contains the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The text is neither a URL of this engine nor a list of keywords.
    #[error("must start with {0}:// or be key=value pairs")]
    Form(&'static str),
    /// A required part is missing.
    #[error("the connection string names no {0}")]
    Missing(&'static str),
    /// A part cannot be parsed.
    #[error("the connection string's {0} cannot be read")]
    Part(&'static str),
    /// The host is the directory of a socket.
    #[error("a socket is not accepted in place of a host")]
    Socket,
    /// The text contains more than one host.
    #[error("exactly one host is accepted")]
    Hosts,
    /// An option is not on the list.
    #[error("the option {0} is not accepted")]
    Option(String),
    /// The connection would not be encrypted, such as with `sslmode=disable`.
    #[error("sslmode must be require or stricter: every connection is encrypted")]
    Unencrypted,
}

impl ConnectionString {
    /// Parses a connection string of this engine.
    pub fn parse(engine: Engine, text: &str) -> Result<Self, Unreadable> {
        let mut draft = Draft::default();
        if let Some((scheme, rest)) = text.split_once("://") {
            let known = match engine {
                Engine::Postgres => matches!(scheme, "postgres" | "postgresql"),
                Engine::Mysql => matches!(scheme, "mysql" | "mariadb"),
            };
            if !known {
                return Err(Unreadable::Form(engine.as_str()));
            }
            draft.read_url(engine, rest)?;
        } else if engine == Engine::Postgres && text.contains('=') {
            draft.read_pairs(text)?;
        } else {
            return Err(Unreadable::Form(engine.as_str()));
        }
        draft.finish(engine)
    }
}

#[derive(Default)]
struct Draft {
    host: Option<String>,
    port: Option<String>,
    database: Option<String>,
    username: Option<String>,
    password: Option<String>,
    tls: Option<TlsMode>,
    requires_channel_binding: bool,
}

impl Draft {
    fn read_url(&mut self, engine: Engine, rest: &str) -> Result<(), Unreadable> {
        let rest = if let Some((rest, _fragment)) = rest.split_once('#') {
            rest
        } else {
            rest
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (username, password) = login.split_once(':').unwrap_or((login, ""));
        self.username = non_empty(decoded(username).ok_or(Unreadable::Part("user"))?);
        self.password = non_empty(decoded(password).ok_or(Unreadable::Part("password"))?);
        self.database = non_empty(decoded(path).ok_or(Unreadable::Part("database"))?);
        let (host, port) = split_port(address);
        self.host = non_empty(decoded(host).ok_or(Unreadable::Part("host"))?);
        self.port = port.map(str::to_owned);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value).ok_or(Unreadable::Part("options"))?;
            self.option(engine, name, &value)?;
        }
        Ok(())
    }

    /// Reads `key=value` pairs. A value that contains spaces is written in single quotes; a
    /// backslash escapes the next character.
    fn read_pairs(&mut self, text: &str) -> Result<(), Unreadable> {
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=').ok_or(Unreadable::Part("options"))?;
            let (value, after) = value(after.trim_start()).ok_or(Unreadable::Part("options"))?;
            rest = after.trim_start();
            match name.trim() {
                "host" => self.host = non_empty(value),
                "port" => self.port = non_empty(value),
                "dbname" => self.database = non_empty(value),
                "user" => self.username = non_empty(value),
                "password" => self.password = non_empty(value),
                option => self.option(Engine::Postgres, option, &value)?,
            }
        }
        Ok(())
    }

    /// Reads an allowed option. Some options are accepted without effect, because Waybill has its
    /// own time limits and application name.
    fn option(&mut self, engine: Engine, name: &str, value: &str) -> Result<(), Unreadable> {
        let value = value.to_ascii_lowercase().replace('-', "_");
        match (engine, name) {
            (Engine::Postgres, "sslmode")
            | (Engine::Mysql, "ssl-mode" | "sslmode" | "ssl_mode") => {
                self.tls = Some(tls_mode(&value)?)
            }
            (_, "connect_timeout") | (Engine::Postgres, "application_name") => {}
            // Channel binding is always used if the server offers it, so only `require` has an
            // effect.
            (Engine::Postgres, "channel_binding")
                if matches!(&*value, "prefer" | "disable" | "require") =>
            {
                self.requires_channel_binding = value == "require";
            }
            (Engine::Mysql, "charset") if value == "utf8mb4" => {}
            _ => {
                let shown = name
                    .chars()
                    .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
                    .take(40)
                    .collect();
                return Err(Unreadable::Option(shown));
            }
        }
        Ok(())
    }

    fn finish(self, engine: Engine) -> Result<ConnectionString, Unreadable> {
        let host = self.host.ok_or(Unreadable::Missing("host"))?;
        if host.starts_with(['/', '@']) || host.contains(['/', '\\']) {
            return Err(Unreadable::Socket);
        }
        let port = self.port.as_deref();
        if host.contains(',') || port.is_some_and(|port| port.contains(',')) {
            return Err(Unreadable::Hosts);
        }
        let port = match port {
            None => engine.port(),
            Some(text) => text
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or(Unreadable::Part("port"))?,
        };
        let database = self.database.ok_or(Unreadable::Missing("database"))?;
        let username = self.username.ok_or(Unreadable::Missing("user"))?;
        if [&host, &database, &username]
            .iter()
            .any(|text| text.chars().any(char::is_control))
        {
            return Err(Unreadable::Part("text"));
        }
        let password = self.password.unwrap_or_default();
        Ok(ConnectionString {
            host,
            port,
            database,
            username,
            password,
            tls: self.tls,
            requires_channel_binding: self.requires_channel_binding,
        })
    }
}

fn tls_mode(value: &str) -> Result<TlsMode, Unreadable> {
    match value {
        "require" | "required" => Ok(TlsMode::Require),
        "verify_ca" => Ok(TlsMode::VerifyCa),
        "verify_full" | "verify_identity" => Ok(TlsMode::VerifyFull),
        "disable" | "disabled" | "allow" | "prefer" | "preferred" => Err(Unreadable::Unencrypted),
        _ => Err(Unreadable::Part("sslmode")),
    }
}

/// Splits `host:port`. An IPv6 address is written in brackets.
fn split_port(address: &str) -> (&str, Option<&str>) {
    if let Some(rest) = address.strip_prefix('[')
        && let Some((host, after)) = rest.split_once(']')
    {
        return (host, after.strip_prefix(':'));
    }
    match address.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (address, None),
    }
}

/// Reads the value at the beginning of `text`, and returns it with the text that follows.
fn value(text: &str) -> Option<(String, &str)> {
    let (quoted, text) = match text.strip_prefix('\'') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.push(characters.next()?.1),
            '\'' if quoted => return Some((value, &text[at + 1..])),
            c if !quoted && c.is_whitespace() => return Some((value, &text[at..])),
            c => value.push(c),
        }
    }
    (!quoted).then_some((value, ""))
}

/// Decodes percent-encoded UTF-8; returns `None` if the text is invalid.
fn decoded(text: &str) -> Option<String> {
    let is_escape = |text: &str| {
        let digits = text.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    // The library passes a percent sign through if no digits follow it.
    if !text.split('%').skip(1).all(is_escape) {
        return None;
    }
    Some(percent_decode_str(text).decode_utf8().ok()?.into_owned())
}

fn non_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}
