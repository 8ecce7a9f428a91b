//! `/docs`: guides and the reference of the OpenAPI document as one page, which loads nothing from
//! other servers. Its one script sends requests that readers try; the page is complete without it.

mod samples;

use std::fmt::Write as _;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::openapi;

const STYLE: &str = include_str!("docs/style.css");
const SCRIPT: &str = include_str!("docs/try.js");
const GUIDES: &str = include_str!("docs/guides.html");

/// The guides' anchors and titles.
const CONTENTS: &[(&str, &str)] = &[
    ("authentication", "Authentication"),
    ("signatures", "Verify a signature"),
    ("idempotency", "Idempotency"),
    ("retries", "Retries and responses"),
    ("errors", "Errors"),
    ("limits", "Limits"),
];

/// Returns the page of the API documentation as HTML.
pub(crate) fn page() -> &'static str {
    static PAGE: LazyLock<String> =
        LazyLock::new(|| render(&serde_json::from_str(openapi::DOCUMENT).unwrap_or_default()));
    &PAGE
}

/// Returns the page's content security policy: it may run its own script, which is identified by
/// its hash, and send requests to this server.
pub(crate) fn policy() -> &'static str {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let hash = STANDARD.encode(Sha256::digest(SCRIPT));
        format!(
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'; connect-src 'self'; font-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'"
        )
    });
    &POLICY
}

/// An operation with its path and method in the document.
struct Listed<'a> {
    path: &'a str,
    method: &'a str,
    operation: &'a Value,
}

impl Listed<'_> {
    fn anchor(&self) -> String {
        escape(self.operation["operationId"].as_str().unwrap_or_default())
    }

    fn summary(&self) -> String {
        escape(self.operation["summary"].as_str().unwrap_or_default())
    }
}

fn of_tag<'a>(document: &'a Value, tag: &str) -> Vec<Listed<'a>> {
    let items = document["paths"].as_object().into_iter().flatten();
    let operations = items.flat_map(|(path, item)| {
        item.as_object()
            .into_iter()
            .flatten()
            .map(move |(method, operation)| Listed {
                path,
                method,
                operation,
            })
    });
    operations
        .filter(|one| {
            one.operation["tags"]
                .as_array()
                .is_some_and(|tags| tags.iter().any(|name| name == tag))
        })
        .collect()
}

fn render(document: &Value) -> String {
    let title = escape(document["info"]["title"].as_str().unwrap_or_default());
    let version = escape(document["info"]["version"].as_str().unwrap_or_default());
    let tags: Vec<&Value> = document["tags"].as_array().into_iter().flatten().collect();
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"description\" content=\"Guides and reference of the {title} API.\"><title>{title} API</title>\
         <style>{STYLE}</style></head><body><a class=\"skip\" href=\"#main\">Skip to the content</a>"
    );
    page.push_str(&navigation(document, &tags));
    let _ = write!(
        page,
        "<main id=\"main\" tabindex=\"-1\"><h1>{title} API {version}</h1><p>For programs: <a href=\"/v1/openapi.json\">/v1/openapi.json</a>. Typed clients can be \
         generated from it, for example with <code>openapi-python-client</code> and <code>openapi-typescript</code>.</p>{GUIDES}"
    );
    for tag in &tags {
        let name = tag["name"].as_str().unwrap_or_default();
        let _ = write!(
            page,
            "<h2 id=\"{}\">{}</h2>{}",
            slug(name),
            escape(name),
            paragraphs(&tag["description"])
        );
        for one in of_tag(document, name) {
            page.push_str(&section(document, &one));
        }
    }
    let _ = write!(page, "</main><script>{SCRIPT}</script></body></html>");
    page
}

fn navigation(document: &Value, tags: &[&Value]) -> String {
    let mut text =
        "<nav aria-label=\"Contents\"><details open><summary>Guides</summary><ul>".to_owned();
    for (anchor, title) in CONTENTS {
        let _ = write!(text, "<li><a href=\"#{anchor}\">{title}</a></li>");
    }
    text.push_str("</ul></details>");
    for tag in tags {
        let name = tag["name"].as_str().unwrap_or_default();
        let _ = write!(text, "<details><summary>{}</summary><ul>", escape(name));
        for one in of_tag(document, name) {
            let _ = write!(
                text,
                "<li><a href=\"#{}\">{}</a></li>",
                one.anchor(),
                one.summary()
            );
        }
        text.push_str("</ul></details>");
    }
    text.push_str("</nav>");
    text
}

