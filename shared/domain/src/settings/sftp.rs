//! The settings of SFTP destinations: a directory on a server.

mod host_key;
mod host_keys;
mod private_key;

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use serde_json::json;

pub use host_key::{HostKey, HostKeyError};
pub use host_keys::HostKeys;
pub use private_key::private_key_refusal;

use super::{Address, Anchor, NamedAnchor, TRANSFER_SECONDS, read_timeout};
use crate::bounds::Bounds;
use crate::credentials::Decides;
use crate::input::{FieldCode, Fields};
use crate::limits::{HOST, PORT};

/// The default directory, which is the user's initial directory.
pub const DEFAULT_DIRECTORY_TEMPLATE: &str = ".";
/// The default template of the file name.
pub const DEFAULT_FILENAME_TEMPLATE: &str = "{{ message_id }}{{ filename | ext }}";

/// The TCP port of an SFTP server.
pub const SFTP_PORT: Bounds<u16> = PORT.with_default(22);
/// The length of a user name, in characters.
pub const USERNAME: RangeInclusive<usize> = 1..=255;
/// The length of a host key or of its fingerprint.
pub const HOST_KEY: RangeInclusive<usize> = 1..=4096;
/// The maximum length of the template of a directory or file name, in characters.
pub const TEMPLATE_MAX: usize = 4096;
/// The maximum length of a file or directory name in common file systems, in bytes.
const NAME_MAX_BYTES: usize = 255;
/// The maximum length of a directory path, in bytes: `PATH_MAX` of POSIX without the prefix that
/// servers add.
const DIRECTORY_MAX_BYTES: usize = 2048;

/// The settings of an SFTP destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SftpSettings {
    /// The host name or IP address of the server.
    pub host: String,
    /// The TCP port of the server.
    pub port: u16,
    /// The name of the user who signs in.
    pub username: String,
    /// The host keys that the customer trusts. The server must prove that it has one of them.
    /// Records of earlier versions contain a single key under the other name.
    #[serde(alias = "host_key")]
    pub host_keys: HostKeys,
    /// The template of the directory's path. A relative path starts in the user's initial
    /// directory.
    pub directory_template: String,
    /// The template of the file name.
    pub filename_template: String,
    /// What happens if another file already has the path.
    pub if_exists: IfExists,
    /// The time limit of the whole attempt, in seconds.
    pub timeout_seconds: u32,
}

/// What happens if another file already has the path. Repeating the same delivery always succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IfExists {
    /// The existing file is replaced.
    Replace,
    /// The delivery fails, and the existing file stays.
    Fail,
    /// The existing file stays, and the delivery succeeds.
    Skip,
}

impl SftpSettings {
    /// Returns the settings that determine which server receives the secrets of an SFTP
    /// destination.
    pub(super) fn anchors(&self) -> Vec<NamedAnchor<'_>> {
        let Self {
            host,
            port,
            host_keys,
            ..
        } = self;
        vec![
            (
                "host",
                Anchor::Address(Some(Address::Host { host, port: *port })),
            ),
            (
                "host_keys",
                Anchor::Exactly(Some(host_keys.identity().into())),
            ),
        ]
    }

    /// Reads the settings. Returns `None` if the host, the user name or the host keys are missing
    /// or invalid; the mistake is recorded. The egress policy decides whether the host may be
    /// reached.
    pub fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.describe("host", Decides::Recipient, || {
            json!({"type": "string", "minLength": HOST.start(), "maxLength": HOST.end(),
                "description": "The host name or IP address of the server."})
        });
        let host = fields.required_text("host", HOST);
        fields.describe("port", Decides::Recipient, || SFTP_PORT.schema());
        let port = SFTP_PORT.read(fields, "port");
        fields.describe("username", Decides::Nothing, || {
            json!({"type": "string", "minLength": USERNAME.start(), "maxLength": USERNAME.end()})
        });
        let username = fields.required_text("username", USERNAME);
        let host_keys = read_host_keys(fields);
        let (directory_template, filename_template) = read_path(fields);
        let choices = [
            ("replace", IfExists::Replace),
            ("fail", IfExists::Fail),
            ("skip", IfExists::Skip),
        ];
        let description = "What happens if a file with this name exists already.";
        let if_exists = fields.word(
            "if_exists",
            Decides::Nothing,
            &choices,
            IfExists::Replace,
            Some(description),
        );
        let timeout_seconds = read_timeout(fields, TRANSFER_SECONDS);
        Some(Self {
            host: host?,
            port: port.unwrap_or(SFTP_PORT.default_value()),
            username: username?,
            host_keys: host_keys?,
            directory_template,
            filename_template,
            if_exists,
            timeout_seconds,
        })
    }
}

