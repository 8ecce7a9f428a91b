use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::destination::{Destination, DestinationState, DisabledBy};
use domain::organization::{Organization, OrganizationSettings};
use store::{Created, Saved};

use crate::fixture::{Fixture, TABLE};

/// Deletes a destination in its current state.
pub(super) async fn delete(fixture: &Fixture, before: &Destination) {
    let deleted = Destination {
        state: DestinationState::Deleted { at: fixture.now() },
        ..before.revised(before.updated_at)
    };
    let event = fixture.event(before.organization_id, "destination.deleted");
    assert_eq!(
        fixture
            .store
            .save_destination(&deleted, before.revision(), &event)
            .await
            .unwrap(),
        Saved::Done
    );
}

#[tokio::test]
async fn a_destination_reads_back_in_its_organization_alone() {
    let fixture = Fixture::new();
    let (organization, other) = (fixture.organization().await, fixture.organization().await);
    let destination = fixture.destination(organization.id).await;
    assert_eq!(
        fixture
            .store
            .destination(organization.id, destination.id)
            .await
            .unwrap(),
        Some(destination.clone())
    );
    assert_eq!(
        fixture
            .store
            .destination(other.id, destination.id)
            .await
            .unwrap(),
        None
    );
    let unknown = fixture.new_destination(organization.id).id;
    let several = fixture
        .store
        .destinations(organization.id, &[unknown, destination.id, destination.id])
        .await
        .unwrap();
    assert_eq!(
        several,
        [None, Some(destination.clone()), Some(destination.clone())]
    );

    let route = fixture
        .store
        .routes(organization.id)
        .await
        .unwrap()
        .unwrap()
        .destinations
        .remove(0);
    assert_eq!(
        (route.id, route.kind, route.enabled, route.revision),
        (destination.id, destination.kind(), true, 1)
    );
    assert_eq!(route.event_types, destination.event_types);
}

#[tokio::test]
async fn destinations_created_at_once_are_all_in_the_routes() {
    let fixture = Fixture::new();
    let organization = fixture.organization().await;
    let new: Vec<Destination> = (0..20)
        .map(|_| fixture.new_destination(organization.id))
        .collect();
    let creations = new.iter().map(|destination| async {
        let event = fixture.event(organization.id, "destination.created");
        fixture
            .store
            .create_destination(destination, &event)
            .await
            .unwrap()
    });
    let created = futures_util::future::join_all(creations).await;
    assert_eq!(created, [Created::Done; 20]);
    let routes = fixture
        .store
        .routes(organization.id)
        .await
        .unwrap()
        .unwrap();
    let ids: Vec<_> = routes.destinations.iter().map(|route| route.id).collect();
    assert_eq!(
        ids,
        new.iter()
            .map(|destination| destination.id)
            .collect::<Vec<_>>(),
        "oldest first"
    );
}

#[tokio::test]
async fn a_page_has_the_oldest_first_and_no_deleted_ones() {
    let fixture = Fixture::new();
    let organization = fixture.organization().await;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(fixture.destination(organization.id).await);
    }
    delete(&fixture, &all.remove(1)).await;
    let first = fixture
        .store
        .destinations_page(organization.id, None, 3)
        .await
        .unwrap();
    assert_eq!((first.items.as_slice(), first.more), (&all[..3], true));
    let second = fixture
        .store
        .destinations_page(organization.id, Some(first.items[2].id), 3)
        .await
        .unwrap();
    assert_eq!((second.items.as_slice(), second.more), (&all[3..], false));
}

