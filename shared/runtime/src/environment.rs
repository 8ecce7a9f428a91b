//! A function's configuration: read from a map, refused with one message that names everything wrong with it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use domain::settings::PerLane;

/// The variables a function is started with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The process's own; the only reader of it.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the process environment")]
    #[must_use]
    pub fn process() -> Self {
        std::env::vars().collect()
    }

    /// The value of a variable; an empty one counts as missing.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The names of all variables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Starts reading a configuration.
    #[must_use]
    pub fn variables(&self) -> Variables<'_> {
        Variables { environment: self, read: RefCell::default(), problems: RefCell::default() }
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

/// Reads variables one by one and remembers every problem.
#[derive(Debug)]
pub struct Variables<'e> {
    environment: &'e Environment,
    read: RefCell<BTreeSet<String>>,
    problems: RefCell<Vec<String>>,
}

impl Variables<'_> {
    /// A variable that must be there and parse. The default value stands in until [`Variables::finish`] refuses the whole.
    pub fn required<T: FromStr + Default>(&self, name: &str) -> T
    where
        T::Err: fmt::Display,
    {
        if self.environment.get(name).is_none() {
            self.problems.borrow_mut().push(format!("{name} is missing"));
        }
        self.optional(name).unwrap_or_default()
    }

    /// A variable that may be missing or empty, but must parse.
    pub fn optional<T: FromStr>(&self, name: &str) -> Option<T>
    where
        T::Err: fmt::Display,
    {
        self.read.borrow_mut().insert(name.to_owned());
        match self.environment.get(name)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.problems.borrow_mut().push(format!("{name} is wrong: {error}"));
                None
            }
        }
    }

    /// A variable for each lane, all of them required: `*_QUEUE_URL` is `WEBHOOK_QUEUE_URL`, `EMAIL_QUEUE_URL` and so on.
    pub fn per_lane(&self, pattern: &str) -> PerLane<String> {
        PerLane::each(|lane| self.required(&pattern.replace('*', lane.in_environment())))
    }

    /// A switch whose two positions have names; the first is on.
    pub fn switch(&self, name: &str, on: &str, off: &str) -> bool {
        let value: String = self.required(name);
        if !value.is_empty() && value != on && value != off {
            self.problems.borrow_mut().push(format!("{name} is wrong: must be {on} or {off}"));
        }
        value == on
    }

    /// The names of the variables read so far: what the template must set, and all that it may.
    #[must_use]
    pub fn names_read(&self) -> BTreeSet<String> {
        self.read.borrow().clone()
    }

    /// `config`, unless something was wrong.
    pub fn finish<C>(self, config: C) -> Result<C, ConfigError> {
        let problems = self.problems.into_inner();
        if problems.is_empty() { Ok(config) } else { Err(ConfigError(problems)) }
    }
}

/// What is wrong with a function's configuration, all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl ConfigError {
    /// A problem found after the variables were read: what they name cannot be used.
    pub fn because(problem: impl fmt::Display) -> Self {
        Self(vec![problem.to_string()])
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration cannot be used: {}", self.0.join("; "))
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_named_at_once() {
        let environment: Environment = [("B".to_owned(), "x".to_owned()), ("C".to_owned(), String::new())].into_iter().collect();
        let variables = environment.variables();
        let _: String = variables.required("A");
        let _: u32 = variables.required("B");
        let _: String = variables.required("C");
        variables.switch("D", "on", "off");
        assert_eq!(variables.names_read().len(), 4);
        let message = variables.finish(()).unwrap_err().to_string();
        assert_eq!(
            message,
            "the configuration cannot be used: A is missing; B is wrong: invalid digit found in string; C is missing; D is missing"
        );
    }
}
