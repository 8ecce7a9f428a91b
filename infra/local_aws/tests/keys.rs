//! KMS and Secrets Manager: the embedded engines behave like moto.

use kit::contracts::{keys, secrets};
use kit::moto::Moto;

use crate::setup::Local;

#[tokio::test]
async fn the_contracts_hold() {
    let local = Local::new();
    let config = local.config();
    keys::hold(aws_sdk_kms::Client::new(&config)).await;
    secrets::hold(aws_sdk_secretsmanager::Client::new(&config)).await;
}

#[tokio::test]
async fn the_contracts_hold_on_moto() {
    let moto = Moto::start();
    keys::hold(aws_sdk_kms::Client::new(&moto.sdk_config())).await;
    secrets::hold(aws_sdk_secretsmanager::Client::new(&moto.sdk_config())).await;
}