fn section(document: &Value, one: &Listed<'_>) -> String {
    let Listed {
        path,
        method,
        operation,
    } = one;
    let heading = format!("{} {}", method.to_uppercase(), escape(path));
    // `try.js` makes a form of these attributes.
    let can_be_tried = path.starts_with("/v1/").then(|| {
        format!(
            " data-path=\"{}\" data-method=\"{}\"",
            escape(path),
            method.to_uppercase()
        )
    });
    let takes_key = if samples::has_key(operation) {
        " data-key"
    } else {
        ""
    };
    let mut text = format!(
        "<article id=\"{}\"{}{takes_key}><div><h3>{}</h3><p \
         class=\"path\"><code>{heading}</code></p>{}",
        one.anchor(),
        can_be_tried.unwrap_or_default(),
        one.summary(),
        paragraphs(&operation["description"])
    );
    let parameters: Vec<&Value> = operation["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    if !parameters.is_empty() {
        text.push_str("<h4>Parameters</h4><table><tbody>");
        for parameter in parameters {
            let cell = |name: &str| escape(parameter[name].as_str().unwrap_or_default());
            let (name, location, description) =
                (cell("name"), cell("in"), inline(&parameter["description"]));
            let kind = kind_of(&parameter["schema"]);
            let _ = write!(
                text,
                "<tr data-in=\"{location}\" \
                 data-name=\"{name}\"><td><code>{name}</code><small>{location}</small></td><td>{description}<small>{kind}</small></td></tr>"
            );
        }
        text.push_str("</tbody></table>");
    }
    text.push_str(&members(
        document,
        "Body",
        &operation["requestBody"]["content"]["application/json"]["schema"],
    ));
    text.push_str("<h4>Responses</h4><table><tbody>");
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let referred = response["$ref"]
            .as_str()
            .and_then(|path| document.pointer(path.trim_start_matches('#')));
        let description = inline(&referred.unwrap_or(response)["description"]);
        let _ = write!(
            text,
            "<tr><td><code>{}</code></td><td>{description}</td></tr>",
            escape(status)
        );
    }
    let _ = write!(
        text,
        "</tbody></table></div><div class=\"samples\">{}</div></article>",
        samples::of(path, method, operation)
    );
    text
}

/// Renders the properties of a body; for a union, those of each variant.
fn members(document: &Value, title: &str, schema: &Value) -> String {
    let schema = resolved(document, schema);
    if let Some(variants) = schema["oneOf"].as_array() {
        let each = variants.iter().map(|variant| {
            let name = variant["$ref"]
                .as_str()
                .and_then(|path| path.rsplit('/').next())
                .unwrap_or("object");
            let body = members(document, "", variant);
            format!(
                "<details><summary><code>{}</code></summary>{body}</details>",
                escape(name)
            )
        });
        return format!("<h4>{title}: one of</h4>{}", each.collect::<String>());
    }
    let Some(properties) = schema["properties"].as_object() else {
        return String::new();
    };
    let heading = if title.is_empty() {
        String::new()
    } else {
        format!("<h4>{title}</h4>")
    };
    let mut text = format!("{heading}<table><tbody>");
    for (name, member) in properties {
        let required = schema["required"]
            .as_array()
            .is_some_and(|names| names.iter().any(|one| one == name));
        let kind = kind_of(member);
        let description = inline(&resolved(document, member)["description"]);
        let note = if required { "required" } else { "" };
        let _ = write!(
            text,
            "<tr><td><code>{}</code><small>{note}</small></td><td>{description}<small>{kind}</small></td></tr>",
            escape(name)
        );
    }
    text.push_str("</tbody></table>");
    text
}

fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    schema["$ref"]
        .as_str()
        .and_then(|path| document.pointer(path.trim_start_matches('#')))
        .unwrap_or(schema)
}

/// Describes in short what a schema accepts.
fn kind_of(schema: &Value) -> String {
    let mut parts = Vec::new();
    let name = schema["$ref"]
        .as_str()
        .and_then(|path| path.rsplit('/').next());
    match (&schema["type"], name) {
        (Value::String(one), _) => parts.push(one.clone()),
        (Value::Array(several), _) => parts.push(
            several
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(" or "),
        ),
        (_, Some(name)) => parts.push(name.to_owned()),
        _ => {}
    }
    if let Some(words) = schema["enum"].as_array() {
        parts.push(
            words
                .iter()
                .map(|word| word.as_str().unwrap_or("null"))
                .collect::<Vec<_>>()
                .join(", "),
        );
    }
    for (member, label) in [
        ("const", "always"),
        ("default", "default"),
        ("minimum", "at least"),
        ("maximum", "at most"),
        ("maxLength", "length at most"),
    ] {
        if let Some(value) = schema.get(member).filter(|value| !value.is_null()) {
            parts.push(format!("{label} {value}"));
        }
    }
    escape(&parts.join("; "))
}

fn slug(name: &str) -> String {
    format!("tag-{}", name.to_lowercase().replace(' ', "-"))
}

fn paragraphs(text: &Value) -> String {
    let text = text.as_str().unwrap_or_default();
    text.split("\n\n")
        .filter(|part| !part.is_empty())
        .map(|part| format!("<p>{}</p>", inline(&part.into())))
        .collect()
}

/// Renders text, with words in backticks as code and words in asterisks emphasized.
fn inline(text: &Value) -> String {
    let escaped = escape(text.as_str().unwrap_or_default());
    let mut marked = String::with_capacity(escaped.len());
    for (n, part) in escaped.split('`').enumerate() {
        if n % 2 == 1 {
            let _ = write!(marked, "<code>{part}</code>");
        } else {
            marked.push_str(&part.replace('*', ""));
        }
    }
    marked
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_every_operation_and_loads_nothing_from_other_servers() {
        let page = page();
        let document = serde_json::from_str::<Value>(openapi::DOCUMENT).unwrap();
        for path in document["paths"].as_object().unwrap().keys() {
            assert!(page.contains(&format!(" {path}</code>")), "{path}");
        }
        assert!(
            page.matches("<script").count() == 1
                && !page.contains("src=")
                && !page.contains("@import")
        );
    }

    #[test]
    fn words_in_backticks_are_shown_as_code() {
        assert_eq!(
            inline(&"`a` or *b* & `<c>`".into()),
            "<code>a</code> or b &amp; <code>&lt;c&gt;</code>"
        );
    }
}
