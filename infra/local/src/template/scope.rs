//! Evaluates CloudFormation's intrinsic functions: from a tagged tree to plain JSON.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use yaml_serde::{Mapping, Value as Yaml};

use super::fault::Fault;
use super::kind::{ACCOUNT, Physical, REGION, STACK};
use super::source::entries;

/// The names that expressions can refer to: parameters, pseudo parameters, conditions and
/// resources.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) conditions: BTreeMap<String, bool>,
    pub(super) resources: BTreeMap<String, Physical>,
}

impl Scope {
    /// Evaluates a value; `None` for `AWS::NoValue`.
    pub(super) fn evaluate(&self, value: &Yaml) -> Result<Option<Json>, Fault> {
        match value {
            Yaml::Null => Ok(Some(Json::Null)),
            Yaml::Bool(value) => Ok(Some(Json::Bool(*value))),
            Yaml::String(value) => Ok(Some(Json::String(value.clone()))),
            Yaml::Number(value) => match serde_json::to_value(value) {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(Fault::new(format!("{value} is not a number JSON has"))),
            },
            Yaml::Sequence(items) => Ok(Some(Json::Array(self.items(items)?))),
            Yaml::Mapping(mapping) => match long_form(mapping) {
                Some((function, argument)) => self.call(function, argument),
                None => self.mapping(value).map(Some),
            },
            Yaml::Tagged(tagged) => self.call(
                tagged.tag.to_string().trim_start_matches('!'),
                &tagged.value,
            ),
        }
    }

