//! Stretches of lists.

/// Some of a list's items; it goes on after the last of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Whether there may be more.
    pub more: bool,
}

/// A stretch of a list whose walk may pass over entries that it leaves out.
#[derive(Clone, Debug, PartialEq)]
pub struct Walk<T, P> {
    /// The items; may be fewer than asked for, even none, while there is more.
    pub items: Vec<T>,
    /// How far it came: the next stretch starts after this. `None` at the end.
    pub next: Option<P>,
}
