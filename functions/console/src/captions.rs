//! The labels of fields and of their choices, for which the schemas have none.

/// Returns the label of a choice of a field.
pub(crate) fn choice_label(field: &str, word: &str) -> String {
    let label = match (field, word) {
        ("preset", "") => "JSON, as submitted",
        ("server_side_encryption", "") => "The bucket's default",
        (_, "") => "Not set",
        ("kind", "none") => "None",
        ("security", "starttls") => "STARTTLS (port 587)",
        ("security", "tls") => "TLS (port 465)",
        ("security", "none") => "None (for tests on one machine)",
        ("check", "request") => "Send a signed test request",
        ("check", "connect") => "Only open a connection",
        ("if_exists", "fail") => "Fail the delivery",
        ("if_exists", "replace") => "Replace it",
        ("if_exists", "skip") => "Keep it and count the delivery as succeeded",
        ("mode", "document") => "One row for each message",
        ("mode", "rows") => "One row for each element of the payload",
        ("on_conflict", "ignore") => "Keep the existing row",
        ("on_conflict", "update") => "Update the existing row",
        ("on_conflict", "error") => "Fail the delivery",
        ("tls", "require") => "Encrypt only",
        ("tls", "verify_ca") => "Verify the certificate authority",
        ("tls", "verify_full") => "Verify the certificate and the host name",
        ("attach", "auto") => "Attach up to 7 MiB, link above",
        ("attach", "always") => "Always attach",
        ("attach", "never") => "Always send a link",
        (_, "slack") => "Slack",
        (_, "teams") => "Microsoft Teams",
        (_, "discord") => "Discord",
        (_, "pagerduty") => "PagerDuty",
        (_, "iam") => "Waybill's AWS role",
        (_, "iam_role") => "Your own AWS role",
        (_, "smtp_password") => "User name and password",
        (_, "basic") => "Basic: user name and password",
        (_, "api_key") => "API key in a header",
        (_, "bearer") => "Bearer token",
        (_, "secret_url") => "The URL itself is secret",
        (_, "headers") => "Several secret headers",
        (_, "oauth2_client_credentials") => "OAuth 2.0 client credentials",
        (_, "oauth2_refresh_token") => "OAuth 2.0 refresh token",
        (_, "oauth2_authorization") => "Connected Google or Microsoft mailbox",
        (_, "sas_token") => "Shared access signature (SAS)",
        (_, "account_key") => "Account key",
        (_, "service_principal") => "Entra ID application",
        (_, "access_key") => "Access key",
        (_, "service_account") => "Service account",
        (_, "private_key") => "SSH private key",
        (_, "client_certificate") => "Client certificate",
        (_, "connection_string") => "Connection string",
        (_, word) if word.contains(|c: char| !c.is_ascii_lowercase() && c != '_') => word,
        (_, word) => return label(word),
    };
    label.to_owned()
}

/// Returns the label of a kind of receipt.
pub(crate) fn receipt_kind(word: &str) -> String {
    match word {
        "http_response" => "HTTP response".to_owned(),
        "smtp_message" => "Message, by SMTP".to_owned(),
        "ses_message" => "Message, by Amazon SES".to_owned(),
        "sftp_file" => "File, by SFTP".to_owned(),
        "database_rows" => "Rows in a database".to_owned(),
        word => label(word),
    }
}

/// Returns the label of a member: its name in words, with units in parentheses.
pub(crate) fn label(name: &str) -> String {
    match name {
        "sha256" => return "SHA-256".to_owned(),
        "size_bytes" => return "Size".to_owned(),
        "etag" => return "ETag".to_owned(),
        "ca_pem" => return "Certificate authority (PEM)".to_owned(),
        "certificate_pem" => return "Client certificate (PEM)".to_owned(),
        "private_key_pem" => return "Private key of the certificate (PEM)".to_owned(),
        _ => {}
    }
    let words: Vec<String> = name
        .split('_')
        .map(|word| match word {
            "url" | "uri" | "id" | "dns" | "tls" | "sftp" | "arn" | "ca" | "pem" | "kms"
            | "sas" | "json" | "sql" => word.to_uppercase(),
            word => word.to_owned(),
        })
        .collect();
    let text = words.join(" ");
    let units = [
        (" seconds", " (seconds)"),
        (" days", " (days)"),
        (" ms", " (ms)"),
    ];
    let text = units
        .iter()
        .find_map(|(unit, shown)| Some(text.strip_suffix(unit)?.to_owned() + shown))
        .unwrap_or(text);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
