use std::time::Duration;

use domain::audit::AuditEvent;
use domain::id::OrganizationId;

use crate::fixture::Fixture;

/// `count` events, a second apart, oldest first.
async fn recorded(
    fixture: &Fixture,
    organization: OrganizationId,
    count: usize,
) -> Vec<AuditEvent> {
    let mut events = Vec::new();
    for n in 0..count {
        fixture.advance(Duration::from_secs(1));
        let event = fixture.event(organization, &format!("test.{n}"));
        fixture.store.record_audit(&event).await.unwrap();
        events.push(event);
    }
    events
}

#[tokio::test]
async fn a_walk_sees_every_event_once_newest_first() {
    let fixture = Fixture::new();
    let (organization, other) = (fixture.ids.organization(), fixture.ids.organization());
    let mut events = recorded(&fixture, organization, 7).await;
    recorded(&fixture, other, 2).await;
    events.reverse();
    let (mut seen, mut pages): (Vec<AuditEvent>, _) = (Vec::new(), 0);
    loop {
        let after = seen.last().map(|event| event.id);
        let page = fixture
            .store
            .audit_page(organization, None, None, after, 3)
            .await
            .unwrap();
        seen.extend(page.items);
        pages += 1;
        if !page.more {
            break;
        }
    }
    assert_eq!((seen, pages), (events, 3));
}

#[tokio::test]
async fn since_is_inclusive_and_until_is_not() {
    let fixture = Fixture::new();
    let organization = fixture.ids.organization();
    let events = recorded(&fixture, organization, 5).await;
    let (since, until) = (Some(events[1].at), Some(events[3].at));
    let page = fixture
        .store
        .audit_page(organization, since, until, None, 10)
        .await
        .unwrap();
    assert_eq!(
        (page.items, page.more),
        (vec![events[2].clone(), events[1].clone()], false)
    );
    let page = fixture
        .store
        .audit_page(organization, since, until, Some(events[2].id), 10)
        .await
        .unwrap();
    assert_eq!(page.items, [events[1].clone()]);
    assert!(
        fixture
            .store
            .audit_page(organization, until, since, None, 10)
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test]
async fn events_are_kept_as_long_as_the_organization_says() {
    let fixture = Fixture::new();
    let organization = fixture.organization().await;
    fixture.advance(Duration::from_secs(399 * 24 * 3600));
    assert_eq!(
        fixture
            .store
            .audit_page(organization.id, None, None, None, 10)
            .await
            .unwrap()
            .items
            .len(),
        1
    );
    fixture.advance(Duration::from_secs(24 * 3600));
    assert!(
        fixture
            .store
            .audit_page(organization.id, None, None, None, 10)
            .await
            .unwrap()
            .items
            .is_empty()
    );
}
