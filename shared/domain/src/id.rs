//! Identifiers: a prefix, `_`, and 26 lower-case Crockford base-32 characters in ULID layout, so
//! that identifiers sort by creation time.
//!
//! Of the 80 bits that are random in a ULID, the first 8 are the **shard**, which identifies the
//! partition of the item. The next 24 are a **tag**: an HMAC of the organization and the other
//! bits, with the id key. The last 48 are random. If the tag does not verify for the caller's
//! organization, the identifier belongs to another organization or is forged. This is determined
//! without a lookup.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::Sha256;

use crate::key_ring::{KeyRing, SigningKey};
use crate::{Clock, Random, Timestamp};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The 128 bits of an identifier: 48 of time, 8 of shard, 24 of tag and 48 random bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ulid([u8; 16]);

/// The error for a text that is not an identifier of the expected kind.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("is not an identifier that starts with `{0}_`")]
pub struct NotAnId(pub &'static str);

impl Ulid {
    /// Returns the smallest ULID of a millisecond, with which a range of times starts.
    #[must_use]
    pub fn first_at(time: Timestamp) -> Self {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&time.as_millis().to_be_bytes()[2..]);
        Self(bytes)
    }

    /// Generates a ULID without an organization's tag, for items that no client looks up by id.
    #[must_use]
    pub fn untagged(clock: &Clock, random: &Random) -> Self {
        let mut ulid = Self::first_at(clock.now());
        ulid.0[6..].copy_from_slice(&random.bytes::<10>());
        ulid
    }

    /// Returns the time at which the identifier was created.
    #[must_use]
    pub fn time(self) -> Timestamp {
        let mut bytes = [0; 8];
        bytes[2..].copy_from_slice(&self.0[..6]);
        Timestamp::from_millis(i64::from_be_bytes(bytes))
    }

    /// Returns the shard of the organization's data that contains the item.
    #[must_use]
    pub fn shard(self) -> u8 {
        self.0[6]
    }

    fn parse(text: &str) -> Option<Self> {
        if text.len() != 26 {
            return None;
        }
        let mut value: u128 = 0;
        for (i, byte) in text.bytes().enumerate() {
            let digit = ALPHABET.iter().position(|&a| a == byte)? as u128;
            if i == 0 && digit > 7 {
                return None; // 26 characters hold 130 bits; the first carries three
            }
            value = value << 5 | digit;
        }
        Some(Self(value.to_be_bytes()))
    }
}

impl fmt::Display for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = u128::from_be_bytes(self.0);
        let text: String = (0..26)
            .rev()
            .map(|i| char::from(ALPHABET[(value >> (5 * i) & 31) as usize]))
            .collect();
        f.write_str(&text)
    }
}

impl fmt::Debug for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Ulid {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        Self::parse(text).ok_or(NotAnId("…"))
    }
}

/// An identifier of one kind of thing.
pub trait Id: Copy + From<Ulid> + FromStr<Err = NotAnId> + fmt::Display {
    /// The prefix of the identifier, without the `_`.
    const PREFIX: &'static str;
    /// Returns the 128 bits of the identifier.
    fn ulid(self) -> Ulid;

    /// Parses an identifier that a client sent. 26 characters have two bits more than an
    /// identifier. A text that uses them has the right form, but was never issued, so it is read as
    /// an identifier that no organization owns.
    fn from_client(text: &str) -> Result<Self, NotAnId> {
        let characters = text
            .strip_prefix(Self::PREFIX)
            .and_then(|rest| rest.strip_prefix('_'))
            .unwrap_or_default();
        let is_well_formed =
            characters.len() == 26 && characters.bytes().all(|byte| ALPHABET.contains(&byte));
        text.parse().or_else(|error| {
            if is_well_formed {
                Ok(Self::from(Ulid([0; 16])))
            } else {
                Err(error)
            }
        })
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Ulid);

        impl Id for $name {
            const PREFIX: &'static str = $prefix;
            fn ulid(self) -> Ulid { self.0 }
        }
        impl From<Ulid> for $name {
            fn from(ulid: Ulid) -> Self { Self(ulid) }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f,
                concat!($prefix, "_{}"), self.0) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(self, f) }
        }
        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                text.strip_prefix(concat!($prefix,
                    "_")).and_then(Ulid::parse).map(Self).ok_or(NotAnId($prefix))
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok,
            S::Error> { serializer.collect_str(self) }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

