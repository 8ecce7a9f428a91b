//! Parameters: the defaults of a template and the runner's overrides.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::fault::Fault;
use super::property::{AwsOnly, Text};
use super::source::{Source, entries};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "the list of what is understood; some of it matters on AWS only"
)]
struct Parameter {
    r#type: ParameterType,
    default: Option<Text>,
    allowed_values: Option<Vec<Text>>,
    description: Option<AwsOnly>,
    min_value: Option<AwsOnly>,
    max_value: Option<AwsOnly>,
    no_echo: Option<AwsOnly>,
}

#[derive(Deserialize)]
enum ParameterType {
    String,
    Number,
    /// A list on AWS. Here it stays one text with commas.
    CommaDelimitedList,
}

/// Returns the value of every parameter. The runner may exceed a number's limits, because they
/// describe AWS.
pub(super) fn read(
    source: &Source,
    overrides: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Fault> {
    let mut values = BTreeMap::new();
    for (name, declaration) in source.section("Parameters")? {
        let value = value(name, declaration, overrides)
            .map_err(|fault| fault.under(name).under("Parameters"))?;
        values.insert(name.to_owned(), value);
    }
    match overrides.keys().find(|name| !values.contains_key(*name)) {
        Some(unknown) => {
            Err(Fault::new(format!("there is no parameter {unknown} to set")).under("Parameters"))
        }
        None => Ok(values),
    }
}

fn value(
    name: &str,
    declaration: &yaml_serde::Value,
    overrides: &BTreeMap<String, String>,
) -> Result<String, Fault> {
    entries(declaration)?;
    let parameter: Parameter = yaml_serde::from_value(declaration.clone())
        .map_err(|error| Fault::new(error.to_string()))?;
    let default = parameter.default.map(|Text(default)| default);
    let value = overrides
        .get(name)
        .cloned()
        .or(default)
        .ok_or_else(|| Fault::new("has no default and was not set"))?;
    let allowed = parameter.allowed_values.unwrap_or_default();
    if !allowed.is_empty() && !allowed.iter().any(|Text(allowed)| *allowed == value) {
        let allowed: Vec<_> = allowed
            .iter()
            .map(|Text(allowed)| allowed.as_str())
            .collect();
        return Err(Fault::new(format!(
            "{value:?} is not among {}",
            allowed.join(", ")
        )));
    }
    if matches!(parameter.r#type, ParameterType::Number) && value.parse::<f64>().is_err() {
        return Err(Fault::new(format!("{value:?} is not a number")));
    }
    Ok(value)
}
