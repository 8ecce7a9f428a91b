//! Limits the cost of opening a private key.
//!
//! An encrypted key states the parameters of its key derivation: how many rounds, and how much
//! memory. The tenant chooses them, and the worker pays for them. They are read before the key is
//! opened, because a failed allocation would end the process.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::der::Decode as _;
use pkcs8::pkcs5::EncryptionScheme;
use pkcs8::pkcs5::pbes2::Kdf;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::Kdf as OpensshKdf;
use russh::keys::ssh_key::private::KeypairData;

/// `ssh-keygen` uses 16 to 24 rounds.
const BCRYPT_ROUNDS_MAX: u32 = 256;
/// OpenSSL uses 2,048 iterations, password managers up to a million.
const PBKDF2_ITERATIONS_MAX: u32 = 2_000_000;
/// OpenSSL uses 16 MiB.
const SCRYPT_BYTES_MAX: u64 = 64 << 20;
/// PuTTY uses 8 MiB.
const ARGON2_KIB_MAX: u64 = 64 << 10;
/// PuTTY uses 13 to 34 passes.
const ARGON2_PASSES_MAX: u64 = 128;
/// The largest modulus of an RSA key in bits.
const RSA_BITS_MAX: usize = 8192;
/// The size of the largest encoded RSA key, with room for comments.
const TEXT_BYTES_MAX: usize = 16 << 10;

const TOO_COSTLY: &str = "opening the private key takes too much time or memory: the parameters \
     of its key derivation are too high";

/// Returns why a private key may not be opened, or `None` if it may.
pub(crate) fn refusal(text: &str) -> Option<&'static str> {
    if text.len() > TEXT_BYTES_MAX {
        return Some("the private key is too large");
    }
    let is_affordable = if text.starts_with("PuTTY-User-Key-File-") {
        Some(putty_is_affordable(text))
    } else if text.contains("OPENSSH PRIVATE KEY") {
        openssh_is_affordable(text)
    } else if text.contains("ENCRYPTED PRIVATE KEY") {
        pkcs8_is_affordable(text)
    } else {
        Some(true)
    };
    match is_affordable {
        Some(true) => None,
        Some(false) => Some(TOO_COSTLY),
        None => Some("the private key cannot be read"),
    }
}

/// Returns why an opened key may not be used, or `None` if it may. Signatures with a larger key
/// take too long.
pub(crate) fn size_refusal(key: &PrivateKey) -> Option<&'static str> {
    let KeypairData::Rsa(pair) = key.key_data() else {
        return None;
    };
    let bits = pair
        .public()
        .n()
        .as_positive_bytes()
        .map_or(usize::MAX, |bytes| bytes.len() * 8);
    (bits > RSA_BITS_MAX)
        .then_some("the private key is too large: an RSA key has at most 8192 bits")
}

/// Reads the parameters of PuTTY's format, which names them in lines of text.
fn putty_is_affordable(text: &str) -> bool {
    let within = |name: &str, max: u64| {
        let values = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix(name)?.trim().strip_prefix(':'));
        values
            .map(|value| value.trim().parse())
            .all(|value: Result<u64, _>| value.is_ok_and(|value| value <= max))
    };
    within("Argon2-Memory", ARGON2_KIB_MAX)
        && within("Argon2-Passes", ARGON2_PASSES_MAX)
        && within("Argon2-Parallelism", 16)
}

/// Returns `None` if the text is not a key in OpenSSH's format.
fn openssh_is_affordable(text: &str) -> Option<bool> {
    let key = PrivateKey::from_openssh(text).ok()?;
    Some(!matches!(key.kdf(), OpensshKdf::Bcrypt { rounds, .. } if *rounds > BCRYPT_ROUNDS_MAX))
}

