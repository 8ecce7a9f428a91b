//! Labels, examples and help for the fields of forms that are made from schemas, in the terms of
//! each service. A field that is not listed here is shown as its schema describes it.

use crate::captions;
use crate::schema_form::{Choice, Control, Field};

/// The form or `*`, the field's name without its group, the label, the example and the help. If the
/// help is empty, the schema's description is kept. The form is a destination type or
/// [`ORGANIZATION`].
type FieldText = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

/// The name of the form of an organization's settings.
pub(crate) const ORGANIZATION: &str = "organization";

const WORDS: &[FieldText] = &[
    (
        "*",
        "name",
        "Name",
        "Billing events",
        "Shown in lists, alerts and the audit log.",
    ),
    (
        "*",
        "description",
        "Description",
        "",
        "Who uses it and whom to ask.",
    ),
    (
        "*",
        "event_types",
        "Event types",
        "invoice.*\nreport.ready",
        "One pattern per line: * matches one segment, ** any number. If empty, it receives only \
         messages that name it.",
    ),
    (
        "*",
        "external_id",
        "External ID",
        "",
        "Your own identifier for it.",
    ),
    (
        "webhook",
        "url",
        "Endpoint URL",
        "https://api.example.com/hooks/waybill",
        "Each delivery is one request to this address.",
    ),
    ("webhook", "method", "HTTP method", "", ""),
    (
        "webhook",
        "headers",
        "Custom headers",
        "X-Team: data",
        "One per line. Put secret values under Authentication instead.",
    ),
    (
        "webhook",
        "enabled",
        "Sign requests (Standard Webhooks)",
        "",
        "The receiver verifies each request with the signing secret.",
    ),
    (
        "webhook",
        "preset",
        "Format",
        "",
        "The message format of a chat or paging service. PagerDuty uses the integration key as \
         the bearer token.",
    ),
    (
        "webhook",
        "body_template",
        "Body template",
        "{\"text\": \"{{ event_type }}\"}",
        "Replaces the payload as the request body.",
    ),
    (
        "webhook",
        "content_type",
        "Content type of the template",
        "application/json",
        "",
    ),
    ("webhook", "disable_on_gone", "Disable on 410 Gone", "", ""),
    (
        "webhook",
        "check",
        "Connection check",
        "",
        "How the connection is tested when you save or check it.",
    ),
    (
        "*",
        "timeout_seconds",
        "Timeout (seconds)",
        "",
        "The longest that one attempt may take.",
    ),
    ("email", "transport", "Send through", "", ""),
    ("email", "host", "Mail server", "smtp.example.com", ""),
    ("email", "security", "Encryption", "", ""),
    (
        "email",
        "from",
        "From",
        "Reports <reports@example.com>",
        "An address, or a name and an address in angle brackets.",
    ),
    (
        "email",
        "to",
        "Recipients",
        "ann@example.com",
        "One address per line; with Cc and Bcc {bounds}.",
    ),
    ("email", "cc", "Cc", "", "One address per line."),
    (
        "email",
        "bcc",
        "Bcc",
        "",
        "One address per line. Other recipients do not see them.",
    ),
    ("email", "reply_to", "Reply to", "support@example.com", ""),
    (
        "email",
        "subject_template",
        "Subject template",
        "Report {{ reference }}",
        "",
    ),
    (
        "email",
        "text_template",
        "Text template",
        "",
        "The plain-text part.",
    ),
    (
        "email",
        "html_template",
        "HTML template",
        "",
        "The HTML part. Values are escaped.",
    ),
    ("email", "attach", "Payload", "", ""),
    (
        "email",
        "username",
        "Mailbox",
        "reports@example.com",
        "The address to sign in as.",
    ),
    (
        "email",
        "authorization_id",
        "Connected mailbox",
        "oau_…",
        "The ID of a mailbox that you connected.",
    ),
    ("*", "bucket", "Bucket", "acme-reports", ""),
    (
        "*",
        "region",
        "Region",
        "eu-west-1",
        "The Region of the bucket. If empty, the Region that Waybill runs in.",
    ),
    (
        "*",
        "endpoint",
        "Custom endpoint",
        "https://s3.example.com",
        "",
    ),
    (
        "*",
        "key_template",
        "Object key",
        "",
        "A template. {{ message_id }}, {{ event_type }} and {{ created_at }} are available.",
    ),
    (
        "sftp",
        "if_exists",
        "If the file exists",
        "",
        "What happens when a file with this name already exists.",
    ),
    (
        "*",
        "if_exists",
        "If the object exists",
        "",
        "What happens when an object with this key already exists.",
    ),
    ("*", "storage_class", "Storage class", "STANDARD_IA", ""),
    ("*", "server_side_encryption", "Encryption at rest", "", ""),
    ("*", "kms_key_id", "KMS key", "arn:aws:kms:…", ""),
    (
        "*",
        "tags",
        "Tags",
        "team: data",
        "One per line, on every object.",
    ),
    ("*", "account", "Storage account", "acmereports", ""),
    ("*", "container", "Container", "reports", ""),
    (
        "sftp",
        "host",
        "Server",
        "sftp.example.com",
        "Host name or address.",
    ),
    ("sftp", "username", "User name", "waybill", ""),
    (
        "sftp",
        "host_keys",
        "Host keys",
        "ssh-ed25519 AAAA…",
        "Public keys or SHA256 fingerprints, one per line. Fetch them from the server, then \
         compare them with the ones that its administrator gives you.",
    ),
    ("sftp", "directory_template", "Directory", "", "A template."),
    ("sftp", "filename_template", "File name", "", "A template."),
    (
        "sftp",
        "private_key",
        "Private key",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "OpenSSH, PEM or PuTTY format; Ed25519 is recommended.",
    ),
    (
        "sftp",
        "passphrase",
        "Passphrase of the key",
        "",
        "Only for an encrypted key.",
    ),
    (
        "*",
        "host",
        "Server",
        "db.example.com",
        "Host name or address.",
    ),
    ("*", "port", "Port", "", ""),
    ("*", "database", "Database", "app", ""),
    (
        "*",
        "tls",
        "Server certificate",
        "",
        "How strictly it is verified.",
    ),
    (
        "*",
        "table",
        "Table",
        "public.reports",
        "table, or schema.table.",
    ),
    ("*", "mode", "Write", "", ""),
    (
        "*",
        "columns",
        "Column mapping",
        "orderId: order_id",
        "Field and column, one pair per line. If empty, columns are matched by name.",
    ),
    (
        "*",
        "on_conflict",
        "If the key exists",
        "",
        "What happens when a row with this key already exists.",
    ),
    (
        "*",
        "key_columns",
        "Key columns",
        "order_id",
        "One per line.",
    ),
    (
        "*",
        "create_table",
        "Create the table if it is missing",
        "",
        "",
    ),
    ("*", "token", "Token", "", ""),
    ("*", "header", "Header name", "X-Api-Key", ""),
    ("*", "value", "Value", "", ""),
    (
        "*",
        "credentials.url",
        "Secret URL",
        "https://hooks.slack.com/services/…",
        "The incoming-webhook URLs of Slack, Discord and Teams are secrets.",
    ),
    (
        "*",
        "credentials.headers",
        "Secret headers",
        "X-Api-Key: …",
        "One per line.",
    ),
    ("*", "username", "User name", "", ""),
    ("*", "password", "Password", "", ""),
    (
        "*",
        "token_url",
        "Token URL",
        "https://login.example.com/oauth2/token",
        "",
    ),
    ("*", "client_id", "Client ID", "", ""),
    ("*", "client_secret", "Client secret", "", ""),
    (
        "*",
        "role_arn",
        "Role ARN",
        "arn:aws:iam::123456789012:role/waybill",
        "The role that you created for Waybill. The instructions on this page contain its policy.",
    ),
    ("*", "access_key_id", "Access key ID", "AKIA…", ""),
    ("*", "secret_access_key", "Secret access key", "", ""),
    (
        "*",
        "json",
        "Service account key",
        "",
        "The JSON key file that Google Cloud gives you.",
    ),
    ("*", "sas_token", "SAS token", "sv=…&sig=…", ""),
    ("*", "tenant_id", "Directory (tenant) ID", "", ""),
    (
        "mysql",
        "connection_string",
        "Connection string",
        "mysql://user:password@db.example.com/app",
        "",
    ),
    (
        "*",
        "connection_string",
        "Connection string",
        "postgresql://user:password@db.example.com/app",
        "",
    ),
    (
        "*",
        "certificate_pem",
        "Client certificate",
        "-----BEGIN CERTIFICATE-----",
        "PEM, the leaf first.",
    ),
    (
        "*",
        "private_key_pem",
        "Private key of the certificate",
        "-----BEGIN PRIVATE KEY-----",
        "PEM.",
    ),
    (
        "*",
        "ca_pem",
        "Certificate authority",
        "-----BEGIN CERTIFICATE-----",
        "PEM; only for servers with a private authority.",
    ),
    (
        "*",
        "max_retries",
        "Retries",
        "",
        "Attempts after the first one.",
    ),
    (
        "*",
        "max_per_second",
        "Deliveries per second",
        "",
        "{bounds}. If empty, no limit.",
    ),
    (
        "*",
        "max_concurrent",
        "Deliveries at once",
        "",
        "{bounds}. For SFTP, this is the number of sessions. If empty, no limit.",
    ),
    (
        "*",
        "schedule_seconds",
        "Waits (seconds)",
        "5\n300\n3600",
        "One per line, {bounds}. There are as many retries as waits.",
    ),
    ("*", "initial_seconds", "First wait (seconds)", "", ""),
    (
        "*",
        "multiplier",
        "Multiplier",
        "",
        "Each wait is this many times the previous one.",
    ),
    ("*", "max_seconds", "Longest wait (seconds)", "", ""),
    (
        "*",
        "jitter",
        "Jitter",
        "",
        "The share of a wait that may be added at random.",
    ),
    (
        "*",
        "retry_client_errors",
        "Retry 3xx and 4xx responses",
        "",
        "",
    ),
    (
        "*",
        "alert_after_failures",
        "Alert after",
        "",
        "Consecutive failed attempts.",
    ),
    (
        "*",
        "disable_after_failures",
        "Disable after",
        "",
        "Consecutive failed attempts. If empty, never.",
    ),
    (
        "*",
        "disable_min_failing_seconds",
        "… and failing for at least (seconds)",
        "",
        "",
    ),
    (
        "*",
        "percent",
        "Alert at a failure rate of (percent)",
        "",
        "Even if some attempts succeed. If empty, never.",
    ),
    (
        "*",
        "window_seconds",
        "… within (seconds)",
        "900",
        "{bounds}.",
    ),
    (
        "*",
        "min_attempts",
        "… of at least (attempts)",
        "20",
        "{bounds}.",
    ),
    (
        "*",
        "auto_recover",
        "Recover automatically",
        "",
        "If failures disable it, Waybill checks it for a week. When a check passes, it is enabled \
         and receives what it missed.",
    ),
    (
        ORGANIZATION,
        "name",
        "Name",
        "",
        "The name of the organization, as shown in the console and in alerts.",
    ),
    (
        ORGANIZATION,
        "alert_emails",
        "Email addresses",
        "oncall@example.com",
        "One per line. Each address gets a confirmation link first.",
    ),
    (
        ORGANIZATION,
        "alert_after_failures",
        "Alert after",
        "",
        "Consecutive failed attempts. A destination can have its own threshold.",
    ),
    (
        ORGANIZATION,
        "disable_after_failures",
        "Disable a destination after",
        "",
        "Consecutive failed attempts. If empty, never.",
    ),
    (
        ORGANIZATION,
        "auto_recover",
        "Recover disabled destinations automatically",
        "",
        "If failures disable a destination, Waybill checks it for a week. When a check passes, it \
         is enabled and receives what it missed.",
    ),
    (
        ORGANIZATION,
        "alert_debounce_seconds",
        "Time between alerts (seconds)",
        "",
        "A destination causes no second alert of the same kind within this time.",
    ),
    (
        ORGANIZATION,
        "latency_warning_ms",
        "Slow delivery (ms)",
        "",
        "Deliveries that take longer are shown as slow.",
    ),
    (
        ORGANIZATION,
        "success_rate_warning",
        "Success rate",
        "",
        "A destination below this share is shown as degraded. 0.95 is 95%.",
    ),
    (
        ORGANIZATION,
        "pending_age_warning_seconds",
        "Late delivery (seconds)",
        "",
        "Deliveries that are pending for longer are shown as late.",
    ),
    (
        ORGANIZATION,
        "payload_retention_days",
        "Payloads (days)",
        "",
        "At most as many days as history.",
    ),
    (
        ORGANIZATION,
        "audit_retention_days",
        "Audit log (days)",
        "",
        "",
    ),
    (
        ORGANIZATION,
        "retention_days",
        "History (days)",
        "",
        "Messages, deliveries and their attempts.",
    ),
];

