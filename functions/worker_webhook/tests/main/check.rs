use domain::check::{CheckReport, StepName};
use domain::credentials::CredentialKind;
use domain::settings::webhook::CheckDepth;
use kit::sink::Sink;
use kit::tls::Authority;

use crate::Bench;

fn steps(report: &CheckReport) -> Vec<(StepName, Option<bool>)> {
    assert!(report.steps.iter().all(|step| !step.detail.is_empty()));
    report
        .steps
        .iter()
        .map(|step| (step.name, step.ok))
        .collect()
}

#[tokio::test]
async fn a_check_takes_every_step_and_sends_a_signed_request() {
    let authority = Authority::new();
    let bench = Bench::with(
        Sink::start_tls(authority.server(&["127.0.0.1"], &[])).await,
        authority.roots(),
    );
    let mut destination = bench.destination().await;
    destination.credentials = bench
        .credentials(CredentialKind::Bearer, &[], ("token", "tok-s3cret"))
        .await;
    let report = bench.check(&destination).await;
    assert!(report.ok);
    let all = [
        StepName::Resolve,
        StepName::Connect,
        StepName::Tls,
        StepName::Authenticate,
        StepName::Write,
    ];
    assert_eq!(steps(&report), all.map(|name| (name, Some(true))));
    let request = &bench.sink.requests()[0];
    assert_eq!(
        request.header("waybill-event-type"),
        Some("waybill.destination.check")
    );
    assert_eq!(request.header("authorization"), Some("Bearer tok-s3cret"));
    assert!(request.header("webhook-signature").is_some());
    let body = request.json();
    assert_eq!(
        (&body["type"], body["id"].as_str()),
        (
            &"waybill.destination.check".into(),
            request.header("webhook-id")
        )
    );
}

#[tokio::test]
async fn the_step_that_fails_is_named() {
    let bench = Bench::new().await;
    let destination = bench.destination().await;
    let way = [
        (StepName::Resolve, Some(true)),
        (StepName::Connect, Some(true)),
    ];
    for status in [401, 403] {
        bench.sink.answers([status]);
        let refused = [
            (StepName::Authenticate, Some(false)),
            (StepName::Write, None),
        ];
        assert_eq!(
            steps(&bench.check(&destination).await),
            [way, refused].concat(),
            "{status}"
        );
    }
    for status in [302, 404, 500, 503] {
        bench.sink.answers([status]);
        let report = bench.check(&destination).await;
        assert_eq!(
            steps(&report),
            [
                way,
                [
                    (StepName::Authenticate, None),
                    (StepName::Write, Some(false))
                ]
            ]
            .concat(),
            "{status}"
        );
        assert!(
            report
                .failed_step()
                .unwrap()
                .detail
                .contains(&status.to_string())
        );
    }
    let not_reached = [(StepName::Authenticate, None), (StepName::Write, None)];
    bench.sink.refuses().await;
    let refused = [
        (StepName::Resolve, Some(true)),
        (StepName::Connect, Some(false)),
    ];
    assert_eq!(
        steps(&bench.check(&destination).await),
        [refused, not_reached].concat()
    );
    let mut inner = destination.clone();
    samples::settings(&mut inner).url = Some("http://10.0.0.1/".to_owned());
    let blocked = [(StepName::Resolve, Some(false)), (StepName::Connect, None)];
    assert_eq!(
        steps(&bench.check(&inner).await),
        [blocked, not_reached].concat()
    );
}

#[tokio::test]
async fn a_check_that_may_only_connect_sends_nothing_and_opens_nothing() {
    let bench = Bench::new().await;
    let mut destination = bench.destination().await;
    samples::settings(&mut destination).check = CheckDepth::Connect;
    let calls = bench.engines.record();
    let report = bench.check(&destination).await;
    assert_eq!(
        steps(&report),
        [
            (StepName::Resolve, Some(true)),
            (StepName::Connect, Some(true))
        ]
    );
    assert_eq!((bench.sink.count(), calls.calls().len()), (0, 0));
}

#[tokio::test]
async fn a_receiver_that_hangs_fails_the_write_within_its_own_time() {
    let bench = Bench::new().await;
    let mut destination = bench.destination().await;
    samples::settings(&mut destination).timeout_seconds = 1;
    bench.sink.hangs();
    assert_eq!(
        bench.check(&destination).await.failed_step().unwrap().name,
        StepName::Write
    );
}
