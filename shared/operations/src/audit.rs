//! Records events in the audit log, and lists them.

use domain::Reason;
use domain::audit::{AuditEvent, Change};
use domain::check::CheckReport;
use domain::id::OrganizationId;
use domain::input::{Errors, FieldCode};
use domain::role::Permission;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::context::covers_all_organizations;
use crate::cursor::ListScope;
use crate::page::{Page, PageQuery};
use crate::view::audit::AuditEventView;
use crate::{Context, Operations, Query, Refusal};

/// The largest value, as JSON in bytes, that a change records as it is.
const RECORDED_VALUE_MAX: usize = 2048;

/// The number of events that are read for one page if the request filters by action. The page may
/// then be short.
const EVENTS_READ_MAX: u32 = 500;

/// The number of refusals of one caller and action that are recorded in a minute. A person or a
/// wrong configuration causes fewer.
const RECORDED_PER_MINUTE: u32 = 1000;

impl Operations {
    /// Creates the audit event of a change that the request makes.
    pub(crate) fn event(
        &self,
        ctx: &Context,
        organization: OrganizationId,
        action: &str,
        target: impl ToString,
        changes: Vec<Change>,
    ) -> AuditEvent {
        AuditEvent {
            ip: ctx.ip.clone(),
            changes,
            request_id: Some(ctx.request_id.clone()),
            ..AuditEvent::new(
                self.ids.mint(organization, 1),
                organization,
                self.clock.now(),
                ctx.actor(),
                action,
                target,
            )
        }
    }

    /// Records the event of a change that has been made. If the event cannot be recorded, that is
    /// logged and the request still succeeds, because the caller needs to know that the change was
    /// made, and a secret in the response is shown only once.
    pub(crate) async fn record_made(&self, event: &AuditEvent) {
        if let Err(error) = self.store.record_audit(event).await {
            tracing::error!(
                error = %domain::chain(&error),
                organization = %event.organization_id,
                action = event.action,
                target = event.target,
                request_id = event.request_id,
                "failed to record in the audit log a change that was made"
            );
        }
    }

    /// Records a refusal in the organization's audit log.
    pub(crate) async fn record_refusal(
        &self,
        ctx: &Context,
        organization: OrganizationId,
        action: &'static str,
        target: Option<&str>,
    ) {
        let event = self.event(
            ctx,
            organization,
            action,
            target.unwrap_or_default(),
            Vec::new(),
        );
        self.record_denied(
            ctx,
            action,
            AuditEvent {
                target: target.map(str::to_owned),
                ..event
            },
        )
        .await;
    }

    /// Records an event as denied, unless too many refusals of the same caller and action were
    /// recorded in this minute. The refusal has already been logged.
    async fn record_denied(&self, ctx: &Context, action: &'static str, event: AuditEvent) {
        let caller = ctx.caller.by.to_string();
        if self
            .recorded_refusals
            .count(action, &caller, RECORDED_PER_MINUTE, self.clock.now())
        {
            self.dispatch.record_refusal(&event.denied()).await;
        }
    }

    /// Records that an event from the event bus was refused, and why.
    pub async fn reject_ingest(&self, ctx: &Context, organization: OrganizationId, why: &str) {
        const ACTION: &str = "ingest_rejected";
        telemetry::metrics::security_event(ACTION);
        tracing::warn!(
            %organization,
            by = %ctx.caller.by,
            why,
            security_event = true,
            "ingest_rejected"
        );
        match self.store.organization(organization).await {
            Ok(Some(_)) => {
                self.record_refusal(ctx, organization, ACTION, Some(why))
                    .await
            }
            // An organization that does not exist has no audit log.
            Ok(None) => {}
            Err(error) => {
                tracing::error!(
                    error = %domain::chain(&error),
                    %organization,
                    action = ACTION,
                    request_id = ctx.request_id,
                    "failed to read an organization; a refusal is not recorded in its audit log"
                );
            }
        }
    }

    /// Records a security event if a check failed because the destination's name resolves to a
    /// blocked address.
    pub(crate) async fn note_blocked_check(
        &self,
        ctx: &Context,
        organization: OrganizationId,
        target: &str,
        report: &CheckReport,
    ) {
        if let Some(step) = report
            .failed_step()
            .filter(|step| step.reason == Some(Reason::BlockedAddress))
        {
            self.record_blocked_address(ctx, organization, target, "/address", &step.detail)
                .await;
        }
    }

    /// Returns `read`, and records a security event for each blocked address that it contains.
    pub(crate) async fn recording_blocked_addresses<T>(
        &self,
        ctx: &Context,
        organization: OrganizationId,
        read: Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        if let Err(refusal) = &read {
            for error in refusal
                .errors
                .iter()
                .filter(|error| error.code == FieldCode::BlockedAddress)
            {
                let pointer = error.pointer.as_deref().unwrap_or_default();
                self.record_blocked_address(ctx, organization, pointer, pointer, &error.detail)
                    .await;
            }
        }
        read
    }

    /// Records a blocked address. `detail` says which address was refused, and `path` where it was
    /// given.
    async fn record_blocked_address(
        &self,
        ctx: &Context,
        organization: OrganizationId,
        target: &str,
        path: &str,
        detail: &str,
    ) {
        const ACTION: &str = "blocked_address";
        tracing::warn!(
            request_id = ctx.request_id,
            %organization,
            target,
            detail,
            security_event = true,
            "blocked_address"
        );
        let event = self.event(ctx, organization, ACTION, target, vec![set(path, detail)]);
        self.record_denied(ctx, ACTION, event).await;
    }

