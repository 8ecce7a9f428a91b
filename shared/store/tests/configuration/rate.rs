use std::time::Duration;

use crate::fixture::Fixture;

#[tokio::test]
async fn a_window_takes_so_many_calls_and_no_more() {
    let fixture = Fixture::new();
    let start = fixture.now();
    let calls = (0..20).map(|_| fixture.store.count_in_window("org_1#check", start, 5));
    let counted = futures_util::future::join_all(calls).await;
    assert_eq!(counted.into_iter().filter(|counted| matches!(counted, Ok(true))).count(), 5);
    assert!(fixture.store.count_in_window("org_2#check", start, 5).await.unwrap());
    assert!(fixture.store.count_in_window("org_1#check", start.plus(Duration::from_secs(60)), 5).await.unwrap());
    assert!(!fixture.store.count_in_window("org_3#check", start, 0).await.unwrap());
}
