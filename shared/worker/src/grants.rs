//! Compares everything that an organization uses with the service's own role with its grants, at
//! every use. A withdrawn grant ends immediately.

use domain::Reason;
use domain::check::CheckReport;
use domain::destination::Destination;
use domain::organization::Grants;
use domain::settle::Outcome;
use domain::signing_secret::{SecretSource, SigningSecret};
use store::ObjectLocation;

use crate::connector::{Attempted, Connector};
use crate::{Parts, refused_check};

/// Why a secret or a bucket may not be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotGranted(String);

impl NotGranted {
    pub(crate) fn into_attempted(self) -> Attempted {
        Attempted::unsent(Outcome::Reject(Reason::Misconfigured), self.0)
    }
}

/// Returns an error if one of the secrets is in Secrets Manager and not granted.
pub(crate) fn secrets<'s>(
    live: impl IntoIterator<Item = &'s SigningSecret>,
    grants: &Grants,
) -> Result<(), NotGranted> {
    for secret in live {
        // A secret that the customer's own role reads needs no grant.
        let SecretSource::SecretsManager { arn, role: None } = &secret.source else {
            continue;
        };
        if !grants.secret_arns.contains(arn) {
            return Err(NotGranted(format!(
                "the secret {arn} is not granted to this organization; ask the operator"
            )));
        }
    }
    Ok(())
}

/// Returns an error if the service's own role may not read the payload from the submitter's bucket.
pub(crate) fn source(location: &ObjectLocation, grants: &Grants) -> Result<(), NotGranted> {
    match &location.bucket {
        Some(bucket) if location.role.is_none() && !grants.buckets.contains(bucket) => {
            Err(NotGranted(format!(
                "the bucket {bucket} is not granted to this organization; ask the operator"
            )))
        }
        _ => Ok(()),
    }
}

impl<C: Connector> Parts<C> {
    /// Returns a report if the destination may not be checked.
    pub(crate) async fn refuses_check(&self, destination: &Destination) -> Option<CheckReport> {
        let live = destination.live_secrets(self.clock.now());
        if !live.iter().any(|secret| {
            matches!(
                secret.source,
                SecretSource::SecretsManager { role: None, .. }
            )
        }) {
            return None;
        }
        match self.store.organization(destination.organization_id).await {
            Ok(organization) => {
                let grants = organization
                    .map(|organization| organization.grants)
                    .unwrap_or_default();
                secrets(live, &grants)
                    .err()
                    .map(|why| refused_check(&why.0))
            }
            Err(error) => {
                tracing::warn!(
                    error = %domain::chain(&error),
                    destination = %destination.id,
                    "failed to read an organization's grants; the check is refused"
                );
                Some(refused_check(
                    "the organization's grants could not be read right now; try again",
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;
    use domain::credentials::Sealed;
    use domain::id::Ulid;
    use domain::signing_secret::SecretRole;

    use super::*;

    fn secret(source: SecretSource) -> SigningSecret {
        let created_at = Timestamp::from_millis(0);
        SigningSecret {
            id: Ulid::first_at(created_at).into(),
            source,
            hint: None,
            created_at,
            valid_until: None,
        }
    }

    #[test]
    fn a_secret_that_is_no_longer_granted_signs_nothing() {
        let own = secret(SecretSource::Generated {
            sealed: Sealed("ciphertext".to_owned()),
        });
        let referenced = secret(SecretSource::SecretsManager {
            arn: "arn:one".to_owned(),
            role: None,
        });
        let role = SecretRole {
            role_arn: "arn:aws:iam::123456789012:role/r".to_owned(),
            external_id: "id".to_owned(),
        };
        let by_role = secret(SecretSource::SecretsManager {
            arn: "arn:two".to_owned(),
            role: Some(role),
        });
        let granted = |arn: &str| Grants {
            secret_arns: vec![arn.to_owned()],
            ..Grants::default()
        };
        assert_eq!(secrets([&own, &referenced], &granted("arn:one")), Ok(()));
        assert_eq!(secrets([&own, &by_role], &Grants::default()), Ok(()));
        for grants in [
            Grants::default(),
            granted("arn:two"),
            granted("arn:on"),
            granted("arn:*"),
        ] {
            assert!(secrets([&own, &referenced], &grants).is_err(), "{grants:?}");
        }
    }

    #[test]
    fn a_source_needs_its_grant_unless_a_role_reads_it() {
        let location = |bucket: Option<&str>, role: Option<(String, String)>| ObjectLocation {
            bucket: bucket.map(str::to_owned),
            key: "k".to_owned(),
            version: None,
            etag: None,
            role,
        };
        let granted = Grants {
            buckets: vec!["one".to_owned()],
            ..Grants::default()
        };
        let role = || {
            Some((
                "arn:aws:iam::123456789012:role/r".to_owned(),
                "id".to_owned(),
            ))
        };
        assert_eq!(source(&location(None, None), &Grants::default()), Ok(()));
        assert_eq!(source(&location(Some("one"), None), &granted), Ok(()));
        assert_eq!(source(&location(Some("two"), role()), &granted), Ok(()));
        assert!(source(&location(Some("two"), None), &granted).is_err());
        assert!(source(&location(Some("one"), None), &Grants::default()).is_err());
    }
}