    fn items(&self, items: &[Yaml]) -> Result<Vec<Json>, Fault> {
        let mut evaluated = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            evaluated.extend(
                self.evaluate(item)
                    .map_err(|fault| fault.under(index.to_string()))?,
            );
        }
        Ok(evaluated)
    }

    fn mapping(&self, value: &Yaml) -> Result<Json, Fault> {
        let mut evaluated = Map::new();
        for (key, value) in entries(value)? {
            if let Some(value) = self.evaluate(value).map_err(|fault| fault.under(key))? {
                evaluated.insert(key.to_owned(), value);
            }
        }
        Ok(Json::Object(evaluated))
    }

    fn call(&self, function: &str, argument: &Yaml) -> Result<Option<Json>, Fault> {
        match function {
            "Ref" if argument.as_str() == Some("AWS::NoValue") => Ok(None),
            "Ref" => self
                .reference(text(argument)?)
                .map(|value| Some(Json::String(value))),
            "GetAtt" => self
                .attribute_of(argument)
                .map(|value| Some(Json::String(value))),
            "Sub" => self
                .substitute(argument)
                .map(|value| Some(Json::String(value))),
            "Join" => self.join(argument).map(|value| Some(Json::String(value))),
            "If" => {
                let [condition, then, otherwise] = arguments(argument)?;
                self.evaluate(if self.condition(text(condition)?)? {
                    then
                } else {
                    otherwise
                })
            }
            other => Err(Fault::new(format!("!{other} is not supported here"))),
        }
    }

    fn reference(&self, name: &str) -> Result<String, Fault> {
        if let Some(value) = self.parameters.get(name) {
            return Ok(value.clone());
        }
        if let Some(resource) = self.resources.get(name) {
            return Ok(resource.reference.clone());
        }
        Ok(match name {
            "AWS::AccountId" => ACCOUNT.into(),
            "AWS::Region" => REGION.into(),
            "AWS::Partition" => "aws".into(),
            "AWS::URLSuffix" => "amazonaws.com".into(),
            "AWS::StackName" => STACK.into(),
            _ => {
                return Err(Fault::new(format!(
                    "{name} is no parameter, resource or pseudo parameter of this template"
                )));
            }
        })
    }

    pub(super) fn attribute(&self, resource: &str, attribute: &str) -> Result<String, Fault> {
        let physical = self
            .resources
            .get(resource)
            .ok_or_else(|| Fault::new(format!("{resource} is not a resource of this template")))?;
        physical
            .attributes
            .get(attribute)
            .cloned()
            .ok_or_else(|| Fault::new(format!("{resource} has no attribute {attribute} here")))
    }

    fn attribute_of(&self, argument: &Yaml) -> Result<String, Fault> {
        if let Yaml::Sequence(_) = argument {
            let [resource, attribute] = arguments(argument)?;
            return self.attribute(text(resource)?, text(attribute)?);
        }
        match text(argument)?.split_once('.') {
            Some((resource, attribute)) => self.attribute(resource, attribute),
            None => Err(Fault::new("!GetAtt takes Resource.Attribute")),
        }
    }

    fn join(&self, argument: &Yaml) -> Result<String, Fault> {
        let [separator, parts] = arguments(argument)?;
        let parts: Vec<String> = match parts {
            Yaml::Sequence(parts) => self
                .items(parts)?
                .iter()
                .map(scalar)
                .collect::<Result<_, _>>()?,
            // The list may be a parameter.
            reference => match self.evaluate(reference)? {
                Some(Json::String(list)) => list.split(',').map(str::to_owned).collect(),
                _ => return Err(Fault::new("!Join takes a separator and a list")),
            },
        };
        Ok(parts.join(text(separator)?))
    }

    /// Evaluates `!Sub text` and `!Sub [text, {Name: value}]`.
    fn substitute(&self, argument: &Yaml) -> Result<String, Fault> {
        let mut own = BTreeMap::new();
        let pattern = if let Yaml::Sequence(_) = argument {
            let [pattern, values] = arguments(argument)?;
            for (name, value) in entries(values)? {
                let value = self
                    .evaluate(value)?
                    .ok_or_else(|| Fault::new(format!("{name} has no value")))?;
                own.insert(name, scalar(&value)?);
            }
            text(pattern)?
        } else {
            text(argument)?
        };
        let (mut written, mut rest) = (String::new(), pattern);
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| Fault::new("${ without its }"))?;
            written.push_str(before);
            match name.strip_prefix('!') {
                Some(literal) => written.push_str(&format!("${{{literal}}}")),
                None => written.push_str(&self.variable(name, &own)?),
            }
            rest = after;
        }
        written.push_str(rest);
        Ok(written)
    }

    fn variable(&self, name: &str, own: &BTreeMap<&str, String>) -> Result<String, Fault> {
        match (own.get(name), name.split_once('.')) {
            (Some(value), _) => Ok(value.clone()),
            (None, Some((resource, attribute))) => self.attribute(resource, attribute),
            (None, None) => self.reference(name),
        }
    }

    pub(super) fn condition(&self, name: &str) -> Result<bool, Fault> {
        self.conditions
            .get(name)
            .copied()
            .ok_or_else(|| Fault::new(format!("{name} is no condition of this template")))
    }

    /// Evaluates the expression of a condition. Conditions that it names must precede it.
    pub(super) fn decide(&self, expression: &Yaml) -> Result<bool, Fault> {
        let (function, argument) = match expression {
            Yaml::Tagged(tagged) => (tagged.tag.to_string(), &tagged.value),
            Yaml::Mapping(mapping) => match long_form(mapping) {
                Some((function, argument)) => (function.to_owned(), argument),
                None => return Err(Fault::new("is no condition")),
            },
            _ => return Err(Fault::new("is no condition")),
        };
        match function.trim_start_matches('!') {
            "Condition" => self.condition(text(argument)?),
            "Equals" => {
                let [left, right] = arguments(argument)?;
                Ok(self.comparable(left)? == self.comparable(right)?)
            }
            "Not" => {
                let [inner] = arguments(argument)?;
                Ok(!self.decide(inner)?)
            }
            "And" => self
                .decide_all(argument)
                .map(|decided| decided.into_iter().all(|yes| yes)),
            "Or" => self
                .decide_all(argument)
                .map(|decided| decided.into_iter().any(|yes| yes)),
            other => Err(Fault::new(format!(
                "!{other} is not supported in a condition"
            ))),
        }
    }

    fn decide_all(&self, argument: &Yaml) -> Result<Vec<bool>, Fault> {
        let Yaml::Sequence(parts) = argument else {
            return Err(Fault::new("takes a list of conditions"));
        };
        parts.iter().map(|part| self.decide(part)).collect()
    }

    fn comparable(&self, value: &Yaml) -> Result<String, Fault> {
        let value = self
            .evaluate(value)?
            .ok_or_else(|| Fault::new("AWS::NoValue cannot be compared"))?;
        scalar(&value)
    }
}

/// Returns the function and argument of the long forms `{"Ref": …}` and `{"Fn::Sub": …}`.
fn long_form(mapping: &Mapping) -> Option<(&str, &Yaml)> {
    let mut entries = mapping.iter();
    let (Some((key, argument)), None) = (entries.next(), entries.next()) else {
        return None;
    };
    match key.as_str()? {
        "Ref" => Some(("Ref", argument)),
        key => key
            .strip_prefix("Fn::")
            .map(|function| (function, argument)),
    }
}

fn text(value: &Yaml) -> Result<&str, Fault> {
    value
        .as_str()
        .ok_or_else(|| Fault::new("takes plain text here"))
}

fn arguments<const N: usize>(value: &Yaml) -> Result<&[Yaml; N], Fault> {
    let items = match value {
        Yaml::Sequence(items) => items.as_slice(),
        _ => &[],
    };
    items
        .try_into()
        .map_err(|_| Fault::new(format!("takes a list of {N}")))
}

