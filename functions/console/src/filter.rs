//! The filters of a list. They are query parameters of the page's address, so that the address of a
//! filtered list can be shared.

use std::time::Duration;

use domain::Timestamp;
use url::form_urlencoded;

use crate::show;
use crate::visitor::Visitor;

/// The time ranges to choose from: the parameter value, the label and the length in seconds.
pub(crate) const SPANS: &[(&str, &str, u64)] = &[
    ("1h", "Last hour", 3_600),
    ("24h", "Last 24 hours", 86_400),
    ("7d", "Last 7 days", 604_800),
    ("30d", "Last 30 days", 2_592_000),
];

/// The parameter with the time of the first page of a list, to which `last` is relative.
const AS_OF: &str = "as_of";

/// The query parameters of an address, without `organization_id` and without empty ones, which
/// forms send.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    parameters: Vec<(String, String)>,
}

impl Filter {
    /// Parses a query string.
    pub(crate) fn of(query: Option<&str>) -> Self {
        let all = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned();
        Self {
            parameters: all
                .filter(|(name, value)| !value.trim().is_empty() && name != "organization_id")
                .collect(),
        }
    }

    /// Returns the first value of a parameter, or an empty string if it is absent.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.parameters
            .iter()
            .find(|(own, _)| own == name)
            .map_or("", |(_, value)| value)
    }

    /// Returns every value of a parameter.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.parameters
            .iter()
            .filter(|(own, _)| own == name)
            .map(|(_, value)| &**value)
            .collect()
    }

    /// Whether `value` is one of the parameter's values.
    pub(crate) fn has(&self, name: &str, value: &str) -> bool {
        self.parameters
            .iter()
            .any(|(own, is)| own == name && is == value)
    }

    /// Whether there is any parameter other than the position in the list and `live`.
    pub(crate) fn narrows(&self) -> bool {
        self.parameters
            .iter()
            .any(|(name, _)| !is_position(name) && name != "live")
    }

    /// Returns the parameters in `known`, with their times in RFC 3339. Replaces `last` with
    /// `since`, relative to the first page of the list.
    pub(crate) fn for_operation(&self, known: &[&str], now: Timestamp) -> Vec<(String, String)> {
        let now = Timestamp::parse(self.get(AS_OF)).unwrap_or(now);
        let mut all: Vec<(String, String)> = Vec::new();
        for (name, value) in &self.parameters {
            match &**name {
                "last" if !known.contains(&"last") => {
                    if let Some((_, _, seconds)) = SPANS.iter().find(|(word, _, _)| word == value) {
                        let span = i64::try_from(Duration::from_secs(*seconds).as_millis())
                            .unwrap_or(i64::MAX);
                        let since = now.as_millis().saturating_sub(span);
                        all.push((
                            "since".to_owned(),
                            Timestamp::from_millis(since).to_string(),
                        ));
                    }
                }
                "since" | "until" if known.contains(&&**name) => {
                    // A time replaces the one that `last` set.
                    all.retain(|(own, _)| own != name);
                    all.push((name.clone(), instant(value)));
                }
                other if known.contains(&other) => {
                    all.push((name.clone(), value.trim().to_owned()))
                }
                _ => {}
            }
        }
        all
    }

    /// Returns the address of the same page with the parameter set, or without it if the value is
    /// empty. The list starts at its first page.
    pub(crate) fn with(&self, visitor: &Visitor, name: &str, value: &str) -> String {
        let unchanged = self
            .parameters
            .iter()
            .filter(|(own, _)| own != name && !is_position(own))
            .map(|(own, is)| (&**own, &**is));
        let added = Some((name, value)).filter(|_| !value.is_empty());
        let all: Vec<(&str, &str)> = unchanged.chain(added).collect();
        visitor.href(&address(&visitor.path, &all))
    }

    /// Returns the address of the next page of the list.
    pub(crate) fn next(&self, visitor: &Visitor, cursor: &str) -> String {
        visitor.href(&address(
            &visitor.path,
            &pairs(&self.continued(cursor, visitor.now)),
        ))
    }

    /// Returns the parameters of the list's next page. A cursor belongs to one filter, so that
    /// `last` must result in the same `since` on every page.
    fn continued(&self, cursor: &str, now: Timestamp) -> Vec<(String, String)> {
        let mut all = self.parameters.clone();
        all.retain(|(name, _)| name != "cursor");
        if !self.get("last").is_empty() && self.get(AS_OF).is_empty() {
            all.push((AS_OF.to_owned(), now.to_string()));
        }
        all.push(("cursor".to_owned(), cursor.to_owned()));
        all
    }

    /// Returns the address of another page with these parameters, without the position in the list
    /// and `live`.
    pub(crate) fn at(&self, visitor: &Visitor, path: &str) -> String {
        let all: Vec<(&str, &str)> = self
            .parameters
            .iter()
            .filter(|(name, _)| !is_position(name) && name != "live")
            .map(|(name, value)| (&**name, &**value))
            .collect();
        visitor.href(&address(path, &all))
    }
}

/// Whether a parameter determines the page of the list that is shown.
fn is_position(name: &str) -> bool {
    matches!(name, "cursor" | AS_OF)
}

fn address(path: &str, parameters: &[(&str, &str)]) -> String {
    if parameters.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", show::query(parameters))
    }
}

/// Completes a time of a form field, which is a date or a time in UTC, to RFC 3339. Returns any
/// other text unchanged.
pub(crate) fn instant(text: &str) -> String {
    match text.len() {
        16 if text.contains('T') => format!("{text}:00Z"),
        19 if text.contains('T') => format!("{text}Z"),
        10 => format!("{text}T00:00:00Z"),
        _ => text.to_owned(),
    }
}

/// Borrows the pairs, as [`Visitor::query`] takes them.
pub(crate) fn pairs(all: &[(String, String)]) -> Vec<(&str, &str)> {
    all.iter()
        .map(|(name, value)| (&**name, &**value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forms_parameters_become_an_operations() {
        let now = Timestamp::from_millis(1_764_000_000_000);
        let filter = Filter::of(Some(
            "status=failed&status=retrying&reference=&last=1h&until=2026-01-02T03%3A04&colour=red&live=true",
        ));
        let found = filter.for_operation(&["status", "reference", "since", "until"], now);
        let expected = [
            ("status", "failed"),
            ("status", "retrying"),
            ("since", "2025-11-24T15:00:00.000Z"),
            ("until", "2026-01-02T03:04:00Z"),
        ];
        assert_eq!(
            found,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert!(filter.has("status", "retrying") && filter.narrows());
    }

    #[test]
    fn every_page_of_a_list_has_the_range_of_the_first() {
        let first = Timestamp::from_millis(1_764_000_000_000);
        let later = Timestamp::from_millis(1_764_000_007_000);
        let since = |filter: &Filter, now| {
            let all = filter.for_operation(&["since"], now);
            all.first().map(|(_, value)| value.clone())
        };
        let filter = Filter::of(Some("last=24h"));
        let mut page = filter.clone();
        for cursor in ["a", "b"] {
            page = Filter::of(Some(&show::query(&pairs(&page.continued(cursor, later)))));
            assert_eq!(page.all("cursor"), [cursor]);
        }
        assert_eq!(since(&page, first), since(&filter, later));
        let mut second = filter.continued("a", first);
        second.retain(|(name, _)| name != "cursor");
        let second = Filter { parameters: second };
        assert_eq!(since(&second, later), since(&filter, first));
        let plain = Filter::of(Some("status=failed")).continued("a", first);
        assert_eq!(pairs(&plain), [("status", "failed"), ("cursor", "a")]);
    }
}
