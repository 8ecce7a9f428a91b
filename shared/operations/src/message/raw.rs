//! A body whose payload is kept as the bytes that the client sent. Top-level members are slices of
//! the body, and all but the payload are parsed.

use std::collections::HashSet;
use std::fmt;

use bytes::Bytes;
use domain::input::{Errors, FieldCode, Fields, Malformed, parse_value};
use domain::limits::{PAYLOAD_DEPTH_MAX, PAYLOAD_MAX_BYTES};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::Refusal;

/// The members of an object in their order, each as the bytes of its value.
#[derive(Debug, Default)]
pub(crate) struct RawMembers(Vec<(String, Bytes)>);

/// A JSON payload, as the bytes that were sent.
#[derive(Clone, Debug)]
pub(crate) struct RawPayload {
    pub(crate) bytes: Bytes,
}

impl RawMembers {
    /// Parses an object but not the values of its members. A member that appears twice is refused.
    pub(crate) fn parse(json: &Bytes) -> Result<Self, Malformed> {
        if json.iter().all(u8::is_ascii_whitespace) {
            return Err(Malformed(
                "the body is empty; a JSON object is expected".to_owned(),
            ));
        }
        let Slices(slices) = serde_json::from_slice(json)
            .map_err(|error| Malformed(format!("the body is not a JSON object: {error}")))?;
        let mut names = HashSet::with_capacity(slices.len());
        if let Some((twice, _)) = slices.iter().find(|(name, _)| !names.insert(name.as_str())) {
            return Err(Malformed(format!("the member {twice:?} appears twice")));
        }
        let members = slices
            .into_iter()
            .map(|(name, raw)| (name, json.slice_ref(raw.get().as_bytes())));
        Ok(Self(members.collect()))
    }

    /// Takes the bytes of a member's value, if there is one.
    pub(crate) fn take(&mut self, name: &str) -> Option<Bytes> {
        let position = self.0.iter().position(|(member, _)| member == name)?;
        Some(self.0.remove(position).1)
    }

    /// Takes `payload`, which may be any JSON value, including null. Returns an error if it is too
    /// large.
    pub(crate) fn take_payload(&mut self) -> Result<Option<RawPayload>, Refusal> {
        self.take("payload").map(RawPayload::new).transpose()
    }

    /// Parses the values of the members that were not taken.
    pub(crate) fn into_members(self) -> Result<Map<String, Value>, Malformed> {
        let parsed = |(name, value): (String, Bytes)| Ok((name, parse_value(&value)?));
        self.0.into_iter().map(parsed).collect()
    }

    /// Parses the other members and reads them with `read`. A payload that nests too deep is
    /// reported together with their mistakes.
    pub(crate) fn read<T>(
        self,
        errors: Errors,
        payload: Option<&RawPayload>,
        read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
    ) -> Result<T, Refusal> {
        let members = self.into_members()?;
        if let Some(payload) = payload {
            payload.check_depth(&errors);
        }
        Ok(crate::body::read_members(members, errors, read)?)
    }
}

impl RawPayload {
    /// Returns an error if the payload is too large.
    pub(crate) fn new(bytes: Bytes) -> Result<Self, Refusal> {
        if bytes.len() > PAYLOAD_MAX_BYTES {
            return Err(Refusal::too_large(format!(
                "a payload has at most {PAYLOAD_MAX_BYTES} bytes"
            )));
        }
        Ok(Self { bytes })
    }

    /// Records an error if the payload nests too deep.
    pub(crate) fn check_depth(&self, errors: &Errors) {
        if depth(&self.bytes) > PAYLOAD_DEPTH_MAX {
            errors.add(
                "/payload",
                FieldCode::TooDeep,
                format!("must not nest deeper than {PAYLOAD_DEPTH_MAX} levels"),
            );
        }
    }
}

/// Returns how deep valid JSON nests.
pub(crate) fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

struct Slices<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Slices<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SlicesVisitor).map(Slices)
    }
}

struct SlicesVisitor;

impl<'de> Visitor<'de> for SlicesVisitor {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

/// Returns the items of a JSON list, each as its bytes; `None` if it is not a list.
pub(crate) fn items(json: &Bytes) -> Option<Vec<Bytes>> {
    let items: Vec<&RawValue> = serde_json::from_slice(json).ok()?;
    Some(
        items
            .into_iter()
            .map(|item| json.slice_ref(item.get().as_bytes()))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RefusalCode;

    fn parse(json: &'static str) -> Result<RawMembers, Malformed> {
        RawMembers::parse(&Bytes::from_static(json.as_bytes()))
    }

    #[test]
    fn payload_bytes_and_key_order_stay_as_sent() {
        let sent = r#"{ "z" : 1.50, "a":[ 1e3,"\u00e9" ],"a": null }"#;
        let body = format!("{{\"payload\" :  {sent} , \"event_type\": \"x\"}}");
        let mut members = RawMembers::parse(&Bytes::from(body)).unwrap();
        assert_eq!(
            members.take_payload().unwrap().unwrap().bytes,
            sent.as_bytes()
        );
        assert_eq!(members.take("event_type").unwrap(), "\"x\"");
        assert!(
            parse(r#"{"payload": null}"#)
                .unwrap()
                .take_payload()
                .unwrap()
                .is_some_and(|raw| raw.bytes == "null")
        );
    }

    #[test]
    fn duplicates_are_refused_outside_the_payload_alone() {
        assert!(parse(r#"{"a": 1, "a": 2}"#).is_err());
        assert!(parse(r#"{"payload": 1, "payload": 2}"#).is_err());
        let read = |json| {
            parse(json)
                .unwrap()
                .read(Errors::default(), None, |fields| fields.members("metadata"))
        };
        assert_eq!(
            read(r#"{"metadata": {"k": "1", "k": "2"}}"#)
                .unwrap_err()
                .code,
            RefusalCode::MalformedRequest
        );
    }

    #[test]
    fn a_body_that_is_not_an_object_is_malformed() {
        for bad in [
            "",
            " ",
            "[]",
            "1",
            "null",
            "{",
            "{\"payload\": }",
            "{\"payload\": 01}",
            "{} x",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        assert!(RawMembers::parse(&Bytes::from_static(b"{\"payload\": \"\xff\"}")).is_err());
    }

    #[test]
    fn a_payload_nests_128_levels_and_no_more() {
        let nested = |levels: usize| {
            Bytes::from(format!(
                "{}\"[[[\\\"[\"{}",
                "[".repeat(levels),
                "]".repeat(levels)
            ))
        };
        assert_eq!(
            (depth(&nested(128)), depth(&nested(129)), depth(b"7")),
            (128, 129, 0)
        );
        let payload = RawPayload { bytes: nested(129) };
        let refusal = RawMembers::default()
            .read(Errors::default(), Some(&payload), |_| Some(()))
            .unwrap_err();
        assert_eq!(
            (refusal.code, refusal.errors[0].code),
            (RefusalCode::ValidationFailed, FieldCode::TooDeep)
        );
    }

    #[test]
    fn the_limit_is_on_the_raw_bytes() {
        let body =
            |bytes: usize| Bytes::from(format!("{{\"payload\": \"{}\" }}", "x".repeat(bytes - 2)));
        assert!(
            RawMembers::parse(&body(PAYLOAD_MAX_BYTES))
                .unwrap()
                .take_payload()
                .is_ok()
        );
        assert_eq!(
            RawMembers::parse(&body(PAYLOAD_MAX_BYTES + 1))
                .unwrap()
                .take_payload()
                .unwrap_err()
                .status(),
            413
        );
    }
}
