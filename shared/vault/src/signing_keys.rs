//! The deployment's own keys: a secret with versioned keys for each use.
//!
//! The secret is a JSON object: `{"root": "…"}` as the template creates it, or, after a rotation,
//! `{"versions": [{"root": "…", "signs_from": "…"}, …]}`, newest first. A version is accepted as
//! soon as it exists and signs from `signs_from` on, when every process has read it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use domain::key_ring::{KeyRing, SigningKey};
use domain::{Random, Timestamp};
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use crate::VaultError;

/// A shorter root was created neither by the template nor by a rotation.
const ROOT_CHARS_MIN: usize = 32;
/// How often a process reads the keys again.
const READ_EVERY: Duration = Duration::from_secs(300);
/// How long after its rotation a new version begins to sign in a deployed stack, so that every
/// process has read it by then.
pub const SIGNS_AFTER: Duration = Duration::from_secs(900);

/// The use of a key. Each use has its own secret, which only the functions that need it may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyUse {
    /// Tags ids with their organization. Ids are permanent, so every version is kept.
    Ids,
    /// Signs the cursors of lists.
    Cursors,
    /// Signs links to payloads.
    Links,
    /// Signs sessions of the console.
    Sessions,
}

impl KeyUse {
    /// Returns the label that makes the keys of different uses independent. Labels never change,
    /// because existing signatures depend on them.
    fn label(self) -> &'static str {
        match self {
            Self::Ids => "waybill/id",
            Self::Cursors => "waybill/cursor",
            Self::Links => "waybill/link",
            Self::Sessions => "waybill/session",
        }
    }

    /// Returns how many versions are accepted.
    fn accepted_max(self) -> usize {
        match self {
            Self::Ids => usize::MAX,
            Self::Cursors | Self::Links | Self::Sessions => 2,
        }
    }
}

impl std::str::FromStr for KeyUse {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "ids" => Ok(Self::Ids),
            "cursors" => Ok(Self::Cursors),
            "links" => Ok(Self::Links),
            "sessions" => Ok(Self::Sessions),
            _ => Err("must be ids, cursors, links or sessions"),
        }
    }
}

/// The text of the secret. `Debug` is not derived because it contains roots.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// The root as the template creates it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    /// The versions, newest first.
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Version {
    root: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signs_from: Option<Timestamp>,
}

impl Stored {
    fn parse(text: &str) -> Result<Vec<Version>, VaultError> {
        let stored: Self = serde_json::from_str(text)
            .map_err(|_| VaultError::Corrupt("the signing keys' secret has an unknown format"))?;
        let mut versions = stored.versions;
        versions.extend(stored.root.map(|root| Version {
            root,
            signs_from: None,
        }));
        if versions.is_empty()
            || versions
                .iter()
                .any(|version| version.root.len() < ROOT_CHARS_MIN)
        {
            return Err(VaultError::Corrupt(
                "the signing keys' secret has no `root` of at least 32 characters",
            ));
        }
        Ok(versions)
    }
}

/// Reads the keys of one use from their secret.
pub async fn key_ring(
    aws: &SdkConfig,
    arn: &str,
    usage: KeyUse,
    now: Timestamp,
) -> Result<KeyRing, VaultError> {
    Ok(ring(
        &Stored::parse(&own_secret(aws, arn).await?)?,
        usage,
        now,
    ))
}

fn ring(versions: &[Version], usage: KeyUse, now: Timestamp) -> KeyRing {
    let signs = |version: &&Version| version.signs_from.is_none_or(|from| from <= now);
    let signing = versions.iter().find(signs).or(versions.last());
    let accepted: Vec<SigningKey> = versions
        .iter()
        .take(usage.accepted_max())
        .map(|version| derive(&version.root, usage))
        .collect();
    let signing = signing
        .map(|version| derive(&version.root, usage))
        .unwrap_or_default();
    KeyRing::new(signing, accepted)
}

