//! Forms made from the JSON Schemas of `GET /v1/destination-types`. A setting that is added to a
//! schema appears in the console.
//!
//! The members of a schema become [`Field`]s. The same fields read a form that was sent into the
//! body of an API request; only the API validates it. A page never contains a secret: the field of
//! a stored secret says that one is set, and keeps it if it is left empty.

use serde_json::{Map, Value, json};

use crate::captions::{choice_label, label};
use crate::form::Form;
use crate::show;

/// A field of a form.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// The name in the form, and the id of the HTML element.
    pub(crate) name: String,
    /// The JSON pointer of the member in the API's errors.
    pub(crate) pointer: String,
    pub(crate) label: String,
    pub(crate) help: String,
    pub(crate) required: bool,
    pub(crate) control: Control,
    /// The value that the form shows.
    pub(crate) value: String,
    /// The description of the stored value, if there is one that is not shown.
    pub(crate) stored: Option<String>,
    /// The condition under which the field counts. `None` if it always does.
    pub(crate) when: Option<When>,
    /// An example of a valid value.
    pub(crate) example: &'static str,
    /// A description of the limits of a number or list.
    pub(crate) bounds: Option<String>,
    /// The mistake in the value.
    pub(crate) mistake: Option<String>,
    /// The path of the member in the request's body.
    pub(crate) path: Vec<String>,
    pub(crate) reading: Reading,
    pub(crate) secret: bool,
    /// Whether emptying the field removes a stored value.
    pub(crate) removable: bool,
    /// The names in the stored map.
    pub(crate) names: Vec<String>,
}

/// A condition: the name of another field, and the values that this field must have.
pub(crate) type When = (String, Vec<String>);

/// A choice of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) value: String,
    pub(crate) label: String,
    /// The condition under which the choice is offered. `None` if it always is.
    pub(crate) when: Option<When>,
}

impl Choice {
    fn new(value: &str, label: String) -> Self {
        Self {
            value: value.to_owned(),
            label,
            when: None,
        }
    }
}

/// The control with which a field is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// One line, an `input` element of this `type`.
    Line(&'static str),
    /// Several lines, a `textarea` element.
    Area,
    /// Several lines that are masked until a person reveals them.
    SecretArea,
    /// One choice from a list.
    Choice(Vec<Choice>),
    /// A checkbox, which is ticked or not.
    Tick,
}

/// How the text of a field becomes a JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Text,
    Number,
    Tick,
    /// A list with one item per line.
    List,
    /// A map with one `name: value` per line.
    Pairs,
    Json,
    /// A choice between variants: a string, or an object with the fields of the chosen variant.
    Form,
    /// A choice that only determines which fields count. It has no value in the body.
    Switch,
}

/// The order of the fields. Fields that are not listed follow in alphabetical order.
const ORDER: &[&str] = &[
    "name",
    "transport",
    "url",
    "bucket",
    "account",
    "container",
    "region",
    "endpoint",
    "host",
    "port",
    "security",
    "username",
    "host_keys",
    "database",
    "table",
    "mode",
    "from",
    "to",
    "cc",
    "bcc",
    "preset",
    "method",
    "headers",
    "directory_template",
    "filename_template",
    "key_template",
    "subject_template",
    "access_key_id",
    "header",
    "token_url",
    "client_id",
    "certificate_pem",
];

impl Field {
    /// Creates an optional text field of one line.
    fn new(path: &[String], label: String) -> Self {
        Self {
            name: path.join("."),
            pointer: path.iter().map(|part| format!("/{part}")).collect(),
            label,
            help: String::new(),
            required: false,
            control: Control::Line("text"),
            value: String::new(),
            stored: None,
            when: None,
            example: "",
            bounds: None,
            mistake: None,
            path: path.to_vec(),
            reading: Reading::Text,
            secret: false,
            removable: false,
            names: Vec::new(),
        }
    }

    /// Creates a choice that only determines which fields count.
    pub(crate) fn switch(name: &str, label: &str, choices: &[(&str, &str)], value: &str) -> Self {
        let choices = choices
            .iter()
            .map(|(value, label)| Choice::new(value, (*label).to_owned()))
            .collect();
        let field = Self::new(&[name.to_owned()], label.to_owned());
        Self {
            control: Control::Choice(choices),
            value: value.to_owned(),
            reading: Reading::Switch,
            required: true,
            ..field
        }
    }

