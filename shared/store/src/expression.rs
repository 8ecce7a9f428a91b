//! Builds update and condition expressions. Every name and value is a placeholder, so that no name
//! can be a reserved word and no value can become part of an expression.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::attributes::{Item, text};
use crate::keys::{Key, PK, SK};

/// An update with its condition, for `UpdateItem` or for one action of a transaction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    sets: Vec<String>,
    adds: Vec<String>,
    removes: Vec<String>,
    condition: Condition,
}

/// A condition all of whose parts must hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Condition {
    parts: Vec<String>,
    names: Vec<String>,
    values: Vec<AttributeValue>,
    /// Whether the condition, or the change that it belongs to, contains what PartiQL writes
    /// differently.
    is_beyond_partiql: bool,
}

impl Change {
    /// Sets an attribute to a value.
    pub(crate) fn set(&mut self, name: &str, value: AttributeValue) -> &mut Self {
        let set = format!(
            "{} = {}",
            self.condition.name(name),
            self.condition.value(value)
        );
        self.sets.push(set);
        self
    }

    /// Sets an attribute, or removes it when there is no value.
    pub(crate) fn set_or_remove(&mut self, name: &str, value: Option<AttributeValue>) -> &mut Self {
        match value {
            Some(value) => self.set(name, value),
            None => self.remove(name),
        }
    }

    /// Adds a number to an attribute.
    pub(crate) fn add(&mut self, name: &str, value: AttributeValue) -> &mut Self {
        let add = format!(
            "{} {}",
            self.condition.name(name),
            self.condition.value(value)
        );
        self.adds.push(add);
        self.condition.is_beyond_partiql = true;
        self
    }

    /// Removes an attribute from the item.
    pub(crate) fn remove(&mut self, name: &str) -> &mut Self {
        let remove = self.condition.name(name);
        self.removes.push(remove);
        self
    }

    /// Sets an entry of a map.
    pub(crate) fn set_member(
        &mut self,
        map: &str,
        member: &str,
        value: AttributeValue,
    ) -> &mut Self {
        let condition = &mut self.condition;
        let set = format!(
            "{}.{} = {}",
            condition.name(map),
            condition.name(member),
            condition.value(value)
        );
        self.sets.push(set);
        self
    }

    /// Removes an entry of a map.
    pub(crate) fn remove_member(&mut self, map: &str, member: &str) -> &mut Self {
        let remove = format!(
            "{}.{}",
            self.condition.name(map),
            self.condition.name(member)
        );
        self.removes.push(remove);
        self
    }

    /// Sets an attribute if it does not exist.
    pub(crate) fn set_if_missing(&mut self, name: &str, value: AttributeValue) -> &mut Self {
        let name = self.condition.name(name);
        let set = format!(
            "{name} = if_not_exists({name}, {})",
            self.condition.value(value)
        );
        self.condition.is_beyond_partiql = true;
        self.sets.push(set);
        self
    }

    /// Returns the condition, for adding to it.
    pub(crate) fn when(&mut self) -> &mut Condition {
        &mut self.condition
    }

    /// Returns the update expression.
    pub(crate) fn update(&self) -> String {
        let clause = |word: &str, parts: &[String]| {
            if parts.is_empty() {
                String::new()
            } else {
                format!("{word} {} ", parts.join(", "))
            }
        };
        format!(
            "{}{}{}",
            clause("SET", &self.sets),
            clause("ADD", &self.adds),
            clause("REMOVE", &self.removes)
        )
    }