/// Sets the label, example and help of a field, and the condition under which it counts.
pub(crate) fn describe(form: &str, field: &mut Field) {
    let last = field.name.rsplit('.').next().unwrap_or_default().to_owned();
    if let Some((_, _, label, example, help)) = words_of(form, &field.name) {
        (*label).clone_into(&mut field.label);
        field.example = example;
        if !help.is_empty() {
            field.explain(help);
        }
    }
    depend(form, &last, field);
}

/// Returns the entry for a field: that of its form, or else that of all forms.
fn words_of(form: &str, name: &str) -> Option<&'static FieldText> {
    let last = name.rsplit('.').next().unwrap_or_default();
    let qualified = format!("{}.{last}", name.split('.').next().unwrap_or_default());
    let found = WORDS
        .iter()
        .filter(|(of, ..)| *of == "*" || *of == form)
        .find(|(_, name, ..)| *name == qualified);
    found.or_else(|| {
        let own = WORDS
            .iter()
            .find(|(of, name, ..)| *of == form && *name == last);
        own.or_else(|| {
            WORDS
                .iter()
                .find(|(of, name, ..)| *of == "*" && *name == last)
        })
    })
}

/// Returns the label of a stored value, as in the form. A member whose name the customer chose
/// keeps that name.
pub(crate) fn label_of(form: &str, group: &str, path: &str) -> String {
    match path.split_once('.') {
        Some((map @ ("headers" | "tags" | "columns"), own)) => {
            format!("{}: {own}", label_of(form, group, map))
        }
        _ => {
            let last = path.rsplit('.').next().unwrap_or_default();
            words_of(form, &format!("{group}.{path}")).map_or_else(
                || captions::label(last),
                |(_, _, label, ..)| (*label).to_owned(),
            )
        }
    }
}

