//! The permissions of callers: IAM's evaluation, as far as the functions' policies use it.
//!
//! A policy is a list of statements. Each allows or denies actions on resources under conditions.
//! An explicit denial has priority over an allowance, and what no statement allows is denied.

mod condition;
mod document;
mod pattern;

pub use condition::{Condition, UnknownOperator};
pub use document::UnreadableDocument;

use crate::call::Target;

/// The identity of a client. Each function is a caller of its own.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The name of the caller in messages and records, which is that of the function.
    pub name: String,
    /// The permissions of the caller.
    pub policy: Policy,
}

impl Caller {
    /// Creates a caller with a policy.
    pub fn new(name: impl Into<String>, policy: Policy) -> Self {
        Self {
            name: name.into(),
            policy,
        }
    }

    /// Creates a caller that may do everything, for tests and tools.
    pub fn unlimited(name: impl Into<String>) -> Self {
        Self::new(name, Policy::everything())
    }
}

/// The statements of a function's role.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// The statements, whose order does not matter.
    pub statements: Vec<Statement>,
}

/// A statement of an IAM policy.
#[derive(Debug, Clone)]
pub struct Statement {
    /// Whether the statement allows or denies the calls that it matches.
    pub effect: Effect,
    /// Patterns of actions: `dynamodb:PutItem`, `s3:*`.
    pub actions: Vec<String>,
    /// Patterns of resource ARNs.
    pub resources: Vec<String>,
    /// The conditions, all of which must hold.
    pub conditions: Vec<Condition>,
}

/// The decision of a policy about one action on one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// A statement allows the action, and none denies it.
    Allowed,
    /// A statement denies the action, whatever the others say.
    Denied,
    /// No statement allows the action.
    NotAllowed,
}

/// The effect of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Allows, unless another statement denies.
    Allow,
    /// Denies, whatever the other statements say.
    Deny,
}

impl Policy {
    /// Returns a policy that allows everything.
    pub fn everything() -> Self {
        Self {
            statements: vec![Statement {
                effect: Effect::Allow,
                actions: vec!["*".into()],
                resources: vec!["*".into()],
                conditions: Vec::new(),
            }],
        }
    }

    /// Returns the decision about a target.
    #[must_use]
    pub fn decide(&self, target: &Target) -> Decision {
        let matching = |effect| {
            self.statements
                .iter()
                .any(|statement| statement.effect == effect && statement.matches(target))
        };
        match (matching(Effect::Deny), matching(Effect::Allow)) {
            (true, _) => Decision::Denied,
            (false, true) => Decision::Allowed,
            (false, false) => Decision::NotAllowed,
        }
    }

    /// Returns the first target that is not allowed, with the reason.
    pub(crate) fn refuses<'a>(&self, targets: &'a [Target]) -> Option<Refusal<'a>> {
        targets.iter().find_map(|target| match self.decide(target) {
            Decision::Allowed => None,
            decision => Some(Refusal {
                target,
                denied: decision == Decision::Denied,
            }),
        })
    }
}

impl Statement {
    fn matches(&self, target: &Target) -> bool {
        self.actions
            .iter()
            .any(|action| pattern::matches_ignoring_case(action, &target.action))
            && self
                .resources
                .iter()
                .any(|resource| pattern::matches(resource, &target.resource))
            && self
                .conditions
                .iter()
                .all(|condition| condition.holds(&target.context))
    }
}

/// A target that is not allowed.
#[derive(Debug)]
pub(crate) struct Refusal<'a> {
    target: &'a Target,
    denied: bool,
}

impl Refusal<'_> {
    /// Returns AWS's wording, so that a search for it finds AWS's documentation.
    pub(crate) fn message(&self, account: &str, caller: &str) -> String {
        let Target {
            action, resource, ..
        } = self.target;
        let because = if self.denied {
            "with an explicit deny in an identity-based policy".to_owned()
        } else {
            format!("because no identity-based policy allows the {action} action")
        };
        format!(
            "User: arn:aws:sts::{account}:assumed-role/{caller}/local is not authorized to \
             perform: {action} on resource: {resource} {because}"
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    fn statement(effect: Effect, action: &str, resource: &str) -> Statement {
        Statement {
            effect,
            actions: vec![action.into()],
            resources: vec![resource.into()],
            conditions: Vec::new(),
        }
    }

    #[test]
    fn actions_that_nothing_allows_are_refused_and_a_denial_wins() {
        let policy = Policy {
            statements: vec![
                statement(Effect::Allow, "s3:*", "arn:aws:s3:::bucket/*"),
                statement(Effect::Deny, "s3:DeleteObject", "*"),
            ],
        };
        let get = [Target::new("s3:GetObject", "arn:aws:s3:::bucket/a")];
        let delete = [Target::new("s3:DeleteObject", "arn:aws:s3:::bucket/a")];
        let elsewhere = [
            get[0].clone(),
            Target::new("s3:GetObject", "arn:aws:s3:::other/a"),
        ];
        assert!(policy.refuses(&get).is_none());
        assert!(
            policy
                .refuses(&delete)
                .unwrap()
                .message("0", "api")
                .contains("explicit deny")
        );
        let refusal = policy
            .refuses(&elsewhere)
            .unwrap()
            .message("000000000000", "api");
        assert_eq!(
            refusal,
            "User: arn:aws:sts::000000000000:assumed-role/api/local is not authorized to perform: s3:GetObject on resource: \
             arn:aws:s3:::other/a because no identity-based policy allows the s3:GetObject action"
        );
    }
}