    /// Returns the change as a PartiQL statement with its parameters; `None` if PartiQL writes a
    /// part of it differently.
    pub(crate) fn statement(
        &self,
        table: &str,
        key: &Key,
    ) -> Option<(String, Vec<AttributeValue>)> {
        if self.condition.is_beyond_partiql || self.sets.is_empty() && self.removes.is_empty() {
            return None;
        }
        let mut parameters = Vec::new();
        let mut statement = format!("UPDATE \"{table}\"");
        for (word, clauses) in [("SET", &self.sets), ("REMOVE", &self.removes)] {
            for clause in clauses {
                statement.push_str(&format!(
                    " {word} {}",
                    self.condition.as_partiql(clause, &mut parameters)
                ));
            }
        }
        statement.push_str(&format!(" WHERE \"{PK}\" = ? AND \"{SK}\" = ?"));
        parameters.extend([text(&key.pk), text(&key.sk)]);
        for part in &self.condition.parts {
            statement.push_str(&format!(
                " AND {}",
                self.condition.as_partiql(part, &mut parameters)
            ));
        }
        Some((statement, parameters))
    }

    /// Returns the condition expression, and the names and values of both expressions.
    pub(crate) fn rest(self) -> (Option<String>, HashMap<String, String>, Option<Item>) {
        self.condition.into_parts()
    }
}

impl Condition {
    /// Requires that the attribute has this value.
    pub(crate) fn equals(&mut self, name: &str, value: AttributeValue) -> &mut Self {
        let part = format!("{} = {}", self.name(name), self.value(value));
        self.holds(part)
    }

    /// Requires that the attribute has another value or does not exist.
    pub(crate) fn differs(&mut self, name: &str, value: AttributeValue) -> &mut Self {
        let part = format!("{} <> {}", self.name(name), self.value(value));
        self.and(part)
    }

    /// Requires that the attribute has one of these values.
    pub(crate) fn one_of(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = AttributeValue>,
    ) -> &mut Self {
        let name = self.name(name);
        let each: Vec<String> = values
            .into_iter()
            .map(|value| format!("{name} = {}", self.value(value)))
            .collect();
        self.holds(format!("({})", each.join(" OR ")))
    }

    /// Requires that the attribute exists.
    pub(crate) fn exists(&mut self, name: &str) -> &mut Self {
        let part = format!("attribute_exists({})", self.name(name));
        self.and(part)
    }

    /// Requires that the attribute does not exist.
    pub(crate) fn missing(&mut self, name: &str) -> &mut Self {
        let part = format!("attribute_not_exists({})", self.name(name));
        self.and(part)
    }

    /// Requires that the attribute has this value, or does not exist if `value` is `None`.
    pub(crate) fn is(&mut self, name: &str, value: Option<AttributeValue>) -> &mut Self {
        match value {
            Some(value) => self.equals(name, value),
            None => self.missing(name),
        }
    }

    /// Requires that the attribute does not exist or is at most this value.
    pub(crate) fn missing_or_at_most(&mut self, name: &str, value: AttributeValue) -> &mut Self {
        let name = self.name(name);
        let value = self.value(value);
        self.and(format!(
            "(attribute_not_exists({name}) OR {name} <= {value})"
        ))
    }

    /// Requires that the attribute does not exist or is below this value.
    pub(crate) fn missing_or_below(&mut self, name: &str, value: AttributeValue) -> &mut Self {
        let name = self.name(name);
        let value = self.value(value);
        self.and(format!(
            "(attribute_not_exists({name}) OR {name} < {value})"
        ))
    }

    /// Requires that the text starts with `prefix`.
    pub(crate) fn begins_with(&mut self, name: &str, prefix: AttributeValue) -> &mut Self {
        let part = format!("begins_with({}, {})", self.name(name), self.value(prefix));
        self.and(part)
    }

    /// Requires that the attribute lies between these values, inclusive. `lowest` must not be above
    /// `highest`.
    pub(crate) fn between(
        &mut self,
        name: &str,
        lowest: AttributeValue,
        highest: AttributeValue,
    ) -> &mut Self {
        let part = format!(
            "{} BETWEEN {} AND {}",
            self.name(name),
            self.value(lowest),
            self.value(highest)
        );
        self.and(part)
    }

    /// Adds a part that was written with [`Self::name`] and [`Self::value`].
    pub(crate) fn and(&mut self, part: String) -> &mut Self {
        self.is_beyond_partiql = true;
        self.holds(part)
    }