/// Derives the key of one use from a root (HKDF-Expand, RFC 5869, 2.3).
fn derive(root: &str, usage: KeyUse) -> SigningKey {
    let mut key = SigningKey::default();
    let root =
        Hkdf::<Sha256>::from_prk(root.as_bytes()).expect("a root has at least 32 characters");
    root.expand(usage.label().as_bytes(), &mut key)
        .expect("a key is one block of SHA-256");
    key
}

/// Adds a version to the keys of one use and drops the versions that are no longer accepted.
///
/// The new version signs from `after` this time on, when every running process must have read it.
/// Returns that time.
pub async fn rotate(
    aws: &SdkConfig,
    arn: &str,
    usage: KeyUse,
    random: &Random,
    now: Timestamp,
    after: Duration,
) -> Result<Timestamp, RotateError> {
    let mut versions = Stored::parse(&own_secret(aws, arn).await?)?;
    if let Some(from) = versions[0].signs_from.filter(|from| *from > now) {
        return Err(RotateError::UnderWay(from));
    }
    let root = hex::encode(random.bytes::<32>());
    let signs_from = now.plus(after);
    versions.insert(
        0,
        Version {
            root,
            signs_from: Some(signs_from),
        },
    );
    versions.truncate(usage.accepted_max());
    store(aws, arn, versions).await?;
    Ok(signs_from)
}

/// Makes the keys of one use accept signatures that the keys of another secret made for this use.
///
/// The signing key stays the same. A version that would no longer be accepted is dropped.
pub async fn accept(
    aws: &SdkConfig,
    arn: &str,
    usage: KeyUse,
    other_arn: &str,
    now: Timestamp,
) -> Result<(), RotateError> {
    if usage == KeyUse::Ids {
        return Err(RotateError::AcceptsForGood);
    }
    let mut versions = Stored::parse(&own_secret(aws, arn).await?)?;
    if let Some(from) = versions[0].signs_from.filter(|from| *from > now) {
        return Err(RotateError::UnderWay(from));
    }
    let Some(other) = Stored::parse(&own_secret(aws, other_arn).await?)?.pop() else {
        return Ok(());
    };
    versions.truncate(usage.accepted_max() - 1);
    versions.push(Version {
        signs_from: None,
        ..other
    });
    Ok(store(aws, arn, versions).await?)
}

async fn store(aws: &SdkConfig, arn: &str, versions: Vec<Version>) -> Result<(), VaultError> {
    let text = serde_json::to_string(&Stored {
        root: None,
        versions,
    })
    .map(Zeroizing::new);
    let text = text.map_err(|_| VaultError::Corrupt("the signing keys cannot be written"))?;
    let put = Client::new(aws)
        .put_secret_value()
        .secret_id(arn)
        .secret_string(text.as_str());
    put.send().await.map_err(VaultError::unavailable(
        "Secrets Manager",
        "store the signing keys",
    ))?;
    Ok(())
}

/// Why keys were not rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The secret could not be read or written.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Processes that have not read the newest version still sign with the previous one.
    #[error("the newest version of the keys signs from {0}; rotate again after that time")]
    UnderWay(Timestamp),
    /// Ids are derived from their oldest version, which a version from another secret would
    /// replace.
    #[error("ids accept only versions of their own secret; none of those is ever dropped")]
    AcceptsForGood,
}

/// Reads a secret of the deployment itself.
pub async fn own_secret(aws: &SdkConfig, arn: &str) -> Result<Zeroizing<String>, VaultError> {
    let read = Client::new(aws)
        .get_secret_value()
        .secret_id(arn)
        .send()
        .await;
    let read = read.map_err(VaultError::unavailable(
        "Secrets Manager",
        "read a secret of the deployment",
    ))?;
    read.secret_string
        .map(Zeroizing::new)
        .ok_or_else(|| VaultError::Missing {
            arn: arn.to_owned(),
        })
}

