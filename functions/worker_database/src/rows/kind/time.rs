//! Dates and times (ISO 8601, RFC 3339). Servers drop a zone or time of day that a column cannot
//! store, and round seconds; here that is an error.

use std::borrow::Cow;

use super::super::Cell;
use super::{ColumnKind, Dialect};

const DATE_LENGTH: usize = "2026-01-31".len();

/// A date, optionally with a time of day.
#[derive(Debug, PartialEq, Eq)]
struct Iso<'t> {
    date: &'t str,
    clock: Option<Clock<'t>>,
}

/// A time of day.
#[derive(Debug, PartialEq, Eq)]
struct Clock<'t> {
    /// The hours and minutes, with or without seconds: `08:30` or `08:30:00`.
    time: &'t str,
    /// The digits after the decimal point, without trailing zeros.
    fraction: &'t str,
    /// The offset: `Z`, `+02:00`, or nothing.
    offset: &'t str,
}

impl<'t> Iso<'t> {
    fn read(text: &'t str) -> Option<Self> {
        let date = text
            .get(..DATE_LENGTH)
            .filter(|date| has_shape(date, "dddd-dd-dd"))?;
        let rest = &text[DATE_LENGTH..];
        if rest.is_empty() {
            return Some(Self { date, clock: None });
        }
        let rest = rest.strip_prefix(['T', 't', ' '])?;
        Some(Self {
            date,
            clock: Some(Clock::read(rest)?),
        })
    }
}

impl<'t> Clock<'t> {
    fn read(text: &'t str) -> Option<Self> {
        let length = if text
            .get(..8)
            .is_some_and(|time| has_shape(time, "dd:dd:dd"))
        {
            8
        } else {
            5
        };
        let time = text
            .get(..length)
            .filter(|time| length == 8 || has_shape(time, "dd:dd"))?;
        let rest = &text[length..];
        let (fraction, rest) = match rest.strip_prefix('.') {
            Some(after) => {
                let end = after
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(after.len());
                (after[..end].trim_end_matches('0'), &after[end..])
            }
            None => ("", rest),
        };
        let offset = rest.trim_start();
        let is_offset = matches!(offset, "" | "Z" | "z")
            || (offset.starts_with(['+', '-'])
                && ["dd", "dddd", "dd:dd"]
                    .iter()
                    .any(|shape| has_shape(&offset[1..], shape)));
        is_offset.then_some(Self {
            time,
            fraction,
            offset,
        })
    }

    fn is_utc(&self) -> bool {
        matches!(self.offset, "Z" | "z")
            || (self.offset.len() > 1
                && self.offset[1..]
                    .bytes()
                    .all(|byte| matches!(byte, b'0' | b':')))
    }

    fn is_midnight(&self) -> bool {
        self.fraction.is_empty() && self.time.bytes().all(|byte| matches!(byte, b'0' | b':'))
    }

    /// Returns an error if there are more digits than are stored, or a leap second.
    fn fits(&self, digits: usize) -> Result<(), String> {
        if self.time.get(6..8) == Some("60") {
            return Err("does not accept leap seconds".to_owned());
        }
        within(self.fraction, digits)
    }
}

fn within(fraction: &str, digits: usize) -> Result<(), String> {
    match fraction.len() <= digits {
        true => Ok(()),
        false => Err(format!(
            "accepts {digits} decimal places of a second, but the value has {}",
            fraction.len()
        )),
    }
}

/// Whether a text has this shape: `d` stands for a digit, any other character for itself.
fn has_shape(text: &str, shape: &str) -> bool {
    let fits = |(byte, wanted): (u8, u8)| {
        if wanted == b'd' {
            byte.is_ascii_digit()
        } else {
            byte == wanted
        }
    };
    text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(fits)
}

/// Whether a text is a date and a time with seconds and without an offset, in the notation of the
/// dialect.
pub(super) fn is_plain(text: &str, dialect: Dialect) -> bool {
    let Some((date, rest)) = text.split_at_checked(DATE_LENGTH) else {
        return false;
    };
    let separators: &[char] = match dialect {
        Dialect::Postgres => &[' ', 'T'],
        Dialect::Mysql => &[' '],
    };
    let Some(time) = rest.strip_prefix(separators) else {
        return false;
    };
    has_shape(date, "dddd-dd-dd") && has_shape(time, "dd:dd:dd") && !time.ends_with("60")
}

fn text_of<'r>(cell: Cell<'r>, what: &str) -> Result<Cow<'r, str>, String> {
    match cell {
        Cell::Text(text) => Ok(text),
        _ => Err(format!("accepts {what} as a text")),
    }
}

