//! Formats an error with all of its causes in one line for the log.
//!
//! The message of an error does not contain the message of its source. Code that logs an error, or
//! passes it on as text, writes the whole chain with [`chain`] exactly once.

use std::error::Error;
use std::fmt;

/// Returns a value that displays an error and its causes, outermost first, such as `the table could
/// not read an item: dispatch failure: timeout`. A cause is omitted if the text before it already
/// contains it, because some libraries include the message of their source.
#[must_use]
pub fn chain<'a>(error: &'a (dyn Error + 'a)) -> Chain<'a> {
    Chain(error)
}

/// The error and its causes, as displayed by [`chain`].
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a>(&'a (dyn Error + 'a));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = self.0.to_string();
        out.write_str(&before)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !before.contains(&text) {
                write!(out, ": {text}")?;
                before = text;
            }
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    fn layers(texts: &[&'static str]) -> Layer {
        let (first, rest) = texts.split_first().unwrap();
        Layer(first, (!rest.is_empty()).then(|| Box::new(layers(rest))))
    }

    #[test]
    fn every_cause_is_shown_once() {
        for (texts, shown) in [
            (&["the table failed"][..], "the table failed"),
            (
                &["the table failed", "timeout"],
                "the table failed: timeout",
            ),
            (&["a", "b: c", "c", "d"], "a: b: c: d"),
        ] {
            assert_eq!(chain(&layers(texts)).to_string(), shown);
        }
    }
}
