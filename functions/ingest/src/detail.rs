//! The detail of an event: the organization, the idempotency key, and the body of a submission.

use std::fmt;

use domain::id::OrganizationId;
use operations::IdempotencyKey;
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// The members of the detail in the order in which they were sent. A name may occur twice, which
/// reading the submission refuses.
#[derive(Debug, Default)]
pub(crate) struct Detail(Vec<(String, Box<RawValue>)>);

/// The idempotency key is not a string of 1 to 255 printable characters, or is given twice.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadKey;

impl Detail {
    /// Reads the detail. Returns no members if it is not a JSON object.
    pub(crate) fn read(detail: &RawValue) -> Self {
        serde_json::from_str(detail.get()).unwrap_or_default()
    }

    /// Removes the organization and returns it. `None` if the detail does not name exactly one.
    pub(crate) fn take_organization(&mut self) -> Option<OrganizationId> {
        let named = self.take("organization_id");
        let [named] = named.as_slice() else {
            return None;
        };
        string(named)?.parse().ok()
    }

    /// Removes the idempotency key and returns it. `event` is the id of the event, which is the key
    /// of a detail without one.
    pub(crate) fn take_idempotency_key(&mut self, event: &str) -> Result<IdempotencyKey, BadKey> {
        let given = self.take("idempotency_key");
        let key = match given.as_slice() {
            [] => event.to_owned(),
            [null] if null.get() == "null" => event.to_owned(),
            [given] => string(given).ok_or(BadKey)?,
            _ => return Err(BadKey),
        };
        IdempotencyKey::parse(&key).map_err(|_| BadKey)
    }

    /// Removes every member with this name and returns the values.
    fn take(&mut self, name: &str) -> Vec<Box<RawValue>> {
        self.0
            .extract_if(.., |(member, _)| member == name)
            .map(|(_, value)| value)
            .collect()
    }
}

/// Returns the value of a JSON string. `None` for any other JSON value.
fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

impl<'de> Deserialize<'de> for Detail {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Detail;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Detail, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Detail(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl Serialize for Detail {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = "6a7e8feb-b491-4cf7-a9f1-bf3703467718";

    fn detail(text: &str) -> Detail {
        Detail::read(&RawValue::from_string(text.to_owned()).unwrap())
    }

    fn key(text: &str) -> Result<IdempotencyKey, BadKey> {
        detail(text).take_idempotency_key(EVENT)
    }

    #[test]
    fn the_events_id_is_the_key_only_of_a_detail_without_one() {
        let parsed = |key: &str| IdempotencyKey::parse(key).map_err(|_| BadKey);
        for (given, expected) in [
            ("{}", EVENT),
            (r#"{"idempotency_key": null}"#, EVENT),
            (r#"{"idempotency_key": "order-1"}"#, "order-1"),
        ] {
            assert_eq!(key(given), parsed(expected), "{given}");
        }
    }

    #[test]
    fn a_key_that_is_not_a_string_or_occurs_twice_is_refused() {
        for given in ["7", "true", "[]", r#"{"a": 1}"#, r#""""#, r#""a\nb""#] {
            assert_eq!(
                key(&format!(r#"{{"idempotency_key": {given}}}"#)),
                Err(BadKey),
                "{given}"
            );
        }
        assert_eq!(
            key(r#"{"idempotency_key": "a", "idempotency_key": "b"}"#),
            Err(BadKey)
        );
    }

    #[test]
    fn an_organization_is_named_exactly_once() {
        let id = "org_01kavd83802s63efghp3q1cpj4";
        let named = |text: &str| detail(text).take_organization().map(|id| id.to_string());
        assert_eq!(
            named(&format!(r#"{{"organization_id": "{id}"}}"#)).as_deref(),
            Some(id)
        );
        assert_eq!(
            named(&format!(
                r#"{{"organization_id": "{id}", "organization_id": "{id}"}}"#
            )),
            None
        );
        for other in ["{}", "[]", "null", r#""text""#, r#"{"organization_id": 7}"#] {
            assert_eq!(named(other), None, "{other}");
        }
    }

    #[test]
    fn other_members_are_passed_on_as_they_were_sent_even_if_they_occur_twice() {
        let mut detail = detail(
            r#"{"b": {"x": 1.0,  "x": 2}, "organization_id": "o", "a": 1, "idempotency_key": "k", "a": 2}"#,
        );
        detail.take("organization_id");
        detail.take("idempotency_key");
        assert_eq!(
            serde_json::to_string(&detail).unwrap(),
            r#"{"b":{"x": 1.0,  "x": 2},"a":1,"a":2}"#
        );
    }
}