/// The keys of one use, for as long as a process runs. They are read on first use and again every
/// five minutes. Clones share them.
#[derive(Clone)]
pub struct KeySource(Arc<Source>);

struct Source {
    aws: SdkConfig,
    arn: String,
    usage: KeyUse,
    ring: OnceCell<KeyRing>,
    read_at: Mutex<Timestamp>,
}

impl KeySource {
    /// Creates a source whose keys have not been read yet.
    #[must_use]
    pub fn new(aws: &SdkConfig, arn: String, usage: KeyUse) -> Self {
        let read_at = Mutex::new(Timestamp::from_millis(0));
        Self(Arc::new(Source {
            aws: aws.clone(),
            arn,
            usage,
            ring: OnceCell::new(),
            read_at,
        }))
    }

    /// Returns the keys. If reading them again fails, the previous keys stay in use.
    pub async fn ring(&self, now: Timestamp) -> Result<KeyRing, VaultError> {
        let Source {
            aws,
            arn,
            usage,
            ring,
            ..
        } = &*self.0;
        if let Some(ring) = ring.get() {
            if self.is_due(now) {
                match key_ring(aws, arn, *usage, now).await {
                    Ok(read) => ring.replace(&read),
                    Err(error) => {
                        tracing::warn!(
                            error = %domain::chain(&error),
                            ?usage,
                            "failed to read signing keys again; the previous ones stay in use"
                        )
                    }
                }
            }
            return Ok(ring.clone());
        }
        let ring = ring
            .get_or_try_init(|| key_ring(aws, arn, *usage, now))
            .await?;
        self.is_due(now);
        Ok(ring.clone())
    }

    /// Whether the keys have to be read again. The caller that receives `true` reads them.
    fn is_due(&self, now: Timestamp) -> bool {
        let mut read_at = self
            .0
            .read_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let due = now.since(*read_at) >= READ_EVERY;
        if due {
            *read_at = now;
        }
        due
    }
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySource")
            .field("arn", &self.0.arn)
            .field("usage", &self.0.usage)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "0123456789012345678901234567890123456789012345678901234567890123";

    fn version(root: &str, signs_from: Option<i64>) -> Version {
        Version {
            root: root.repeat(ROOT_CHARS_MIN),
            signs_from: signs_from.map(Timestamp::from_millis),
        }
    }

    /// Existing ids have tags that were made with this derivation.
    #[test]
    fn the_derivation_never_changes() {
        let hex = |usage| hex::encode(&derive(ROOT, usage)[..4]);
        assert_eq!(
            [KeyUse::Ids, KeyUse::Cursors, KeyUse::Links].map(hex),
            ["c5ea39a1", "5cc3c312", "2927a4c8"]
        );
    }

    #[test]
    fn a_new_version_is_accepted_at_once_and_signs_from_its_time_on() {
        let versions = [version("b", Some(1000)), version("a", None)];
        let key = |at: usize| derive(&versions[at].root, KeyUse::Links);
        for (now, signs) in [(999, 1), (1000, 0)] {
            let ring = ring(&versions, KeyUse::Links, Timestamp::from_millis(now));
            assert_eq!(
                (ring.signing(), ring.accepted()),
                (key(signs), vec![key(0), key(1)]),
                "{now}"
            );
        }
    }

    #[test]
    fn two_versions_are_accepted_and_all_of_ids() {
        let versions = [version("c", None), version("b", None), version("a", None)];
        let accepted = |usage| {
            ring(&versions, usage, Timestamp::from_millis(0))
                .accepted()
                .len()
        };
        assert_eq!(
            [KeyUse::Cursors, KeyUse::Links, KeyUse::Sessions].map(accepted),
            [2, 2, 2]
        );
        assert_eq!(accepted(KeyUse::Ids), 3);
        assert_eq!(
            ring(&versions, KeyUse::Ids, Timestamp::from_millis(0)).oldest(),
            derive(&versions[2].root, KeyUse::Ids)
        );
    }
}