/// Converts a scalar to text, as CloudFormation does to join, substitute and compare values.
fn scalar(value: &Json) -> Result<String, Fault> {
    match value {
        Json::String(text) => Ok(text.clone()),
        Json::Bool(value) => Ok(value.to_string()),
        Json::Number(value) => Ok(value.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => {
            Err(Fault::new("must be text, a number or a boolean"))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

    use serde_json::json;

    use super::super::kind::Kind;
    use super::*;

    fn scope() -> Scope {
        Scope {
            parameters: BTreeMap::from([
                ("Level".to_owned(), "info".to_owned()),
                ("Count".to_owned(), "0".to_owned()),
            ]),
            conditions: BTreeMap::from([("Yes".to_owned(), true), ("No".to_owned(), false)]),
            resources: BTreeMap::from([("Tasks".to_owned(), Kind::Queue.physical("Tasks"))]),
        }
    }

    #[test]
    fn expressions_become_plain_values() {
        let cases = [
            ("!Ref Level", json!("info")),
            ("!Ref AWS::Region", json!("us-east-1")),
            (
                "!Ref Tasks",
                json!("https://sqs.us-east-1.amazonaws.com/000000000000/waybill-Tasks"),
            ),
            (
                "!GetAtt Tasks.Arn",
                json!("arn:aws:sqs:us-east-1:000000000000:waybill-Tasks"),
            ),
            ("!GetAtt [Tasks, QueueName]", json!("waybill-Tasks")),
            (
                "!Sub '${Level}/${Tasks.QueueName}/${!Kept}'",
                json!("info/waybill-Tasks/${Kept}"),
            ),
            ("!Sub ['${A}-${Level}', {A: !Ref Count}]", json!("0-info")),
            (
                "!Join ['-', [a, !Ref Level, 3, !Ref AWS::NoValue]]",
                json!("a-info-3"),
            ),
            ("!If [Yes, 1, 2]", json!(1)),
            (
                "{a: !If [No, 1, !Ref AWS::NoValue], b: true}",
                json!({"b": true}),
            ),
            ("[1, !Ref AWS::NoValue, null]", json!([1, null])),
            ("{'Fn::Sub': '${Level}'}", json!("info")),
            ("{Ref: Level}", json!("info")),
            ("{Level: x}", json!({"Level": "x"})),
        ];
        for (yaml, expected) in cases {
            let value = scope()
                .evaluate(&yaml_serde::from_str(yaml).unwrap())
                .unwrap();
            assert_eq!(value, Some(expected), "{yaml}");
        }
    }

    #[test]
    fn an_expression_that_cannot_be_evaluated_has_a_reason() {
        let cases = [
            ("!Ref Nobody", "Nobody is no parameter"),
            ("!GetAtt Tasks.Size", "no attribute Size"),
            ("!GetAtt Tasks", "Resource.Attribute"),
            ("!Sub '${Open'", "without its }"),
            ("!If [Maybe, 1, 2]", "Maybe is no condition"),
            ("!If [Yes, 1]", "a list of 3"),
            ("!Select [0, [a]]", "!Select is not supported"),
            ("{'Fn::ImportValue': x}", "!ImportValue is not supported"),
            ("!Join ['-', [[a]]]", "must be text"),
        ];
        for (yaml, expected) in cases {
            let fault = scope()
                .evaluate(&yaml_serde::from_str(yaml).unwrap())
                .unwrap_err();
            assert!(fault.what.contains(expected), "{yaml}: {}", fault.what);
        }
    }

    #[test]
    fn conditions_are_decided() {
        let cases = [
            ("!Equals [!Ref Count, 0]", true),
            ("!Equals [!Ref Level, debug]", false),
            ("!Not [!Condition Yes]", false),
            ("!And [!Condition Yes, !Not [!Condition No]]", true),
            ("!Or [!Condition No, !Equals [a, b]]", false),
            ("{'Fn::Equals': [true, 'true']}", true),
        ];
        for (yaml, expected) in cases {
            assert_eq!(
                scope()
                    .decide(&yaml_serde::from_str(yaml).unwrap())
                    .unwrap(),
                expected,
                "{yaml}"
            );
        }
        assert!(
            scope()
                .decide(&yaml_serde::from_str("!Contains [a, b]").unwrap())
                .is_err()
        );
    }

    #[test]
    fn a_fault_carries_its_path() {
        let yaml = "{Environment: {Variables: {A: !Ref Nobody}}}";
        let fault = scope()
            .evaluate(&yaml_serde::from_str(yaml).unwrap())
            .unwrap_err();
        assert_eq!(fault.path, ["Environment", "Variables", "A"]);
    }
}
