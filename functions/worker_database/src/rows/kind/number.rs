//! Numbers as decimal digits, so that no digit is lost in a conversion to floating point.

use std::borrow::Cow;

use super::super::Cell;

/// 32-bit floating point, which keeps any 6 digits.
pub(super) const FLOAT32: Precision = Precision {
    digits_safe: 6,
    shortest: |text| {
        text.parse::<f32>()
            .ok()
            .map(|n| (n.is_finite(), format!("{n:e}")))
    },
};
/// 64-bit floating point, which keeps any 15 digits.
pub(super) const FLOAT64: Precision = Precision {
    digits_safe: 15,
    shortest: |text| {
        text.parse::<f64>()
            .ok()
            .map(|n| (n.is_finite(), format!("{n:e}")))
    },
};

/// The longest integer that is converted from another notation. No integer column has as many
/// digits.
const DIGITS_MAX: i64 = 40;

/// The precision of a floating-point format.
#[derive(Clone, Copy)]
pub(super) struct Precision {
    digits_safe: usize,
    /// Returns whether the number is finite, and the shortest text that reads back as the same
    /// number.
    shortest: fn(&str) -> Option<(bool, String)>,
}

/// A number as its digits, without leading and trailing zeros, and the power of ten of the last
/// digit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    is_negative: bool,
    /// The digits; empty for zero.
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// Parses a number such as `-12.50e3`. Returns `None` for any other text.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (is_negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, power) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, power)) => (mantissa, power.parse::<i32>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.len() + fraction.len() == 0
            || !whole
                .bytes()
                .chain(fraction.bytes())
                .all(|byte| byte.is_ascii_digit())
        {
            return None;
        }
        let all = format!("{whole}{fraction}");
        let significant = all.trim_end_matches('0');
        let zeros = i64::try_from(all.len() - significant.len()).ok()?;
        let exponent = i64::from(power) - i64::try_from(fraction.len()).ok()? + zeros;
        let digits = significant.trim_start_matches('0').to_owned();
        let exponent = if digits.is_empty() { 0 } else { exponent };
        Some(Self {
            is_negative: is_negative && !digits.is_empty(),
            digits,
            exponent,
        })
    }

    /// Returns the number of decimal places. A negative value is the number of trailing zeros.
    fn scale(&self) -> i64 {
        if self.digits.is_empty() {
            i64::MIN
        } else {
            -self.exponent
        }
    }

    /// Returns the number of digits before and after the decimal point.
    pub(crate) fn extent(&self) -> (i64, i64) {
        let length = i64::try_from(self.digits.len()).unwrap_or(i64::MAX);
        ((length + self.exponent).max(0), (-self.exponent).max(0))
    }

    fn to_integer(&self) -> Option<String> {
        let length = i64::try_from(self.digits.len()).ok()? + self.exponent;
        if self.exponent < 0 || length > DIGITS_MAX {
            return None;
        }
        let sign = if self.is_negative { "-" } else { "" };
        let zeros = "0".repeat(usize::try_from(self.exponent).ok()?);
        Some(if self.digits.is_empty() {
            "0".to_owned()
        } else {
            format!("{sign}{}{zeros}", self.digits)
        })
    }
}

/// Whether a text consists of digits, with an optional minus sign.
pub(super) fn is_plain_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the decimal places of a number without an exponent, including trailing zeros.
pub(super) fn plain_scale(text: &str) -> Option<i64> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let mut point = None;
    for (position, byte) in unsigned.bytes().enumerate() {
        match byte {
            b'0'..=b'9' => {}
            b'.' if point.is_none() && position > 0 => point = Some(position),
            _ => return None,
        }
    }
    match point {
        _ if unsigned.is_empty() => None,
        Some(point) => i64::try_from(unsigned.len() - point - 1).ok(),
        None => Some(0),
    }
}