#[tokio::test]
async fn of_two_changes_of_one_revision_one_wins() {
    let fixture = Fixture::new();
    let organization = fixture.organization().await;
    let before = fixture.destination(organization.id).await;
    let disabled = DestinationState::Disabled {
        at: fixture.now(),
        by: DisabledBy::User,
        reason: None,
    };
    let changes = [DestinationState::Enabled, disabled].map(|state| Destination {
        state,
        ..before.revised(before.updated_at)
    });
    let saves = changes.iter().map(|after| async {
        let event = fixture.event(organization.id, "destination.updated");
        fixture
            .store
            .save_destination(after, 1, &event)
            .await
            .unwrap()
    });
    let saves = futures_util::future::join_all(saves).await;
    let winner = match saves.as_slice() {
        [Saved::Done, Saved::Conflict] => &changes[0],
        [Saved::Conflict, Saved::Done] => &changes[1],
        both => panic!("{both:?}"),
    };
    assert_eq!(
        fixture
            .store
            .destination(organization.id, before.id)
            .await
            .unwrap()
            .as_ref(),
        Some(winner)
    );
    let route = fixture
        .store
        .routes(organization.id)
        .await
        .unwrap()
        .unwrap()
        .destinations
        .remove(0);
    assert_eq!(
        (route.enabled, route.revision),
        (winner.is_enabled(), 2),
        "the route says what the destination says"
    );
}

#[tokio::test]
async fn a_deleted_destination_leaves_the_routes_and_the_settings_and_stays_readable() {
    let fixture = Fixture::new();
    let organization = fixture.organization().await;
    let (gone, remaining) = (
        fixture.destination(organization.id).await,
        fixture.destination(organization.id).await,
    );
    let settings = OrganizationSettings {
        default_destination_ids: vec![gone.id, remaining.id],
        alert_destination_ids: vec![gone.id],
        ..organization.settings.clone()
    };
    let named = Organization {
        settings,
        revision: 2,
        ..organization.clone()
    };
    let event = fixture.event(organization.id, "organization.updated");
    assert_eq!(
        fixture
            .store
            .update_organization(&named, 1, &event)
            .await
            .unwrap(),
        Saved::Done
    );

    delete(&fixture, &gone).await;
    let routes = fixture
        .store
        .routes(organization.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        routes
            .destinations
            .iter()
            .map(|route| route.id)
            .collect::<Vec<_>>(),
        [remaining.id]
    );
    let after = fixture
        .store
        .organization(organization.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (&after.settings.default_destination_ids, after.revision),
        (&vec![remaining.id], 3)
    );
    assert!(after.settings.alert_destination_ids.is_empty());
    assert_eq!(routes.settings, after.settings);
    assert!(
        fixture
            .store
            .destination(organization.id, gone.id)
            .await
            .unwrap()
            .unwrap()
            .is_deleted()
    );
}

#[tokio::test]
async fn a_thousand_destinations_are_enough() {
    let fixture = Fixture::new();
    let organization = fixture.organization().await;
    let route = AttributeValue::S(r#"{"t":"webhook","e":true,"r":1}"#.to_owned());
    let full: HashMap<_, _> = (0..1000)
        .map(|_| {
            (
                fixture.new_destination(organization.id).id.to_string(),
                route.clone(),
            )
        })
        .collect();
    let update = fixture
        .table
        .update_item()
        .table_name(TABLE)
        .update_expression("SET d = :d");
    let update = update
        .key("pk", AttributeValue::S(format!("ORG#{}", organization.id)))
        .key("sk", AttributeValue::S("ROUTES".to_owned()));
    update
        .expression_attribute_values(":d", AttributeValue::M(full))
        .send()
        .await
        .unwrap();

    let one_more = fixture.new_destination(organization.id);
    let event = fixture.event(organization.id, "destination.created");
    assert_eq!(
        fixture
            .store
            .create_destination(&one_more, &event)
            .await
            .unwrap(),
        Created::TooMany
    );
    assert_eq!(
        fixture
            .store
            .destination(organization.id, one_more.id)
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn a_destination_needs_an_organization() {
    let fixture = Fixture::new();
    let orphan = fixture.new_destination(fixture.ids.organization());
    let event = fixture.event(orphan.organization_id, "destination.created");
    assert_eq!(
        fixture
            .store
            .create_destination(&orphan, &event)
            .await
            .unwrap(),
        Created::Conflict
    );
    assert_eq!(
        fixture
            .store
            .save_destination(&orphan, 1, &event)
            .await
            .unwrap(),
        Saved::Conflict
    );
}
