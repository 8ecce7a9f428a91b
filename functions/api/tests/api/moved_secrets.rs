//! A change that decides which server receives a destination's secrets requires every secret again.
//! This tries each setting and each property of the credentials of each type, as `GET
//! /v1/destination-types` lists them. A new one is covered at once, and the test fails until its
//! possible values are added here.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use base64::Engine as _;
use serde_json::{Map, Value, json};

use crate::fixture::{Client, Deployment};

/// Everything that determines a host, an account or a trust anchor.
const DECIDING: &[&str] = &[
    "webhook/settings/url",
    "email/settings/transport",
    "s3/settings/bucket",
    "s3/settings/endpoint",
    "s3/settings/region",
    "gcs/settings/endpoint",
    "azure_blob/settings/account",
    "azure_blob/settings/endpoint",
    "sftp/settings/host",
    "sftp/settings/port",
    "sftp/settings/host_keys",
    "postgres/settings/host",
    "postgres/settings/port",
    "postgres/settings/tls",
    "mysql/settings/host",
    "mysql/settings/port",
    "mysql/settings/tls",
    "*/credentials/url",
    "*/credentials/token_url",
    "*/credentials/tenant_id",
    "*/credentials/role_arn",
    "*/credentials/connection_string",
    "*/credentials/ca_pem",
    "*/credentials/certificate_pem",
    "*/credentials/client_certificate/certificate_pem",
];

const HOST_KEYS: [&str; 2] = [
    "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
    "SHA256:uNiVztksCsDhcc0u9e8BrKSTKIk3bTdGEHdaRUQ5tSM",
];

