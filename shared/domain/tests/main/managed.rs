//! Tests of the stored form of who manages a destination.

use domain::credentials::Credentials;
use domain::destination::{Destination, ManagedBy};
use domain::system_destination::SystemDestination;
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
    let own = SystemDestination::new(
        id,
        organization_id,
        "Status callbacks",
        settings,
        Credentials::none(),
        at(0),
    );
    let own = own.record().clone();
    let later = own.revised(at(5));
    assert!(own.is_system() && later.is_system());
    assert_eq!(later.managed_by, ManagedBy::Waybill);
    assert_eq!(to_value(&own).unwrap()["revision"], 0);
    assert_eq!(
        from_value::<Destination>(to_value(&own).unwrap()).unwrap(),
        own
    );
}

#[test]
fn a_destination_of_an_organization_is_not_waybills() {
    let theirs = samples::webhook("https://receiver.example/");
    assert_eq!(SystemDestination::of(theirs.clone()), None);
    let ours = Destination {
        managed_by: ManagedBy::Waybill,
        ..theirs
    };
    let ours = SystemDestination::of(ours).expect("it is Waybill's");
    let changed = ours.changed(ours.record().settings.clone(), Vec::new(), at(9));
    assert_eq!(changed.record().managed_by, ManagedBy::Waybill);
    assert_eq!(changed.record().updated_at, at(9));
}
