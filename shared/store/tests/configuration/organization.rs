use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::audit::Actor;
use domain::organization::{Organization, OrganizationStatus};
use store::{Ending, Job, JobKind, JobStatus, Saved};

use crate::fixture::{Fixture, TABLE};

#[tokio::test]
async fn an_organization_reads_back_with_its_routes() {
    let fixture = Fixture::new();
    let organization = fixture.organization().await;
    assert_eq!(
        fixture.store.organization(organization.id).await.unwrap(),
        Some(organization.clone())
    );
    let routes = fixture
        .store
        .routes(organization.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (routes.status, routes.shards, routes.destinations.len()),
        (OrganizationStatus::Active, 4, 0)
    );
    assert_eq!(routes.settings, organization.settings);
    let unknown = fixture.ids.organization();
    assert_eq!(fixture.store.organization(unknown).await.unwrap(), None);
    assert_eq!(fixture.store.routes(unknown).await.unwrap(), None);
}

#[tokio::test]
async fn organizations_are_listed_oldest_first() {
    let fixture = Fixture::new();
    let mut created = Vec::new();
    for _ in 0..5 {
        created.push(fixture.organization().await.id);
    }
    let (mut listed, mut pages) = (Vec::new(), 0);
    loop {
        let page = fixture
            .store
            .organizations(listed.last().copied(), 2)
            .await
            .unwrap();
        listed.extend(page.items.iter().map(|organization| organization.id));
        pages += 1;
        if !page.more {
            break;
        }
    }
    assert_eq!((listed, pages), (created, 3));
}

#[tokio::test]
async fn of_two_changes_of_one_revision_one_wins() {
    let fixture = Fixture::new();
    let before = fixture.organization().await;
    let change = |name: &str| Organization {
        name: name.to_owned(),
        status: OrganizationStatus::Suspended,
        revision: 2,
        ..before.clone()
    };
    let (one, other) = (change("one"), change("other"));
    let (first, second) = (
        fixture.event(before.id, "organization.updated"),
        fixture.event(before.id, "organization.updated"),
    );
    let saves = tokio::join!(
        fixture.store.update_organization(&one, 1, &first),
        fixture.store.update_organization(&other, 1, &second)
    );
    let saves = (saves.0.unwrap(), saves.1.unwrap());
    let winner = match saves {
        (Saved::Done, Saved::Conflict) => one,
        (Saved::Conflict, Saved::Done) => other,
        both => panic!("{both:?}"),
    };
    assert_eq!(
        fixture.store.organization(before.id).await.unwrap(),
        Some(winner)
    );
    assert_eq!(
        fixture
            .store
            .routes(before.id)
            .await
            .unwrap()
            .unwrap()
            .status,
        OrganizationStatus::Suspended
    );
    let trail = fixture
        .store
        .audit_page(before.id, None, None, None, 10)
        .await
        .unwrap()
        .items;
    assert_eq!(trail.len(), 2, "the refused change left no trace");
}

#[tokio::test]
async fn an_organization_with_destinations_is_not_deleted() {
    let fixture = Fixture::new();
    let organization = fixture.organization().await;
    let destination = fixture.destination(organization.id).await;
    assert_eq!(
        fixture
            .store
            .end_organization(&ended(&organization), organization.revision)
            .await
            .unwrap(),
        Ending::NotEmpty
    );
    assert!(
        fixture
            .store
            .organization(organization.id)
            .await
            .unwrap()
            .is_some()
    );

    super::destination::delete(&fixture, &destination).await;
    assert_eq!(
        fixture
            .store
            .end_organization(&ended(&organization), organization.revision)
            .await
            .unwrap(),
        Ending::Done
    );
    assert!(
        !fixture
            .store
            .organization_is_active(organization.id)
            .await
            .unwrap()
    );
    fixture
        .store
        .remove_organization(organization.id)
        .await
        .unwrap();
    assert_eq!(
        fixture.store.organization(organization.id).await.unwrap(),
        None
    );
    assert_eq!(fixture.store.routes(organization.id).await.unwrap(), None);
    assert!(
        fixture
            .store
            .organizations(None, 10)
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert_eq!(
        fixture.store.organization(organization.id).await.unwrap(),
        None
    );
    fixture
        .store
        .remove_organization(organization.id)
        .await
        .expect("once more does no harm");
}

#[tokio::test]
async fn a_deleted_organization_leaves_nothing_in_its_partition() {
    let fixture = Fixture::new();
    let organization = fixture.organization().await;
    let destination = fixture.destination(organization.id).await;
    super::destination::delete(&fixture, &destination).await;
    let job = Job::new(
        fixture.ids.mint(organization.id, 1),
        organization.id,
        JobKind::Retry,
        Actor::system(),
        fixture.now(),
    );
    fixture.store.create_job_within(&job).await.unwrap();
    let partition = AttributeValue::S(format!("ORG#{}", organization.id));
    let scan = || {
        fixture
            .table
            .query()
            .table_name(TABLE)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", partition.clone())
    };
    let sorts = |items: &[HashMap<String, AttributeValue>]| -> Vec<String> {
        items
            .iter()
            .map(|item| item["sk"].as_s().unwrap().clone())
            .collect()
    };
    let before = sorts(scan().send().await.unwrap().items());
    assert!(
        before.iter().any(|sort| sort.starts_with("TALLY#"))
            && before.iter().any(|sort| sort.starts_with("DST#")),
        "{before:?}"
    );
    assert_eq!(
        fixture
            .store
            .end_organization(&ended(&organization), organization.revision)
            .await
            .unwrap(),
        Ending::Done
    );
    fixture
        .store
        .remove_organization(organization.id)
        .await
        .unwrap();
    assert_eq!(
        sorts(scan().send().await.unwrap().items()),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn an_unfinished_job_is_found_behind_any_number_of_newer_ones() {
    let fixture = Fixture::new();
    let organization = fixture.ids.organization();
    let new = || {
        fixture.advance(std::time::Duration::from_millis(1));
        Job::new(
            fixture.ids.mint(organization, 1),
            organization,
            JobKind::Retry,
            Actor::system(),
            fixture.now(),
        )
    };
    let waits = fixture.store.create_job(&new()).await.unwrap();
    for _ in 0..120 {
        fixture
            .store
            .create_job(&new().ended(JobStatus::Finished, fixture.now()))
            .await
            .unwrap();
    }
    assert_eq!(
        fixture.store.unfinished_jobs(organization).await.unwrap(),
        [waits]
    );
}

fn ended(organization: &Organization) -> Organization {
    Organization {
        ended_at: Some(organization.created_at),
        revision: organization.revision + 1,
        ..organization.clone()
    }
}
