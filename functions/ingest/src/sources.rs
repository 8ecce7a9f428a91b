//! The operator's map of which accounts and event sources may submit for which organizations.

use domain::id::OrganizationId;
use serde::Deserialize;

/// The wildcard, which matches any account, source or organization.
const ANY: &str = "*";

/// The parsed map. An event that no entry allows is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources(Vec<Line>);

/// An entry: `{"account": "111122223333", "source": "com.acme.reports", "organization_ids":
/// ["org_…"]}`. `*` matches any value.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    account: String,
    source: String,
    organization_ids: Vec<String>,
}

impl Sources {
    /// Parses the map, a JSON list. An empty text allows no submission. The error completes a
    /// sentence whose subject is the name of the setting.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let lines: Vec<Line> = serde_json::from_str(text)
            .map_err(|error| format!("is not a list of entries: {error}"))?;
        match lines
            .iter()
            .flat_map(|line| &line.organization_ids)
            .find(|id| *id != ANY && id.parse::<OrganizationId>().is_err())
        {
            Some(id) => Err(format!(
                "names {id}, which is not the id of an organization"
            )),
            None => Ok(Self(lines)),
        }
    }

    /// Whether this account and source may submit for this organization.
    #[must_use]
    pub fn may_submit(&self, account: &str, source: &str, organization: OrganizationId) -> bool {
        let organization = organization.to_string();
        let fits = |own: &str, is: &str| own == ANY || own == is;
        self.0.iter().any(|line| {
            fits(&line.account, account)
                && fits(&line.source, source)
                && line
                    .organization_ids
                    .iter()
                    .any(|own| fits(own, &organization))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_is_not_in_the_map_can_submit_for_no_organization() {
        let (acme, other): (OrganizationId, OrganizationId) = (
            "org_01kavd83802s63efghp3q1cpj4".parse().unwrap(),
            "org_01kavd83802s63efghp3q1cpj5".parse().unwrap(),
        );
        let map = format!(
            r#"[{{"account": "111122223333", "source": "com.acme", "organization_ids": ["{acme}"]}}]"#
        );
        let sources = Sources::parse(&map).unwrap();
        assert!(sources.may_submit("111122223333", "com.acme", acme));
        for (account, source, organization) in [
            ("444455556666", "com.acme", acme),
            ("111122223333", "com.other", acme),
            ("111122223333", "com.acme", other),
        ] {
            assert!(
                !sources.may_submit(account, source, organization),
                "{account} {source}"
            );
        }
        assert!(
            !Sources::parse("")
                .unwrap()
                .may_submit("111122223333", "com.acme", acme)
        );
        assert!(
            Sources::parse(r#"[{"account": "*", "source": "*", "organization_ids": ["*"]}]"#)
                .unwrap()
                .may_submit("1", "x", other)
        );
        assert!(
            Sources::parse(r#"[{"account": "*", "source": "*", "organization_ids": ["acme"]}]"#)
                .is_err()
        );
        assert!(Sources::parse("{}").is_err());
    }
}
