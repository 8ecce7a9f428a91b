//! Why an attempt or a delivery did not succeed: the failure categories of the API, which are also
//! a label of the failure metrics.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The failure category of an attempt or a delivery.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every category, in the order of the contract.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)*];

            /// Returns the name used in JSON and in metric labels.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Reason::$name => $text,)* }
            }
        }
    };
}

reasons! {
    /// The host name could not be resolved.
    Dns = "dns",
    /// A TCP connection could not be established.
    Connect = "connect",
    /// A TLS session could not be established, or the certificate could not be verified.
    Tls = "tls",
    /// The destination did not answer within the time allowed for the attempt.
    Timeout = "timeout",
    /// The destination rejected the credentials.
    Authentication = "authentication",
    /// The credentials are valid, but do not permit the operation.
    Authorization = "authorization",
    /// The destination asked for a lower rate of requests.
    RateLimited = "rate_limited",
    /// The destination rejected this delivery.
    Rejected = "rejected",
    /// The destination reported a failure of its own.
    ServerError = "server_error",
    /// The destination violated the protocol or closed the connection.
    Protocol = "protocol",
    /// The payload is larger than the destination accepts.
    PayloadTooLarge = "payload_too_large",
    /// The address is one that destinations may not use.
    BlockedAddress = "blocked_address",
    /// The settings or a template cannot be applied.
    Misconfigured = "misconfigured",
    /// The delivery expired before it was delivered.
    Expired = "expired",
    /// The task of the delivery could not be processed because of a failure in Waybill.
    DeadLettered = "dead_lettered",
    /// The destination is disabled.
    DestinationDisabled = "destination_disabled",
    /// The destination was deleted, or its organization was.
    DestinationDeleted = "destination_deleted",
    /// A user cancelled the delivery.
    Cancelled = "cancelled",
    /// Waybill itself failed; the attempt is retried.
    Internal = "internal",
}

impl Reason {
    /// Returns whether a failed attempt with this category lengthens the destination's streak of
    /// failures.
    #[must_use]
    pub fn counts_to_streak(self) -> bool {
        !matches!(
            self,
            Self::RateLimited
                | Self::Cancelled
                | Self::Expired
                | Self::Internal
                | Self::DeadLettered
                | Self::PayloadTooLarge
                | Self::DestinationDisabled
                | Self::DestinationDeleted
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
