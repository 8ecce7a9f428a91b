//! Portal links, which are created for a person and opened once.
//!
//! The token of a link is `<26 characters of the organization>.<26 of the link>.<43 of secret>`. It
//! is part of a URL and shown once.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::api_key::ApiKey;
use domain::id::{Id as _, IdMint, KeyId, OrganizationId, PortalLinkId, Ulid};
use domain::portal_link::{Maker, PortalLink, Subject};
use domain::role::Role;
use domain::{Random, Timestamp};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use store::{StoreError, ValidLink};
use subtle::ConstantTimeEq as _;

use crate::{Access, AuthenticateError, Caller, Unauthenticated};

/// 256 bits in base64url.
const SECRET_CHARACTERS: usize = 43;

/// The properties of a link to create.
#[derive(Clone, Debug)]
pub struct NewPortalLink {
    /// The organization whose console the link opens.
    pub organization: OrganizationId,
    /// The role of the person.
    pub role: Role,
    /// The person that the link is for.
    pub subject: Subject,
    /// The page that the link opens.
    pub path: Option<String>,
    /// How long the link can be opened.
    pub expires_in: Duration,
    /// How long the session lasts.
    pub session_seconds: u32,
    /// What the link depends on.
    pub made_by: Vec<Maker>,
}

/// Creates the link `id` and its token, which is shown once and never stored.
#[must_use]
pub fn issue_portal_link(
    id: PortalLinkId,
    new: NewPortalLink,
    random: &Random,
    now: Timestamp,
) -> (PortalLink, SecretString) {
    let NewPortalLink {
        organization,
        role,
        subject,
        path,
        expires_in,
        session_seconds,
        made_by,
    } = new;
    let secret = URL_SAFE_NO_PAD.encode(random.bytes::<32>());
    let token = format!("{}.{}.{secret}", organization.ulid(), id.ulid());
    let link = PortalLink {
        id,
        organization_id: Some(organization),
        role,
        subject,
        path,
        secret_sha256: sha256(&secret),
        created_at: now,
        expires_at: now.plus(expires_in),
        session_seconds,
        session_until: None,
        made_by,
        signed_in_with: None,
    };
    (link, token.into())
}

/// A person whom the identity provider has authenticated.
#[derive(Clone, Debug)]
pub struct Person {
    /// The organization whose console the person may use; `None` for operators, who may use all of
    /// them.
    pub organization: Option<OrganizationId>,
    /// The role of the person.
    pub role: Role,
    /// The identity of the person.
    pub subject: Subject,
}

/// Creates a link that is already open for `session_seconds`, for a person whom the identity
/// provider has authenticated. Its secret is never disclosed.
#[must_use]
pub fn sign_in_person(
    person: Person,
    session_seconds: u32,
    ids: &IdMint,
    random: &Random,
    now: Timestamp,
) -> PortalLink {
    let Person {
        organization,
        role,
        subject,
    } = person;
    PortalLink {
        id: ids.mint_for(organization),
        organization_id: organization,
        role,
        subject,
        path: None,
        secret_sha256: sha256(&URL_SAFE_NO_PAD.encode(random.bytes::<32>())),
        created_at: now,
        expires_at: now,
        session_seconds,
        session_until: Some(now.plus(Duration::from_secs(session_seconds.into()))),
        made_by: Vec::new(),
        signed_in_with: None,
    }
}

/// Creates a link that is already open for `session_seconds`, for a person who signed in with a
/// key. The link ends with the key.
#[must_use]
pub fn signed_in_with_key(
    caller: &Caller,
    key: KeyId,
    session_seconds: u32,
    ids: &IdMint,
    random: &Random,
    now: Timestamp,
) -> PortalLink {
    let subject = Subject {
        name: Some(caller.name.clone()),
        ..Subject::default()
    };
    let person = Person {
        organization: caller.organization,
        role: caller.role,
        subject,
    };
    let link = sign_in_person(person, session_seconds, ids, random, now);
    PortalLink {
        made_by: caller.makers.clone(),
        signed_in_with: Some(key),
        ..link
    }
}

impl Access {
    /// Returns the link of a token that can still be opened, without changing it. The page before
    /// the button uses this.
    pub async fn portal_link(&self, token: &str) -> Result<PortalLink, AuthenticateError> {
        let refused = || AuthenticateError::from(Unauthenticated::default());
        let (organization, id, secret) = parse(token).ok_or_else(refused)?;
        let (link, _) = self
            .standing_link(Some(organization), id)
            .await?
            .ok_or_else(refused)?;
        let right = bool::from(
            sha256(secret)
                .as_bytes()
                .ct_eq(link.secret_sha256.as_bytes()),
        );
        let usable = right && link.session_until.is_none() && self.clock.now() < link.expires_at;
        if usable { Ok(link) } else { Err(refused()) }
    }

    /// Opens a link, which is possible only once. Returns it with the end of its session.
    pub async fn open_portal_link(&self, token: &str) -> Result<PortalLink, AuthenticateError> {
        let link = self.portal_link(token).await?;
        let until = self
            .clock
            .now()
            .plus(Duration::from_secs(u64::from(link.session_seconds)));
        if !self
            .store
            .open_portal_link(link.organization_id, link.id, until)
            .await?
        {
            return Err(Unauthenticated::default().into());
        }
        Ok(PortalLink {
            session_until: Some(until),
            ..link
        })
    }
}

impl Access {
    /// Returns whether a link from a list is still valid.
    pub async fn is_valid(&self, link: &PortalLink) -> Result<bool, StoreError> {
        self.dependencies.note_link(link);
        Ok(self
            .standing_link(link.organization_id, link.id)
            .await?
            .is_some())
    }

    /// Returns a link if it and everything that it depends on are valid, with the key that the
    /// person signed in with, if any.
    pub(crate) async fn standing_link(
        &self,
        organization: Option<OrganizationId>,
        id: PortalLinkId,
    ) -> Result<Option<(PortalLink, Option<ApiKey>)>, StoreError> {
        let makers = self.dependencies.makers(id);
        let Some(ValidLink { link, keys }) = self
            .store
            .standing_portal_link(organization, id, &makers)
            .await?
        else {
            return Ok(None);
        };
        self.dependencies.note_link(&link);
        let now = self.clock.now();
        if keys.iter().any(|key| key.is_expired(now)) {
            return Ok(None);
        }
        let key = keys
            .into_iter()
            .find(|key| Some(key.id) == link.signed_in_with);
        Ok(Some((link, key)))
    }
}

fn parse(token: &str) -> Option<(OrganizationId, PortalLinkId, &str)> {
    let mut parts = token.split('.');
    let (organization, link): (Ulid, Ulid) =
        (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let secret = parts
        .next()
        .filter(|secret| secret.len() == SECRET_CHARACTERS)?;
    parts
        .next()
        .is_none()
        .then_some((organization.into(), link.into(), secret))
}

fn sha256(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}
