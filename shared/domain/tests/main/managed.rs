//! Tests of the stored form of who manages a destination.

use domain::credentials::Credentials;
use domain::destination::{Destination, ManagedBy};
use serde_json::{from_value, to_value};

use crate::at;

#[test]
fn the_stored_revision_says_who_manages_a_destination() {
    let first = samples::webhook("https://receiver.example/");
    let second = first.revised(at(5));
    assert_eq!(
        (first.revision(), second.revision(), second.updated_at),
        (1, 2, at(5))
    );
    assert_eq!(to_value(&second).unwrap()["revision"], 2);
    assert_eq!(
        from_value::<Destination>(to_value(&second).unwrap()).unwrap(),
        second
    );
}

#[test]
fn a_destination_that_waybill_manages_has_no_revisions() {
    let Destination {
        id,
        organization_id,
        settings,
        ..
    } = samples::webhook("https://receiver.example/");
    let own = Destination::system(
        id,
        organization_id,
        "Status callbacks",
        settings,
        Credentials::none(),
        at(0),
    );
    let later = own.revised(at(5));
    assert!(own.is_system() && later.is_system());
    assert_eq!(later.managed_by, ManagedBy::Waybill);
    assert_eq!(to_value(&own).unwrap()["revision"], 0);
    assert_eq!(
        from_value::<Destination>(to_value(&own).unwrap()).unwrap(),
        own
    );
}
