//! The closed sets of words that the OpenAPI document defines.

use std::borrow::Cow;

use domain::Reason;
use domain::delivery::DeliveryStatus;
use domain::role::Role;
use domain::settings::DestinationType;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident($description:literal) = $words:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let words: Vec<&str> = $words;
                ObjectBuilder::new().schema_type(Type::String).description(Some($description)).enum_values(Some(words)).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )*};
}

fn names<T>(all: &[(&'static str, T)]) -> Vec<&'static str> {
    all.iter().map(|(name, _)| *name).collect()
}

words! {
    /// The roles of API keys.
    RoleName("What a key may do, from everything to reading only.") = Role::ALL.iter().map(|role| role.as_str()).collect();
    /// The roles of users in the console.
    PortalRoleName("What a person may do in the console.") = [Role::Viewer, Role::Manager,
        Role::Admin].map(Role::as_str).to_vec();
    /// The types of destinations.
    DestinationTypeName("A destination's type.") = names(DestinationType::ALL);
    /// The statuses of deliveries.
    DeliveryStatusName("Where a delivery stands. More may be added; treat an unknown one as \
         unfinished.") = names(DeliveryStatus::ALL);
    /// The failure categories of attempts.
    ReasonName("Why an attempt or a delivery did not succeed. More may be added.") = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
}
