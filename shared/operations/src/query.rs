//! Query parameters. They are read as strictly as bodies: a parameter that is unknown, repeated or
//! invalid is reported with its name.

use std::fmt;
use std::ops::RangeInclusive;

use domain::Timestamp;
use domain::input::{Errors, FieldCode, FieldError};

/// The query parameters of a request that have not been taken yet.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Parses the query of a URL.
    #[must_use]
    pub fn parse(raw: Option<&str>) -> Self {
        Self(
            url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes())
                .into_owned()
                .collect(),
        )
    }

    /// Creates the parameters of a call within this process.
    #[must_use]
    pub fn of<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self(parameters.into_iter().map(owned).collect())
    }

    /// Whether a parameter is given and has not been taken yet.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// Takes every value of a parameter.
    pub fn take_all(&mut self, name: &str) -> Vec<String> {
        let (taken, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(key, _)| key == name);
        self.0 = rest;
        taken.into_iter().map(|(_, value)| value).collect()
    }

    /// Takes a parameter that may be given once. If it is given more often, an error is recorded.
    pub fn take(&mut self, name: &str, errors: &Errors) -> Option<String> {
        let mut values = self.take_all(name);
        if values.len() > 1 {
            refuse(errors, name, FieldCode::Conflict, "must be given once");
            return None;
        }
        values.pop()
    }

    /// Takes a parameter and parses it. If that fails, an error is recorded.
    pub fn parsed<T, E: fmt::Display>(
        &mut self,
        name: &str,
        errors: &Errors,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.take(name, errors)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                refuse(errors, name, FieldCode::InvalidFormat, &error.to_string());
                None
            }
        }
    }

    /// Takes a parameter that is a point in time.
    pub fn time(&mut self, name: &str, errors: &Errors) -> Option<Timestamp> {
        self.parsed(name, errors, Timestamp::parse)
    }

    /// Takes a parameter whose value is one of these words.
    pub fn choice<T: Copy>(
        &mut self,
        name: &str,
        errors: &Errors,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let text = self.take(name, errors)?;
        choice(name, &text, errors, choices)
    }

    /// Takes a parameter that may be given several times, each time with one of these words.
    pub fn choices<T: Copy>(
        &mut self,
        name: &str,
        errors: &Errors,
        choices: &[(&str, T)],
    ) -> Vec<T> {
        self.take_all(name)
            .iter()
            .filter_map(|text| choice(name, text, errors, choices))
            .collect()
    }

    /// Takes a parameter whose value is `true` or `false`. Returns false if it is not given.
    pub fn flag(&mut self, name: &str, errors: &Errors) -> bool {
        self.choice(name, errors, &[("true", true), ("false", false)])
            .unwrap_or(false)
    }

    /// Takes a parameter that is an integer within a range.
    pub fn integer(
        &mut self,
        name: &str,
        errors: &Errors,
        range: RangeInclusive<u32>,
    ) -> Option<u32> {
        let text = self.take(name, errors)?;
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let value = text
            .parse()
            .ok()
            .filter(|number| plain && range.contains(number));
        if value.is_none() {
            refuse(
                errors,
                name,
                FieldCode::OutOfRange,
                &format!(
                    "must be an integer from {} to {}",
                    range.start(),
                    range.end()
                ),
            );
        }
        value
    }

    /// Records an error for each parameter that has not been taken.
    pub fn finish(self, errors: &Errors) {
        let mut seen = std::collections::BTreeSet::new();
        for (name, _) in self.0 {
            if seen.insert(name.clone()) {
                refuse(
                    errors,
                    &name,
                    FieldCode::UnknownField,
                    "is not a known parameter",
                );
            }
        }
    }
}

fn refuse(errors: &Errors, name: &str, code: FieldCode, detail: &str) {
    errors.extend([FieldError::in_query(name, code, detail)]);
}

fn choice<T: Copy>(name: &str, text: &str, errors: &Errors, choices: &[(&str, T)]) -> Option<T> {
    let found = choices
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, value)| *value);
    if found.is_none() {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        refuse(
            errors,
            name,
            FieldCode::InvalidValue,
            &format!("must be one of {}", words.join(", ")),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_invalid_parameter_is_reported() {
        let errors = Errors::default();
        let mut query = Query::parse(Some(
            "limit=0&since=2026-01-01&colour=red&cursor=a&cursor=b&skip_check=yes",
        ));
        query.integer("limit", &errors, 1..=100);
        query.time("since", &errors);
        query.take("cursor", &errors);
        query.flag("skip_check", &errors);
        query.finish(&errors);
        let found: Vec<_> = errors
            .into_result(())
            .unwrap_err()
            .into_iter()
            .map(|e| (e.parameter.unwrap(), e.code))
            .collect();
        let expected = [
            ("limit", FieldCode::OutOfRange),
            ("since", FieldCode::InvalidFormat),
            ("cursor", FieldCode::Conflict),
            ("skip_check", FieldCode::InvalidValue),
            ("colour", FieldCode::UnknownField),
        ];
        assert_eq!(found, expected.map(|(name, code)| (name.to_owned(), code)));
    }

    #[test]
    fn values_are_percent_decoded() {
        let errors = Errors::default();
        let mut query = Query::parse(Some(
            "since=2026-11-23T10%3A00%3A00%2B01%3A00&status=failed&status=queued",
        ));
        assert!(query.time("since", &errors).is_some());
        assert_eq!(
            query.choices("status", &errors, &[("failed", 1), ("queued", 2)]),
            [1, 2]
        );
        query.finish(&errors);
        assert!(errors.is_empty());
    }
}
