//! An error with all its causes, in one line for the log.
//!
//! An error's own message does not repeat its source. Whoever logs an error, and whoever hands it
//! on as text, writes the whole chain with [`chain`], once.

use std::error::Error;
use std::fmt;

/// Shows an error and its causes, outermost first:
/// `the table could not read an item: dispatch failure: timeout`. A cause that the text before it
/// repeats is left out: libraries quote their sources.
#[must_use]
pub fn chain<'a>(error: &'a (dyn Error + 'a)) -> Chain<'a> {
    Chain(error)
}

/// What [`chain`] shows.
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
