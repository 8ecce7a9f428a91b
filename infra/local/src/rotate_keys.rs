//! Rotates the signing keys of a deployed stack, or of a data directory that no process uses.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::Timestamp;
use local_aws::{Caller, Engines, Options};
use runtime::Platform;
use runtime::platform::{system_clock, system_random};
use vault::{KeyUse, SIGNS_AFTER, VaultError};

use crate::data_directory::{DataDirectory, DataError};
use crate::template::{COMPILED_IN, Template, TemplateError, physical_name};

/// Where the signing keys are stored.
#[derive(Debug, Clone)]
pub enum KeyLocation {
    /// The keys are in a secret of a deployed stack.
    Secret {
        /// The ARN of the secret that changes.
        arn: String,
        /// The ARN of a secret whose keys become accepted; `None` adds a version.
        accept: Option<String>,
    },
    /// The keys are in a data directory.
    Data(PathBuf),
}

/// Why keys were not rotated.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The keys could not be read or written.
    #[error(transparent)]
    Keys(#[from] vault::RotateError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The embedded engines did not open.
    #[error("the embedded engines cannot be opened: {0}")]
    Engines(#[from] local_aws::OpenError),
    /// The compiled-in template cannot be read.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// Adds a version to the keys of `usage`, or makes them accept those of another secret, and prints
/// the time from which their newest version signs.
pub async fn rotate(usage: KeyUse, location: KeyLocation) -> Result<(), RotateError> {
    let signs_from = match location {
        KeyLocation::Secret { arn, accept } => in_stack(usage, &arn, accept.as_deref()).await?,
        KeyLocation::Data(data) => in_data(usage, &data).await?,
    };
    println!("{signs_from}");
    Ok(())
}

async fn in_stack(
    usage: KeyUse,
    arn: &str,
    accept: Option<&str>,
) -> Result<Timestamp, RotateError> {
    let Platform {
        aws, clock, random, ..
    } = Platform::personal().await;
    let now = clock.now();
    match accept {
        None => Ok(vault::rotate(&aws, arn, usage, &random, now, SIGNS_AFTER).await?),
        Some(other) => {
            vault::accept(&aws, arn, usage, other, now).await?;
            Ok(now)
        }
    }
}

/// Rotates keys in a data directory. No process uses them, so the new version signs immediately.
async fn in_data(usage: KeyUse, data: &Path) -> Result<Timestamp, RotateError> {
    let missing = |source| DataError::Unusable {
        path: data.display().to_string(),
        source,
    };
    std::fs::metadata(data).map_err(missing)?;
    let directory = DataDirectory::open(data)?;
    let template = Template::read(COMPILED_IN, &BTreeMap::new())?;
    let engines = Engines::open(
        directory.path(),
        &template.stack()?.resources,
        Options::local(),
    )?;
    let aws = engines.sdk_config(Caller::unlimited("rotate-keys"));
    let (random, now) = (system_random(), system_clock().now());
    adopt(&engines, now).await?;
    let arn = secret_arn(&engines, usage).map_err(vault::RotateError::from)?;
    let signs_from = vault::rotate(&aws, arn, usage, &random, now, Duration::ZERO).await;
    engines.close().await;
    Ok(signs_from?)
}

/// Makes the keys that a data directory of an earlier release lacked accept what was signed before.
///
/// Such a release signed everything with keys derived from the one secret that it had.
pub async fn adopt(engines: &Engines, now: Timestamp) -> Result<(), vault::RotateError> {
    let ids = logical_id(KeyUse::Ids);
    if engines.is_new_secret(&physical_name(ids)) {
        return Ok(());
    }
    let aws = engines.sdk_config(Caller::unlimited("adopt-keys"));
    for usage in [KeyUse::Cursors, KeyUse::Links, KeyUse::Sessions] {
        if engines.is_new_secret(&physical_name(logical_id(usage))) {
            let (own, before) = (
                secret_arn(engines, usage)?,
                secret_arn(engines, KeyUse::Ids)?,
            );
            vault::accept(&aws, own, usage, before, now).await?;
        }
    }
    Ok(())
}

/// Returns the logical id of the secret with the keys of one use.
fn logical_id(usage: KeyUse) -> &'static str {
    match usage {
        KeyUse::Ids => "SigningKeys",
        KeyUse::Cursors => "CursorKeys",
        KeyUse::Links => "LinkKeys",
        KeyUse::Sessions => "SessionKeys",
    }
}

fn secret_arn(engines: &Engines, usage: KeyUse) -> Result<&str, VaultError> {
    let name = physical_name(logical_id(usage));
    engines
        .secret_arn(&name)
        .ok_or(VaultError::Missing { arn: name })
}
