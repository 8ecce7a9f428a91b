//! Creates the first key of a deployed stack, for anyone who may write to its table.

use domain::id::IdMint;
use operations::bootstrap;
use runtime::Platform;
use secrecy::ExposeSecret as _;
use store::Store;
use vault::KeyUse;

/// Why the key was not created.
#[derive(Debug, thiserror::Error)]
pub enum OperatorKeyError {
    /// The signing keys cannot be read.
    #[error("the signing keys cannot be read: {0}")]
    SigningKeys(#[from] vault::VaultError),
    /// The table cannot be written.
    #[error(transparent)]
    Store(#[from] store::StoreError),
}

/// Creates an operator's key in the stack with this table and these signing keys, and prints it.
pub async fn make(table_name: String, signing_keys_arn: &str) -> Result<(), OperatorKeyError> {
    let Platform {
        aws, clock, random, ..
    } = Platform::personal().await;
    let keys = vault::key_ring(&aws, signing_keys_arn, KeyUse::Ids, clock.now()).await?;
    let ids = IdMint::new(keys, clock.clone(), random.clone());
    let key =
        bootstrap::operator_key(&Store::new(&aws, table_name, None), &ids, &random, &clock).await?;
    println!("{}", key.expose_secret());
    Ok(())
}
