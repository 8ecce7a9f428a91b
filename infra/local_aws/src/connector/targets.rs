//! Determines the actions and resources of a JSON call: the part of IAM's tables that the embedded
//! services need.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

use crate::call::Target;
use crate::engines::Engine;

/// Returns the targets of an SQS call. A batch requires the action of a single message.
pub(super) fn sqs(engine: &Engine, operation: &str, body: &[u8]) -> Vec<Target> {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        queue_url: Option<String>,
        queue_name: Option<String>,
    }
    let request: Request = serde_json::from_slice(body).unwrap_or_default();
    let action = operation.strip_suffix("Batch").unwrap_or(operation);
    let by_url = request
        .queue_url
        .as_deref()
        .and_then(|url| url.rsplit('/').next());
    let name = by_url.or(request.queue_name.as_deref()).unwrap_or("*");
    vec![Target::new(
        format!("sqs:{action}"),
        engine.arns.queue(name),
    )]
}

/// Returns the targets of a KMS call, with its encryption context as condition keys.
pub(super) fn kms(engine: &Engine, operation: &str, body: &[u8]) -> Vec<Target> {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "PascalCase")]
    struct Request {
        key_id: Option<String>,
        ciphertext_blob: Option<String>,
        #[serde(default)]
        encryption_context: BTreeMap<String, String>,
    }
    let request: Request = serde_json::from_slice(body).unwrap_or_default();
    let id = request
        .key_id
        .or_else(|| key_of_ciphertext(&request.ciphertext_blob?));
    let resource = id.map_or_else(|| "*".to_owned(), |id| key_arn(engine, &id));
    let mut target = Target::new(format!("kms:{operation}"), resource);
    if !request.encryption_context.is_empty() {
        target.context.insert(
            "kms:EncryptionContextKeys".into(),
            request.encryption_context.keys().cloned().collect(),
        );
    }
    for (key, value) in request.encryption_context {
        target
            .context
            .insert(format!("kms:EncryptionContext:{key}"), vec![value]);
    }
    vec![target]
}

/// Returns the key id that winterbaume puts at the start of a ciphertext.
fn key_of_ciphertext(blob: &str) -> Option<String> {
    let blob = BASE64.decode(blob).ok()?;
    std::str::from_utf8(blob.get(..36)?).ok().map(str::to_owned)
}

fn key_arn(engine: &Engine, id: &str) -> String {
    let id = id
        .rsplit_once(":alias/")
        .map_or_else(|| id.to_owned(), |(_, alias)| format!("alias/{alias}"));
    if id.starts_with("arn:") {
        return id;
    }
    let known = id
        .strip_prefix("alias/")
        .and_then(|alias| engine.key_ids.get(alias));
    engine.arns.key(known.unwrap_or(&id))
}

/// Returns the targets of a Secrets Manager call, with the secret's tags as condition keys.
pub(super) async fn secrets(engine: &Engine, operation: &str, body: &[u8]) -> Vec<Target> {
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let action = format!("secretsmanager:{operation}");
    let Some(id) = request["SecretId"].as_str() else {
        let name = request["Name"].as_str().unwrap_or("*");
        return vec![Target::new(action, engine.arns.secret(name))];
    };
    let (status, described) = engine
        .secrets
        .call(
            "DescribeSecret",
            serde_json::json!({"SecretId": id}).to_string().into(),
        )
        .await;
    let described: Value = serde_json::from_slice(&described).unwrap_or_default();
    let arn = described["ARN"].as_str().filter(|_| status == 200);
    // The ARN of a secret that does not exist has no suffix, so the requested name is used.
    let unknown = || {
        if id.starts_with("arn:") {
            id.to_owned()
        } else {
            engine.arns.secret(id)
        }
    };
    let mut target = Target::new(action, arn.map_or_else(unknown, str::to_owned));
    for tag in described["Tags"].as_array().into_iter().flatten() {
        if let (Some(key), Some(value)) = (tag["Key"].as_str(), tag["Value"].as_str()) {
            target.context.insert(
                format!("secretsmanager:ResourceTag/{key}"),
                vec![value.to_owned()],
            );
            target
                .context
                .insert(format!("aws:ResourceTag/{key}"), vec![value.to_owned()]);
        }
    }
    vec![target]
}
