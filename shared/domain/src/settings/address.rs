//! Where a destination stands, as its settings say it.

/// Where a destination stands: the egress policy judges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address<'s> {
    /// An absolute URL.
    Url(&'s str),
    /// A name or an address, and a port.
    Host {
        /// As the customer wrote it.
        host: &'s str,
        /// The port.
        port: u16,
    },
}