/// Reads the templates of the directory and of the name of a file.
fn read_path(fields: &mut Fields<'_>) -> (String, String) {
    fields.describe("directory_template", Decides::Nothing, || {
        json!({"type": "string", "maxLength": TEMPLATE_MAX,
            "default": DEFAULT_DIRECTORY_TEMPLATE,
            "description": "A template for the directory on the server."})
    });
    let directory_template = fields.text("directory_template", 0..=TEMPLATE_MAX);
    if directory_template
        .as_deref()
        .is_some_and(|template| template.split('/').any(|segment| segment == ".."))
    {
        fields.refuse(
            "directory_template",
            FieldCode::InvalidValue,
            "must not contain the segment ..",
        );
    }
    fields.describe("filename_template", Decides::Nothing, || {
        json!({"type": "string", "minLength": 1, "maxLength": TEMPLATE_MAX,
            "default": DEFAULT_FILENAME_TEMPLATE,
            "description": "A template for the name of the file."})
    });
    let filename_template = fields.text("filename_template", 1..=TEMPLATE_MAX);
    for (name, template) in [
        ("directory_template", &directory_template),
        ("filename_template", &filename_template),
    ] {
        if template
            .as_deref()
            .is_some_and(|template| literal_parts(template).any(|part| part.contains('\\')))
        {
            fields.refuse(name, FieldCode::InvalidValue, BACKSLASH);
        }
    }
    (
        directory_template.unwrap_or_else(|| DEFAULT_DIRECTORY_TEMPLATE.to_owned()),
        filename_template.unwrap_or_else(|| DEFAULT_FILENAME_TEMPLATE.to_owned()),
    )
}

const BACKSLASH: &str = "must not contain a backslash, which some servers take for a slash";

/// Reads the member `host_keys`, or the member `host_key` with a single key.
fn read_host_keys(fields: &mut Fields<'_>) -> Option<HostKeys> {
    fields.describe("host_keys", Decides::Recipient, || {
        json!({"type": "array", "minItems": 1, "maxItems": HostKeys::MAX,
            "items": {"type": "string", "minLength": HOST_KEY.start(), "maxLength": HOST_KEY.end()},
            "description": "The server's public keys in OpenSSH's format, or their SHA256 \
                 fingerprints (POST /v1/host-keys shows them). The server must present one of \
                 them."})
    });
    let (one_given, list_given) = (fields.given("host_key"), fields.given("host_keys"));
    let one = fields.text("host_key", HOST_KEY);
    let list = fields.parsed_list("host_keys", HostKeys::MAX, |text| {
        if text.len() > *HOST_KEY.end() {
            Err(HostKeyError)
        } else {
            HostKey::parse(text)
        }
    });
    if one_given && list_given {
        fields.refuse(
            "host_key",
            FieldCode::Conflict,
            "cannot be combined with host_keys",
        );
        return None;
    }
    if one_given {
        let parsed = HostKey::parse(&one?);
        return parsed
            .map(HostKeys::one)
            .map_err(|error| fields.refuse("host_key", FieldCode::InvalidFormat, error.to_string()))
            .ok();
    }
    let keys = fields.require("host_keys", list_given, list)?;
    let keys = HostKeys::new(keys);
    if keys.is_none() {
        fields.refuse(
            "host_keys",
            FieldCode::TooShort,
            "must have at least one host key",
        );
    }
    keys
}

/// Returns the parts of a template that are not tags.
fn literal_parts(template: &str) -> impl Iterator<Item = &str> {
    template
        .split("}}")
        .flat_map(|part| part.split("%}"))
        .flat_map(|part| part.split("#}"))
        .map(|part| {
            let tag = ["{{", "{%", "{#"]
                .iter()
                .filter_map(|tag| part.find(tag))
                .min();
            &part[..tag.unwrap_or(part.len())]
        })
}

