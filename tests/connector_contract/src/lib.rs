//! The connector contract as tests. Each connector runs it against a real server of its protocol,
//! in the harness of its worker.
//!
//! A connector's tests implement [`Subject`] (its server, its settings, what arrived there) and
//! call [`hold!`](crate::hold!), which makes a test of each [`Case`]. A case that cannot apply to a
//! protocol is exempt with a reason, which the test prints.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a panic is how a contract fails, and the table is printed"
)]

mod cases;
mod test_services;
mod trial;

pub use test_services::{Login, Mistake, ServerAddress, TestServices};
pub use trial::{Trial, sha256};

use std::time::Duration;

use domain::Reason;
use domain::delivery::Delivery;
use domain::settings::DestinationType;
use serde_json::Value;
use worker::Connector;

/// The size of the large payload of a connector that streams, unless the environment variable
/// `WAYBILL_TEST_LARGE_MIB` sets another.
pub const STREAMED_BYTES: usize = 64 << 20;

/// A connector and a server of its protocol.
#[allow(async_fn_in_trait, reason = "tests await it where they are")]
pub trait Subject: Sized {
    /// The type of the connector.
    type Connector: Connector;
    /// The name of the connector's column in the table of the contract.
    const NAME: &'static str;
    /// The type of the connector's destinations.
    const DESTINATION: DestinationType;
    /// The size of the payload of [`Case::Large`]. A connector that streams keeps
    /// [`STREAMED_BYTES`].
    const LARGE_BYTES: usize = STREAMED_BYTES;
    /// How long the server may continue to process what it received after its client has gone. Real
    /// object stores show an object and its metadata at once; a server for tests may not.
    const WORKS_ON: Duration = Duration::ZERO;
    /// Whether a task that runs twice leaves one copy. Otherwise both copies have the same
    /// identity.
    const IS_IDEMPOTENT: bool;

    /// Starts the server to which the connector delivers.
    async fn start(services: &TestServices) -> Self;
    /// Returns the connector, which may connect to the loopback.
    fn connector(&self) -> &Self::Connector;
    /// Returns the port of the server on 127.0.0.1.
    fn port(&self) -> u16;
    /// Returns the settings of a destination whose server is at `address`, without
    /// `timeout_seconds`.
    fn settings(&self, address: &ServerAddress) -> Value;
    /// Returns credentials that the server accepts.
    fn login(&self) -> Login;
    /// Returns destinations that differ from a working one in one thing that the server refuses.
    fn mistakes(&self) -> Vec<Mistake>;
    /// Returns what the receiver shows of a delivery.
    async fn arrived(&self, delivery: &Delivery) -> Vec<Arrival>;
    /// Returns why a case cannot apply to this protocol.
    fn exempt(_: Case) -> Option<&'static str> {
        None
    }
    /// Returns the reason of an attempt that times out while the payload is sent.
    fn time_limit_reason() -> Reason {
        Reason::Timeout
    }
}

/// A copy of a payload, as its receiver shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// What identifies the delivery at the receiver, the same for every copy.
    pub identity: String,
    /// The SHA-256 of the bytes, lower-case hexadecimal.
    pub sha256: String,
}

/// A case of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// Payloads of 0 bytes, 1 byte and 1 MiB arrive as they were sent, once.
    Delivered,
    /// A payload of [`Subject::LARGE_BYTES`] arrives, streamed.
    Large,
    /// A task that runs again leaves one copy, or one with the same identity.
    DeliveredAgain,
    /// What the server refuses is a failure of the destination with its reason, and nothing
    /// arrives.
    Refused,
    /// No server at the address is `connect`, no address for the name is `dns`.
    Unreachable,
    /// A server that accepts the connection and sends nothing is `timeout`, within the time limit.
    SilentServer,
    /// A server that goes silent while the payload is sent is `timeout`, within the time limit.
    TimeLimit,
    /// Addresses that no tenant may reach are `blocked_address`, and never connected to.
    BlockedAddress,
    /// An attempt that is dropped at any moment shows nothing half-written, and the next one
    /// delivers.
    Cancelled,
    /// A payload store that fails before the first byte is a failure of Waybill.
    PayloadStoreDown,
    /// A payload store that fails in the middle of the payload is a failure of Waybill.
    PayloadStoreDownMidway,
    /// A payload store that stops answering until the time is up is a failure of Waybill.
    PayloadStoreStalls,
    /// A secret store that is down is a failure of Waybill, and the check says that it can be
    /// repeated.
    SecretStoreDown,
    /// A secret store that stops answering until the time is up is a failure of Waybill.
    SecretStoreStalls,
    /// What the check passes is delivered, and what it refuses is not.
    CheckAgreesWithDelivery,
}

/// Runs one case for a connector.
pub async fn hold<S: Subject>(case: Case) {
    if let Some(reason) = S::exempt(case) {
        println!("{case:?} × {}: not applicable: {reason}", S::NAME);
        return;
    }
    let trial = Trial::<S>::start().await;
    match case {
        Case::Delivered => cases::delivered(&trial).await,
        Case::Large => cases::large(&trial).await,
        Case::DeliveredAgain => cases::delivered_again(&trial).await,
        Case::Refused => cases::refused(&trial).await,
        Case::Unreachable => cases::unreachable(&trial).await,
        Case::SilentServer => cases::silent_server(&trial).await,
        Case::TimeLimit => cases::time_limit(&trial).await,
        Case::BlockedAddress => cases::blocked_address(&trial).await,
        Case::Cancelled => cases::cancelled(&trial).await,
        Case::PayloadStoreDown => cases::payload_store_down(&trial, 0).await,
        Case::PayloadStoreDownMidway => cases::payload_store_down_midway(&trial).await,
        Case::PayloadStoreStalls => cases::payload_store_stalls(&trial).await,
        Case::SecretStoreDown => cases::secret_store_down(&trial).await,
        Case::SecretStoreStalls => cases::secret_store_stalls(&trial).await,
        Case::CheckAgreesWithDelivery => cases::check_agrees_with_delivery(&trial).await,
    }
    println!("{case:?} × {}: held", S::NAME);
}

/// Makes a test of each case for a [`Subject`], in a module of its own.
#[macro_export]
macro_rules! hold {
    (@tests $subject:ty: $($name:ident = $case:ident,)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                $crate::hold::<$subject>($crate::Case::$case).await;
            }
        )*
    };
    ($subject:ty) => {
        $crate::hold! { @tests $subject:
            delivered = Delivered,
            large = Large,
            delivered_again = DeliveredAgain,
            refused = Refused,
            unreachable = Unreachable,
            silent_server = SilentServer,
            time_limit = TimeLimit,
            blocked_address = BlockedAddress,
            cancelled = Cancelled,
            payload_store_down = PayloadStoreDown,
            payload_store_down_midway = PayloadStoreDownMidway,
            payload_store_stalls = PayloadStoreStalls,
            secret_store_down = SecretStoreDown,
            secret_store_stalls = SecretStoreStalls,
            check_agrees_with_delivery = CheckAgreesWithDelivery,
        }
    };
}
