//! The filters that Waybill adds to MiniJinja's own, and replacements for those that do more work
//! than they are charged for.

use std::borrow::Cow;
use std::sync::Arc;

use data_url::mime::Mime;
use jiff::{Timestamp, fmt::strtime, tz::TimeZone};
use minijinja::value::StringInput;
use minijinja::{Environment, Error, ErrorKind, State, Value, filters};

use crate::json_text::{JsonLayout, laid_out};
use crate::json_value;
use crate::meter::Meter;
use crate::values::Number;

/// The longest text that counts as a filename extension.
const EXTENSION_MAX: usize = 10;

/// The filename extensions of content types.
const EXTENSIONS: &[(&str, &str)] = &[
    ("application/json", ".json"),
    ("application/x-ndjson", ".ndjson"),
    ("application/jsonl", ".jsonl"),
    ("text/csv", ".csv"),
    ("text/tab-separated-values", ".tsv"),
    ("text/plain", ".txt"),
    ("text/html", ".html"),
    ("text/markdown", ".md"),
    ("text/calendar", ".ics"),
    ("application/xml", ".xml"),
    ("text/xml", ".xml"),
    ("application/yaml", ".yaml"),
    ("application/pdf", ".pdf"),
    ("application/zip", ".zip"),
    ("application/gzip", ".gz"),
    ("application/zstd", ".zst"),
    ("application/x-tar", ".tar"),
    ("application/vnd.apache.parquet", ".parquet"),
    ("application/vnd.ms-excel", ".xls"),
    (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ".xlsx",
    ),
    ("application/msword", ".doc"),
    (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ".docx",
    ),
    (
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        ".pptx",
    ),
    ("image/png", ".png"),
    ("image/jpeg", ".jpg"),
    ("image/gif", ".gif"),
    ("image/svg+xml", ".svg"),
    ("image/webp", ".webp"),
];

/// The cost of a byte of JSON when it is formatted.
const LAYOUT_BYTE_COST: u64 = 40;
/// The widest indentation of `tojson`.
const INDENT_MAX: usize = 16;

/// Adds the filters to an environment. `json_bytes_max` limits the output of `json` and `tojson`.
pub(crate) fn add(environment: &mut Environment<'_>, meter: &Arc<Meter>, json_bytes_max: usize) {
    environment.add_filter("date", date);
    environment.add_filter("slug", slug);
    environment.add_filter("ext", ext);
    let paid = meter.clone();
    environment.add_filter("json", move |value: &Value| {
        json(&paid, value, JsonLayout::Compact, json_bytes_max)
    });
    let paid = meter.clone();
    environment.add_filter(
        "tojson",
        move |value: &Value, indent: Option<Value>, options: minijinja::value::Kwargs| {
            let indent = match indent {
                Some(indent) => Some(indent),
                None => options.get::<Option<Value>>("indent")?,
            };
            options.assert_all_used()?;
            tojson(&paid, value, indent.as_ref(), json_bytes_max)
        },
    );
    let paid = meter.clone();
    environment.add_filter(
        "trim",
        move |value: StringInput<'_>, characters: Option<Cow<'_, str>>| {
            let each = characters
                .as_ref()
                .map_or(1, |characters| characters.len() as u64);
            paid.pay((value.as_str().len() as u64).saturating_mul(each))?;
            Ok::<_, Error>(filters::trim(value, characters))
        },
    );
}

/// Formats a time (RFC 3339, or seconds since the epoch) with `strftime` in UTC.
fn date(value: &Value, format: &str) -> Result<String, Error> {
    let read = |text: &str| text.parse::<Timestamp>().ok();
    let time = match value.as_str() {
        Some(text) => read(text),
        None => value
            .as_i64()
            .and_then(|seconds| Timestamp::from_second(seconds).ok()),
    };
    let time = time.ok_or_else(|| refused("date takes a time such as 2026-11-23T09:30:00Z"))?;
    strtime::format(format, &time.to_zoned_datetime(TimeZone::UTC))
        .map_err(|_| refused("date does not support this format"))
}

/// Returns letters and digits in lower case, with everything else replaced by single hyphens.
fn slug(value: &Value) -> Result<String, Error> {
    let text = plain_text(value, "slug")?;
    let words = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    Ok(words.map(str::to_lowercase).collect::<Vec<_>>().join("-"))
}

/// Returns JSON. Unlike MiniJinja's `tojson`, it does not escape characters for HTML.
fn json(
    meter: &Meter,
    value: &Value,
    layout: JsonLayout,
    bytes_max: usize,
) -> Result<String, Error> {
    let text = json_value::text(meter, value, bytes_max)?;
    meter.pay(text.len() as u64 * LAYOUT_BYTE_COST)?;
    laid_out(&text, layout, bytes_max)
        .ok_or_else(|| Error::new(ErrorKind::OutOfFuel, "the JSON is too large"))
}

/// Returns JSON that can be embedded in HTML: `<`, `>`, `&` and `'` are escaped, which occur only
/// in strings.
fn tojson(
    meter: &Meter,
    value: &Value,
    indent: Option<&Value>,
    bytes_max: usize,
) -> Result<Value, Error> {
    let width = match indent {
        None => None,
        Some(indent) => match bool::try_from(indent.clone()) {
            Ok(is_indented) => is_indented.then_some(2),
            Err(_) => Some(
                indent
                    .as_usize()
                    .filter(|width| *width <= INDENT_MAX)
                    .ok_or_else(|| {
                        refused(format!("tojson indents by at most {INDENT_MAX} spaces"))
                    })?,
            ),
        },
    };
    let text = json(
        meter,
        value,
        width.map_or(JsonLayout::Spaced, JsonLayout::Indented),
        bytes_max,
    )?;
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\'' => escaped.push_str("\\u0027"),
            _ => escaped.push(character),
        }
    }
    Ok(Value::from_safe_string(escaped))
}

/// Returns the extension of a filename with its dot, or else that of the content type, or else
/// nothing.
fn ext(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    let name = plain_text(value, "ext")?;
    let own = name
        .rsplit(['/', '\\'])
        .next()
        .and_then(|name| name.rsplit_once('.'));
    if let Some((stem, extension)) = own
        && !stem.is_empty()
        && (1..=EXTENSION_MAX).contains(&extension.len())
        && extension.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        return Ok(format!(".{extension}"));
    }
    let content_type = state.lookup("content_type");
    let content_type: Option<Mime> = content_type
        .as_ref()
        .and_then(Value::as_str)
        .and_then(|content_type| content_type.parse().ok());
    let extension = content_type.and_then(|Mime { type_, subtype, .. }| {
        let essence = format!("{type_}/{subtype}");
        EXTENSIONS.iter().find(|(known, _)| *known == essence)
    });
    Ok(extension.map_or("", |(_, extension)| extension).to_owned())
}

/// Returns text, a number, or nothing. Lists are not accepted, because their text may be much
/// longer than they are in memory.
fn plain_text(value: &Value, filter: &str) -> Result<String, Error> {
    match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None if value.is_none() => Ok(String::new()),
        None if value.is_number() || value.downcast_object_ref::<Number>().is_some() => {
            Ok(value.to_string())
        }
        None => Err(refused(format!("{filter} takes text"))),
    }
}

fn refused(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail)
}