/// Whether a text begins with a year of four digits or a date of eight, or is infinite. Of other
/// notations, PostgreSQL guesses the century or the order, or replaces them by the current time.
fn begins_with_year(text: &str) -> bool {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let is_infinite = text
        .trim_start_matches(['+', '-'])
        .eq_ignore_ascii_case("infinity");
    matches!(digits, 4 | 8) || is_infinite
}

/// Returns a date. A time of day may only be midnight, because it is not stored.
pub(super) fn date(cell: Cell<'_>, dialect: Dialect) -> Result<Cell<'_>, String> {
    let text = text_of(cell, "a date such as 2026-01-31")?;
    match Iso::read(text.trim()) {
        Some(Iso { clock: None, .. }) => Ok(Cell::Text(text)),
        Some(Iso {
            date,
            clock: Some(clock),
        }) if clock.is_midnight() => Ok(Cell::Text(date.to_owned().into())),
        Some(_) => Err("accepts dates, but the value has a time of day".to_owned()),
        None if has_shape(&text, "dddddddd") => Ok(Cell::Text(text)),
        None if dialect == Dialect::Postgres && !text.contains(':') && begins_with_year(&text) => {
            Ok(Cell::Text(text))
        }
        None => Err("accepts dates such as 2026-01-31".to_owned()),
    }
}

/// Returns a time of day.
pub(super) fn time_of_day(
    cell: Cell<'_>,
    digits: usize,
    has_zone: bool,
) -> Result<Cell<'_>, String> {
    let text = text_of(cell, "a time such as 08:30:00")?;
    let unsigned = text.trim().trim_start_matches('-');
    let Some(clock) = Clock::read(unsigned).or_else(|| hours(unsigned)) else {
        return Err("accepts times of day such as 08:30:00".to_owned());
    };
    if !has_zone && !clock.offset.is_empty() {
        return Err("accepts times of day without an offset".to_owned());
    }
    clock.fits(digits)?;
    Ok(Cell::Text(text))
}

/// Parses times with more than 24 hours or without seconds, because MySQL's times are also
/// durations.
fn hours(text: &str) -> Option<Clock<'_>> {
    let (hours, rest) = text.split_once(':')?;
    let is_number =
        !hours.is_empty() && hours.len() <= 3 && hours.bytes().all(|byte| byte.is_ascii_digit());
    let (time, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let is_clock = (has_shape(time, "dd:dd") || has_shape(time, "dd"))
        && fraction.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && is_clock).then(|| Clock {
        time: "",
        fraction: fraction.trim_end_matches('0'),
        offset: "",
    })
}

/// Returns a timestamp. If the column has no zone, a time with an offset is converted to UTC.
pub(super) fn timestamp(
    cell: Cell<'_>,
    digits: usize,
    has_zone: bool,
    dialect: Dialect,
) -> Result<Cell<'_>, String> {
    let text = text_of(cell, "a time such as 2026-01-31T08:30:00Z")?;
    let Some(Iso { date, clock }) = Iso::read(text.trim()) else {
        return other_timestamp(text, digits, has_zone, dialect);
    };
    let Some(clock) = clock else {
        return Ok(Cell::Text(text));
    };
    clock.fits(digits)?;
    let is_readable =
        dialect == Dialect::Postgres && (has_zone || clock.offset.is_empty() || clock.is_utc());
    if is_readable {
        return Ok(Cell::Text(text));
    }
    if clock.offset.is_empty() || clock.is_utc() {
        let point = if clock.fraction.is_empty() { "" } else { "." };
        return Ok(Cell::Text(
            format!("{date} {}{point}{}", clock.time, clock.fraction).into(),
        ));
    }
    in_utc(date, &clock)
        .map(|utc| Cell::Text(utc.into()))
        .ok_or_else(|| "accepts times such as 2026-01-31T08:30:00Z".to_owned())
}

/// Converts a time with an offset to UTC without an offset.
fn in_utc(date: &str, clock: &Clock<'_>) -> Option<String> {
    let seconds = if clock.time.len() == 5 { ":00" } else { "" };
    let offset = match clock.offset.len() {
        3 => format!("{}:00", clock.offset),
        5 => format!("{}:{}", &clock.offset[..3], &clock.offset[3..]),
        _ => clock.offset.to_owned(),
    };
    let instant: jiff::Timestamp = format!("{date}T{}{seconds}{offset}", clock.time)
        .parse()
        .ok()?;
    let point = if clock.fraction.is_empty() { "" } else { "." };
    Some(format!(
        "{}{point}{}",
        instant.strftime("%Y-%m-%d %H:%M:%S"),
        clock.fraction
    ))
}