    /// Adds a part that PartiQL writes the same way.
    fn holds(&mut self, part: String) -> &mut Self {
        self.parts.push(part);
        self
    }

    /// Replaces placeholders as PartiQL requires: names in quotes, and a question mark for each
    /// value, which is added to `parameters`.
    fn as_partiql(&self, placeholders: &str, parameters: &mut Vec<AttributeValue>) -> String {
        let mut as_partiql = String::with_capacity(placeholders.len() * 2);
        let mut rest = placeholders;
        while let Some(start) = rest.find(['#', ':']) {
            let (before, placeholder) = rest.split_at(start);
            let after = placeholder[1..]
                .find(|c: char| !c.is_ascii_digit())
                .map_or(placeholder.len(), |length| length + 1);
            let at: usize = placeholder[1..after]
                .parse()
                .expect("a placeholder has a number");
            as_partiql.push_str(before);
            if placeholder.starts_with('#') {
                as_partiql.push_str(&format!("\"{}\"", self.names[at]));
            } else {
                as_partiql.push('?');
                parameters.push(self.values[at].clone());
            }
            rest = &placeholder[after..];
        }
        as_partiql + rest
    }

    /// Returns the placeholder of a name.
    pub(crate) fn name(&mut self, name: &str) -> String {
        let at = self
            .names
            .iter()
            .position(|known| known == name)
            .unwrap_or_else(|| {
                self.names.push(name.to_owned());
                self.names.len() - 1
            });
        format!("#{at}")
    }

    /// Returns the placeholder of a value.
    pub(crate) fn value(&mut self, value: AttributeValue) -> String {
        self.values.push(value);
        format!(":{}", self.values.len() - 1)
    }

    /// Returns the expression, its names and its values.
    pub(crate) fn into_parts(self) -> (Option<String>, HashMap<String, String>, Option<Item>) {
        let expression = (!self.parts.is_empty()).then(|| self.parts.join(" AND "));
        let names = self
            .names
            .into_iter()
            .enumerate()
            .map(|(at, name)| (format!("#{at}"), name))
            .collect();
        let values: Item = self
            .values
            .into_iter()
            .enumerate()
            .map(|(at, value)| (format!(":{at}"), value))
            .collect();
        (expression, names, (!values.is_empty()).then_some(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::number;
    use crate::keys;

    fn key() -> Key {
        keys::round()
    }

    #[test]
    fn a_simple_change_is_a_statement_with_its_parameters_in_order() {
        let mut change = Change::default();
        change.set("n", number(2)).remove("l").set("s", text("s"));
        change
            .when()
            .equals("n", number(1))
            .one_of("s", [text("q"), text("r")]);
        let (statement, parameters) = change.statement("waybill-Table", &key()).unwrap();
        let expected = concat!(
            r#"UPDATE "waybill-Table" SET "n" = ? SET "s" = ? REMOVE "l" "#,
            r#"WHERE "pk" = ? AND "sk" = ? AND "n" = ? AND ("s" = ? OR "s" = ?)"#
        );
        assert_eq!(statement, expected);
        let key = key();
        let values = [
            number(2),
            text("s"),
            text(key.pk),
            text(key.sk),
            number(1),
            text("q"),
            text("r"),
        ];
        assert_eq!(parameters, values);
    }

    #[test]
    fn a_change_that_partiql_cannot_express_is_not_a_statement() {
        let changes: [fn(&mut Change); 5] = [
            |change| {
                change.add("n", number(1));
            },
            |change| {
                change.set_if_missing("n", number(1));
            },
            |change| {
                change.set("n", number(1)).when().exists("pk");
            },
            |change| {
                change
                    .set("n", number(1))
                    .when()
                    .missing_or_at_most("l", number(1));
            },
            |_| (),
        ];
        for make in changes {
            let mut change = Change::default();
            make(&mut change);
            assert!(change.statement("t", &key()).is_none(), "{change:?}");
        }
    }
}
