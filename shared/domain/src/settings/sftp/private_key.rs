//! The checks of a private key that are possible without using it. The connection check determines
//! whether the key can be opened.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const OPENSSH_MAGIC: &[u8] = b"openssh-key-v1\0";

/// Returns the reason why a text cannot be the private key of an SFTP destination; `None` if it
/// can. The reason never contains the text. `has_passphrase` is whether a passphrase was given with
/// the key.
#[must_use]
pub fn private_key_refusal(text: &str, has_passphrase: bool) -> Option<&'static str> {
    let Some(encrypted) = is_encrypted(text) else {
        return Some(
            "must be a private key in OpenSSH's or PEM's format (-----BEGIN … PRIVATE KEY-----)",
        );
    };
    match (encrypted, has_passphrase) {
        (true, false) => Some("is encrypted: give its passphrase too"),
        _ => None,
    }
}

/// Returns whether the key is encrypted; `None` if the text is not a private key.
fn is_encrypted(text: &str) -> Option<bool> {
    let text = text.trim();
    if text.starts_with("PuTTY-User-Key-File-") {
        return Some(!text.contains("Encryption: none"));
    }
    let label = text.strip_prefix("-----BEGIN ")?.split_once("-----")?.0;
    let rest = text.split_once('\n')?.1;
    let body = rest.split_once(&format!("-----END {label}-----"))?.0;
    let encoded: String = body
        .lines()
        .filter(|line| !line.contains(':'))
        .map(str::trim)
        .collect();
    let bytes = STANDARD
        .decode(encoded)
        .ok()
        .filter(|bytes| !bytes.is_empty())?;
    match label {
        "OPENSSH PRIVATE KEY" => {
            let cipher = bytes
                .strip_prefix(OPENSSH_MAGIC)?
                .split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_be_bytes(*cipher.0)).ok()?;
            Some(cipher.1.get(..length)? != b"none")
        }
        "ENCRYPTED PRIVATE KEY" => Some(true),
        "PRIVATE KEY" => Some(false),
        "RSA PRIVATE KEY" | "EC PRIVATE KEY" => Some(body.contains("ENCRYPTED")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openssh(cipher: &str) -> String {
        let mut bytes = OPENSSH_MAGIC.to_vec();
        bytes.extend(u32::try_from(cipher.len()).unwrap().to_be_bytes());
        bytes.extend(cipher.as_bytes());
        bytes.extend([7; 100]);
        let encoded = STANDARD.encode(bytes);
        let (first, second) = encoded.split_at(70);
        format!(
            "-----BEGIN OPENSSH PRIVATE KEY-----\n{first}\n{second}\n-----END OPENSSH PRIVATE \
             KEY-----\n"
        )
    }

    #[test]
    fn a_key_is_known_by_its_envelope() {
        assert_eq!(private_key_refusal(&openssh("none"), false), None);
        assert_eq!(private_key_refusal(&openssh("aes256-ctr"), true), None);
        assert!(
            private_key_refusal(&openssh("aes256-ctr"), false)
                .unwrap()
                .contains("passphrase")
        );
        let pkcs8 = "-----BEGIN PRIVATE KEY-----\nMAAA\n-----END PRIVATE KEY-----";
        assert_eq!(private_key_refusal(pkcs8, false), None);
        assert!(
            private_key_refusal(&pkcs8.replace("PRIVATE", "ENCRYPTED PRIVATE"), false).is_some()
        );
        let pem = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: \
             AES-128-CBC,00\n\nMAAA\n-----END RSA PRIVATE KEY-----";
        assert_eq!(
            (
                private_key_refusal(pem, true),
                private_key_refusal(pem, false).is_some()
            ),
            (None, true)
        );
    }

    #[test]
    fn an_invalid_private_key_is_refused() {
        let public = "-----BEGIN PUBLIC KEY-----\nMAAA\n-----END PUBLIC KEY-----";
        let cut = "-----BEGIN PRIVATE KEY-----\nMAAA";
        let unreadable = "-----BEGIN PRIVATE KEY-----\n!!!\n-----END PRIVATE KEY-----";
        for bad in [
            "",
            "ssh-ed25519 AAAA",
            public,
            cut,
            unreadable,
            &openssh("none").replace('b', "c"),
        ] {
            assert!(private_key_refusal(bad, true).is_some(), "{bad}");
        }
    }
}
