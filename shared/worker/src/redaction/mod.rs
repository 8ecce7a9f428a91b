//! Redaction: searches everything that a destination returns for the secrets that were opened for
//! it.
//!
//! A [`Redactor`] holds the [`needles`] of the secrets that the vault opened for one attempt or
//! check, and looks for them in every [layer](layers) of every text that the connector returns: the
//! records of request and response, the tracking data, the detail, and the steps of a check. It
//! runs once in the worker, before anything is stored, answered or logged, so connectors do not
//! redact. Texts are cut afterwards, so that a cut never leaves a part of a secret.
//!
//! Secrets of fewer than four characters are not redacted, and those of fewer than eight only as
//! whole words. Otherwise the history would be unreadable, and such secrets protect nothing.

mod layers;
mod needles;

use domain::attempt::{
    BODY_KEPT_MAX_BYTES, DETAIL_MAX_BYTES, HEADER_KEPT_MAX_BYTES, HEADERS_KEPT_MAX, RequestRecord,
    ResponseRecord, bounded,
};
use domain::check::CheckReport;
use domain::settle::Outcome;
use secrecy::ExposeSecret as _;
use vault::Confidential;

use self::layers::{Layer, layers};
use self::needles::{Needle, fold, needles};
use crate::Attempted;

/// The text that replaces a secret.
const REDACTED: &str = "[redacted]";
/// The text that replaces a text that cannot be searched.
const UNSEARCHABLE: &str = "[redacted: the text has too many encodings inside one another]";
/// How many of a secret's first characters count as the secret at the end of a text that was cut.
const BEGINNING_MIN: usize = 6;
/// The length from which a text may have been cut by a connector.
const CUT_BYTES_MIN: usize = 256;
/// How many bytes at the end of a text may be the rest of an escape that was cut.
const CUT_ESCAPE_MAX: usize = 6;

/// Removes secrets from texts.
#[derive(Debug)]
pub struct Redactor {
    needles: Vec<Needle>,
}

/// Returns `text` without the secrets that were opened for the current attempt or check, in any
/// form that a server may return them in. Use it for texts that a connector stores or logs before
/// it returns.
#[must_use]
pub fn redacted(text: &str) -> String {
    Redactor::of(&Confidential::current()).text(text)
}

impl Redactor {
    /// Creates a redactor for the secrets that were opened during an attempt or a check.
    #[must_use]
    pub fn of(confidential: &Confidential) -> Self {
        let secrets = confidential.secrets();
        Self {
            needles: needles(secrets.iter().map(|secret| secret.expose_secret())),
        }
    }

