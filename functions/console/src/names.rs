//! What an organization's destinations are called.

use operations::{Operations, Refusal};

use crate::show;
use crate::visitor::Visitor;

/// Destinations that are known by name; others, of an organization that has more, by their ids.
const KNOWN: &str = "100";

/// (id, name), oldest first.
pub(crate) struct Names(pub(crate) Vec<(String, String)>);

impl Names {
    /// The names, for whoever may read them.
    pub(crate) async fn read(operations: &Operations, v: &Visitor) -> Result<Self, Refusal> {
        if !v.may_read() {
            return Ok(Self::none());
        }
        let found = operations.destinations(&v.ctx, v.query(&[("limit", KNOWN)])).await?;
        Ok(Self(found.data.into_iter().map(|destination| (destination.id.to_string(), destination.name)).collect()))
    }

    /// For pages that are about one destination.
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a destination is called.
    pub(crate) fn of(&self, id: &domain::id::DestinationId) -> String {
        let id = id.to_string();
        self.0.iter().find(|(own, _)| *own == id).map_or_else(|| show::short(&id), |(_, name)| name.clone())
    }
}
