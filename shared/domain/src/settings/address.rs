//! The network address of a destination, as written in its settings.

/// The network address of a destination, which the egress policy allows or rejects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address<'s> {
    /// The absolute URL of the destination.
    Url(&'s str),
    /// A host name or IP address, and a port.
    Host {
        /// The host as the customer wrote it.
        host: &'s str,
        /// The TCP port of the server.
        port: u16,
    },
}
