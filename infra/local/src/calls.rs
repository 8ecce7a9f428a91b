//! Records the AWS actions of the functions, to compare them with what their policies allow.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use local_aws::Engines;

/// Appends each function's IAM actions to a file when they are done for the first time, one per
/// line: `<function> <action>`. Several processes may write the same file.
pub fn record(engines: &Engines, path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let recorded = Mutex::new((file, HashSet::new()));
    engines.observe(move |call| {
        let mut recorded = recorded.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, known): &mut (File, HashSet<String>) = &mut recorded;
        for target in &call.targets {
            let line = format!("{} {}\n", call.caller, target.action);
            if known.insert(line.clone())
                && let Err(error) = file.write_all(line.as_bytes())
            {
                tracing::error!(%error, "failed to record a call");
            }
        }
    });
    Ok(())
}
