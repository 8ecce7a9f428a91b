//! Why an attempt or a delivery did not succeed: the failure category of api.md, also the label of
//! the failure metrics.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A failure category.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason, in the contract's order.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)*];

            /// As written in JSON and metric labels.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Reason::$name => $text,)* }
            }
        }
    };
}

reasons! {
    /// The name does not resolve.
    Dns = "dns",
    /// No TCP connection.
    Connect = "connect",
    /// No TLS session, or a certificate that does not verify.
    Tls = "tls",
    /// No answer within the attempt's budget.
    Timeout = "timeout",
    /// The destination does not accept the credentials.
    Authentication = "authentication",
    /// The credentials are good but do not allow this.
    Authorization = "authorization",
    /// The destination asked for fewer requests.
    RateLimited = "rate_limited",
    /// The destination refused this delivery.
    Rejected = "rejected",
    /// The destination failed.
    ServerError = "server_error",
    /// The destination does not speak the protocol as agreed, or hung up.
    Protocol = "protocol",
    /// More than this destination takes.
    PayloadTooLarge = "payload_too_large",
    /// The address is one that no destination may have.
    BlockedAddress = "blocked_address",
    /// The settings or a template do not work out.
    Misconfigured = "misconfigured",
    /// Its time ran out before it was delivered.
    Expired = "expired",
    /// Its task could not be processed; our fault.
    DeadLettered = "dead_lettered",
    /// The destination is disabled.
    DestinationDisabled = "destination_disabled",
    /// The destination is gone.
    DestinationDeleted = "destination_deleted",
    /// Somebody cancelled it.
    Cancelled = "cancelled",
    /// We failed; retried.
    Internal = "internal",
}

impl Reason {
    /// Does a failed attempt with this reason lengthen its destination's streak (api.md,
    /// Destinations)?
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
