//! Portal links: made for a person, opened once.
//!
//! A link's token is `<26 of the organization>.<26 of the link>.<43 of secret>`; it is part of an address, and shown once.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::api_key::ApiKey;
use domain::id::{Id as _, IdMint, KeyId, OrganizationId, PortalLinkId, Ulid};
use domain::portal_link::{Maker, PortalLink, Subject};
use domain::role::Role;
use domain::{Random, Timestamp};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use store::{StandingLink, StoreError};
use subtle::ConstantTimeEq as _;

use crate::{Access, AuthenticateError, Caller, Unauthenticated};

/// 256 bits in base64url.
const SECRET_CHARACTERS: usize = 43;

/// What whoever makes a link says of it.
#[derive(Clone, Debug)]
pub struct NewPortalLink {
    /// Whose console it opens.
    pub organization: OrganizationId,
    /// What the person may do there.
    pub role: Role,
    /// Who the person is.
    pub subject: Subject,
    /// The page it opens.
    pub path: Option<String>,
    /// For how long it can be opened.
    pub expires_in: Duration,
    /// How long the session lasts.
    pub session_seconds: u32,
    /// What the link ends with.
    pub made_by: Vec<Maker>,
}

/// A new link, and its token, which is shown once and kept nowhere.
#[must_use]
pub fn issue_portal_link(new: NewPortalLink, ids: &IdMint, random: &Random, now: Timestamp) -> (PortalLink, SecretString) {
    let NewPortalLink { organization, role, subject, path, expires_in, session_seconds, made_by } = new;
    let id: PortalLinkId = ids.mint(organization, 1);
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

/// A person whom the identity provider vouches for.
#[derive(Clone, Debug)]
pub struct Person {
    /// Whose console they may see; `None`: everybody's, as operators.
    pub organization: Option<OrganizationId>,
    /// What they may do there.
    pub role: Role,
    /// Who they are.
    pub subject: Subject,
}

/// What lets a person in for this long: a link that is open already. Nobody knows its secret.
#[must_use]
pub fn let_in(person: Person, session_seconds: u32, ids: &IdMint, random: &Random, now: Timestamp) -> PortalLink {
    let Person { organization, role, subject } = person;
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

/// What lets a person in for this long who signed in with a key: a link that is open already and ends with the key.
#[must_use]
pub fn signed_in_with_key(caller: &Caller, key: KeyId, session_seconds: u32, ids: &IdMint, random: &Random, now: Timestamp) -> PortalLink {
    let subject = Subject { name: Some(caller.name.clone()), ..Subject::default() };
    let person = Person { organization: caller.organization, role: caller.role, subject };
    let link = let_in(person, session_seconds, ids, random, now);
    PortalLink { made_by: caller.makers.clone(), signed_in_with: Some(key), ..link }
}

impl Access {
    /// The link of a token that can still be opened: what is shown before the button, and changes nothing.
    pub async fn portal_link(&self, token: &str) -> Result<PortalLink, AuthenticateError> {
        let refused = || AuthenticateError::from(Unauthenticated::default());
        let (organization, id, secret) = parse(token).ok_or_else(refused)?;
        let (link, _) = self.standing_link(Some(organization), id).await?.ok_or_else(refused)?;
        let right = bool::from(sha256(secret).as_bytes().ct_eq(link.secret_sha256.as_bytes()));
        let usable = right && link.session_until.is_none() && self.clock.now() < link.expires_at;
        if usable { Ok(link) } else { Err(refused()) }
    }

    /// Opens a link, once: answers it with the end of the session that begins.
    pub async fn open_portal_link(&self, token: &str) -> Result<PortalLink, AuthenticateError> {
        let link = self.portal_link(token).await?;
        let until = self.clock.now().plus(Duration::from_secs(u64::from(link.session_seconds)));
        if !self.store.open_portal_link(link.organization_id, link.id, until).await? {
            return Err(Unauthenticated::default().into());
        }
        Ok(PortalLink { session_until: Some(until), ..link })
    }
}

impl Access {
    /// Whether a link that was read in a list still stands.
    pub async fn stands(&self, link: &PortalLink) -> Result<bool, StoreError> {
        self.lineages.note_link(link);
        Ok(self.standing_link(link.organization_id, link.id).await?.is_some())
    }

    /// A link that neither its organization's end nor that of anything that it was made by has ended, and the key that it stands for.
    pub(crate) async fn standing_link(
        &self,
        organization: Option<OrganizationId>,
        id: PortalLinkId,
    ) -> Result<Option<(PortalLink, Option<ApiKey>)>, StoreError> {
        let makers = self.lineages.makers(id);
        let Some(StandingLink { link, keys }) = self.store.standing_portal_link(organization, id, &makers).await? else { return Ok(None) };
        self.lineages.note_link(&link);
        let now = self.clock.now();
        if keys.iter().any(|key| key.is_expired(now)) {
            return Ok(None);
        }
        let key = keys.into_iter().find(|key| Some(key.id) == link.signed_in_with);
        Ok(Some((link, key)))
    }
}

fn parse(token: &str) -> Option<(OrganizationId, PortalLinkId, &str)> {
    let mut parts = token.split('.');
    let (organization, link): (Ulid, Ulid) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let secret = parts.next().filter(|secret| secret.len() == SECRET_CHARACTERS)?;
    parts.next().is_none().then_some((organization.into(), link.into(), secret))
}

fn sha256(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}
