//! A sample delivery and its destination.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::attempt::Trigger;
use domain::credentials::Credentials;
use domain::delivery::{Delivery, NewDelivery};
use domain::destination::{Destination, DestinationState};
use domain::event_type::EventType;
use domain::id::{DeliveryId, Ulid};
use domain::message::{MessageFacts, PayloadInfo};
use domain::retry::RetryPolicy;
use domain::settings::webhook::{CheckDepth, Method, Signature, WebhookSettings};
use domain::settings::{DestinationType, Settings};

fn ulid() -> Ulid {
    Ulid::first_at(Timestamp::from_millis(1_764_000_000_000))
}

pub(crate) fn delivery() -> Delivery {
    let payload = PayloadInfo { size_bytes: 24, content_type: "application/json".to_owned(), filename: None, sha256: None };
    let new = NewDelivery {
        id: DeliveryId { message: ulid().into(), position: 0 },
        organization: ulid().into(),
        destination: ulid().into(),
        destination_type: DestinationType::Webhook,
        destination_disabled: false,
        message: MessageFacts {
            event_type: EventType::parse("report.ready").unwrap(),
            reference: None,
            metadata: BTreeMap::new(),
            payload,
            expires_at: None,
            trace: "0af7651916cd43dd8448eb211c80319c".parse().unwrap(),
            test: false,
            status_callback: None,
        },
        fan_out: 1,
        trigger: Trigger::First,
        fallback_of: None,
        retention_days: 30,
        payload_retention_days: 30,
    };
    Delivery::accept(new, ulid().time())
}

pub(crate) fn destination(url: &str) -> Destination {
    let settings = WebhookSettings {
        url: Some(url.to_owned()),
        method: Method::Post,
        headers: BTreeMap::new(),
        signature: Signature { enabled: true },
        timeout_seconds: 5,
        user_agent: None,
        check: CheckDepth::Request,
        preset: None,
        body_template: None,
        content_type: None,
        disable_on_gone: true,
    };
    Destination {
        id: ulid().into(),
        organization_id: ulid().into(),
        external_id: None,
        name: "a receiver".to_owned(),
        description: None,
        state: DestinationState::Enabled,
        settings: Settings::Webhook(settings),
        credentials: Credentials::none(),
        signing_secrets: Vec::new(),
        event_types: None,
        retry_policy: Some(RetryPolicy::default()),
        failure_policy: None,
        delivery_limits: None,
        on_exhausted: None,
        revision: 1,
        verified_at: None,
        created_at: ulid().time(),
        updated_at: ulid().time(),
    }
}

/// Returns a destination's settings so that a test can change them.
pub(crate) fn settings(destination: &mut Destination) -> &mut WebhookSettings {
    let Settings::Webhook(settings) = &mut destination.settings else { panic!("a webhook") };
    settings
}
