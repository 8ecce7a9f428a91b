//! Tests keys, test vectors and properties of the signature scheme.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use secrecy::ExposeSecret as _;
use signing::{KeyError, SigningKey, Verification, VerifyError, sign, verify};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const TIME: i64 = 1_614_265_330;
const BODY: &[u8] = br#"{"test": 2432232314}"#;

fn key(text: &str) -> SigningKey {
    SigningKey::parse(text).unwrap()
}

fn request<'a>(id: &'a str, time: i64, body: &'a [u8], signature: &'a str) -> Verification<'a> {
    Verification {
        id,
        timestamp_seconds: time,
        signature,
        body,
        now_seconds: time,
        tolerance_seconds: 300,
    }
}

/// The test vector of the official libraries.
#[test]
fn official_vector() {
    assert_eq!(
        sign(&[key(SECRET)], ID, TIME, BODY),
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    );
}

#[test]
fn keys_are_read_and_written() {
    assert_eq!(key(SECRET).to_secret_string().expose_secret(), SECRET);
    let generated = SigningKey::generate(|bytes| bytes.fill(7));
    let text = generated.to_secret_string();
    assert_eq!(
        text.expose_secret(),
        "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="
    );
    assert!(
        !format!("{generated:?}{text:?}").contains("BwcH"),
        "Debug shows the secret"
    );
}

#[test]
fn an_invalid_key_is_refused() {
    let of = |bytes: usize| {
        use base64::Engine as _;
        format!(
            "whsec_{}",
            base64::engine::general_purpose::STANDARD.encode(vec![1; bytes])
        )
    };
    for (text, error, code) in [
        ("", KeyError::Prefix, "invalid_format"),
        (
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            KeyError::Prefix,
            "invalid_format",
        ),
        ("whsec_", KeyError::Length { bytes: 0 }, "invalid_length"),
        ("whsec_not base64!", KeyError::Base64, "invalid_format"),
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS-",
            KeyError::Base64,
            "invalid_format",
        ),
        (&of(23), KeyError::Length { bytes: 23 }, "invalid_length"),
        (&of(65), KeyError::Length { bytes: 65 }, "invalid_length"),
    ] {
        let refused = SigningKey::parse(text).unwrap_err();
        assert_eq!((refused, refused.code()), (error, code), "{text}");
    }
    for bytes in [24, 32, 64] {
        key(&of(bytes));
    }
}

#[test]
fn time_is_part_of_the_proof() {
    let keys = [key(SECRET)];
    let signature = sign(&keys, ID, TIME, BODY);
    let at = |now_seconds| Verification {
        now_seconds,
        ..request(ID, TIME, BODY, &signature)
    };
    assert_eq!(verify(&keys, &at(TIME + 300)), Ok(()));
    assert_eq!(verify(&keys, &at(TIME + 301)), Err(VerifyError::TooOld));
    assert_eq!(verify(&keys, &at(TIME - 300)), Ok(()));
    assert_eq!(verify(&keys, &at(TIME - 301)), Err(VerifyError::TooNew));
    assert_eq!(verify(&keys, &at(i64::MIN)), Err(VerifyError::TooNew));
}

#[test]
fn other_versions_and_invalid_signatures_are_ignored() {
    let keys = [key(SECRET)];
    let good = sign(&keys, ID, TIME, BODY);
    let signature_of = |header: &str| verify(&keys, &request(ID, TIME, BODY, header));
    assert_eq!(signature_of(&format!("v1a,AAAA {good}")), Ok(()));
    assert_eq!(signature_of(&format!("rubbish v1,=== {good}")), Ok(()));
    for header in [
        "",
        "v1,",
        &good[3..],
        &good.replace("v1", "v2"),
        &good[..good.len() - 4],
    ] {
        assert_eq!(signature_of(header), Err(VerifyError::NoMatch), "{header}");
    }
}

fn any_key() -> impl Strategy<Value = SigningKey> {
    any::<[u8; 32]>()
        .prop_map(|bytes| SigningKey::generate(|target| target.copy_from_slice(&bytes)))
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..200)
}

proptest! {
    /// During a rotation, a receiver that knows any valid key accepts a request, and one that knows
    /// another key does not.
    #[test]
    fn every_live_key_verifies(keys in proptest::collection::vec(any_key(), 1..5),
        stranger in any_key(),
                               id in "[a-z0-9_]{1,40}", time in 0..i64::MAX / 2,
                               body in any_body()) {
        let signature = sign(&keys, &id, time, &body);
        prop_assert_eq!(signature.split(' ').count(), keys.len());
        for key in &keys {
            prop_assert_eq!(verify(std::slice::from_ref(key),
                &request(&id, time, &body, &signature)), Ok(()));
        }
        prop_assert_eq!(verify(&[stranger], &request(&id, time, &body, &signature)),
            Err(VerifyError::NoMatch));
        prop_assert_eq!(verify(&[], &request(&id, time, &body, &signature)),
            Err(VerifyError::NoMatch));
    }

    /// A signature made for one body, id or time fails for any other.
    #[test]
    fn any_change_fails(key in any_key(), id in "[a-z0-9_]{1,40}", other_id in "[a-z0-9_]{1,40}",
        time in 0..4_000_000_000_i64,
                        other_time in 0..4_000_000_000_i64, body in any_body(),
                        other_body in any_body()) {
        prop_assume!(id != other_id && time != other_time && body != other_body);
        let keys = [key];
        let signature = sign(&keys, &id, time, &body);
        for (id, time, body) in [(&other_id, time, &body), (&id, other_time, &body),
            (&id, time, &other_body)] {
            prop_assert_eq!(verify(&keys, &request(id, time, body, &signature)),
                Err(VerifyError::NoMatch));
        }
    }

    #[test]
    fn one_flipped_bit_fails(key in any_key(), id in "[a-z0-9_]{1,40}",
        mut body in proptest::collection::vec(any::<u8>(), 1..200),
                             at in any::<proptest::sample::Index>(), bit in 0..8_u8) {
        let keys = [key];
        let signature = sign(&keys, &id, TIME, &body);
        let index = at.index(body.len());
        body[index] ^= 1 << bit;
        prop_assert_eq!(verify(&keys, &request(&id, TIME, &body, &signature)),
            Err(VerifyError::NoMatch));
    }
}
