//! One record of every kind that the table stores, always the same.

use std::time::Duration;

use bytes::Bytes;
use domain::alert::{Alert, AlertKind};
use domain::api_key::ApiKey;
use domain::attempt::{Attempt, Failure};
use domain::audit::{Actor, AuditEvent};
use domain::authorization::{Authorization, Consent};
use domain::delivery::Delivery;
use domain::destination::Destination;
use domain::health::{EndedStreak, LastError};
use domain::id::{JobId, OrganizationId};
use domain::organization::Organization;
use domain::portal_link::{Maker, PortalLink, Subject};
use domain::receipt::Receipt;
use domain::role::Role;
use domain::settle::AfterAttempt;
use domain::statistics::Tally;
use domain::{Reason, Timestamp};
use serde_json::json;
use store::{
    Claim, Content, Created, IdempotencyClaim, Job, JobKind, PendingConfirmation, Round, SentBody,
    Settled, Upload,
};

use crate::deliveries::words::PAYLOAD;
use crate::fixture::Fixture;

const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const BODY: &[u8] = b"{\"text\":\"Your report is ready\"}";

/// One thing of every kind.
pub(crate) struct OneOfEach {
    now: Timestamp,
    organization: Organization,
    created: AuditEvent,
    destination: Destination,
    destination_created: AuditEvent,
    key: ApiKey,
    link: PortalLink,
    authorization: Authorization,
    alert: Alert,
    job: Job,
    upload: Upload,
    claim: IdempotencyClaim,
    confirmation: PendingConfirmation,
    round: Round,
    tally: Tally,
    error: LastError,
    /// Queued, retrying, succeeded, failed, skipped and cancelled deliveries of one message.
    deliveries: Vec<Delivery>,
    settled: Vec<Delivery>,
}

impl OneOfEach {
    pub(crate) fn new(fixture: &Fixture) -> Self {
        let ids = &fixture.ids;
        let now = fixture.now();
        let organization = Organization {
            external_id: Some("acme-1".to_owned()),
            shards: 1,
            ..Organization::new(ids.organization(), "Acme", "external".to_owned(), now)
        };
        let owner = organization.id;
        let key = ApiKey {
            id: ids.mint(owner, 1),
            organization_id: Some(owner),
            name: "ci".to_owned(),
            role: Role::Admin,
            secret_sha256: HASH.to_owned(),
            hint: "last".to_owned(),
            created_at: now,
            created_by: None,
            expires_at: None,
            last_used_at: None,
        };
        let destination = fixture.new_destination(owner);
        let deliveries = fixture.message_to(owner, &[destination.id; 6]);
        let mut tally = Tally::default();
        tally.add("report.ready", None, 143);
        tally.add("report.ready", Some(Reason::Timeout), 10_000);
        Self {
            now,
            created: fixture.event(owner, "organization.created"),
            destination_created: fixture.event(owner, "destination.created"),
            link: PortalLink {
                id: ids.mint(owner, 1),
                organization_id: Some(owner),
                role: Role::Viewer,
                subject: Subject::default(),
                path: Some("/destinations".to_owned()),
                secret_sha256: HASH.to_owned(),
                created_at: now,
                expires_at: now.plus(Duration::from_secs(3600)),
                session_seconds: 3600,
                session_until: None,
                made_by: vec![Maker::Key(key.id)],
                signed_in_with: None,
            },
            authorization: Authorization {
                id: ids.mint(owner, 1),
                organization_id: owner,
                provider: serde_json::from_value(json!("google")).unwrap(),
                token_url: "https://oauth2.googleapis.com/token".to_owned(),
                client_id: "client".to_owned(),
                client_secret: serde_json::from_value(json!("sealed")).unwrap(),
                scope: None,
                mail_servers: Some(vec!["smtp.gmail.com".to_owned()]),
                consent: Consent::Refused {
                    detail: "access_denied".to_owned(),
                },
                revision: 1,
                created_at: now,
                expires_at: now.plus(Duration::from_secs(3600)),
            },
            alert: Alert {
                id: ids.mint(owner, 1),
                organization_id: owner,
                destination_id: destination.id,
                kind: AlertKind::Failing,
                occurred_at: now,
                data: json!({"reason": "timeout"}),
                message: None,
            },
            job: Job::new(
                ids.mint::<JobId>(owner, 1),
                owner,
                JobKind::Retry,
                Actor::system(),
                now,
            ),
            upload: Upload {
                id: ids.mint(owner, 1),
                organization_id: owner,
                content_type: "text/csv".to_owned(),
                filename: Some("report.csv".to_owned()),
                size_bytes: 1000,
                sha256: Some(HASH.to_owned()),
                key: "uploads/report".to_owned(),
                created_at: now,
                expires_at: now.plus(Duration::from_secs(86_400)),
            },
            claim: IdempotencyClaim {
                organization: owner,
                key_hash: HASH.to_owned(),
                request_hash: HASH.to_owned(),
                lease_until: now.plus(Duration::from_secs(30)),
                recorded: json!({"message": "msg_01kastx800030drg7rz3j4xk7q"}),
            },
            confirmation: PendingConfirmation {
                address: "ops@acme.example".to_owned(),
                secret_sha256: HASH.to_owned(),
                expires_at: now.plus(Duration::from_secs(86_400)),
            },
            round: Round {
                began_at: Some(now),
                done_with: Some(owner),
                ..Round::default()
            },
            error: LastError {
                reason: Reason::Timeout,
                detail: "no answer within 10 s".to_owned(),
            },
            settled: deliveries
                .iter()
                .map(|delivery| moved_on(fixture, delivery))
                .collect(),
            organization,
            key,
            destination,
            tally,
            deliveries,
        }
    }

