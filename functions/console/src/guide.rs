//! The setup instructions next to the form of a destination. They contain policies to copy that
//! allow exactly what Waybill does (`docs/destinations`).

use operations::view::destination::DestinationView;
use operations::{Operations, Refusal};

use crate::visitor::Visitor;

/// The values that the instructions contain.
pub(crate) struct Guide {
    /// The AWS account that Waybill runs in.
    pub(crate) account_id: String,
    /// The external ID that the customer's role requires from Waybill.
    pub(crate) external_id: String,
    /// The name of the bucket, or a placeholder.
    pub(crate) bucket: String,
    /// The folder in which all object keys start.
    pub(crate) prefix: String,
}

impl Guide {
    /// Reads the values for a new destination, or for the stored one.
    pub(crate) async fn read(
        operations: &Operations,
        v: &Visitor,
        stored: Option<&DestinationView>,
    ) -> Result<Self, Refusal> {
        let own = operations.own_organization(&v.ctx, v.query(&[])).await?;
        let setting = |name: &str| {
            stored
                .and_then(|stored| stored.settings[name].as_str())
                .map(str::to_owned)
        };
        let key = setting("key_template").unwrap_or_else(|| "waybill/".to_owned());
        let prefix = key.split("{{").next().unwrap_or_default();
        Ok(Self {
            account_id: operations.settings().account_id.clone(),
            external_id: own.aws_external_id.to_string(),
            bucket: setting("bucket").unwrap_or_else(|| "YOUR-BUCKET".to_owned()),
            prefix: prefix
                .rsplit_once('/')
                .map(|(folder, _)| format!("{folder}/"))
                .unwrap_or_default(),
        })
    }
}
