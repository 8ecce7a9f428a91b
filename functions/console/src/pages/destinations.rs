//! The list of destinations.

use askama::Template;
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::routing::get;
use front::Front;
use operations::view::destination::DestinationView;
use serde_json::Value;

use crate::answer::{Answer, page};
use crate::chart;
use crate::filter::{Filter, pairs};
use crate::show::{self, Page};
use crate::visitor::Visitor;

/// The destination types, with their names and descriptions.
pub(crate) const TYPES: &[(&str, &str, &str)] = &[
    (
        "webhook",
        "Webhook",
        "A signed HTTPS request to your endpoint, Slack, Teams, Discord or PagerDuty",
    ),
    (
        "email",
        "Email",
        "A message through Amazon SES, an SMTP server, Google Workspace or Microsoft 365",
    ),
    (
        "s3",
        "Amazon S3",
        "An object in a bucket, also in S3-compatible stores",
    ),
    ("gcs", "Google Cloud Storage", "An object in a bucket"),
    ("azure_blob", "Azure Blob Storage", "A blob in a container"),
    ("sftp", "SFTP", "A file on a server"),
    ("postgres", "PostgreSQL", "Rows in a table"),
    ("mysql", "MySQL", "Rows in a table of MySQL or MariaDB"),
];

pub(crate) fn router() -> Router<Front> {
    Router::new().route("/destinations", get(list))
}

#[derive(Template)]
#[template(path = "destinations.html")]
struct DestinationsPage<'a> {
    page: Page<'a>,
    v: &'a Visitor,
    filter: &'a Filter,
    destinations: &'a [DestinationView],
    next: Option<String>,
    again: String,
}

async fn list(State(front): State<Front>, v: Visitor, RawQuery(query): RawQuery) -> Answer {
    let filter = Filter::of(query.as_deref());
    let mut parameters = filter.for_operation(&["type", "status", "cursor"], v.now);
    parameters.push(("include".to_owned(), "health".to_owned()));
    let found = front
        .operations()
        .await?
        .destinations(&v.ctx, v.query(&pairs(&parameters)))
        .await?;
    let next = found.next_cursor.map(|cursor| filter.next(&v, &cursor));
    let again = v.href(&v.address);
    page(&DestinationsPage {
        page: Page::of(Some(&v), "destinations"),
        v: &v,
        filter: &filter,
        destinations: &found.data,
        next,
        again,
    })
}

/// Returns the name of a destination type.
pub(crate) fn type_name(kind: &str) -> &str {
    TYPES
        .iter()
        .find(|(own, _, _)| *own == kind)
        .map_or(kind, |(_, name, _)| name)
}

/// Returns a short description of the place that a destination sends to.
pub(crate) fn target(destination: &DestinationView) -> String {
    let settings = &destination.settings;
    let text = |name: &str| settings[name].as_str().unwrap_or_default().to_owned();
    let or_connection_string = |name: &str| {
        let own = text(name);
        if own.is_empty() {
            destination.credentials[name]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        } else {
            own
        }
    };
    match destination.kind {
        "webhook" => settings["url"]
            .as_str()
            .or_else(|| destination.credentials["url"]["hint"].as_str())
            .unwrap_or("a secret URL")
            .to_owned(),
        "email" => {
            let to: Vec<&str> = settings["to"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            match to.split_first() {
                Some((first, [])) => (*first).to_owned(),
                Some((first, others)) => format!("{first} and {} more", others.len()),
                None => String::new(),
            }
        }
        "s3" | "gcs" => text("bucket"),
        "azure_blob" => format!("{}/{}", text("account"), text("container")),
        "sftp" => format!("{}@{}", text("username"), text("host")),
        _ => format!("{} {}", or_connection_string("host"), text("table")),
    }
}