/// Two certificates with their keys.
static CERTIFICATES: LazyLock<[(String, String); 2]> = LazyLock::new(|| {
    ["one", "two"].map(|name| {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new([name.to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        (certificate.pem(), key.serialize_pem())
    })
});

fn ssh_key(last: u8) -> String {
    let key = [
        b"openssh-key-v1\0".as_slice(),
        &4_u32.to_be_bytes(),
        b"none",
        &[last; 90],
    ]
    .concat();
    let encoded = base64::engine::general_purpose::STANDARD.encode(key);
    format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{encoded}\n-----END OPENSSH PRIVATE KEY-----\n")
}

fn service_account(n: u8) -> Value {
    json!({"type": "service_account", "private_key": format!("key {n}"), "private_key_id": "1",
        "client_email": "a@b.example"})
}

/// Returns the first value of a setting or credential, and the value that it is changed to, for
/// this type and kind of credentials.
fn values(kind: &str, credentials: &str, name: &str) -> [Value; 2] {
    let [one, two] = &*CERTIFICATES;
    match (kind, name) {
        ("webhook", "settings/url") if credentials == "secret_url" => [Value::Null, Value::Null],
        ("webhook", "settings/url") => [
            json!("https://one.example.com/"),
            json!("https://two.example.com/"),
        ],
        ("webhook", "settings/method") => [json!("POST"), json!("PUT")],
        ("webhook", "settings/disable_on_gone") => [json!(true), json!(false)],
        ("webhook", "settings/headers") => [json!({}), json!({"X-Team": "billing"})],
        ("webhook", "settings/signature") => [
            json!({"enabled": true}),
            json!({"enabled": credentials == "none"}),
        ],
        ("webhook", "settings/user_agent") => [Value::Null, json!("Reports/2")],
        ("webhook", "settings/preset") => [Value::Null, json!("slack")],
        ("webhook", "settings/body_template") => {
            [json!("{{ event_type }}"), json!("{{ message_id }}")]
        }
        ("webhook", "settings/content_type") => [json!("text/plain"), json!("text/csv")],
        ("webhook", "settings/check") => [json!("request"), json!("connect")],
        ("email", "settings/transport") if matches!(credentials, "iam" | "iam_role") => {
            [json!("ses"), json!("ses")]
        }
        ("email", "settings/transport") => [
            smtp("one.example.com", 587, "tls"),
            smtp("two.example.com", 587, "tls"),
        ],
        ("email", "settings/from") => [json!("a@acme.example"), json!("b@acme.example")],
        ("email", "settings/to" | "settings/cc" | "settings/bcc") => {
            [json!(["c@acme.example"]), json!(["d@acme.example"])]
        }
        ("email", "settings/reply_to") => [Value::Null, json!("e@acme.example")],
        (
            "email",
            "settings/subject_template" | "settings/text_template" | "settings/html_template",
        ) => [json!("{{ event_type }}"), json!("{{ message_id }}")],
        ("email", "settings/attach") => [json!("auto"), json!("never")],
        ("s3" | "gcs", "settings/bucket") => [json!("bucket-one"), json!("bucket-two")],
        ("s3", "settings/region") => [json!("eu-west-1"), json!("us-east-1")],
        ("s3", "settings/endpoint") if credentials != "access_key" => [Value::Null, Value::Null],
        ("s3" | "gcs" | "azure_blob", "settings/endpoint") => {
            [Value::Null, json!("https://storage.example.com")]
        }
        ("s3", "settings/server_side_encryption") => [json!("aws:kms"), json!("aws:kms")],
        ("s3", "settings/kms_key_id") => [json!("alias/one"), json!("alias/two")],
        ("s3" | "azure_blob", "settings/tags") => [json!({}), json!({"team": "billing"})],
        ("s3" | "gcs" | "azure_blob", "settings/key_template") => {
            [json!("{{ message_id }}"), json!("{{ delivery_id }}")]
        }
        ("s3" | "gcs" | "azure_blob", "settings/storage_class") => {
            [Value::Null, json!("STANDARD_IA")]
        }
        ("s3" | "gcs" | "azure_blob", "settings/if_exists") => [json!("fail"), json!("skip")],
        ("azure_blob", "settings/account") => [json!("accountone"), json!("accounttwo")],
        ("azure_blob", "settings/container") => [json!("container-one"), json!("container-two")],
        ("sftp", "settings/host_keys") => HOST_KEYS.map(|key| json!([key])),
        ("sftp", "settings/username") => [json!("one"), json!("two")],
        ("sftp", "settings/directory_template") => [json!("one"), json!("two")],
        ("sftp", "settings/filename_template") => {
            [json!("{{ message_id }}"), json!("{{ delivery_id }}")]
        }
        ("sftp", "settings/if_exists") => [json!("replace"), json!("fail")],
        ("postgres" | "mysql", "settings/host" | "settings/port" | "settings/database")
            if credentials == "connection_string" =>
        {
            [Value::Null, Value::Null]
        }
        ("sftp" | "postgres" | "mysql", "settings/host") => {
            [json!("one.example.com"), json!("two.example.com")]
        }
        ("sftp" | "postgres" | "mysql", "settings/port") => [json!(4001), json!(4002)],
        ("postgres" | "mysql", "settings/database") => [json!("one"), json!("two")],
        ("postgres" | "mysql", "settings/tls") => [json!("verify_full"), json!("require")],
        ("postgres" | "mysql", "settings/table") => [json!("one"), json!("two")],
        ("postgres" | "mysql", "settings/mode") => [json!("rows"), json!("rows")],
        ("postgres" | "mysql", "settings/columns") => {
            [json!({"a": "b"}), json!({"a": "b", "c": "d"})]
        }
        ("postgres" | "mysql", "settings/on_conflict") => [json!("error"), json!("ignore")],
        ("postgres" | "mysql", "settings/key_columns") => [json!([]), json!(["b"])],
        ("postgres" | "mysql", "settings/create_table") => [json!(false), json!(true)],
        (_, "settings/timeout_seconds") => [json!(10), json!(11)],
        (_, "credentials/url") => [
            json!("https://one.example.com/secret"),
            json!("https://two.example.com/secret"),
        ],
        (_, "credentials/token_url") => [
            json!("https://id.example.com/token"),
            json!("https://other.example.com/token"),
        ],
        (_, "credentials/headers") => [json!({"X-One": "first"}), json!({"X-One": "second"})],
        (_, "credentials/header") => [json!("X-One"), json!("X-Two")],
        (_, "credentials/role_arn") => [
            json!("arn:aws:iam::123456789012:role/one"),
            json!("arn:aws:iam::123456789012:role/two"),
        ],
        (_, "credentials/json") => [service_account(1), service_account(2)],
        (_, "credentials/private_key") => [ssh_key(1).into(), ssh_key(2).into()],
        (_, "credentials/connection_string") => ["one", "two"]
            .map(|host| format!("{kind}://user:password@{host}.example.com/database").into()),
        (
            _,
            "credentials/ca_pem"
            | "credentials/certificate_pem"
            | "credentials/client_certificate/certificate_pem",
        ) => [json!(one.0), json!(two.0)],
        // A key is changed together with its certificate.
        (_, "credentials/private_key_pem" | "credentials/client_certificate/private_key_pem") => {
            [json!(one.1), json!(one.1)]
        }
        (
            _,
            "credentials/username"
            | "credentials/password"
            | "credentials/value"
            | "credentials/token"
            | "credentials/client_id"
            | "credentials/client_secret"
            | "credentials/scope"
            | "credentials/audience"
            | "credentials/refresh_token"
            | "credentials/access_key_id"
            | "credentials/secret_access_key"
            | "credentials/session_token"
            | "credentials/account_key"
            | "credentials/sas_token"
            | "credentials/tenant_id"
            | "credentials/passphrase",
        ) => [json!("one"), json!("two")],
        _ => panic!(
            "{kind} {name} is new: say here what it may be, and in DECIDING whether it decides \
             which server receives secrets"
        ),
    }
}

fn smtp(host: &str, port: u16, security: &str) -> Value {
    json!({"smtp": {"host": host, "port": port, "security": security}})
}

/// Returns the names of a schema's properties, including those of nested objects.
fn names(schema: &Value, prefix: &str) -> Vec<(String, bool)> {
    let members = schema["properties"].as_object().unwrap();
    let mut found = Vec::new();
    for (name, member) in members
        .iter()
        .filter(|(_, member)| member.get("const").is_none())
    {
        let marked = member["x-credentials-required"] == true;
        match member["properties"]
            .as_object()
            .filter(|_| prefix == "credentials")
        {
            Some(inner) => found.extend(inner.iter().map(|(inner, schema)| {
                (
                    format!("{prefix}/{name}/{inner}"),
                    schema["x-credentials-required"] == true,
                )
            })),
            None => found.push((format!("{prefix}/{name}"), marked)),
        }
    }
    found
}

fn put(body: &mut Value, name: &str, value: Value) {
    let (mut at, mut steps) = (body, name.split('/').peekable());
    while let Some(step) = steps.next() {
        if steps.peek().is_none() {
            at[step] = value;
            return;
        }
        if at[step].is_null() {
            at[step] = json!({});
        }
        at = &mut at[step];
    }
}

/// A destination type with one kind of credentials.
struct Subject<'s> {
    kind: &'s str,
    credentials: &'s str,
    /// The names, each with whether its schema is marked.
    names: Vec<(String, bool)>,
    secrets: Vec<String>,
}

impl Subject<'_> {
    fn body(&self) -> Value {
        let mut body = json!({"type": self.kind, "name": "a", "settings": {},
            "credentials": {"kind": self.credentials}});
        for (name, _) in &self.names {
            put(
                &mut body,
                name,
                values(self.kind, self.credentials, name)[0].clone(),
            );
        }
        body
    }

    fn decides(&self, name: &str) -> bool {
        DECIDING.contains(&&*format!("{}/{name}", self.kind))
            || DECIDING.contains(&&*format!("*/{name}"))
    }

    /// Adds every secret to a patch, as a client does that sends them again.
    fn secrets_again(&self, patch: &mut Value) {
        let given = self.body();
        for secret in &self.secrets {
            let pointer = format!("/{secret}");
            if patch.pointer(&pointer).is_none() {
                put(patch, secret, given.pointer(&pointer).cloned().unwrap());
            }
        }
    }
}

