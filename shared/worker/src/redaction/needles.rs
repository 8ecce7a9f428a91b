//! The texts to search for: a secret as a whole, and the parts of it that are secret by themselves.
//!
//! Servers seldom return a URL as a whole: `Cannot POST /services/T/B/KEY` contains its path.
//! Likewise, a database's error may contain the password of a connection string, and a parser's
//! error one line of a key.

use memchr::memmem::Finder;
use serde_json::Value;
use url::Url;
use url::form_urlencoded;

/// Shorter texts are not searched for, because they would remove ordinary words and protect
/// nothing.
const CHARS_MIN: usize = 4;
/// Shorter texts are found only as whole words.
const ANYWHERE_CHARS_MIN: usize = 8;
/// A line or a lower-case word of this length is not an ordinary word.
const RANDOM_CHARS_MIN: usize = 20;
/// Members of a key file that are not secret.
const OPEN_MEMBERS: [&str; 11] = [
    "type",
    "project_id",
    "client_email",
    "client_id",
    "auth_uri",
    "token_uri",
    "auth_provider_x509_cert_url",
    "client_x509_cert_url",
    "universe_domain",
    "quota_project_id",
    "audience",
];
/// Names of parameters whose values are secret regardless of their length.
const SECRET_PARAMETERS: [&str; 13] = [
    "access_token",
    "api_key",
    "apikey",
    "auth",
    "code",
    "key",
    "pass",
    "password",
    "pwd",
    "secret",
    "sig",
    "signature",
    "token",
];

/// A text to search for.
#[derive(Clone, Debug)]
pub(super) struct Needle {
    /// Prepared for many searches, because one attempt keeps about thirty texts.
    finder: Finder<'static>,
    /// Whether it is only found as a whole word.
    pub(super) is_word: bool,
}

impl Needle {
    fn of(text: &str) -> Self {
        let bytes: Vec<u8> = text.bytes().map(fold).collect();
        Self {
            finder: Finder::new(&bytes).into_owned(),
            is_word: text.len() < ANYWHERE_CHARS_MIN,
        }
    }

    /// Returns the folded bytes, to compare with folded text.
    pub(super) fn bytes(&self) -> &[u8] {
        self.finder.needle()
    }

    /// Returns the positions of the needle in a folded text.
    pub(super) fn occurrences(&self, text: &[u8]) -> impl Iterator<Item = usize> {
        self.finder.find_iter(text)
    }
}

/// Returns the texts to search for, given the opened secrets; longest first.
pub(super) fn needles<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Vec<Needle> {
    let mut texts: Vec<String> = secrets
        .into_iter()
        .flat_map(parts)
        .map(|text| text.trim().to_owned())
        .collect();
    // Base64 may also be returned without its padding.
    texts.extend(
        texts
            .clone()
            .iter()
            .map(|text| text.trim_end_matches('=').to_owned()),
    );
    // A secret that was split over lines is searched for without white space.
    texts.extend(
        texts
            .clone()
            .iter()
            .map(|text| text.split_whitespace().collect()),
    );
    texts.retain(|text| text.len() >= CHARS_MIN);
    texts.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    texts.dedup();
    texts.iter().map(|text| Needle::of(text)).collect()
}

/// Returns the byte in lower case, and a space for `+`, which encodes a space in a form.
pub(super) fn fold(byte: u8) -> u8 {
    if byte == b'+' {
        b' '
    } else {
        byte.to_ascii_lowercase()
    }
}

fn parts(secret: &str) -> Vec<String> {
    let mut parts = vec![secret.to_owned()];
    if let Some(bare) = secret.trim().strip_prefix("whsec_") {
        parts.push(bare.to_owned());
    }
    if let Ok(Value::Object(members)) = serde_json::from_str(secret) {
        let secret_members = members
            .iter()
            .filter(|(name, _)| !OPEN_MEMBERS.contains(&name.as_str()));
        parts.extend(
            secret_members
                .filter_map(|(_, value)| value.as_str())
                .flat_map(self::parts),
        );
    } else if let Ok(url) = Url::parse(secret.trim())
        && url.has_authority()
    {
        parts.extend(url_parts(secret.trim(), &url));
    } else if secret.trim().contains('\n') {
        // The lines of a PEM text. Its first and last lines are not secret.
        let lines = secret
            .lines()
            .map(str::trim)
            .filter(|line| line.len() >= RANDOM_CHARS_MIN && !line.starts_with("-----"));
        parts.extend(lines.map(str::to_owned));
    } else if secret.contains('=') {
        parts.extend(parameters(secret.trim_start_matches('?')));
    }
    parts
}

/// Returns the path, query and login of a URL, as written and decoded.
fn url_parts(text: &str, url: &Url) -> Vec<String> {
    let mut parts = Vec::new();
    if url.path().len() > 1 {
        let query = url
            .query()
            .map(|query| format!("?{query}"))
            .unwrap_or_default();
        parts.push(format!("{}{query}", &url.path()[1..]));
        let segments: Vec<&str> = url.path()[1..].trim_end_matches('/').split('/').collect();
        parts
            .extend((0..segments.len().saturating_sub(1)).map(|start| segments[start..].join("/")));
        let is_last = |position: usize| position + 1 == segments.len();
        let alone = segments.iter().enumerate().filter(|(position, segment)| {
            segment.len() >= ANYWHERE_CHARS_MIN && (is_last(*position) || is_random(segment))
        });
        parts.extend(alone.map(|(_, segment)| (*segment).to_owned()));
    }
    parts.extend(
        url.query()
            .into_iter()
            .chain(url.fragment())
            .flat_map(parameters),
    );
    parts.extend(
        url.password()
            .or(Some(url.username()))
            .filter(|login| !login.is_empty())
            .map(str::to_owned),
    );
    // The text as it was written, before the parser escaped anything.
    if let Some((login, _)) = text
        .split_once("://")
        .and_then(|(_, rest)| rest.rsplit_once('@'))
    {
        parts.extend(
            login
                .split_once(':')
                .map(|(_, password)| password.to_owned()),
        );
    }
    let decoded: Vec<String> = parts
        .iter()
        .filter(|part| part.contains('%'))
        .map(|part| decoded(part))
        .collect();
    parts.extend(decoded);
    parts
}