    /// The organization that everything belongs to.
    pub(crate) fn owner(&self) -> OrganizationId {
        self.organization.id
    }

    pub(crate) async fn write(&self, fixture: &Fixture) {
        let store = &fixture.store;
        let owner = self.organization.id;
        store
            .create_organization(&self.organization, &self.created)
            .await
            .unwrap();
        assert_eq!(
            store
                .create_destination(&self.destination, &self.destination_created)
                .await
                .unwrap(),
            Created::Done
        );
        store.create_key(&self.key).await.unwrap();
        store.create_portal_link(&self.link).await.unwrap();
        store
            .create_authorization(&self.authorization)
            .await
            .unwrap();
        store.announced(&self.alert).await.unwrap();
        store.create_job(&self.job).await.unwrap();
        store.create_upload(&self.upload, 30, None).await.unwrap();
        assert_eq!(
            store.claim(&self.claim, self.now).await.unwrap(),
            Claim::New
        );
        store
            .finish_claim(owner, &self.claim.key_hash, Some(json!({"status": 202})))
            .await
            .unwrap();
        store
            .save_confirmation(owner, HASH, &self.confirmation)
            .await
            .unwrap();
        store.keep_round(&self.round).await.unwrap();
        store
            .add_statistics(self.destination.id, self.now, &self.tally)
            .await
            .unwrap();
        self.write_health(fixture).await;
        store
            .commit(
                &self.deliveries,
                &Content::Bytes(Bytes::from_static(PAYLOAD)),
            )
            .await
            .unwrap();
        for (before, after) in self
            .deliveries
            .iter()
            .zip(&self.settled)
            .filter(|(before, after)| before != after)
        {
            match after.last_attempt {
                Some(_) => assert_eq!(
                    store.settle(before, after, "token").await.unwrap(),
                    Settled::Done
                ),
                None => assert!(store.transition(before, after).await.unwrap()),
            }
        }
        store
            .keep_body(&self.deliveries[0], &self.body())
            .await
            .unwrap();
    }

    /// A streak of one failure that a success ended, and another that goes on.
    async fn write_health(&self, fixture: &Fixture) {
        let (store, id) = (&fixture.store, self.destination.id);
        let count = async |token, at| {
            let counted = store
                .count_failure(
                    id,
                    self.destination.organization_id,
                    0,
                    token,
                    at,
                    self.error.clone(),
                )
                .await;
            assert!(counted.unwrap());
        };
        count("token", self.now).await;
        let seen = store.health(id).await.unwrap();
        assert!(
            store
                .end_streak(id, &seen, self.streak_ended_at(), 1, false)
                .await
                .unwrap()
        );
        count(
            "token 2",
            self.streak_ended_at().plus(Duration::from_secs(1)),
        )
        .await;
    }

    fn streak_ended_at(&self) -> Timestamp {
        self.now.plus(Duration::from_secs(1))
    }

