//! The configuration of a function, read from a map. One error names everything that is wrong with
//! it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use domain::settings::PerLane;

/// The environment variables of a function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Reads the variables of the process. Nothing else reads them.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the process environment"
    )]
    #[must_use]
    pub fn process() -> Self {
        std::env::vars().collect()
    }

    /// Returns the value of a variable. An empty one counts as missing.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Returns the names of all variables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Starts to read a configuration.
    #[must_use]
    pub fn variables(&self) -> Variables<'_> {
        Variables {
            environment: self,
            read: RefCell::default(),
            problems: RefCell::default(),
        }
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

/// Reads variables one by one and collects every problem.
#[derive(Debug)]
pub struct Variables<'e> {
    environment: &'e Environment,
    read: RefCell<BTreeSet<String>>,
    problems: RefCell<Vec<String>>,
}

impl Variables<'_> {
    /// Reads a required variable. If it is missing or wrong, a default value is returned and
    /// [`Variables::finish`] fails.
    pub fn required<T: FromStr + Default>(&self, name: &str) -> T
    where
        T::Err: fmt::Display,
    {
        self.require(name);
        self.optional(name).unwrap_or_default()
    }

    /// Reads a variable that may be missing or empty but must be valid.
    pub fn optional<T: FromStr>(&self, name: &str) -> Option<T>
    where
        T::Err: fmt::Display,
    {
        self.read.borrow_mut().insert(name.to_owned());
        match self.environment.get(name)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.problems
                    .borrow_mut()
                    .push(format!("{name} is wrong: {error}"));
                None
            }
        }
    }

    /// Reads a required variable for each lane: `*_QUEUE_URL` stands for `WEBHOOK_QUEUE_URL`,
    /// `EMAIL_QUEUE_URL` and so on.
    pub fn per_lane(&self, pattern: &str) -> PerLane<String> {
        PerLane::each(|lane| self.required(&pattern.replace('*', lane.in_environment())))
    }

    /// Reads a required switch: `on` or `off`, by the names given.
    pub fn switch(&self, name: &str, on: &str, off: &str) -> bool {
        self.require(name);
        self.one_of(name, &[on, off]) == on
    }

    fn require(&self, name: &str) {
        if self.environment.get(name).is_none() {
            let problem = format!("{name} is missing");
            self.problems.borrow_mut().push(problem);
        }
    }

    /// Reads a variable that may be missing but has to be one of these words. Returns the first one
    /// if it is missing or wrong.
    pub fn one_of<'w>(&self, name: &str, words: &[&'w str]) -> &'w str {
        self.read.borrow_mut().insert(name.to_owned());
        let value = self.environment.get(name);
        let word = words
            .iter()
            .find(|word| value.is_none_or(|value| value == **word));
        word.copied().unwrap_or_else(|| {
            let problem = format!("{name} is wrong: must be {}", words.join(" or "));
            self.problems.borrow_mut().push(problem);
            words[0]
        })
    }

    /// Returns the names of the variables read so far: those that the template must set, and the
    /// only ones it may.
    #[must_use]
    pub fn names_read(&self) -> BTreeSet<String> {
        self.read.borrow().clone()
    }

    /// Returns `config`, unless a variable was wrong.
    pub fn finish<C>(self, config: C) -> Result<C, ConfigError> {
        let problems = self.problems.into_inner();
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError(problems))
        }
    }
}

/// Everything that is wrong with a function's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl ConfigError {
    /// Makes an error for a problem with a value that was read.
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
        let environment: Environment = [
            ("B".to_owned(), "x".to_owned()),
            ("C".to_owned(), String::new()),
        ]
        .into_iter()
        .collect();
        let variables = environment.variables();
        let _: String = variables.required("A");
        let _: u32 = variables.required("B");
        let _: String = variables.required("C");
        variables.switch("D", "on", "off");
        assert_eq!(variables.names_read().len(), 4);
        let message = variables.finish(()).unwrap_err().to_string();
        assert_eq!(
            message,
            "the configuration cannot be used: A is missing; B is wrong: invalid digit found in \
             string; C is missing; D is missing"
        );
    }
}