/// Returns the secret values of `name=value` pairs in a query, a shared access signature or a
/// keyword connection string.
fn parameters(text: &str) -> Vec<String> {
    let mut values = Vec::new();
    for pair in text.split(['&', ';', ' ', '\t']) {
        let Some((name, value)) = pair.split_once('=') else {
            continue;
        };
        let name = name.trim().to_ascii_lowercase();
        let is_secret = SECRET_PARAMETERS.contains(&name.as_str())
            || (value.len() >= ANYWHERE_CHARS_MIN && is_random(value));
        // The dates of a shared access signature occur in many answers.
        if is_secret && !is_date(value) {
            values.push(value.trim_matches(['\'', '"']).to_owned());
            values.push(decoded(value.trim_matches(['\'', '"'])));
        }
    }
    values
}

/// Returns whether a text begins with a date such as `2026-11-30`.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 10
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[4] == b'-'
        && bytes[7] == b'-'
}

/// Returns whether a text is not an ordinary word: it contains a digit or a capital letter, or is
/// long.
fn is_random(text: &str) -> bool {
    text.len() >= RANDOM_CHARS_MIN
        || text
            .bytes()
            .any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}

fn decoded(text: &str) -> String {
    let as_value = format!("v={}", text.replace('+', "%2B").replace('&', "%26"));
    form_urlencoded::parse(as_value.as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(secret: &str) -> Vec<String> {
        needles([secret])
            .into_iter()
            .map(|needle| String::from_utf8(needle.bytes().to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn an_address_is_secret_by_its_path_and_its_parameters() {
        let texts = texts(
            "https://hooks.example/services/T0AB12CD/B0EF34GH/kEyKeyKeyKey?token=abcd&format=json",
        );
        for part in [
            "services/t0ab12cd/b0ef34gh/keykeykeykey?token=abcd&format=json",
            "t0ab12cd/b0ef34gh/keykeykeykey",
        ] {
            assert!(texts.iter().any(|text| text == part), "{texts:?}");
        }
        for part in [
            "b0ef34gh/keykeykeykey",
            "t0ab12cd",
            "b0ef34gh",
            "keykeykeykey",
            "abcd",
        ] {
            assert!(texts.iter().any(|text| text == part), "{texts:?}");
        }
        for word in ["services", "json", "hooks.example"] {
            assert!(texts.iter().all(|text| text != word), "{texts:?}");
        }
    }

    #[test]
    fn a_connection_string_holds_a_password() {
        assert!(
            texts("postgres://app:p%40ss%2Fword@db.example:5432/app")
                .contains(&"p@ss/word".to_owned())
        );
        assert!(
            texts("postgres://app:p%40ss%2Fword@db.example:5432/app")
                .contains(&"p%40ss%2fword".to_owned())
        );
        assert!(
            texts("host=db.example password=hunter2x dbname=app").contains(&"hunter2x".to_owned())
        );
    }

    #[test]
    fn only_the_members_of_a_key_file_that_name_its_owner_are_not_secret() {
        let pem = "-----BEGIN PRIVATE \
             KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAAAABBBBCCCCDDDDEEEEFFFF\n-----END PRIVATE \
             KEY-----\n";
        let file = serde_json::json!({"type": "service_account", "project_id": "my-project-1",
            "private_key_id": "0123abcd", "private_key": pem});
        let texts = texts(&file.to_string());
        for part in [
            "miievqibadanbgkqhkig9w0b",
            "aaaabbbbccccddddeeeeffff",
            "0123abcd",
        ] {
            assert!(texts.iter().any(|text| text == part), "{texts:?}");
        }
        assert!(!texts.iter().any(|text| text == "my-project-1"
            || text.starts_with("-----begin private key-----") && text.len() < 60));
    }

    #[test]
    fn a_shared_access_signature_is_secret_and_its_dates_are_not() {
        let texts =
            texts("?sv=2022-11-02&se=2027-01-01T00:00:00Z&sp=cw&sig=q1w2e3r4t5%2By6u7i8o9p0%3D");
        assert!(
            texts.contains(&"q1w2e3r4t5 y6u7i8o9p0=".to_owned())
                && texts.contains(&"q1w2e3r4t5 y6u7i8o9p0".to_owned()),
            "{texts:?}"
        );
        assert!(
            !texts
                .iter()
                .any(|text| text.starts_with("2022") || text.starts_with("2027")),
            "{texts:?}"
        );
    }

    #[test]
    fn texts_too_short_to_be_secrets_are_not_searched_for() {
        assert!(texts("abc").is_empty());
        assert!(needles(["abcd"])[0].is_word && !needles(["abcdefgh"])[0].is_word);
    }
}
