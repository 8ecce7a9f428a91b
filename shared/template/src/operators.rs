//! The internal filters that meter operators, and the tests, whose arguments have to be metered
//! each time.

use std::sync::Arc;

use minijinja::value::{ObjectRepr, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value, tests};

use crate::meter::Meter;
use crate::metered::{DEEP, LIST, MADE, NAME, NATIVE, SLICED, SORTED, TEXT};
use crate::values::{Container, Number, native, unreadable};

/// The cost of reading a value in a list or object, in addition to its text.
const VALUE_COST: u64 = 500;
/// The cost of copying a value.
const COPY_COST: u64 = 600;
/// The cost of one step of a comparison, in addition to what is compared.
const COMPARE_COST: u64 = 150;
/// The longest name of an attribute, including dots.
const NAME_BYTES_MAX: usize = 512;

/// A test of one value.
type Predicate = fn(&Value) -> bool;
/// A test that compares a value with another.
type Comparison = fn(&Value, &Value) -> bool;

/// Adds the internal filters and replaces MiniJinja's own tests.
pub(crate) fn add(environment: &mut Environment<'_>, meter: &Arc<Meter>) {
    let paid = meter.clone();
    environment.add_filter(TEXT, move |value: &Value| {
        paid.pay(text_cost(value)).map(|()| value.clone())
    });
    let paid = meter.clone();
    environment.add_filter(DEEP, move |value: &Value| {
        pay_deep(&paid, value).map(|()| value.clone())
    });
    let paid = meter.clone();
    environment.add_filter(SLICED, move |value: &Value| {
        let items = value
            .as_object()
            .and_then(|object| object.enumerator_len())
            .unwrap_or(0) as u64;
        paid.pay(text_cost(value) + items * 50)
            .map(|()| value.clone())
    });
    let paid = meter.clone();
    environment.add_filter(SORTED, move |value: &Value, attributes: Option<&str>| {
        pay_sorted(&paid, value, attributes).map(|()| value.clone())
    });
    let paid = meter.clone();
    environment.add_filter(NATIVE, move |value: &Value| operand(&paid, value));
    let paid = meter.clone();
    environment.add_filter(MADE, move |value: &Value| {
        paid.make(value.as_str().map_or(0, str::len))
            .map(|()| value.clone())
    });
    let paid = meter.clone();
    environment.add_filter(LIST, move |value: &Value| listed(&paid, value));
    environment.add_filter(NAME, |value: &Value| match value.as_str() {
        Some(name) if name.len() > NAME_BYTES_MAX => Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("the name of an attribute has at most {NAME_BYTES_MAX} bytes"),
        )),
        _ => Ok(value.clone()),
    });
    add_tests(environment, meter);
}

/// Charges for everything that a value contains. Returns an error if a text in it cannot be
/// represented.
pub(crate) fn pay_deep(meter: &Meter, value: &Value) -> Result<(), Error> {
    cost(meter, value).map(drop)
}

/// Returns the length of a value as text before escaping.
pub(crate) fn written_bytes(value: &Value) -> usize {
    match value.downcast_object_ref::<Container>() {
        Some(container) => container.text().len(),
        None => usize::try_from(text_cost(value)).unwrap_or(usize::MAX),
    }
}

/// Returns the cost of reading a text, or a number of a document. Other values are not inspected.
fn text_cost(value: &Value) -> u64 {
    match value.downcast_object_ref::<Number>() {
        Some(number) => number.text().len() as u64,
        None => value.as_str().map_or(0, |text| text.len() as u64),
    }
}

/// Charges for a value with everything that it contains, and returns that cost.
fn cost(meter: &Meter, value: &Value) -> Result<u64, Error> {
    if let Some(container) = value.downcast_object_ref::<Container>() {
        if container.is_unreadable() {
            return Err(unreadable());
        }
        let cost = container.text().len() as u64 + container.values_count() * VALUE_COST;
        return meter.pay(cost).map(|()| cost);
    }
    let mut total = text_cost(value);
    meter.pay(total)?;
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            for item in value.try_iter()?.checked() {
                total = total.saturating_add(VALUE_COST + cost(meter, &item?)?);
            }
        }
        ValueKind::Map => {
            for key in value.try_iter()?.checked() {
                let key = key?;
                total = total.saturating_add(
                    VALUE_COST + cost(meter, &key)? + cost(meter, &value.get_item(&key)?)?,
                );
            }
        }
        _ => {}
    }
    Ok(total)
}

/// Charges for sorting: for the largest number of comparisons, each of the largest item or of its
/// largest attributes.
fn pay_sorted(meter: &Meter, value: &Value, attributes: Option<&str>) -> Result<(), Error> {
    if value.is_undefined() || value.as_object().is_none() {
        return pay_deep(meter, value);
    }
    let (mut items, mut largest) = (0_u64, 0_u64);
    for item in value.try_iter()?.checked() {
        let item = item?;
        items += 1;
        largest = largest.max(match attributes {
            Some(attributes) => attributes_cost(meter, &item, attributes)?,
            None => cost(meter, &item)?,
        });
        if value.kind() == ValueKind::Map {
            largest = largest.max(cost(meter, &value.get_item(&item)?)?);
        }
    }
    let comparisons = items.saturating_mul(u64::from(items.max(1).ilog2()) + 1);
    meter.pay(comparisons.saturating_mul(largest + COMPARE_COST))
}

