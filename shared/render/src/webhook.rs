//! Renders the body of a webhook: the unchanged payload, a template, or the format of a chat or
//! on-call service.

use bytes::Bytes;
use domain::settings::webhook::WebhookSettings;
use template::{Limits, Stop, Template};

use crate::{Fault, TemplateValues, preset};

/// The body of a request with its media type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookBody {
    /// The bytes of the body.
    pub bytes: Bytes,
    /// The media type of the body.
    pub content_type: String,
}

/// Whether the body differs from the payload, so that the payload has to be in memory.
#[must_use]
pub fn reshapes(settings: &WebhookSettings) -> bool {
    settings.body_template.is_some() || settings.preset.is_some()
}

/// Renders the body. `routing_key` is the customer's key for PagerDuty.
pub fn body(
    settings: &WebhookSettings,
    values: &TemplateValues,
    payload: Bytes,
    routing_key: &str,
    stop: &Stop,
) -> Result<WebhookBody, Fault> {
    if let Some(source) = &settings.body_template {
        let template = Template::compile(source, Limits::BODY)
            .map_err(|error| Fault::of("body_template", error))?;
        let text = template
            .render(&values.variables(), stop)
            .map_err(|error| Fault::rendering("body_template", &error))?;
        let content_type = settings
            .content_type
            .clone()
            .unwrap_or_else(|| "application/json".to_owned());
        return Ok(WebhookBody {
            bytes: text.into(),
            content_type,
        });
    }
    match settings.preset {
        None => Ok(WebhookBody {
            bytes: payload,
            content_type: values.content_type.clone(),
        }),
        Some(preset) => {
            let json = preset::body(preset, values, routing_key)?.to_string();
            Ok(WebhookBody {
                bytes: json.into(),
                content_type: "application/json".to_owned(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::input::{Errors, Fields};
    use domain::settings::webhook::Preset;
    use serde_json::{Value, json};
    use template::Payload;

    fn rendered(
        settings: Value,
        event_type: &str,
        payload: Value,
    ) -> Result<(Value, String), Fault> {
        let (settings, values) = (
            self::settings(settings),
            values(event_type, payload.clone()),
        );
        let made = body(
            &settings,
            &values,
            payload.to_string().into(),
            "key",
            &Stop::default(),
        )?;
        Ok((
            serde_json::from_slice(&made.bytes).unwrap_or_default(),
            made.content_type,
        ))
    }

    fn settings(settings: Value) -> WebhookSettings {
        let errors = Errors::default();
        let members = settings.as_object().cloned().unwrap_or_default();
        WebhookSettings::read(&mut Fields::new("", members, &errors)).unwrap()
    }

    fn values(event_type: &str, payload: Value) -> TemplateValues {
        crate::template_values::sample(event_type, &payload)
    }

    #[test]
    fn a_stored_template_that_nests_too_deeply_is_a_fault() {
        let deep = format!("\n{{{{ {}1 }}}}", "-".repeat(848));
        let fault = rendered(
            json!({"url": "https://x.example", "body_template": deep}),
            "a.b",
            json!({}),
        )
        .unwrap_err();
        assert_eq!((fault.name, fault.is_ours), ("body_template", false));
        assert!(
            fault
                .detail
                .contains("line 2: the template is too deeply nested"),
            "{fault}"
        );
    }

    #[test]
    fn presets_show_the_payload_as_it_was_sent() {
        let settings = WebhookSettings {
            preset: Some(Preset::Slack),
            ..settings(json!({"url": "https://x.example"}))
        };
        let shown = |text: &'static str| {
            let values = TemplateValues {
                payload: Payload::json(text.into()),
                ..values("a.b", json!({}))
            };
            let made = body(&settings, &values, text.into(), "", &Stop::default())?;
            Ok::<_, Fault>(String::from_utf8(made.bytes.to_vec()).unwrap())
        };
        let text = shown(r#"{"z":10.10,"a":1e400,"s":"\ud800"}"#).unwrap();
        for expected in [r#"\"z\": 10.10"#, r#"\"a\": 1e400"#, r#"\\ud800"#] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
        assert!(
            shown("{\"a\":")
                .unwrap_err()
                .detail
                .contains("not valid JSON")
        );
    }

    #[test]
    fn a_payload_without_template_and_preset_goes_as_it_is() {
        let (body, kind) =
            rendered(json!({"url": "https://x.example"}), "a.b", json!({"n": 1})).unwrap();
        assert_eq!((body, &*kind), (json!({"n": 1}), "application/json"));
    }

    #[test]
    fn a_template_reshapes_it() {
        let settings = json!({"url": "https://x.example", "body_template": "{\"t\": {{ payload.n \
             | json }}}", "content_type": "application/vnd.x+json"});
        let (body, kind) = rendered(settings, "a.b", json!({"n": "x\"y"})).unwrap();
        assert_eq!(
            (body, &*kind),
            (json!({"t": "x\"y"}), "application/vnd.x+json")
        );
        let missing =
            json!({"url": "https://x.example", "body_template": "{{ payload.gone.more }}"});
        assert_eq!(
            rendered(missing, "a.b", json!({})).unwrap_err().name,
            "body_template"
        );
    }
}
