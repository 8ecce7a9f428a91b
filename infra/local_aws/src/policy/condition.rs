//! The conditions of policy statements.

use std::collections::BTreeMap;

use super::pattern;

/// `{"StringEquals": {"kms:EncryptionContext:organization": ["org_1"]}}`: one operator, one key,
/// its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    operator: Operator,
    quantifier: Quantifier,
    if_exists: bool,
    key: String,
    values: Vec<String>,
}

/// An operator that is not supported. It is an error, because ignoring it could decide wrongly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the condition operator {0} is not supported locally")]
pub struct UnknownOperator(pub String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equals,
    NotEquals,
    EqualsIgnoreCase,
    Like,
    NotLike,
    Null,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantifier {
    /// The key has one value.
    Single,
    /// `ForAnyValue:` at least one value of the key must match.
    Any,
    /// `ForAllValues:` every value of the key must match.
    All,
}

impl Condition {
    /// Parses an operator with `ForAnyValue:`, `ForAllValues:` and `IfExists`.
    pub fn new(
        operator: &str,
        key: impl Into<String>,
        values: Vec<String>,
    ) -> Result<Self, UnknownOperator> {
        let (quantifier, name) = match operator.split_once(':') {
            Some(("ForAnyValue", name)) => (Quantifier::Any, name),
            Some(("ForAllValues", name)) => (Quantifier::All, name),
            Some(_) => return Err(UnknownOperator(operator.into())),
            None => (Quantifier::Single, operator),
        };
        let (name, if_exists) = name
            .strip_suffix("IfExists")
            .map_or((name, false), |name| (name, true));
        let operator = match name {
            "StringEquals" => Operator::Equals,
            "StringNotEquals" => Operator::NotEquals,
            "StringEqualsIgnoreCase" | "Bool" => Operator::EqualsIgnoreCase,
            "StringLike" | "ArnLike" | "ArnEquals" => Operator::Like,
            "StringNotLike" | "ArnNotLike" | "ArnNotEquals" => Operator::NotLike,
            "Null" => Operator::Null,
            _ => return Err(UnknownOperator(operator.into())),
        };
        Ok(Self {
            operator,
            quantifier,
            if_exists,
            key: key.into(),
            values,
        })
    }

    pub(super) fn holds(&self, context: &BTreeMap<String, Vec<String>>) -> bool {
        let found = context
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(&self.key))
            .map(|(_, values)| values.as_slice());
        if self.operator == Operator::Null {
            let absent = found.is_none_or(<[String]>::is_empty);
            return self
                .values
                .iter()
                .any(|value| value.eq_ignore_ascii_case(if absent { "true" } else { "false" }));
        }
        let negative = matches!(self.operator, Operator::NotEquals | Operator::NotLike);
        let Some(found) = found else {
            // A missing key fails a positive operator and passes a negative one. `ForAllValues`
            // holds for no values.
            return self.if_exists || negative || self.quantifier == Quantifier::All;
        };
        match self.quantifier {
            Quantifier::Single | Quantifier::Any => {
                found.iter().any(|value| self.value_holds(value))
            }
            Quantifier::All => found.iter().all(|value| self.value_holds(value)),
        }
    }

    fn value_holds(&self, actual: &str) -> bool {
        let mut wanted = self.values.iter();
        match self.operator {
            Operator::Equals => wanted.any(|value| value == actual),
            Operator::NotEquals => wanted.all(|value| value != actual),
            Operator::EqualsIgnoreCase => wanted.any(|value| value.eq_ignore_ascii_case(actual)),
            Operator::Like => wanted.any(|value| pattern::matches(value, actual)),
            Operator::NotLike => wanted.all(|value| !pattern::matches(value, actual)),
            Operator::Null => false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn operators_hold_as_iam_has_them() {
        let context = BTreeMap::from([
            (
                "kms:EncryptionContext:organization".to_owned(),
                vec!["org_1".to_owned()],
            ),
            (
                "kms:EncryptionContextKeys".to_owned(),
                vec!["organization".to_owned(), "field".to_owned()],
            ),
        ]);
        for (operator, key, values, holds) in [
            (
                "StringEquals",
                "kms:EncryptionContext:organization",
                vec!["org_0", "org_1"],
                true,
            ),
            (
                "StringEquals",
                "kms:EncryptionContext:organization",
                vec!["org_*"],
                false,
            ),
            (
                "StringLike",
                "kms:EncryptionContext:organization",
                vec!["org_*"],
                true,
            ),
            (
                "StringNotEquals",
                "kms:EncryptionContext:organization",
                vec!["org_1"],
                false,
            ),
            (
                "StringEquals",
                "kms:ViaService",
                vec!["dynamodb.us-east-1.amazonaws.com"],
                false,
            ),
            ("StringEqualsIfExists", "kms:ViaService", vec!["x"], true),
            (
                "Null",
                "kms:EncryptionContext:organization",
                vec!["false"],
                true,
            ),
            ("Null", "kms:EncryptionContext:other", vec!["false"], false),
            (
                "ForAllValues:StringEquals",
                "kms:EncryptionContextKeys",
                vec!["organization", "destination", "field"],
                true,
            ),
            (
                "ForAllValues:StringEquals",
                "kms:EncryptionContextKeys",
                vec!["organization"],
                false,
            ),
            (
                "ForAnyValue:StringEquals",
                "kms:EncryptionContextKeys",
                vec!["organization"],
                true,
            ),
        ] {
            let values = values.into_iter().map(str::to_owned).collect();
            let condition = Condition::new(operator, key, values).unwrap();
            assert_eq!(condition.holds(&context), holds, "{condition:?}");
        }
        assert_eq!(
            Condition::new("IpAddress", "aws:SourceIp", vec![]),
            Err(UnknownOperator("IpAddress".into()))
        );
    }
}
