//! Lists: `limit` and `cursor` in, `data` and `next_cursor` out.

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
    /// The page of a list that has nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            data: Vec::new(),
            next_cursor: None,
        }
    }
}

/// What a client asks of a list besides its filters.
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
                .unwrap_or(PAGE_SIZE.usual()),
            cursor: query.take("cursor", errors),
        }
    }

    /// The position to go on after, if the cursor is one of this very list.
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
