//! Samples of calling an operation in three languages, with its response.

use std::fmt::Write as _;

use serde_json::Value;

use super::escape;

/// Whether an operation takes an API key.
pub(super) fn has_key(operation: &Value) -> bool {
    operation["security"]
        .as_array()
        .is_some_and(|security| security.iter().any(|one| one.get("api_key").is_some()))
}

/// Renders the samples of one operation as HTML.
pub(super) fn of(path: &str, method: &str, operation: &Value) -> String {
    let media = &operation["requestBody"]["content"]["application/json"];
    let first = media["examples"]
        .as_object()
        .and_then(|examples| examples.values().next());
    let body = first
        .map(|example| &example["value"])
        .or_else(|| media.get("example"));
    let body = body.map(|body| serde_json::to_string_pretty(body).unwrap_or_default());
    let has_key = has_key(operation);
    let id = operation["operationId"].as_str().unwrap_or_default();
    let path = concrete(path, operation);
    let call = Call {
        path: &path,
        method: &method.to_uppercase(),
        body: body.as_deref(),
        has_key,
    };
    let curl = escape(&call.curl());
    let marked = body
        .as_deref()
        .map(escape)
        .map(|body| curl.replace(&body, &format!("<span class=\"body\">{body}</span>")));
    let mut text = sample("curl", id, &marked.unwrap_or(curl), true);
    text.push_str(&sample("Python", id, &escape(&call.python()), false));
    text.push_str(&sample(
        "TypeScript",
        id,
        &escape(&call.typescript()),
        false,
    ));
    let answers = operation["responses"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(status, _)| status.starts_with('2'));
    for (status, response) in answers {
        if let Some(example) = response["content"]["application/json"].get("example") {
            let example = escape(&serde_json::to_string_pretty(example).unwrap_or_default());
            text.push_str(&sample(&format!("Response {status}"), id, &example, false));
        }
    }
    text
}

/// Renders a sample whose code is HTML.
fn sample(title: &str, id: &str, code: &str, open: bool) -> String {
    let open = if open { " open" } else { "" };
    format!(
        "<details{open}><summary>{title}</summary><pre tabindex=\"0\" role=\"region\" \
         aria-label=\"{title}: {id}\"><code>{code}</code></pre></details>"
    )
}

/// Returns the path with an example in place of each parameter.
fn concrete(path: &str, operation: &Value) -> String {
    let mut path = path.to_owned();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap_or_default();
        let example = parameter["example"].as_str().unwrap_or("…");
        path = path.replace(&format!("{{{name}}}"), example);
    }
    path
}

struct Call<'a> {
    path: &'a str,
    method: &'a str,
    body: Option<&'a str>,
    has_key: bool,
}

impl Call<'_> {
    fn curl(&self) -> String {
        let mut text = format!("curl -X {} \"$WAYBILL_URL{}\"", self.method, self.path);
        if self.has_key {
            text.push_str(" \\\n  -H \"authorization: Bearer $WAYBILL_KEY\"");
        }
        if let Some(body) = self.body {
            let _ = write!(
                text,
                " \\\n  -H 'content-type: application/json' \\\n  -d '{body}'"
            );
        }
        text
    }

    fn python(&self) -> String {
        let mut text =
            "import json, os, urllib.request\n\nrequest = urllib.request.Request(\n".to_owned();
        let _ = writeln!(text, "    os.environ[\"WAYBILL_URL\"] + \"{}\",", self.path);
        let _ = writeln!(text, "    method=\"{}\",", self.method);
        let mut headers = Vec::new();
        if self.has_key {
            headers.push("\"authorization\": \"Bearer \" + os.environ[\"WAYBILL_KEY\"]");
        }
        if let Some(body) = self.body {
            headers.push("\"content-type\": \"application/json\"");
            let _ = writeln!(text, "    data=b\"\"\"{body}\"\"\",");
        }
        let _ = write!(
            text,
            "    headers={{{}}},\n)\nprint(urllib.request.urlopen(request).read().decode())",
            headers.join(", ")
        );
        text
    }

    fn typescript(&self) -> String {
        let mut text = format!(
            "const answer = await fetch(process.env.WAYBILL_URL + \"{}\", {{\n",
            self.path
        );
        let _ = writeln!(text, "  method: \"{}\",", self.method);
        let mut headers = Vec::new();
        if self.has_key {
            headers.push("authorization: `Bearer ${process.env.WAYBILL_KEY}`");
        }
        if let Some(body) = self.body {
            headers.push("\"content-type\": \"application/json\"");
            let _ = writeln!(
                text,
                "  body: JSON.stringify({}),",
                body.replace('\n', "\n  ")
            );
        }
        let _ = write!(
            text,
            "  headers: {{ {} }},\n}});\nconsole.log(await answer.json());",
            headers.join(", ")
        );
        text
    }
}