    /// Creates a required field of one line that no schema describes, masked if it is secret.
    pub(crate) fn line(path: &[&str], label: &str, secret: bool) -> Self {
        let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
        let kind = if secret { "password" } else { "text" };
        Self {
            control: Control::Line(kind),
            secret,
            required: true,
            ..Self::new(&path, label.to_owned())
        }
    }

    /// Creates an optional text field of one line.
    pub(crate) fn optional_line(name: &str, label: &str) -> Self {
        Self {
            required: false,
            ..Self::line(&[name], label, false)
        }
    }

    /// Creates an optional text field of several lines.
    pub(crate) fn area(path: &[&str], label: &str) -> Self {
        Self {
            control: Control::Area,
            required: false,
            ..Self::line(path, label, false)
        }
    }

    /// Sets the help text, in which `{bounds}` is replaced with the limits.
    pub(crate) fn explain(&mut self, help: &str) {
        self.help = help.replace("{bounds}", self.bounds.as_deref().unwrap_or_default());
    }

    /// Makes the field count only while another field has one of these values.
    pub(crate) fn only_when(self, field: &str, is: &[&str]) -> Self {
        Self {
            when: Some((
                field.to_owned(),
                is.iter().map(|value| (*value).to_owned()).collect(),
            )),
            ..self
        }
    }

    /// Whether the field's control masks its text.
    pub(crate) fn is_masked(&self) -> bool {
        matches!(
            self.control,
            Control::Line("password") | Control::SecretArea
        )
    }

    /// Whether the text can be loaded from a file, as for keys and certificates.
    pub(crate) fn is_file(&self) -> bool {
        ["_pem", ".private_key", ".json"]
            .iter()
            .any(|end| self.name.ends_with(end))
    }

    /// Whether the form shows the checkbox as ticked.
    pub(crate) fn is_ticked(&self) -> bool {
        self.value == "true"
    }

    /// Whether the field counts, given the values in the form. It does if the form lacks the field
    /// that the condition names.
    pub(crate) fn counts(&self, form: &Form) -> bool {
        self.when.as_ref().is_none_or(|(name, values)| {
            form.text(name)
                .is_none_or(|chosen| values.iter().any(|value| value == chosen))
        })
    }

    /// Sets the value to the text that was typed. Does nothing for a secret.
    pub(crate) fn refill(&mut self, form: &Form) {
        if self.secret || !self.counts(form) {
            return;
        }
        self.value = match self.reading {
            Reading::Tick => form.ticked(&self.name).to_string(),
            _ => form.text(&self.name).unwrap_or_default().to_owned(),
        };
    }
}

/// Returns the fields for the members of a schema. Required fields come first.
pub(crate) fn fields(schema: &Value, path: &[&str], stored: &Value) -> Vec<Field> {
    let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
    members(schema, &path, stored)
}