fn subjects(types: &[Value]) -> Vec<Subject<'_>> {
    let mut subjects = Vec::new();
    for described in types {
        let settings = names(&described["settings"], "settings");
        for form in described["credentials"]["oneOf"].as_array().unwrap() {
            let credentials = form["title"].as_str().unwrap();
            // A person's consent is a record of its own and is tested separately.
            if credentials == "oauth2_authorization" {
                continue;
            }
            let members = names(form, "credentials");
            let schema = |name: &str| {
                let path = name
                    .strip_prefix("credentials/")
                    .unwrap()
                    .replace('/', "/properties/");
                form["properties"]
                    .pointer(&format!("/{path}"))
                    .unwrap()
                    .clone()
            };
            let is_secret = |name: &String| {
                let schema = schema(name);
                schema["writeOnly"] == true || schema["additionalProperties"]["writeOnly"] == true
            };
            let secrets = members
                .iter()
                .map(|(name, _)| name.clone())
                .filter(is_secret)
                .collect();
            let kind = described["type"].as_str().unwrap();
            subjects.push(Subject {
                kind,
                credentials,
                names: [settings.clone(), members].concat(),
                secrets,
            });
        }
    }
    subjects
}

async fn changes(admin: &Client<'_>, subject: &Subject<'_>, name: &str, marked: bool) -> bool {
    let [before, after] = values(subject.kind, subject.credentials, name);
    let what = format!("{} with {}: {name}", subject.kind, subject.credentials);
    assert_eq!(subject.decides(name), marked, "{what}: the schema's mark");
    if before == after {
        return false;
    }
    let made = admin
        .post("/v1/destinations?skip_check=true", subject.body())
        .await;
    assert_eq!(
        made.status,
        201,
        "{what}: {}",
        String::from_utf8_lossy(&made.bytes)
    );
    let path = format!(
        "/v1/destinations/{}?skip_check=true",
        made.json()["id"].as_str().unwrap()
    );
    let mut patch = Value::Object(Map::new());
    put(&mut patch, name, after);
    let answer = admin.patch(&path, patch.clone()).await;
    let reused: BTreeSet<&str> = subject
        .secrets
        .iter()
        .map(|secret| &**secret)
        .filter(|secret| *secret != name)
        .collect();
    if !subject.decides(name) || reused.is_empty() {
        assert_eq!(
            answer.status,
            200,
            "{what}: {}",
            String::from_utf8_lossy(&answer.bytes)
        );
        return false;
    }
    let problem = answer.json();
    assert_eq!(
        (answer.status, &problem["code"]),
        (422, &json!("credentials_required")),
        "{what}: {problem}"
    );
    let named: BTreeSet<String> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["pointer"].as_str().unwrap()[1..].to_owned())
        .collect();
    for secret in &reused {
        assert!(
            named.iter().any(|named| named.starts_with(*secret)),
            "{what}: {secret} is not among {named:?}"
        );
    }
    assert_eq!(
        admin.get(path.split('?').next().unwrap()).await.json()["revision"],
        1,
        "{what}: nothing is saved"
    );
    // A certificate is sent together with its key.
    if name.ends_with("certificate_pem") {
        let [_, (_, key)] = &*CERTIFICATES;
        put(
            &mut patch,
            &name.replace("certificate_pem", "private_key_pem"),
            json!(key),
        );
    }
    subject.secrets_again(&mut patch);
    let again = admin.patch(&path, patch).await;
    assert_eq!(
        again.status,
        200,
        "{what}, with every secret: {}",
        String::from_utf8_lossy(&again.bytes)
    );
    admin.delete(path.split('?').next().unwrap()).await;
    true
}

