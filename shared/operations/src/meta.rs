//! Information about this deployment of Waybill.

use domain::role::Role;

use crate::organization::no_parameters;
use crate::view::meta::{Limits, Meta};
use crate::{Operations, Query, Refusal};

impl Operations {
    /// `GET /v1/meta`: returns the version, the roles and the limits to every caller.
    pub fn meta(&self, mut query: Query) -> Result<Meta, Refusal> {
        query.take_all("organization_id");
        no_parameters(query)?;
        Ok(Meta {
            version: env!("CARGO_PKG_VERSION"),
            roles: Role::ALL.to_vec(),
            limits: Limits {
                checks_per_minute: self.settings.quotas.checks_per_minute,
                ..Limits::default()
            },
            egress_ips: Vec::new(),
        })
    }
}
