use runtime::Environment;
use worker::Config;

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn every_missing_or_invalid_variable_is_named() {
    let error = Config::read(&environment(&[
        ("EGRESS_ALLOW", "10.0.0.0/8,inner"),
        ("ALLOW_PLAIN_HTTP", "yes"),
        ("MEMORY_BUDGET_MIB", "17592186044416"),
    ]))
    .unwrap_err()
    .to_string();
    for name in [
        "TABLE_NAME",
        "BUCKET_NAME",
        "QUEUE_URL",
        "DLQ_URL",
        "\"inner\"",
        "ALLOW_PLAIN_HTTP",
        "MEMORY_BUDGET_MIB",
    ] {
        assert!(error.contains(name), "{name}: {error}");
    }
}

#[test]
fn without_allowed_networks_only_public_addresses_are_reachable() {
    let config = Config::read(&environment(&[
        ("TABLE_NAME", "t"),
        ("BUCKET_NAME", "b"),
        ("QUEUE_URL", "q"),
        ("DLQ_URL", "d"),
        ("WEBHOOK_QUEUE_URL", "w"),
        ("EMAIL_QUEUE_URL", "e"),
        ("STORAGE_QUEUE_URL", "s"),
        ("SFTP_QUEUE_URL", "f"),
        ("DATABASE_QUEUE_URL", "b"),
        ("SIGNING_KEYS_SECRET_ARN", "a"),
        ("PUBLIC_URL", "https://waybill.example"),
        ("EGRESS_ALLOW", ""),
        ("ALLOW_PLAIN_HTTP", "false"),
    ]));
    assert_eq!(config.unwrap().egress, egress::Policy::public());
}