#[tokio::test]
async fn every_setting_that_moves_secrets_demands_every_secret_again() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let described = admin.get("/v1/destination-types").await.json();
    let types = described["data"].as_array().unwrap();
    let (mut tried, mut demanded) = (0, 0);
    let mut met = BTreeSet::new();
    for subject in subjects(types) {
        for (name, marked) in &subject.names {
            tried += 1;
            demanded += usize::from(changes(&admin, &subject, name, *marked).await);
            met.insert(format!("{}/{name}", subject.kind));
            met.insert(format!("*/{name}"));
        }
    }
    assert!(
        DECIDING.iter().all(|name| met.contains(*name)),
        "every name in DECIDING is of some type"
    );
    assert!(
        tried > 250 && demanded > 60,
        "{tried} members were tried, and {demanded} demanded secrets"
    );
}

/// Hosts inside a setting, different spellings of the same value, and stricter TLS.
#[tokio::test]
async fn a_change_that_leads_to_the_same_server_requires_no_secret() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let mail = |transport: Value| {
        json!({"type": "email", "name": "a",
            "settings": {"transport": transport, "from": "a@b.example",
        "to": ["c@d.example"]}, "credentials": {"kind": "smtp_password", "username": "u",
        "password": "p"}})
    };
    let made = admin
        .post(
            "/v1/destinations?skip_check=true",
            mail(smtp("mail.example.com", 587, "starttls")),
        )
        .await
        .json();
    let path = format!(
        "/v1/destinations/{}?skip_check=true",
        made["id"].as_str().unwrap()
    );
    for (transport, status) in [
        (smtp("MAIL.example.com.", 587, "starttls"), 200),
        (smtp("mail.example.com", 587, "tls"), 200),
        (smtp("mail.example.com", 587, "starttls"), 422),
        (smtp("mail.example.com", 588, "tls"), 422),
        (smtp("mail.example.org", 587, "tls"), 422),
        (json!("ses"), 422),
    ] {
        let answer = admin
            .patch(&path, json!({"settings": {"transport": transport}}))
            .await;
        assert_eq!(
            answer.status,
            status,
            "{transport}: {}",
            String::from_utf8_lossy(&answer.bytes)
        );
    }
}

/// A secret URL on the same host does not move the secrets.
#[tokio::test]
async fn a_secret_address_requires_the_key_again_only_on_another_host() {
    let deployment = Deployment::new().await;
    let admin = deployment.admin();
    let [(certificate, key), _] = &*CERTIFICATES;
    let credentials = json!({"kind": "secret_url", "url": "https://hooks.example.com/services/one",
        "client_certificate": {"certificate_pem": certificate, "private_key_pem": key}});
    let body = json!({"type": "webhook", "name": "a", "settings": {}, "credentials": credentials});
    let made = admin
        .post("/v1/destinations?skip_check=true", body)
        .await
        .json();
    let path = format!(
        "/v1/destinations/{}?skip_check=true",
        made["id"].as_str().unwrap()
    );
    let patched = async |url: &str| {
        admin
            .patch(&path, json!({"credentials": {"url": url}}))
            .await
    };
    assert_eq!(
        patched("https://hooks.example.com/services/two")
            .await
            .status,
        200
    );
    let moved = patched("https://evil.example.com/services/two")
        .await
        .json();
    assert_eq!(
        (&moved["code"], &moved["errors"][0]["pointer"]),
        (
            &json!("credentials_required"),
            &json!("/credentials/client_certificate/private_key_pem")
        )
    );
}
