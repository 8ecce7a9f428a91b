//! `/docs`: the OpenAPI document as one plain page, without scripts and without requests to anybody else.

use std::fmt::Write as _;
use std::sync::LazyLock;

use serde_json::Value;

use crate::openapi;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
code,pre{font:14px/1.4 ui-monospace,monospace}pre{overflow:auto;padding:.75rem;border:1px solid #8886;border-radius:6px}\
summary{cursor:pointer}summary code{font-weight:600}table{border-collapse:collapse;width:100%}\
td,th{text-align:left;vertical-align:top;padding:.25rem .5rem;border-bottom:1px solid #8884}details{margin:.5rem 0}\
:root{color-scheme:light dark}";

/// The page.
pub(crate) fn page() -> &'static str {
    static PAGE: LazyLock<String> = LazyLock::new(|| render(&serde_json::from_str(openapi::KEPT).unwrap_or_default()));
    &PAGE
}

fn render(document: &Value) -> String {
    let text = |value: &Value| escape(value.as_str().unwrap_or_default());
    let title = text(&document["info"]["title"]);
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style><main><h1>{title} {}</h1>{}\
         <p>For programs: <a href=\"/v1/openapi.json\">/v1/openapi.json</a></p>",
        text(&document["info"]["version"]),
        paragraphs(&document["info"]["description"]),
    );
    for tag in document["tags"].as_array().into_iter().flatten() {
        let name = tag["name"].as_str().unwrap_or_default();
        let _ = write!(page, "<h2>{}</h2>{}", escape(name), paragraphs(&tag["description"]));
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                if operation["tags"].as_array().is_some_and(|tags| tags.iter().any(|tag| tag == name)) {
                    page.push_str(&operation_section(document, path, method, operation));
                }
            }
        }
    }
    page.push_str("<h2>Schemas</h2>");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let json = serde_json::to_string_pretty(schema).unwrap_or_default();
        let name = escape(name);
        let _ = write!(page, "<details id=\"schema-{name}\"><summary><code>{name}</code></summary><pre>{}</pre></details>", escape(&json));
    }
    page.push_str("</main></html>");
    page
}

fn operation_section(document: &Value, path: &str, method: &str, operation: &Value) -> String {
    let summary = escape(operation["summary"].as_str().unwrap_or_default());
    let heading = format!("{} {}", method.to_uppercase(), escape(path));
    let mut section = format!("<details><summary><code>{heading}</code> {summary}</summary>{}", paragraphs(&operation["description"]));
    let parameters: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().collect();
    if !parameters.is_empty() {
        section.push_str("<table><tr><th>Parameter</th><th>In</th><th></th></tr>");
        for parameter in parameters {
            let cell = |name: &str| escape(parameter[name].as_str().unwrap_or_default());
            let _ =
                write!(section, "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>", cell("name"), cell("in"), cell("description"));
        }
        section.push_str("</table>");
    }
    for media in operation["requestBody"]["content"].as_object().into_iter().flatten().map(|(_, media)| media) {
        let _ = write!(section, "<p>Body: {}</p>", schema_name(&media["schema"]));
    }
    section.push_str("<table><tr><th>Answer</th><th></th><th></th></tr>");
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let referred = response["$ref"].as_str().and_then(|path| document.pointer(path.trim_start_matches('#')));
        let response = referred.unwrap_or(response);
        let schema = response["content"].as_object().and_then(|content| content.values().next()).map(|media| schema_name(&media["schema"]));
        let description = escape(response["description"].as_str().unwrap_or_default());
        let _ = write!(
            section,
            "<tr><td><code>{}</code></td><td>{description}</td><td>{}</td></tr>",
            escape(status),
            schema.unwrap_or_default()
        );
    }
    section.push_str("</table></details>");
    section
}

fn schema_name(schema: &Value) -> String {
    let reference = schema["$ref"].as_str().or_else(|| schema["oneOf"].as_array()?.iter().find_map(|one| one["$ref"].as_str()));
    let Some(name) = reference.and_then(|reference| reference.rsplit('/').next()) else { return String::new() };
    let name = escape(name);
    format!("<a href=\"#schema-{name}\"><code>{name}</code></a>")
}

fn paragraphs(text: &Value) -> String {
    let text = text.as_str().unwrap_or_default();
    text.split("\n\n").filter(|part| !part.is_empty()).map(|part| format!("<p>{}</p>", escape(part))).collect()
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_every_operation_and_asks_nobody_else_for_anything() {
        let page = page();
        let document = serde_json::from_str::<Value>(openapi::KEPT).unwrap();
        for path in document["paths"].as_object().unwrap().keys() {
            assert!(page.contains(&format!(" {path}</code>")), "{path}");
        }
        assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("@import"));
    }
}