/// Returns the cost of comparing the attributes of an item. Several names are separated by commas.
fn attributes_cost(meter: &Meter, item: &Value, attributes: &str) -> Result<u64, Error> {
    let mut total = 0;
    for path in attributes.split(',') {
        let mut value = item.clone();
        for name in path.trim().split('.') {
            value = value.get_attr(name).unwrap_or_default();
        }
        total += cost(meter, &value)?;
    }
    Ok(total)
}

/// Returns a value in MiniJinja's own types for operators, and charges for it.
fn operand(meter: &Meter, value: &Value) -> Result<Value, Error> {
    meter.pay(text_cost(value))?;
    match value.kind() {
        ValueKind::Plain => native(value),
        ValueKind::Seq | ValueKind::Map if !value.is_tuple() && !value.is_kwargs() => {
            pay_deep(meter, value)?;
            copied(meter, value)
        }
        ValueKind::Iterable | ValueKind::Seq => pay_deep(meter, value).map(|()| value.clone()),
        _ => Ok(value.clone()),
    }
}

/// Copies a value to MiniJinja's own types, at any depth.
fn copied(meter: &Meter, value: &Value) -> Result<Value, Error> {
    meter.pay(COPY_COST)?;
    match value.kind() {
        ValueKind::Plain => native(value),
        ValueKind::Seq if !value.is_tuple() => value
            .try_iter()?
            .checked()
            .map(|item| copied(meter, &item?))
            .collect::<Result<Vec<Value>, Error>>()
            .map(Value::from),
        ValueKind::Map => {
            let pair = |key: Result<Value, Error>| {
                let key = key?;
                let member = copied(meter, &value.get_item(&key)?)?;
                Ok((key, member))
            };
            value
                .try_iter()?
                .checked()
                .map(pair)
                .collect::<Result<Vec<_>, Error>>()
                .map(Value::from_pairs)
        }
        _ => Ok(value.clone()),
    }
}

/// Reads lazy sequences immediately, so that they do not build on each other.
fn listed(meter: &Meter, value: &Value) -> Result<Value, Error> {
    let is_lazy = value
        .as_object()
        .is_some_and(|object| object.repr() == ObjectRepr::Iterable);
    if !is_lazy {
        return Ok(value.clone());
    }
    let mut items = Vec::new();
    for item in value.try_iter()?.checked() {
        meter.pay(0)?;
        items.push(item?);
    }
    Ok(Value::from(items))
}

fn add_tests(environment: &mut Environment<'_>, meter: &Arc<Meter>) {
    let one: [(&[&str], Predicate); 5] = [
        (&["number"], tests::is_number),
        (&["integer", "int"], tests::is_integer),
        (&["float"], tests::is_float),
        (&["odd"], |value| tests::is_odd(value.clone())),
        (&["even"], |value| tests::is_even(value.clone())),
    ];
    for (names, test) in one {
        for name in names {
            environment.add_test(*name, move |value: &Value| {
                native(value).map(|value| test(&value))
            });
        }
    }
    let texts: [(&str, Predicate); 2] = [("lower", tests::is_lower), ("upper", tests::is_upper)];
    for (name, test) in texts {
        let paid = meter.clone();
        environment.add_test(name, move |value: &Value| {
            paid.pay(text_cost(value)).map(|()| test(value))
        });
    }
    let two: [(&[&str], Comparison); 10] = [
        (&["divisibleby"], tests::is_divisibleby),
        (&["eq", "equalto", "=="], tests::is_eq),
        (&["ne", "!="], tests::is_ne),
        (&["lt", "lessthan", "<"], tests::is_lt),
        (&["le", "<="], tests::is_le),
        (&["gt", "greaterthan", ">"], tests::is_gt),
        (&["ge", ">="], tests::is_ge),
        (&["sameas"], tests::is_sameas),
        (&["startingwith"], |value, start| {
            text_of(value).starts_with(&text_of(start))
        }),
        (&["endingwith"], |value, end| {
            text_of(value).ends_with(&text_of(end))
        }),
    ];
    for (names, test) in two {
        for name in names {
            let paid = meter.clone();
            environment.add_test(*name, move |value: &Value, other: &Value| {
                Ok::<_, Error>(test(&operand(&paid, value)?, &operand(&paid, other)?))
            });
        }
    }
    let paid = meter.clone();
    environment.add_test(
        "in",
        move |state: &State<'_, '_>, value: &Value, other: &Value| {
            tests::is_in(state, &operand(&paid, value)?, &operand(&paid, other)?)
        },
    );
}

fn text_of(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