ids! {
    /// The identifier of an organization; the only kind that carries no organization's tag.
    OrganizationId = "org";
    /// The identifier of a destination.
    DestinationId = "dst";
    /// The identifier of a message.
    MessageId = "msg";
    /// The identifier of an API key, which is its public half.
    KeyId = "key";
    /// The identifier of a signing secret of a webhook destination.
    SecretId = "sec";
    /// The identifier of an audit event.
    AuditId = "aud";
    /// The identifier of a user's consent to sign in on their behalf.
    AuthorizationId = "oau";
    /// The identifier of a background job.
    JobId = "job";
    /// The identifier of an upload.
    UploadId = "upl";
    /// The identifier of an alert.
    AlertId = "alr";
    /// The identifier of a link into the console.
    PortalLinkId = "pln";
}

/// The identifier of a delivery, `dlv_<26>_<nn>`: its message, and its position among the message's
/// deliveries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId {
    /// The message that is delivered.
    pub message: MessageId,
    /// The position, which is 0 for the first delivery of the message.
    pub position: u16,
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dlv_{}_{:02}", self.message.0, self.position)
    }
}

impl fmt::Debug for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for DeliveryId {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let parse = || {
            let (ulid, position) = text.strip_prefix("dlv_")?.split_once('_')?;
            let id = Self {
                message: MessageId(Ulid::parse(ulid)?),
                position: position.parse().ok()?,
            };
            // Only one spelling is accepted: `_0`, `_+1` and `_007` are rejected.
            (id.to_string() == text).then_some(id)
        };
        parse().ok_or(NotAnId("dlv"))
    }
}

impl Serialize for DeliveryId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeliveryId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// Issues identifiers and verifies whether an organization owns one.
#[derive(Clone)]
pub struct IdMint {
    keys: KeyRing,
    clock: Clock,
    random: Random,
}

impl IdMint {
    /// Creates a mint with secret `keys`. Keys must never be removed, because each issued
    /// identifier carries a tag that was computed with one of them.
    #[must_use]
    pub fn new(keys: impl Into<KeyRing>, clock: Clock, random: Random) -> Self {
        Self {
            keys: keys.into(),
            clock,
            random,
        }
    }

    /// Issues an identifier for a new organization.
    #[must_use]
    pub fn organization(&self) -> OrganizationId {
        OrganizationId(self.ulid(None, 1))
    }

    /// Issues an identifier that belongs to `organization`, on one of its `shards` (at least 1).
    pub fn mint<T: Id>(&self, organization: OrganizationId, shards: u8) -> T {
        T::from(self.ulid(Some(organization), shards))
    }

    /// Issues an identifier that belongs to an organization, or, for `None`, to the operator. Such
    /// an identifier carries no organization's tag, like the identifier of an organization.
    pub fn mint_for<T: Id>(&self, organization: Option<OrganizationId>) -> T {
        T::from(self.ulid(organization, 1))
    }

    /// Derives the identifier of the thing that `name` names and that happened at `at`. The result
    /// is the same for the same arguments. It is on one of the organization's `shards` (at least
    /// 1).
    pub fn derive<T: Id>(
        &self,
        organization: OrganizationId,
        shards: u8,
        at: Timestamp,
        name: &str,
    ) -> T {
        // The oldest key is used, because it stays the same when keys are added.
        let key = self.keys.oldest();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes a key of any length");
        mac.update(b"derived");
        mac.update(&organization.0.0);
        mac.update(name.as_bytes());
        let digest = mac.finalize().into_bytes();
        let mut ulid = Ulid::first_at(at);
        ulid.0[6] = digest[0] % shards.max(1);
        ulid.0[10..].copy_from_slice(&digest[1..7]);
        let tag = tag(&key, Some(organization), ulid);
        ulid.0[7..10].copy_from_slice(&tag);
        T::from(ulid)
    }

    /// Returns whether this identifier was issued to this organization.
    #[must_use]
    pub fn owns(&self, organization: OrganizationId, ulid: Ulid) -> bool {
        // A tag of 24 bits suffices: it protects no secret, and the key of the item names its
        // organization.
        self.keys
            .accepted()
            .iter()
            .any(|key| tag(key, Some(organization), ulid) == ulid.0[7..10])
    }