/// Returns the reason why a rendered directory cannot be used; `None` if it can. The directory must
/// be below the one that the customer chose, so it may only start at the root if the template
/// begins with a slash.
#[must_use]
pub fn directory_refusal(template: &str, directory: &str) -> Option<&'static str> {
    if directory.starts_with('/') && !template.starts_with('/') {
        Some("the directory's path begins with a slash, and the template does not")
    } else if directory.len() > DIRECTORY_MAX_BYTES {
        Some("the directory's path has more than 2048 bytes")
    } else if directory.chars().any(char::is_control) {
        Some("the directory's path contains control characters")
    } else if directory.contains('\\') {
        Some("the directory's path contains a backslash, which some servers take for a slash")
    } else if directory.split('/').any(|segment| segment == "..") {
        Some("the directory's path contains the segment ..")
    } else if directory
        .split('/')
        .any(|segment| segment.len() > NAME_MAX_BYTES)
    {
        Some("a directory's name has more than 255 bytes")
    } else {
        None
    }
}

/// Returns the reason why a rendered file name cannot be used; `None` if it can.
#[must_use]
pub fn filename_refusal(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("the file name is empty")
    } else if name.len() > NAME_MAX_BYTES {
        Some("the file name has more than 255 bytes")
    } else if name.chars().any(char::is_control) {
        Some("the file name contains control characters")
    } else if name.contains('\\') {
        Some("the file name contains a backslash, which some servers take for a slash")
    } else if name.contains('/') {
        Some("the file name contains a slash; directories belong into directory_template")
    } else if matches!(name, "." | "..") {
        Some("the file name is . or ..")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Errors, parse_object};

    const FINGERPRINT: &str = "SHA256:uNiVztksCsDhcc0u9e8BrKSTKIk3bTdGEHdaRUQ5tSM";

    fn read(json: &str) -> Result<SftpSettings, Vec<(String, FieldCode)>> {
        let errors = Errors::default();
        let mut fields = Fields::new("/settings", parse_object(json.as_bytes()).unwrap(), &errors);
        let settings = SftpSettings::read(&mut fields);
        fields.finish();
        let found = errors.into_result(()).map_err(|found| {
            found
                .into_iter()
                .map(|e| (e.pointer.unwrap(), e.code))
                .collect::<Vec<_>>()
        });
        found.map(|()| settings.expect("no mistakes"))
    }

    #[test]
    fn defaults_are_the_contract_s() {
        let settings = read(&format!(
            r#"{{"host": "sftp.example", "username": "acme", "host_key": "{FINGERPRINT}"}}"#
        ))
        .unwrap();
        assert_eq!(
            (settings.port, settings.timeout_seconds, settings.if_exists),
            (22, 300, IfExists::Replace)
        );
        assert_eq!(settings.directory_template, ".");
        assert_eq!(
            settings.filename_template,
            "{{ message_id }}{{ filename | ext }}"
        );
    }

    #[test]
    fn one_to_five_host_keys_are_read_under_either_name() {
        let with = |member: &str| read(&format!(r#"{{"host": "h", "username": "u", {member}}}"#));
        let other = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";
        let one = with(&format!(r#""host_key": "{FINGERPRINT}""#)).unwrap();
        assert_eq!(
            one,
            with(&format!(r#""host_keys": ["{FINGERPRINT}"]"#)).unwrap()
        );
        assert_eq!(
            serde_json::to_value(&one).unwrap()["host_keys"],
            serde_json::json!([FINGERPRINT])
        );
        let both = with(&format!(r#""host_keys": ["{FINGERPRINT}", "{other}"]"#)).unwrap();
        let turned = with(&format!(r#""host_keys": ["{other}", "{FINGERPRINT}"]"#)).unwrap();
        assert_eq!(both.anchors(), turned.anchors());
        assert_ne!(both.anchors(), one.anchors());
        let six = format!(
            r#""host_keys": [{}]"#,
            vec![format!(r#""{other}""#); 6].join(",")
        );
        for (member, pointer, code) in [
            ("\"port\": 22", "/settings/host_keys", FieldCode::Required),
            (
                "\"host_keys\": []",
                "/settings/host_keys",
                FieldCode::TooShort,
            ),
            (
                "\"host_keys\": [\"x\"]",
                "/settings/host_keys/0",
                FieldCode::InvalidFormat,
            ),
            (
                "\"host_keys\": \"x\"",
                "/settings/host_keys",
                FieldCode::InvalidType,
            ),
            (&six, "/settings/host_keys", FieldCode::TooLong),
        ] {
            assert_eq!(
                with(member).unwrap_err(),
                [(pointer.to_owned(), code)],
                "{member}"
            );
        }
        let two_names = with(&format!(
            r#""host_keys": ["{other}"], "host_key": "{FINGERPRINT}""#
        ));
        assert_eq!(
            two_names.unwrap_err(),
            [("/settings/host_key".to_owned(), FieldCode::Conflict)]
        );
    }

    #[test]
    fn records_of_earlier_versions_have_one_host_key() {
        let json = serde_json::json!({"host": "h", "port": 22, "username": "u",
            "host_key": FINGERPRINT,
            "directory_template": ".", "filename_template": "f", "if_exists": "fail",
            "timeout_seconds": 1});
        let stored: SftpSettings = serde_json::from_value(json).unwrap();
        assert_eq!(stored.host_keys.identity(), FINGERPRINT);
    }

    #[test]
    fn stored_items_read_back() {
        let json = format!(
            r#"{{"host": "h", "port": 2222, "username": "u", "host_key": "{FINGERPRINT}", "directory_template": "/in/{{{{ event_type }}}}",
                "filename_template": "a.json", "if_exists": "skip", "timeout_seconds": 9}}"#
        );
        let settings = read(&json).unwrap();
        let stored = serde_json::to_string(&settings).unwrap();
        assert_eq!(read(&stored).unwrap(), settings);
        assert_eq!(
            serde_json::from_str::<SftpSettings>(&stored).unwrap(),
            settings
        );
    }

    #[test]
    fn all_mistakes_are_named_at_once() {
        let json = r#"{"port": 0, "username": "", "host_key": "SHA1:x", "directory_template": "a/../b", "filename_template": "",
            "if_exists": "append", "timeout_seconds": 601, "path": "x"}"#;
        let expected = [
            ("/settings/host", FieldCode::Required),
            ("/settings/port", FieldCode::OutOfRange),
            ("/settings/username", FieldCode::TooShort),
            ("/settings/host_key", FieldCode::InvalidFormat),
            ("/settings/directory_template", FieldCode::InvalidValue),
            ("/settings/filename_template", FieldCode::TooShort),
            ("/settings/if_exists", FieldCode::InvalidValue),
            ("/settings/timeout_seconds", FieldCode::OutOfRange),
            ("/settings/path", FieldCode::UnknownField),
        ];
        assert_eq!(
            read(json).unwrap_err(),
            expected.map(|(pointer, code)| (pointer.to_owned(), code))
        );
    }

    #[test]
    fn a_path_leads_down_and_nowhere_else() {
        for good in ["", ".", "/", "in", "/in/out", "in//x/", "…/ü"] {
            assert_eq!(directory_refusal(good, good), None, "{good}");
        }
        for bad in ["..", "a/../b", "/..", "a\nb", "a\0", "a\\b", "..\\.."] {
            assert!(directory_refusal(bad, bad).is_some(), "{bad}");
        }
        assert!(
            directory_refusal("{{ payload.directory }}", "/etc").is_some(),
            "the root was not the customer's choice"
        );
        assert_eq!(
            directory_refusal("/in/{{ payload.directory }}", "/in/a"),
            None
        );
        for good in ["a", "a b.csv", "...", "-rf", "ü.json"] {
            assert_eq!(filename_refusal(good), None, "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "/",
            "a\\b",
            "..\\x",
            "a\u{7f}",
            &"x".repeat(256),
        ] {
            assert!(filename_refusal(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn a_backslash_is_refused_where_it_is_written_and_not_in_what_a_tag_says() {
        let read = |directory: &str, filename: &str| {
            let json = serde_json::json!({"host": "h", "username": "u", "host_key": FINGERPRINT,
                "directory_template": directory, "filename_template": filename});
            read(&json.to_string()).map(drop)
        };
        assert_eq!(
            read(
                "in/{{ a | replace('\\\\', '') }}",
                "{% if a == '\\\\' %}b{% endif %}.csv"
            ),
            Ok(())
        );
        let mistakes = [
            "/settings/directory_template",
            "/settings/filename_template",
        ]
        .map(|at| (at.to_owned(), FieldCode::InvalidValue));
        assert_eq!(read("in\\{{ a }}", "{{ a }}\\b"), Err(mistakes.to_vec()));
    }
}
