//! Pages of lists. A request has `limit` and `cursor`, a response `data` and `next_cursor`.

use domain::input::Errors;
use domain::limits::PAGE_SIZE;
use serde::Serialize;
use utoipa::ToSchema;

use crate::cursor::{Cursors, ListScope};
use crate::{Query, Refusal};

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items; a page may be short, even empty, while there is a `next_cursor`.
    pub data: Vec<T>,
    /// Send it as `cursor` for the next page; null at the end.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Returns the only page of an empty list.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            data: Vec::new(),
            next_cursor: None,
        }
    }
}

/// The part of a list request that selects a page.
#[derive(Debug)]
pub(crate) struct PageQuery {
    pub(crate) limit: u32,
    cursor: Option<String>,
}

impl PageQuery {
    pub(crate) fn take(query: &mut Query, errors: &Errors) -> Self {
        Self {
            limit: query
                .integer("limit", errors, PAGE_SIZE.min..=PAGE_SIZE.max)
                .unwrap_or(PAGE_SIZE.default_value()),
            cursor: query.take("cursor", errors),
        }
    }

    /// Returns the position after which the page begins. Returns an error if the cursor does not
    /// belong to this scope.
    pub(crate) fn after<T: std::str::FromStr>(
        &self,
        cursors: &Cursors,
        scope: &ListScope,
    ) -> Result<Option<T>, Refusal> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let position = cursors
            .open(scope, cursor)
            .and_then(|position| position.parse().ok());
        position.map(Some).ok_or_else(Refusal::invalid_cursor)
    }
}