/// Checks other notations. PostgreSQL accepts many that begin with the year, and loses nothing if the
/// column has a zone.
fn other_timestamp(
    text: Cow<'_, str>,
    digits: usize,
    has_zone: bool,
    dialect: Dialect,
) -> Result<Cell<'_>, String> {
    let is_exact = match dialect {
        Dialect::Mysql => has_shape(&text, "dddddddd"),
        Dialect::Postgres => begins_with_year(&text) && (has_zone || !text.contains(':')),
    };
    if !is_exact {
        return Err("accepts times such as 2026-01-31T08:30:00Z".to_owned());
    }
    within(longest_fraction(&text), digits)?;
    Ok(Cell::Text(text))
}

/// Returns an interval. PostgreSQL stores months, days and microseconds, so that a fraction of a
/// year or a month would become days.
pub(super) fn interval(cell: Cell<'_>, digits: usize) -> Result<Cell<'_>, String> {
    let text = text_of(cell, "a span of time such as 90 minutes")?;
    for (fraction, unit) in quantities(&text) {
        match places_of_second(unit, is_iso_date(&text, unit)) {
            Some(places) => within(fraction, digits.saturating_sub(places))?,
            None if fraction.is_empty() => {}
            None => return Err("accepts no fractions of years and months".to_owned()),
        }
    }
    Ok(Cell::Text(text))
}

/// Returns the fraction of each number without trailing zeros, and the letters after it.
fn quantities(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = &rest[rest.find(|c: char| c.is_ascii_digit())?..];
        let length = |text: &str, belongs: fn(char) -> bool| {
            text.find(|c| !belongs(c)).unwrap_or(text.len())
        };
        let number;
        (number, rest) = rest.split_at(length(rest, |c| c.is_ascii_digit() || c == '.'));
        let after = rest.trim_start();
        let unit = &after[..length(after, |c| c.is_alphabetic())];
        let fraction = number.split_once('.').map_or("", |(_, fraction)| fraction);
        Some((fraction.trim_end_matches('0'), unit))
    })
}

/// Whether `unit`, a part of `text`, is in the date part of an ISO 8601 duration, where `M` is
/// months.
fn is_iso_date(text: &str, unit: &str) -> bool {
    let position = unit.as_ptr().addr() - text.as_ptr().addr();
    let before = text[..position].to_ascii_uppercase();
    before.trim_start().trim_start_matches('-').starts_with('P') && !before.contains('T')
}

/// Returns by how many decimal places a unit is smaller than a second, at least 0. Returns `None`
/// for units that have no fixed length.
fn places_of_second(unit: &str, is_iso_date: bool) -> Option<usize> {
    let unit = unit.to_ascii_lowercase();
    let begins = |words: &[&str]| words.iter().any(|word| unit.starts_with(word));
    match &*unit {
        "m" if is_iso_date => None,
        "c" | "mil" | "mils" => None,
        _ if begins(&["y", "mon", "cent", "dec", "millen"]) => None,
        "us" => Some(6),
        _ if begins(&["usec", "microsec"]) => Some(6),
        "ms" => Some(3),
        _ if begins(&["msec", "millisec"]) => Some(3),
        _ => Some(0),
    }
}

/// Returns a range of dates or times, each in a notation that the column of a single one keeps.
pub(super) fn range<'r>(cell: Cell<'r>, kind: &ColumnKind) -> Result<Cell<'r>, String> {
    let text = text_of(cell, "a range such as [2026-01-31,2026-02-28)")?;
    let bounds = text.split(['[', ']', '(', ')', '{', '}', ',', '"']);
    for bound in bounds.map(str::trim).filter(|bound| !bound.is_empty()) {
        let cell = Cell::Text(bound.into());
        let is_empty_range = bound.eq_ignore_ascii_case("empty");
        if !is_empty_range && kind.fit(cell.clone(), false)? != cell {
            return Err(format!("would change {bound}"));
        }
    }
    Ok(Cell::Text(text))
}

/// Returns the longest run of digits after a point, without trailing zeros.
fn longest_fraction(text: &str) -> &str {
    let digits = |after: &'_ str| {
        after
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(after.len())
    };
    let fractions = text
        .split('.')
        .skip(1)
        .map(|after| after[..digits(after)].trim_end_matches('0'));
    fractions
        .max_by_key(|fraction| fraction.len())
        .unwrap_or_default()
}

/// Returns a year of four digits. For two digits, the server would guess the century.
pub(super) fn year(cell: Cell<'_>) -> Result<Cell<'_>, String> {
    match &cell {
        Cell::Text(text) | Cell::Number(text) if has_shape(text.trim(), "dddd") => Ok(cell),
        _ => Err("accepts years of four digits".to_owned()),
    }
}
