//! Writes template values as JSON.

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

use crate::meter::Meter;
use crate::values::{Container, Number};

/// The cost of writing a value, in addition to its text.
const VALUE_COST: u64 = 200;

/// Returns a value as JSON. Parts of a document keep their text.
pub(crate) fn text(meter: &Meter, value: &Value, bytes_max: usize) -> Result<String, Error> {
    let mut out = String::new();
    write(meter, value, &mut out, bytes_max)?;
    Ok(out)
}

fn write(meter: &Meter, value: &Value, out: &mut String, bytes_max: usize) -> Result<(), Error> {
    meter.pay(VALUE_COST)?;
    if out.len() > bytes_max {
        return Err(Error::new(ErrorKind::OutOfFuel, "the JSON is too large"));
    }
    if let Some(container) = value.downcast_object_ref::<Container>() {
        meter.pay(container.text().len() as u64)?;
        out.push_str(container.text());
        return Ok(());
    }
    if let Some(number) = value.downcast_object_ref::<Number>() {
        out.push_str(number.text());
        return Ok(());
    }
    match value.kind() {
        ValueKind::None => out.push_str("null"),
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => out.push_str(&number(value)?),
        ValueKind::String => out.push_str(&quoted(value.as_str().unwrap_or_default())?),
        ValueKind::Seq | ValueKind::Iterable => {
            out.push('[');
            for (index, item) in value.try_iter()?.checked().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                write(meter, &item?, out, bytes_max)?;
            }
            out.push(']');
        }
        ValueKind::Map => {
            out.push('{');
            for (index, key) in value.try_iter()?.checked().enumerate() {
                let key = key?;
                out.push_str(if index == 0 { "" } else { "," });
                out.push_str(&quoted(key.as_str().unwrap_or(&key.to_string()))?);
                out.push(':');
                write(meter, &value.get_item(&key)?, out, bytes_max)?;
            }
            out.push('}');
        }
        ValueKind::Undefined => return Err(Error::from(ErrorKind::UndefinedError)),
        kind => return Err(refused(format!("json cannot write a value of type {kind}"))),
    }
    Ok(())
}

fn number(value: &Value) -> Result<String, Error> {
    if value.is_integer() {
        return Ok(value.to_string());
    }
    let number = f64::try_from(value.clone())?;
    match serde_json::Number::from_f64(number) {
        Some(number) => Ok(number.to_string()),
        None => Err(refused(format!("{value} is not a number in JSON"))),
    }
}

fn quoted(text: &str) -> Result<String, Error> {
    serde_json::to_string(text).map_err(|error| refused(error.to_string()))
}

fn refused(detail: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail)
}
