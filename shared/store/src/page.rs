//! Pages of lists.

/// Some of a list's items, and where it goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T, P> {
    /// The items; may be fewer than asked for, even none, while there is more.
    pub items: Vec<T>,
    /// Where the next page starts: after this one. `None` at the end.
    pub next: Option<P>,
}