/// Returns the text of a number, or of a text that may be one.
fn digits_of(cell: Cell<'_>) -> Result<Cow<'_, str>, String> {
    match cell {
        Cell::Number(digits) => Ok(digits),
        Cell::Text(Cow::Borrowed(text)) => Ok(Cow::Borrowed(text.trim())),
        Cell::Text(Cow::Owned(text)) => Ok(Cow::Owned(text.trim().to_owned())),
        Cell::Bool(value) => Err(format!("accepts numbers, not {value}")),
        Cell::Json(_) | Cell::Null | Cell::Absent => {
            Err("accepts numbers, not an object or array".to_owned())
        }
    }
}

/// Returns an integer from any notation: `3.0` and `3e2` are integers, `1.5` is not.
pub(super) fn integer(cell: Cell<'_>, takes_words: bool) -> Result<Cell<'_>, String> {
    let text = match cell {
        // The server decides whether the column accepts booleans.
        Cell::Bool(_) => return Ok(cell),
        Cell::Text(text) if takes_words && text.eq_ignore_ascii_case("true") => {
            return Ok(Cell::Bool(true));
        }
        Cell::Text(text) if takes_words && text.eq_ignore_ascii_case("false") => {
            return Ok(Cell::Bool(false));
        }
        cell => digits_of(cell)?,
    };
    if is_plain_integer(&text) {
        return Ok(Cell::Number(text));
    }
    match Decimal::read(&text) {
        Some(number) if number.scale() <= 0 => match number.to_integer() {
            Some(digits) => Ok(Cell::Number(digits.into())),
            None => Err(format!(
                "accepts whole numbers of at most {DIGITS_MAX} digits"
            )),
        },
        Some(_) => Err(format!("accepts whole numbers, not {text}")),
        // The text is not a number. The server decides whether it accepts the text.
        None => Ok(Cell::Text(text)),
    }
}

/// Returns a number that has no more decimal places than the column stores, because servers round
/// silently.
pub(super) fn decimal(cell: Cell<'_>, scale: i32) -> Result<Cell<'_>, String> {
    let text = digits_of(cell)?;
    if plain_scale(&text).is_some_and(|places| i64::from(scale) >= places) {
        return Ok(Cell::Number(text));
    }
    let Some(number) = Decimal::read(&text) else {
        return Ok(Cell::Text(text));
    };
    if number.scale() <= i64::from(scale) {
        return Ok(Cell::Number(text));
    }
    Err(match scale {
        0 => format!("accepts whole numbers, not {text}"),
        1.. => format!("accepts {scale} decimal places, but {text} has more"),
        _ => format!(
            "accepts multiples of 10 to the power {}, not {text}",
            -scale
        ),
    })
}

/// Returns a number that reads back as it was written.
pub(super) fn float(cell: Cell<'_>, precision: Precision) -> Result<Cell<'_>, String> {
    let text = digits_of(cell)?;
    let is_plain = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-'))
    };
    if text.len() <= precision.digits_safe && is_plain(&text) {
        return Ok(Cell::Number(text));
    }
    let Some(number) = Decimal::read(&text) else {
        return Ok(Cell::Text(text));
    };
    if is_lossless(&text, &number, precision) {
        Ok(Cell::Number(text))
    } else {
        Err(format!(
            "accepts floating-point numbers, which cannot hold {text} exactly"
        ))
    }
}

/// Whether a floating-point number reads back as the number that was written.
fn is_lossless(text: &str, number: &Decimal, precision: Precision) -> bool {
    (precision.shortest)(text).is_some_and(|(is_finite, shortest)| {
        is_finite && Decimal::read(&shortest).is_some_and(|stored| stored == *number)
    })
}

/// Whether a 64-bit floating-point number or integer holds the number.
pub(super) fn survives_json(text: &str) -> bool {
    text.parse::<i64>().is_ok()
        || text.parse::<u64>().is_ok()
        || Decimal::read(text).is_some_and(|number| is_lossless(text, &number, FLOAT64))
}

/// Returns the bits of a number. From a text, MySQL would store the bytes of its characters.
pub(super) fn bits(cell: Cell<'_>) -> Result<Cell<'_>, String> {
    let text = match cell {
        Cell::Bool(_) => return Ok(cell),
        cell => digits_of(cell)?,
    };
    let number = Decimal::read(&text)
        .and_then(|number| number.to_integer())
        .and_then(|digits| digits.parse::<u64>().ok());
    number
        .map(|number| Cell::Number(number.to_string().into()))
        .ok_or_else(|| format!("accepts the bits of a whole number, not {text}"))
}
