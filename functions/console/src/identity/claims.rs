//! Reads a person from the verified claims of an ID token: the standard claims (OpenID Connect Core
//! 1.0, 5.1) and the two claims that the operator configured.

use access::Person;
use domain::portal_link::Subject;
use domain::role::Role;
use serde_json::Value;

use crate::config::IdentityProvider;

/// The roles that a person can have, in descending order of permissions.
const ROLES: [Role; 4] = [Role::Operator, Role::Admin, Role::Manager, Role::Viewer];
/// The maximum length of a claim of the subject, in characters: that of a portal link.
const TEXT_MAX: usize = *domain::limits::REFERENCE.end();

/// Returns the person. `None` if the claims contain no role, or no valid organization id for a role
/// that needs one.
pub(crate) fn person(claims: &Value, provider: &IdentityProvider) -> Option<Person> {
    let role = role(&claims[&provider.role_claim])?;
    let organization = match role {
        Role::Operator => None,
        _ => Some(
            claims[&provider.organization_claim]
                .as_str()?
                .parse()
                .ok()?,
        ),
    };
    let text = |name: &str| {
        claims[name]
            .as_str()
            .filter(|text| !text.is_empty())
            .map(|text| text.chars().take(TEXT_MAX).collect())
    };
    Some(Person {
        organization,
        role,
        subject: Subject {
            id: text("sub"),
            name: text("name"),
            email: text("email"),
        },
    })
}

/// Returns the claimed role; of several, the one with the most permissions.
fn role(claim: &Value) -> Option<Role> {
    let claimed: Vec<&str> = match claim {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    ROLES
        .into_iter()
        .find(|role| claimed.contains(&role.as_str()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_person_has_the_role_and_the_organization_that_the_provider_claims() {
        let provider = IdentityProvider {
            issuer: String::new(),
            client_id: String::new(),
            client_secret_arn: None,
            organization_claim: "https://waybill.example/organization".to_owned(),
            role_claim: "groups".to_owned(),
        };
        let organization = "org_01kasqzt8c04ktz8awbk9d2xnv";
        let who = |claims: Value| {
            person(&claims, &provider)
                .map(|person| (person.role, person.organization.map(|id| id.to_string())))
        };
        let of = |groups: Value, organization: &str| {
            json!({"sub": "1", "groups": groups,
            "https://waybill.example/organization": organization})
        };
        assert_eq!(
            who(of(json!("viewer"), organization)),
            Some((Role::Viewer, Some(organization.to_owned())))
        );
        assert_eq!(
            who(of(json!(["staff", "viewer", "manager"]), organization)),
            Some((Role::Manager, Some(organization.to_owned())))
        );
        assert_eq!(
            who(of(json!(["operator"]), organization)),
            Some((Role::Operator, None))
        );
        for incomplete in [
            of(json!("sender"), organization),
            of(json!([]), organization),
            of(json!("admin"), "org_x"),
            json!({"groups": "admin"}),
            json!({}),
        ] {
            assert_eq!(who(incomplete.clone()), None, "{incomplete}");
        }
        let ada = person(
            &json!({"sub": "7", "name": "Ada", "email": "", "groups": "operator"}),
            &provider,
        )
        .unwrap()
        .subject;
        assert_eq!(
            (ada.id.as_deref(), ada.called(), ada.email.as_deref()),
            (Some("7"), Some("Ada"), None)
        );
    }
}