    /// Returns the text with every secret replaced.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        if self.needles.is_empty() || text.is_empty() {
            return text.to_owned();
        }
        let bytes_min = self.bytes_min(text.len());
        if text.len() < bytes_min {
            return text.to_owned();
        }
        let Ok(layers) = layers(text, bytes_min) else {
            return UNSEARCHABLE.to_owned();
        };
        let mut found: Vec<(usize, usize)> = layers
            .iter()
            .flat_map(|layer| self.found_in(layer, text.len()))
            .collect();
        found.sort_unstable();
        let (mut redacted, mut kept_from) = (String::with_capacity(text.len()), 0);
        let mut found = found.into_iter().peekable();
        while let Some((start, mut end)) = found.next() {
            while let Some((_, next_end)) = found.next_if(|(next, _)| *next <= end) {
                end = end.max(next_end);
            }
            redacted.push_str(&text[kept_from..text.floor_char_boundary(start)]);
            redacted.push_str(REDACTED);
            kept_from = text.ceil_char_boundary(end);
        }
        redacted.push_str(&text[kept_from..]);
        redacted
    }

    /// Returns the length below which a decoding of a text of `source_length` bytes can contain
    /// neither a secret nor, if the text may have been cut, the beginning of one.
    fn bytes_min(&self, source_length: usize) -> usize {
        let shortest = self
            .needles
            .iter()
            .map(|needle| needle.bytes().len())
            .min()
            .unwrap_or(usize::MAX);
        if source_length >= CUT_BYTES_MIN {
            BEGINNING_MIN.min(shortest)
        } else {
            shortest
        }
    }

    /// Returns the ranges of the source in which a layer contains secrets.
    fn found_in(&self, layer: &Layer, source_length: usize) -> Vec<(usize, usize)> {
        let folded: Vec<u8> = layer.bytes.iter().copied().map(fold).collect();
        let mut found = Vec::new();
        for needle in &self.needles {
            for start in needle.occurrences(&folded) {
                let end = start + needle.bytes().len();
                if !needle.is_word || is_word(&folded, start, end) {
                    found.push(layer.source(start, end));
                }
            }
            if source_length >= CUT_BYTES_MIN
                && let Some((start, end)) = beginning_at_end(&folded, needle.bytes())
            {
                let (start, end) = layer.source(start, end);
                if source_length - end <= CUT_ESCAPE_MAX {
                    found.push((start, source_length));
                }
            }
        }
        found
    }

    /// Redacts the result of an attempt and cuts it to the sizes that are kept.
    #[must_use]
    pub fn attempted(&self, mut attempted: Attempted) -> Attempted {
        if let Outcome::Delivered(receipt) = &mut attempted.outcome {
            receipt
                .texts_mut()
                .into_iter()
                .for_each(|text| *text = self.text(text));
        }
        Attempted {
            detail: self.kept(&attempted.detail, DETAIL_MAX_BYTES),
            request: attempted.request.map(|request| self.request(request)),
            response: attempted.response.map(|response| self.response(response)),
            // The body stays unchanged, because its hash is recorded. Connectors leave out keys
            // that are part of it.
            body: attempted.body,
            outcome: attempted.outcome,
        }
    }

    /// Redacts the steps of a check.
    #[must_use]
    pub fn report(&self, mut report: CheckReport) -> CheckReport {
        for step in &mut report.steps {
            step.detail = self.text(&step.detail);
        }
        report
    }

    fn request(&self, request: RequestRecord) -> RequestRecord {
        let headers = request
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), self.kept(value, HEADER_KEPT_MAX_BYTES)));
        RequestRecord {
            url: self.text(&request.url),
            headers: headers.collect(),
            ..request
        }
    }

    fn response(&self, response: ResponseRecord) -> ResponseRecord {
        let headers = response.headers.iter().take(HEADERS_KEPT_MAX);
        let headers =
            headers.map(|(name, value)| (self.text(name), self.kept(value, HEADER_KEPT_MAX_BYTES)));
        let body = self.text(&response.body);
        let kept = bounded(&body, BODY_KEPT_MAX_BYTES);
        ResponseRecord {
            status: response.status,
            headers: headers.collect(),
            truncated: response.truncated || kept.len() < body.len(),
            body: kept.to_owned(),
        }
    }

    /// Redacts a text and then cuts it to at most `max` bytes.
    fn kept(&self, text: &str, max: usize) -> String {
        bounded(&self.text(text), max).to_owned()
    }
}

/// Returns whether no letter or digit is next to `text[start..end]`.
fn is_word(text: &[u8], start: usize, end: usize) -> bool {
    let is_outside = |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_alphanumeric());
    is_outside(start.checked_sub(1).and_then(|before| text.get(before)))
        && is_outside(text.get(end))
}

/// Returns the beginning of `needle` at the end of a text that was cut. A partial escape may follow
/// it.
fn beginning_at_end(text: &[u8], needle: &[u8]) -> Option<(usize, usize)> {
    let longest = needle.len().saturating_sub(1);
    (0..=CUT_ESCAPE_MAX.min(text.len())).find_map(|rest| {
        let text = &text[..text.len() - rest];
        let length = (BEGINNING_MIN..=longest.min(text.len()))
            .rev()
            .find(|length| text.ends_with(&needle[..*length]))?;
        Some((text.len() - length, text.len()))
    })
}

#[cfg(test)]
mod tests;
