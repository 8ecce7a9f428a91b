//! Tests the signatures with the official libraries of other languages.

use kit::verifier::{Signed, Verifier};
use secrecy::ExposeSecret as _;
use signing::SigningKey;
use std::time::{SystemTime, UNIX_EPOCH};

#[expect(
    clippy::disallowed_methods,
    reason = "the libraries compare with the machine's clock"
)]
fn now_seconds() -> i64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is past 1970");
    i64::try_from(since_epoch.as_secs()).expect("the clock is not far in the future")
}

fn key(seed: u8, bytes: usize) -> SigningKey {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(vec![seed; bytes]);
    SigningKey::parse(&format!("whsec_{text}")).expect("a key")
}

fn signed(known: &SigningKey, keys: &[SigningKey], age_seconds: i64, body: &[u8]) -> Signed {
    let time = now_seconds() - age_seconds;
    let (time_text, signature) = (
        time.to_string(),
        signing::sign(keys, "dlv_1_00", time, body),
    );
    let headers = [
        ("webhook-id", "dlv_1_00"),
        ("webhook-timestamp", &*time_text),
        ("webhook-signature", &*signature),
    ];
    Signed::new(known.to_secret_string().expose_secret(), headers, body)
}

#[test]
fn official_libraries_agree() {
    let (new, old, other) = (key(1, 24), key(2, 64), key(3, 32));
    let live = [new.clone(), old.clone()];
    let body = r#"{"text": "Grüße, 世界", "n": 1.0}"#.as_bytes();
    let mut tampered = signed(&new, &live, 0, body);
    tampered.body_base64 = "e30=".to_owned();
    let requests = [
        signed(&new, &live, 0, body),
        signed(&old, &live, 0, body),
        signed(&new, &live, 0, b""),
        signed(&new, &live, 290, body),
        signed(&other, &live, 0, body),
        signed(&new, &live, 310, body),
        signed(&new, &live, -310, body),
        tampered,
    ];
    for verifier in Verifier::ALL {
        let verdicts = verifier.verdicts(&requests);
        let accepted: Vec<bool> = verdicts.iter().map(Result::is_ok).collect();
        assert_eq!(
            accepted,
            [true, true, true, true, false, false, false, false],
            "{verifier:?}: {verdicts:?}"
        );
    }
}
