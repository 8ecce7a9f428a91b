//! The AWS roles that customers name. They belong to the customers' own accounts, and never to the
//! deployment's.

use domain::input::FieldCode;
use domain::role_arn::{NotARoleArn, RoleArn};

/// Why a role is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotACustomersRole {
    #[error(transparent)]
    NotARole(#[from] NotARoleArn),
    /// The role belongs to the deployment's account. A customer that names it would act as the
    /// deployment.
    #[error("belongs to the AWS account that Waybill runs in; name a role of your own account")]
    Own,
}

impl NotACustomersRole {
    pub(crate) fn code(self) -> FieldCode {
        match self {
            Self::NotARole(_) => FieldCode::InvalidFormat,
            Self::Own => FieldCode::Reserved,
        }
    }
}

/// Parses the ARN of a customer's role. A role of the deployment's own account is refused, in
/// whatever partition the ARN names it.
pub(crate) fn customers_role(text: &str, own_account: &str) -> Result<RoleArn, NotACustomersRole> {
    let role: RoleArn = text.parse()?;
    if role.account() == own_account {
        Err(NotACustomersRole::Own)
    } else {
        Ok(role)
    }
}