    fn ulid(&self, organization: Option<OrganizationId>, shards: u8) -> Ulid {
        let mut ulid = Ulid::first_at(self.clock.now());
        let chance: [u8; 7] = self.random.bytes();
        ulid.0[6] = chance[0] % shards.max(1);
        ulid.0[10..].copy_from_slice(&chance[1..]);
        let tag = tag(&self.keys.signing(), organization, ulid);
        ulid.0[7..10].copy_from_slice(&tag);
        ulid
    }
}

fn tag(key: &SigningKey, organization: Option<OrganizationId>, ulid: Ulid) -> [u8; 3] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(&organization.map_or([0; 16], |o| o.0.0));
    mac.update(&ulid.0[..7]);
    mac.update(&ulid.0[10..]);
    let digest = mac.finalize().into_bytes();
    [digest[0], digest[1], digest[2]]
}

impl fmt::Debug for IdMint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdMint")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mint() -> IdMint {
        let clock = Clock::new(|| Timestamp::from_millis(1_764_000_000_000));
        let counter = std::sync::atomic::AtomicU8::new(1);
        let random = Random::new(move |buffer| {
            buffer.fill_with(|| counter.fetch_add(37, std::sync::atomic::Ordering::Relaxed))
        });
        IdMint::new([7; 32], clock, random)
    }

    #[test]
    fn an_id_is_parsed_again_and_contains_its_time() {
        let mint = mint();
        let org = mint.organization();
        let id: DestinationId = mint.mint(org, 4);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().len(), 4 + 26);
        assert_eq!(id.ulid().time(), Timestamp::from_millis(1_764_000_000_000));
        assert!(id.ulid().shard() < 4);
    }

    #[test]
    fn an_id_belongs_only_to_the_organization_that_it_was_created_for() {
        let mint = mint();
        let (ours, theirs) = (mint.organization(), mint.organization());
        let id: MessageId = mint.mint(ours, 4);
        assert!(mint.owns(ours, id.ulid()));
        assert!(!mint.owns(theirs, id.ulid()));
    }

    #[test]
    fn ids_stay_whose_they_are_when_keys_are_rotated_and_names_lead_to_the_same_ids() {
        let before = mint();
        let (ours, theirs, at) = (
            before.organization(),
            before.organization(),
            Timestamp::from_millis(1_764_000_000_000),
        );
        let (old, named): (MessageId, MessageId) =
            (before.mint(ours, 4), before.derive(ours, 4, at, "event"));
        let keys = KeyRing::new([8; 32], vec![[8; 32], [7; 32]]);
        let after = IdMint { keys, ..before };
        let new: MessageId = after.mint(ours, 4);
        assert!(
            [old, named, new]
                .iter()
                .all(|id| after.owns(ours, id.ulid()) && !after.owns(theirs, id.ulid()))
        );
        assert_eq!(after.derive::<MessageId>(ours, 4, at, "event"), named);
    }

    #[test]
    fn a_delivery_id_has_one_spelling() {
        let mint = mint();
        let id = DeliveryId {
            message: mint.mint(mint.organization(), 1),
            position: 7,
        };
        assert_eq!(id.to_string().parse(), Ok(id));
        let stem = id.to_string().trim_end_matches("07").to_owned();
        for wrong in ["7", "007", "+7", "", "07 ", "0a"] {
            assert!(
                format!("{stem}{wrong}").parse::<DeliveryId>().is_err(),
                "{wrong}"
            );
        }
        assert!(format!("{stem}100").parse::<DeliveryId>().is_ok());
    }

    #[test]
    fn malformed_ids_are_refused() {
        for bad in [
            "",
            "dst_",
            "dst_01",
            "msg_00000000000000000000000000",
            "dst_8zzzzzzzzzzzzzzzzzzzzzzzzz",
            "dst_0000000000000000000000000U",
        ] {
            assert!(bad.parse::<DestinationId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_well_formed_id_that_was_never_issued_belongs_to_no_organization() {
        let mint = mint();
        let org = mint.organization();
        let id: DestinationId = mint.mint(org, 1);
        assert_eq!(DestinationId::from_client(&id.to_string()), Ok(id));
        let never = DestinationId::from_client("dst_zzzzzzzzzzzzzzzzzzzzzzzzzz").unwrap();
        assert!(!mint.owns(org, never.ulid()));
        for bad in [
            "",
            "dst_",
            "dst_nope",
            "dst_ZZZZZZZZZZZZZZZZZZZZZZZZZZ",
            "msg_zzzzzzzzzzzzzzzzzzzzzzzzzz",
        ] {
            assert!(DestinationId::from_client(bad).is_err(), "{bad}");
        }
    }
}