    /// `GET /v1/audit-events`: lists events, newest first. An operator can also list the events of
    /// an organization that was erased and, by naming none, those of all organizations.
    pub async fn audit_events(
        &self,
        ctx: &Context,
        mut query: Query,
    ) -> Result<Page<AuditEventView>, Refusal> {
        self.require(ctx, Permission::Read).await?;
        let all = covers_all_organizations(ctx, &query);
        let organization = if all {
            None
        } else {
            Some(self.scope_even_if_erased(ctx, &mut query).await?)
        };
        let errors = Errors::default();
        let page = PageQuery::take(&mut query, &errors);
        let action = query.take("action", &errors);
        let since = query.time("since", &errors);
        let until = query.time("until", &errors);
        query.finish(&errors);
        errors.into_result(())?;
        let scope = ListScope::of("/v1/audit-events")
            .with("organization", organization)
            .with("action", action.as_deref())
            .with("since", since)
            .with("until", until);
        let after = page.after(&self.cursors, &scope)?;
        let wanted = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let read = if action.is_some() {
            EVENTS_READ_MAX
        } else {
            page.limit
        };
        let found = match organization {
            Some(organization) => {
                self.store
                    .audit_page(organization, since, until, after, read)
                    .await?
            }
            None => {
                self.store
                    .audit_everywhere(since, until, after, read)
                    .await?
            }
        };
        let last_read = found.items.last().map(|event| event.id);
        let mut matching = found
            .items
            .into_iter()
            .filter(|event| action.as_ref().is_none_or(|action| *action == event.action));
        let data: Vec<AuditEvent> = matching.by_ref().take(wanted).collect();
        let next = if data.len() == wanted && matching.next().is_some() {
            data.last().map(|event| event.id)
        } else {
            last_read.filter(|_| found.more)
        };
        let next_cursor = self.next_cursor(&scope, next);
        Ok(Page {
            data: data.into_iter().map(AuditEventView::from).collect(),
            next_cursor,
        })
    }
}

/// Returns the change of a value that did not exist before.
pub(crate) fn set(path: &str, after: impl Into<Value>) -> Change {
    Change {
        path: path.to_owned(),
        before: Value::Null,
        after: after.into(),
    }
}

/// Returns the members that differ between two states of an object. Nested objects are compared as
/// wholes.
pub(crate) fn changes(before: &Value, after: &Value) -> Vec<Change> {
    let empty = serde_json::Map::new();
    let (old, new) = (
        before.as_object().unwrap_or(&empty),
        after.as_object().unwrap_or(&empty),
    );
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort();
    names.dedup();
    let member = |members: &serde_json::Map<String, Value>, name: &str| {
        members.get(name).cloned().unwrap_or(Value::Null)
    };
    let changed = names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name));
    changed
        .flat_map(|name| {
            let path = format!("/{}", domain::input::pointer_token(name));
            bounded(path, member(old, name), member(new, name))
        })
        .collect()
}

/// Returns a change of a value, so that the record of the change stays far below the 400 KB of an
/// item: a large object member by member, and another large value as its size and hash.
fn bounded(path: String, before: Value, after: Value) -> Vec<Change> {
    let is_large = |value: &Value| value.to_string().len() > RECORDED_VALUE_MAX;
    if !is_large(&before) && !is_large(&after) {
        return vec![Change {
            path,
            before,
            after,
        }];
    }
    if before.is_object() && after.is_object() {
        let members = changes(&before, &after).into_iter();
        return members
            .map(|change| Change {
                path: format!("{path}{}", change.path),
                ..change
            })
            .collect();
    }
    let recorded = |value: Value| {
        if !is_large(&value) {
            return value;
        }
        let text = value.to_string();
        let sha256 = hex::encode(Sha256::digest(text.as_bytes()));
        json!({"size_bytes": text.len(), "sha256": sha256})
    };
    vec![Change {
        path,
        before: recorded(before),
        after: recorded(after),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_large_object_is_recorded_member_by_member_and_a_large_value_as_its_hash() {
        let settings = |template: &str, url: &str| json!({"name": "a", "settings": {"url": url, "timeout": 1, "template": template}});
        let large = "\"".repeat(60_000);
        let found = changes(
            &settings(&large, "https://a"),
            &settings("short", "https://b"),
        );
        let template = &found[0];
        assert_eq!(
            (&*template.path, &template.after),
            ("/settings/template", &json!("short"))
        );
        assert_eq!(template.before["size_bytes"], 120_002);
        assert_eq!(template.before["sha256"].as_str().map(str::len), Some(64));
        assert_eq!(
            (&*found[1].path, &found[1].after, found.len()),
            ("/settings/url", &json!("https://b"), 2)
        );
    }

    #[test]
    fn only_what_differs_is_a_change() {
        let found = changes(
            &json!({"name": "a", "n": 1, "gone": true}),
            &json!({"name": "b", "n": 1, "new": [1]}),
        );
        let found: Vec<(&str, &Value, &Value)> = found
            .iter()
            .map(|c| (&*c.path, &c.before, &c.after))
            .collect();
        assert_eq!(
            found,
            [
                ("/gone", &json!(true), &Value::Null),
                ("/name", &json!("a"), &json!("b")),
                ("/new", &Value::Null, &json!([1]))
            ]
        );
    }
}
