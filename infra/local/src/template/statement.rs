//! Policy statements: plain actions on plain resources.

use std::collections::BTreeMap;

use local_aws::{Condition, Effect, Statement};
use serde::Deserialize;

use super::property::{AwsOnly, Texts};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "the list of what is understood; some of it matters on AWS only"
)]
pub(super) struct StatementProperties {
    sid: Option<AwsOnly>,
    effect: EffectName,
    action: Texts,
    resource: Texts,
    #[serde(default)]
    condition: BTreeMap<String, BTreeMap<String, Texts>>,
}

#[derive(Deserialize)]
enum EffectName {
    Allow,
    Deny,
}

impl StatementProperties {
    pub(super) fn statement(self) -> Result<Statement, String> {
        let mut conditions = Vec::new();
        for (operator, keys) in self.condition {
            for (key, values) in keys {
                conditions.push(
                    Condition::new(&operator, key, values.into_vec())
                        .map_err(|error| error.to_string())?,
                );
            }
        }
        Ok(Statement {
            effect: match self.effect {
                EffectName::Allow => Effect::Allow,
                EffectName::Deny => Effect::Deny,
            },
            actions: self.action.into_vec(),
            resources: self.resource.into_vec(),
            conditions,
        })
    }
}
