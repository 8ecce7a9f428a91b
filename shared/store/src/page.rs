//! Pages of lists.

/// A page of a list. The next page starts after its last item.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items of the page.
    pub items: Vec<T>,
    /// Whether there may be more items.
    pub more: bool,
}

/// A page of a list that is filtered while it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Walk<T, P> {
    /// The items of the page. There may be fewer than requested, or none, even if the list
    /// continues.
    pub items: Vec<T>,
    /// Where the next page starts; `None` at the end of the list.
    pub next: Option<P>,
}
