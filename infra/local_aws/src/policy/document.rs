//! Policies as JSON documents: session policies and resource policies.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Condition, Effect, Policy, Statement, UnknownOperator};

/// Why a text cannot be used as a policy.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableDocument {
    /// The text is not the JSON of a policy.
    #[error("the text is not a policy document")]
    Json(#[from] serde_json::Error),
    /// The policy has a condition that is not supported.
    #[error(transparent)]
    Condition(#[from] UnknownOperator),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    statement: Vec<StatementText>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StatementText {
    effect: EffectText,
    action: OneOrMore,
    resource: OneOrMore,
    #[serde(default)]
    condition: BTreeMap<String, BTreeMap<String, OneOrMore>>,
}

#[derive(Deserialize)]
enum EffectText {
    Allow,
    Deny,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl From<OneOrMore> for Vec<String> {
    fn from(texts: OneOrMore) -> Self {
        match texts {
            OneOrMore::One(text) => vec![text],
            OneOrMore::More(texts) => texts,
        }
    }
}

impl Policy {
    /// Parses a policy document. `Principal` is not evaluated.
    pub fn from_json(text: &str) -> Result<Self, UnreadableDocument> {
        let document: Document = serde_json::from_str(text)?;
        let statements = document
            .statement
            .into_iter()
            .map(StatementText::statement)
            .collect::<Result<_, _>>()?;
        Ok(Self { statements })
    }
}

impl StatementText {
    fn statement(self) -> Result<Statement, UnknownOperator> {
        let conditions = self.condition.into_iter().flat_map(|(operator, keys)| {
            keys.into_iter()
                .map(move |(key, values)| Condition::new(&operator, key, values.into()))
        });
        Ok(Statement {
            effect: match self.effect {
                EffectText::Allow => Effect::Allow,
                EffectText::Deny => Effect::Deny,
            },
            actions: self.action.into(),
            resources: self.resource.into(),
            conditions: conditions.collect::<Result<_, _>>()?,
        })
    }
}