/// Returns `None` if the text is not an encrypted key in PKCS #8.
fn pkcs8_is_affordable(text: &str) -> Option<bool> {
    let lines = text
        .lines()
        .skip_while(|line| !line.starts_with("-----BEGIN "))
        .skip(1);
    let body: String = lines
        .take_while(|line| !line.starts_with("-----END "))
        .map(str::trim)
        .collect();
    let der = STANDARD.decode(body).ok()?;
    let info = EncryptedPrivateKeyInfoRef::from_der(&der).ok()?;
    Some(match &info.encryption_algorithm {
        EncryptionScheme::Pbes2(parameters) => match &parameters.kdf {
            Kdf::Pbkdf2(kdf) => kdf.iteration_count <= PBKDF2_ITERATIONS_MAX,
            Kdf::Scrypt(kdf) => {
                let blocks = u64::from(kdf.block_size) * 128 * u64::from(kdf.parallelization);
                kdf.cost_parameter
                    .checked_mul(blocks)
                    .is_some_and(|bytes| bytes <= SCRYPT_BYTES_MAX)
            }
            _ => false,
        },
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn putty(memory: &str, passes: &str) -> String {
        format!(
            "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: aes256-cbc\nComment: x\nPublic-Lines: 1\nAAAA\nKey-Derivation: Argon2id\n\
             Argon2-Memory: {memory}\nArgon2-Passes: {passes}\nArgon2-Parallelism: 1\nArgon2-Salt: 00\nPrivate-Lines: 1\nAAAA\nPrivate-MAC: 00\n"
        )
    }

    #[test]
    fn memory_and_time_of_putty_s_keys_are_bounded() {
        assert_eq!(refusal(&putty("8192", "21")), None);
        for (memory, passes) in [
            ("4294967295", "1"),
            ("65537", "1"),
            ("8192", "4294967295"),
            ("many", "1"),
            ("-1", "1"),
        ] {
            assert_eq!(
                refusal(&putty(memory, passes)),
                Some(TOO_COSTLY),
                "{memory} {passes}"
            );
        }
    }

    /// Returns an Ed25519 key encrypted by `openssl pkcs8 -topk8`.
    fn pkcs8(options: &str) -> String {
        let script = format!(
            "openssl genpkey -algorithm ed25519 | openssl pkcs8 -topk8 -passout pass:x {options}"
        );
        let made = std::process::Command::new("sh")
            .args(["-c", &script])
            .output()
            .expect("sh runs");
        assert!(
            made.status.success(),
            "openssl is needed: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn memory_and_time_of_pkcs8_keys_are_bounded() {
        assert_eq!(refusal(&pkcs8("-iter 2048")), None);
        assert_eq!(refusal(&pkcs8("-iter 2000001")), Some(TOO_COSTLY));
        let scrypt = pkcs8("-scrypt -scrypt_N 16384");
        assert_eq!(refusal(&scrypt), None);
        // The block size of scrypt is raised so that it takes sixteen times the memory.
        let body: String = scrypt
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect();
        let mut der = STANDARD.decode(body).unwrap();
        let block_size = [2, 2, 0x40, 0, 2, 1, 8];
        let at = der
            .windows(block_size.len())
            .position(|window| window == block_size)
            .unwrap();
        der[at + block_size.len() - 1] = 127;
        let label = "ENCRYPTED PRIVATE KEY";
        let costly = format!(
            "-----BEGIN {label}-----\n{}\n-----END {label}-----",
            STANDARD.encode(der)
        );
        assert_eq!(refusal(&costly), Some(TOO_COSTLY));
    }

    #[test]
    fn a_text_of_any_kind_has_an_answer() {
        assert_eq!(refusal(""), None);
        assert!(
            refusal(
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\n!!\n-----END ENCRYPTED PRIVATE KEY-----"
            )
            .is_some()
        );
        assert!(
            refusal(
                "x\n-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----"
            )
            .is_some()
        );
        assert!(refusal(&"x".repeat(TEXT_BYTES_MAX + 1)).is_some());
    }
}
