//! A mailbox: an e-mail address with an optional display name (RFC 5322 §3.4).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The maximum length of an address, in bytes: RFC 5321 §4.5.3.1.3 without the brackets.
pub const ADDRESS_MAX: usize = 254;
/// The maximum length of a mailbox as it is written, in characters, including quotes, brackets and
/// spaces.
pub const MAILBOX_MAX: usize = 400;
/// The maximum length of the part before the `@`, in bytes.
const LOCAL_MAX: usize = 64;
/// The maximum length of the display name, in characters.
const NAME_MAX: usize = 100;

/// A mailbox such as `reports@acme.example` or `Acme reports <reports@acme.example>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mailbox {
    name: Option<String>,
    address: String,
}

/// The error for a text that is not a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address, or a name and an address in angle brackets")]
pub struct NotAMailbox;

impl Mailbox {
    /// Parses a mailbox. The result contains no character that could end a header or a command.
    pub fn parse(text: &str) -> Result<Self, NotAMailbox> {
        let text = text.trim();
        if text.chars().count() > MAILBOX_MAX || text.chars().any(char::is_control) {
            return Err(NotAMailbox);
        }
        let Some(rest) = text.strip_suffix('>') else {
            return if is_address(text) {
                Ok(Self {
                    name: None,
                    address: text.to_owned(),
                })
            } else {
                Err(NotAMailbox)
            };
        };
        let (name, address) = rest.split_once('<').ok_or(NotAMailbox)?;
        let name = name.trim().trim_matches('"').trim();
        let good = is_address(address)
            && name.chars().count() <= NAME_MAX
            && !name.contains(['<', '>', '"', '\\']);
        let name = Some(name)
            .filter(|name| !name.is_empty())
            .map(str::to_owned);
        if good {
            Ok(Self {
                name,
                address: address.to_owned(),
            })
        } else {
            Err(NotAMailbox)
        }
    }

    /// Returns the display name, if there is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns the address without the display name.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the domain, which is the part after the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.address
            .rsplit_once('@')
            .map_or("", |(_, domain)| domain)
    }
}

/// Returns whether the text is a dot-atom, an `@` and a host name (RFC 5321 §4.1.2). Every mail
/// server accepts such an address.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let is_atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
    let is_label = |label: &str| {
        let inner = label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (1..=63).contains(&label.len()) && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= ADDRESS_MAX
        && (1..=LOCAL_MAX).contains(&local.len())
        && local
            .split('.')
            .all(|atom| !atom.is_empty() && atom.bytes().all(is_atom))
        && domain.split('.').all(is_label)
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} <{}>", self.address),
            None => f.write_str(&self.address),
        }
    }
}

impl TryFrom<String> for Mailbox {
    type Error = NotAMailbox;
    fn try_from(text: String) -> Result<Self, NotAMailbox> {
        Self::parse(&text)
    }
}

impl FromStr for Mailbox {
    type Err = NotAMailbox;
    fn from_str(text: &str) -> Result<Self, NotAMailbox> {
        Self::parse(text)
    }
}

impl From<Mailbox> for String {
    fn from(mailbox: Mailbox) -> Self {
        mailbox.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_an_address_with_or_without_a_name() {
        for (text, name, address) in [
            ("a@b.example", None, "a@b.example"),
            (
                " Ada Lovelace <ada+x@b.example> ",
                Some("Ada Lovelace"),
                "ada+x@b.example",
            ),
            (
                "\"Acme, Inc.\" <a@b.example>",
                Some("Acme, Inc."),
                "a@b.example",
            ),
            ("<a@localhost>", None, "a@localhost"),
        ] {
            let mailbox = Mailbox::parse(text).unwrap();
            assert_eq!((mailbox.name(), mailbox.address()), (name, address));
            assert_eq!(Mailbox::parse(&mailbox.to_string()).unwrap(), mailbox);
        }
    }

    #[test]
    fn other_addresses_are_refused() {
        let long = format!("{}@b.example", "a".repeat(65));
        for bad in [
            "",
            "a",
            "@b",
            "a@",
            "a b@c.example",
            "a@b..example",
            ".a@b.example",
            "a@b.example>",
            "x <a@b.example> y",
            "a@b.example\r\nBcc: c@d",
            "a@-b.example",
            "a@b_c.example",
            "<a@b.example",
            "a@b.example,c@d.example",
            &long,
        ] {
            assert_eq!(Mailbox::parse(bad), Err(NotAMailbox), "{bad}");
        }
    }
}