/// Sets the condition of a field that counts only with certain choices in other fields, so that the
/// form offers no impossible combinations.
fn depend(kind: &str, last: &str, field: &mut Field) {
    let when = |on: &str, is: &[&str]| {
        Some((
            on.to_owned(),
            is.iter().map(|value| (*value).to_owned()).collect(),
        ))
    };
    let kinds = "credentials.kind";
    match (kind, &*field.name, last) {
        ("webhook", "settings.url", _) => {
            let others = [
                "none",
                "headers",
                "api_key",
                "bearer",
                "basic",
                "oauth2_client_credentials",
            ];
            field.when = when(kinds, &others);
            field.required = true;
        }
        ("email", "credentials.kind", _) => restrict(field, |choice| {
            let ses = choice.starts_with("iam");
            when("settings.transport", if ses { &["ses"] } else { &["smtp"] })
        }),
        ("webhook", "credentials.kind", _) => restrict(field, |choice| match choice {
            "bearer" => None,
            _ => when("settings.preset", &["", "slack", "teams", "discord"]),
        }),
        (_, "settings.columns" | "settings.on_conflict" | "settings.key_columns", _) => {
            field.when = when("settings.mode", &["rows"])
        }
        (_, "settings.kms_key_id", _) => {
            field.when = when("settings.server_side_encryption", &["aws:kms"])
        }
        ("postgres" | "mysql", "settings.host" | "settings.port" | "settings.database", _) => {
            field.when = when(kinds, &["password", "client_certificate", "iam"]);
        }
        _ => {}
    }
}

/// Sets the condition of each choice of a field.
fn restrict(field: &mut Field, when: impl Fn(&str) -> Option<crate::schema_form::When>) {
    if let Control::Choice(choices) = &mut field.control {
        for choice in choices {
            let Choice {
                value, when: own, ..
            } = choice;
            *own = when(value);
        }
    }
}