    pub(crate) async fn read(&self, fixture: &Fixture) {
        let store = &fixture.store;
        let (owner, destination) = (self.organization.id, self.destination.id);
        assert_eq!(
            store.organization(owner).await.unwrap().as_ref(),
            Some(&self.organization)
        );
        assert_eq!(
            store
                .destination(owner, destination)
                .await
                .unwrap()
                .as_ref(),
            Some(&self.destination)
        );
        assert_eq!(
            store
                .routes(owner)
                .await
                .unwrap()
                .unwrap()
                .destinations
                .len(),
            1
        );
        assert_eq!(
            store.keys(Some(owner)).await.unwrap(),
            std::slice::from_ref(&self.key)
        );
        assert_eq!(
            store
                .standing_portal_link(Some(owner), self.link.id, &self.link.made_by)
                .await
                .unwrap()
                .unwrap()
                .link,
            self.link
        );
        let authorization = store
            .authorization(owner, self.authorization.id)
            .await
            .unwrap();
        assert_eq!(authorization.as_ref(), Some(&self.authorization));
        assert_eq!(
            store.alerts_page(owner, None, 25).await.unwrap().items,
            std::slice::from_ref(&self.alert)
        );
        assert_eq!(
            store.job(owner, self.job.id).await.unwrap().as_ref(),
            Some(&self.job)
        );
        assert_eq!(
            store.upload(owner, self.upload.id).await.unwrap().as_ref(),
            Some(&self.upload)
        );
        let claimed = store.find_claim(owner, &self.claim.key_hash).await.unwrap();
        let Some(Claim::Finished {
            recorded, response, ..
        }) = claimed
        else {
            panic!("it is finished: {claimed:?}")
        };
        assert_eq!(
            (recorded, response),
            (self.claim.recorded.clone(), Some(json!({"status": 202})))
        );
        assert_eq!(
            store.confirmation(owner, HASH).await.unwrap().as_ref(),
            Some(&self.confirmation)
        );
        assert_eq!(store.round().await.unwrap(), self.round);
        let health = store.health(destination).await.unwrap();
        assert_eq!(
            (health.consecutive_failures, health.last_error.as_ref()),
            (1, Some(&self.error))
        );
        let ended = EndedStreak {
            failures: 1,
            began_at: Some(self.now),
            after: None,
            ended_at: self.streak_ended_at(),
        };
        assert_eq!(health.ended, Some(ended));
        self.read_deliveries(fixture).await;
    }

    async fn read_deliveries(&self, fixture: &Fixture) {
        let store = &fixture.store;
        let owner = self.organization.id;
        let message = self.deliveries[0].id.message;
        assert_eq!(
            store.message(owner, message).await.unwrap().as_ref(),
            Some(&self.settled)
        );
        assert_eq!(
            store.payload_of(owner, message).await.unwrap().unwrap(),
            PAYLOAD
        );
        let body = store.sent_body(&self.deliveries[0]).await.unwrap().unwrap();
        assert_eq!(
            (body.content_type.as_str(), body.sha256),
            ("application/json", self.body().sha256())
        );
    }

    fn body(&self) -> SentBody {
        SentBody {
            content_type: "application/json".to_owned(),
            bytes: Bytes::from_static(BODY),
        }
    }
}

/// Moves the delivery to the state that its position stands for.
fn moved_on(fixture: &Fixture, delivery: &Delivery) -> Delivery {
    let finished_at = fixture.now();
    let failure = Failure {
        reason: Reason::ServerError,
        detail: "the destination answered 503".to_owned(),
    };
    let settled = |attempt, after| {
        delivery
            .clone()
            .settle(attempt, after, finished_at)
            .unwrap()
    };
    let failed = |after| {
        settled(
            Attempt {
                failure: Some(failure.clone()),
                ..fixture.attempt(delivery)
            },
            after,
        )
    };
    match delivery.id.position {
        1 => failed(AfterAttempt::Retrying {
            next_attempt_at: finished_at.plus(Duration::from_secs(1)),
            reason: Reason::ServerError,
        }),
        2 => settled(
            fixture.attempt(delivery),
            AfterAttempt::Succeeded(Receipt::HttpResponse {
                id: None,
                status: 200,
            }),
        ),
        3 => failed(AfterAttempt::Failed {
            reason: Reason::ServerError,
            exhausted: true,
        }),
        4 => delivery.clone().cancel(finished_at).unwrap(),
        _ => delivery.clone(),
    }
}