fn members(schema: &Value, path: &[String], stored: &Value) -> Vec<Field> {
    let properties = schema["properties"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    let is_required = |name: &str| {
        schema["required"]
            .as_array()
            .is_some_and(|names| names.iter().any(|own| own == name))
    };
    let mut names: Vec<&String> = properties.keys().collect();
    let rank = |name: &str| {
        ORDER
            .iter()
            .position(|own| *own == name)
            .unwrap_or(ORDER.len())
    };
    names.sort_by_key(|name| (!is_required(name), rank(name), (*name).clone()));
    let mut fields = Vec::new();
    for name in names {
        let path = [path, std::slice::from_ref(name)].concat();
        fields.extend(of_property(
            &properties[name],
            &path,
            is_required(name),
            &stored[name],
        ));
    }
    fields
}

fn of_property(schema: &Value, path: &[String], required: bool, stored: &Value) -> Vec<Field> {
    let name = path.last().map_or("", |name| &**name);
    let value = if stored.is_null() {
        &schema["default"]
    } else {
        stored
    };
    let base = Field {
        help: schema["description"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        required,
        ..Field::new(path, label(name))
    };
    if let Some(forms) = schema["oneOf"].as_array() {
        return of_forms(base, forms, value);
    }
    if let Some(words) = schema["enum"].as_array() {
        let choices = words
            .iter()
            .map(|word| word.as_str().unwrap_or_default())
            .map(|word| Choice::new(word, choice_label(name, word)))
            .collect();
        return vec![Field {
            control: Control::Choice(choices),
            value: value.as_str().unwrap_or_default().to_owned(),
            ..base
        }];
    }
    let secret = schema["writeOnly"] == true || schema["additionalProperties"]["writeOnly"] == true;
    let is = |kind: &str| {
        schema["type"] == kind
            || schema["type"]
                .as_array()
                .is_some_and(|kinds| kinds.iter().any(|own| own == kind))
    };
    if is("object") && schema["properties"].is_object() {
        // None of the members of an optional group is required.
        return members(schema, path, value)
            .into_iter()
            .map(|field| Field {
                required: field.required && required,
                ..field
            })
            .collect();
    }
    let (control, reading, text) = match () {
        () if is("boolean") => (
            Control::Tick,
            Reading::Tick,
            (value == &json!(true)).to_string(),
        ),
        () if is("integer") || is("number") => (
            Control::Line("number"),
            Reading::Number,
            if value.is_number() {
                value.to_string()
            } else {
                String::new()
            },
        ),
        () if is("array") => (Control::Area, Reading::List, list(value)),
        () if is("object") && schema["additionalProperties"].is_object() => {
            (area(secret), Reading::Pairs, pairs(value))
        }
        () if is("object") => (area(secret), Reading::Json, String::new()),
        () if schema["format"] == "multiline" && !(secret && is_short(schema)) => (
            area(secret),
            Reading::Text,
            value.as_str().unwrap_or_default().to_owned(),
        ),
        () => {
            let kind = match schema["format"].as_str() {
                _ if secret => "password",
                Some("uri") => "url",
                // An `email` input of a browser refuses an address with a name.
                _ => "text",
            };
            (
                Control::Line(kind),
                Reading::Text,
                value.as_str().unwrap_or_default().to_owned(),
            )
        }
    };
    let names = value
        .as_object()
        .filter(|_| reading == Reading::Pairs)
        .map(|map| map.keys().cloned().collect())
        .unwrap_or_default();
    // A certificate is not secret, but reads return only its fingerprint.
    let shown = if secret || reading == Reading::Text {
        known_of(value)
    } else {
        None
    };
    let removable = !stored.is_null() && shown.is_none();
    let value = if secret || shown.is_some() {
        String::new()
    } else {
        text
    };
    vec![Field {
        control,
        reading,
        value,
        secret,
        removable,
        stored: shown,
        names,
        bounds: bounds(schema),
        ..base
    }]
}

/// Describes the range of a number, "From 0.1 to 1,000", or the maximum length of a list, "at most
/// 50".
fn bounds(schema: &Value) -> Option<String> {
    if let Some(most) = schema["maxItems"].as_u64() {
        return Some(format!("at most {most}"));
    }
    let number = |bound: &Value| {
        bound
            .as_u64()
            .map(show::count)
            .or_else(|| Some(bound.as_f64()?.to_string()))
    };
    Some(format!(
        "From {} to {}",
        number(&schema["minimum"])?,
        number(&schema["maximum"])?
    ))
}

fn area(secret: bool) -> Control {
    if secret {
        Control::SecretArea
    } else {
        Control::Area
    }
}

/// Whether a secret has one line, such as a password or a connection string. Keys have several.
fn is_short(schema: &Value) -> bool {
    schema["maxLength"]
        .as_u64()
        .is_some_and(|most| most <= 4_096)
}

/// Returns a choice between variants and the fields of each. A variant is a string, or an object
/// with one member.
fn of_forms(base: Field, forms: &[Value], value: &Value) -> Vec<Field> {
    let (mut choices, mut below) = (Vec::new(), Vec::new());
    let mut chosen = value.as_str().unwrap_or_default().to_owned();
    for form in forms {
        let title = form["title"].as_str().unwrap_or_default().to_owned();
        if let Some(word) = form["const"].as_str() {
            choices.push(Choice::new(word, title));
            continue;
        }
        for (word, inner) in form["properties"].as_object().into_iter().flatten() {
            choices.push(Choice::new(word, title.clone()));
            if value[word].is_object() {
                chosen.clone_from(word);
            }
            let path = [&base.path[..], std::slice::from_ref(word)].concat();
            let when = Some((base.name.clone(), vec![word.clone()]));
            below.extend(
                members(inner, &path, &value[word])
                    .into_iter()
                    .map(|field| Field {
                        when: when.clone(),
                        ..field
                    }),
            );
        }
    }
    let choice = Field {
        control: Control::Choice(choices),
        reading: Reading::Form,
        value: chosen,
        ..base
    };
    std::iter::once(choice).chain(below).collect()
}

/// Returns the choice of the kind of credentials and the fields of each kind.
pub(crate) fn credentials(schema: &Value, stored: &Value) -> Vec<Field> {
    const KIND: &str = "credentials.kind";
    let forms = schema["oneOf"].as_array().cloned().unwrap_or_default();
    let kinds: Vec<Choice> = forms
        .iter()
        .map(|form| form["title"].as_str().unwrap_or_default())
        .map(|kind| Choice::new(kind, choice_label("kind", kind)))
        .collect();
    let own = stored["kind"].as_str().unwrap_or_default().to_owned();
    let chosen = if own.is_empty() {
        kinds
            .first()
            .map(|kind| kind.value.clone())
            .unwrap_or_default()
    } else {
        own.clone()
    };
    let base = Field::new(
        &["credentials".to_owned(), "kind".to_owned()],
        "Method".to_owned(),
    );
    let mut all = vec![Field {
        name: KIND.to_owned(),
        control: Control::Choice(kinds.clone()),
        value: chosen,
        required: true,
        ..base
    }];
    for (form, kind) in forms.iter().zip(kinds.iter().map(|kind| &kind.value)) {
        let mut form = form.clone();
        if let Some(properties) = form["properties"].as_object_mut() {
            properties.remove("kind");
        }
        let known = if *kind == own { stored } else { &Value::Null };
        for field in members(&form, &["credentials".to_owned()], known) {
            let name = format!("credentials.{kind}.{}", field.path[1..].join("."));
            all.push(Field {
                name,
                when: Some((KIND.to_owned(), vec![kind.clone()])),
                ..field
            });
        }
    }
    all
}

/// Reads a form into the members of a request's body. Includes required fields and the fields that
/// differ from the values that the form showed. With `patch`, a field that was emptied becomes
/// null, which removes the member, and an empty secret is kept.
pub(crate) fn read(fields: &[Field], form: &Form, patch: bool) -> Map<String, Value> {
    let mut body = Value::Object(Map::new());
    for field in fields.iter().filter(|field| field.counts(form)) {
        if let Some(value) = value_of(field, form, patch) {
            put(&mut body, &field.path, value);
        }
    }
    match body {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn value_of(field: &Field, form: &Form, patch: bool) -> Option<Value> {
    let typed = form.text(&field.name).unwrap_or_default();
    let trimmed = typed.trim();
    let unchanged = match field.reading {
        Reading::Tick => form.ticked(&field.name) == field.is_ticked(),
        _ => trimmed == field.value.trim(),
    };
    match field.reading {
        Reading::Switch => None,
        _ if unchanged && !field.required => None,
        Reading::Tick => Some(form.ticked(&field.name).into()),
        _ if trimmed.is_empty() => (patch && field.removable).then_some(Value::Null),
        // The fields of the chosen variant create its object.
        Reading::Form => matches!(&field.control, Control::Choice(_))
            .then(|| trimmed.into())
            .filter(|_| !has_fields(field, form)),
        Reading::Text if matches!(field.control, Control::Area | Control::SecretArea) => {
            Some(typed.into())
        }
        Reading::Text => Some(trimmed.into()),
        Reading::Number => Some(
            trimmed
                .parse::<i64>()
                .map(Value::from)
                .or_else(|_| trimmed.parse::<f64>().map(Value::from))
                .unwrap_or_else(|_| trimmed.into()),
        ),
        Reading::List => Some(form.lines(&field.name).into()),
        Reading::Pairs => Some(map_of(field, form, patch)),
        Reading::Json => Some(serde_json::from_str(trimmed).unwrap_or_else(|_| trimmed.into())),
    }
}

/// Whether the form has fields of the chosen variant.
fn has_fields(field: &Field, form: &Form) -> bool {
    let below = format!(
        "{}.{}.",
        field.name,
        form.text(&field.name).unwrap_or_default()
    );
    form.names().any(|name| name.starts_with(&below))
}

fn map_of(field: &Field, form: &Form, patch: bool) -> Value {
    let mut map = Map::new();
    if patch {
        map.extend(field.names.iter().map(|name| (name.clone(), Value::Null)));
    }
    for line in form.lines(&field.name) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        map.insert(name.trim().to_owned(), value.trim().into());
    }
    map.into()
}

fn put(body: &mut Value, path: &[String], value: Value) {
    let Some((last, groups)) = path.split_last() else {
        return;
    };
    let mut object = body;
    for group in groups {
        if !object[group].is_object() {
            object[group] = Value::Object(Map::new());
        }
        object = &mut object[group];
    }
    object[last] = value;
}

fn list(value: &Value) -> String {
    let items: Vec<&str> = value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    items.join("\n")
}

fn pairs(value: &Value) -> String {
    let lines = value
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some(format!("{name}: {}", value.as_str()?)));
    lines.collect::<Vec<_>>().join("\n")
}

/// Describes a stored secret, a certificate or a map of secrets. `None` for any other value.
fn known_of(value: &Value) -> Option<String> {
    if value["set"] == true {
        return Some(value["hint"].as_str().map_or_else(
            || "Set".to_owned(),
            |hint| format!("Set, ends in {}", hint.trim_start_matches('…')),
        ));
    }
    if let Some(fingerprint) = value["fingerprint"].as_str() {
        return Some(format!("Set, {fingerprint}"));
    }
    let names: Vec<&str> = value.as_object()?.keys().map(|name| &**name).collect();
    (!names.is_empty()).then(|| format!("Set: {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form {
        Form::parse(text.as_bytes())
    }

    fn schema() -> Value {
        json!({"properties": {
            "url": {"type": "string", "format": "uri"},
            "signature": {"type": "object",
                "properties": {"enabled": {"type": "boolean", "default": true}},
                "default": {"enabled": true}},
            "headers": {"type": "object", "additionalProperties": {"type": "string"},
                "default": {}},
            "timeout_seconds": {"type": "integer", "default": 15},
            "to": {"type": "array", "items": {"type": "string"}},
            "transport": {"oneOf": [{"const": "ses", "title": "SES"},
                {"title": "SMTP", "properties": {"smtp": {"properties": {"host": {"type": "string"}}}}}]},
        }, "required": ["url"]})
    }

    #[test]
    fn the_typed_text_becomes_the_requests_body() {
        let fields = fields(&schema(), &["settings"], &Value::Null);
        assert_eq!(fields[0].name, "settings.url");
        let sent = "settings.url=https%3A%2F%2Fa.example&settings.headers=X-A%3A+1%0D%0AX-B%3A2&settings.timeout_seconds=x&settings.to=a%0D%0A%0D%0Ab\
                    &settings.transport=smtp&settings.transport.smtp.host=h";
        let body = read(&fields, &form(sent), false);
        let expected = json!({"settings": {
            "url": "https://a.example", "headers": {"X-A": "1", "X-B": "2"}, "timeout_seconds": "x",
            "to": ["a", "b"],
            "signature": {"enabled": false}, "transport": {"smtp": {"host": "h"}},
        }});
        assert_eq!(Value::Object(body), expected);
        let defaults = "settings.url=https%3A%2F%2Fa.example&settings.timeout_seconds=15&settings.signature.enabled=true";
        assert_eq!(
            Value::Object(read(&fields, &form(defaults), false)),
            json!({"settings": {"url": "https://a.example"}})
        );
        let ses = read(
            &fields,
            &form("settings.transport=ses&settings.transport.smtp.host=left"),
            false,
        );
        assert_eq!(ses["settings"]["transport"], "ses");
    }

    #[test]
    fn a_patch_removes_what_was_emptied_and_keeps_secrets() {
        let schema = json!({"oneOf": [{"title": "bearer",
            "properties": {"kind": {"const": "bearer"},
                "token": {"type": "string", "writeOnly": true}}, "required": ["kind", "token"]}]});
        let stored = json!({"kind": "bearer", "token": {"set": true, "hint": "…abcd"}});
        let secrets = credentials(&schema, &stored);
        assert_eq!(secrets[1].stored.as_deref(), Some("Set, ends in abcd"));
        let stored_members = read(
            &secrets,
            &form("credentials.kind=bearer&credentials.bearer.token="),
            true,
        );
        assert_eq!(
            Value::Object(stored_members),
            json!({"credentials": {"kind": "bearer"}})
        );
        let settings = fields(
            &self::schema(),
            &["settings"],
            &json!({"url": "https://a.example", "headers": {"X-A": "1"}, "transport": "ses",
                "timeout_seconds": 20}),
        );
        let body = read(
            &settings,
            &form(
                "settings.url=https%3A%2F%2Fa.example&settings.headers=X-B%3A2&settings.transport=ses",
            ),
            true,
        );
        assert_eq!(
            body["settings"]["headers"],
            json!({"X-A": null, "X-B": "2"})
        );
        assert_eq!(body["settings"]["timeout_seconds"], Value::Null);
    }
}
