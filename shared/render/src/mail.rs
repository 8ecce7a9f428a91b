//! Renders the subject and texts of an e-mail.

use domain::settings::email::EmailSettings;
use template::{Limits, Stop, Template, TemplateError, Variables};

use crate::line::line;
use crate::{Fault, Notice, TemplateValues, defang};

/// How many characters of a payload are shown in the text if there is no template.
const SHOWN_CHARS_MAX: usize = 20_000;

/// The subject and texts of an e-mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The subject, which is one line.
    pub subject: String,
    /// The body as plain text.
    pub text: String,
    /// The HTML, if a template or a notice provides it.
    pub html: Option<String>,
}

/// A link to the payload.
#[derive(Clone, Copy, Debug)]
pub struct Link<'l> {
    /// The URL from which the payload can be downloaded.
    pub url: &'l str,
    /// Whether every part of the e-mail must show the link, because the payload is not attached.
    pub is_required: bool,
}

/// Whether one of the templates may use the variable `link`.
#[must_use]
pub fn may_use_link(settings: &EmailSettings) -> bool {
    let templates = [&settings.text_template, &settings.html_template];
    templates
        .into_iter()
        .flatten()
        .any(|source| source.contains(Variables::LINK))
}

/// Renders an e-mail. A required link is appended to each part whose template does not show it.
pub fn mail(
    settings: &EmailSettings,
    values: &TemplateValues,
    link: Option<Link<'_>>,
    stop: &Stop,
) -> Result<Mail, Fault> {
    let variables = Variables {
        link: link.map(|link| link.url),
        ..values.variables()
    };
    let required = link.filter(|link| link.is_required).map(|link| link.url);
    let notice = Notice::of(values).without_links();
    let is_notice = values.event_type.starts_with("waybill.") && !notice.lines.is_empty();
    let subject = match &settings.subject_template {
        Some(source) => line("subject_template", source, values, stop)?,
        None => notice.subject.clone(),
    };
    let subject = subject
        .split(['\r', '\n'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    let text = match &settings.text_template {
        Some(source) => {
            let text = of_template(
                "text_template",
                Template::compile_mail_text(source, Limits::BODY),
                &variables,
                stop,
            )?;
            text_with_link(text, required)
        }
        None if is_notice => format!("{}\n\n{}\n", notice.title, notice.text()),
        None => own_text(values, required),
    };
    let html = match &settings.html_template {
        Some(source) => {
            let html = of_template(
                "html_template",
                Template::compile_mail_html(source, Limits::BODY),
                &variables,
                stop,
            )?;
            Some(html_with_link(html, required))
        }
        None if is_notice && settings.text_template.is_none() => Some(notice_html(&notice)),
        None => None,
    };
    Ok(Mail {
        subject,
        text,
        html,
    })
}

/// Renders the e-mail by which a person confirms that an address receives an organization's alerts.
#[must_use]
pub fn confirmation(organization_name: &str, link: &str, valid_hours: u32) -> Mail {
    let name = defang::quoted(organization_name);
    let lines = [
        format!(
            "The organization {name} wants to send alerts about its deliveries to this address."
        ),
        format!(
            "If you want to get them, open this page within {valid_hours} hours and confirm \
             it there:"
        ),
        link.to_owned(),
        "If you do not, or do not know the organization, do nothing: no alerts are sent to this \
         address."
            .to_owned(),
    ];
    let paragraphs = lines.iter().map(|line| {
        if line == link {
            format!("<p><a href=\"{0}\">{0}</a></p>\n", escaped(link))
        } else {
            format!("<p>{}</p>\n", escaped(line))
        }
    });
    let html = format!(
        "<!doctype html>\n<html><body style=\"font-family: sans-serif\">\n{}</body></html>\n",
        paragraphs.collect::<String>()
    );
    Mail {
        subject: "Confirm your address for alerts of Waybill".to_owned(),
        text: format!("{}\n", lines.join("\n\n")),
        html: Some(html),
    }
}

fn of_template(
    name: &'static str,
    template: Result<Template, TemplateError>,
    variables: &Variables<'_>,
    stop: &Stop,
) -> Result<String, Fault> {
    let template = template.map_err(|error| Fault::of(name, error))?;
    template
        .render(variables, stop)
        .map_err(|error| Fault::rendering(name, &error))
}

/// Returns the text, with the link appended unless it is already shown.
fn text_with_link(mut text: String, link: Option<&str>) -> String {
    if let Some(link) = link.filter(|link| !text.contains(link)) {
        let gap = if text.ends_with('\n') { "\n" } else { "\n\n" };
        text.push_str(&format!(
            "{gap}Download it here (the link expires):\n{link}\n"
        ));
    }
    text
}

/// Returns the HTML, with the link at the end of its body unless it is already shown.
fn html_with_link(html: String, link: Option<&str>) -> String {
    // MiniJinja also escapes the slash.
    let shows =
        |link: &str| html.contains(link) || html.contains(&escaped(link).replace('/', "&#x2f;"));
    let Some(link) = link.filter(|link| !shows(link)) else {
        return html;
    };
    let paragraph = format!(
        "<p><a href=\"{}\">Download it here</a> (the link expires).</p>\n",
        escaped(link)
    );
    let end = html
        .to_ascii_lowercase()
        .rfind("</body>")
        .unwrap_or(html.len());
    let (before, after) = html.split_at(end);
    format!("{before}{paragraph}{after}")
}

/// Returns the text of an e-mail without a template: the facts of the message, and its payload.
fn own_text(values: &TemplateValues, link: Option<&str>) -> String {
    let mut text = format!(
        "{}\n\nMessage: {}\nSent: {}\n",
        values.event_type, values.message_id, values.created_at
    );
    for (name, value) in [("Reference", &values.reference), ("File", &values.filename)] {
        if let Some(value) = value {
            text.push_str(&format!("{name}: {value}\n"));
        }
    }
    for (name, value) in &values.metadata {
        text.push_str(&format!("{name}: {value}\n"));
    }
    // A payload that is too large to show or is not JSON is attached or linked.
    if let Ok(Some(shown)) = values.payload_indented() {
        let cut: String = shown.chars().take(SHOWN_CHARS_MAX).collect();
        text.push_str(&format!(
            "\n{cut}{}\n",
            if cut.len() < shown.len() { "\n…" } else { "" }
        ));
    }
    if let Some(link) = link {
        text.push_str(&format!("\nDownload it here (the link expires):\n{link}\n"));
    }
    text
}

fn notice_html(notice: &Notice) -> String {
    let mut html = format!(
        "<!doctype html>\n<html><body style=\"font-family: sans-serif\">\n<h1 style=\"font-size: \
         1.25rem\">{}</h1>\n",
        escaped(&notice.title)
    );
    for line in &notice.lines {
        html.push_str(&format!(
            "<p style=\"margin: 0.25rem 0\">{}</p>\n",
            escaped(line)
        ));
    }
    if let Some(url) = notice.url.as_deref().filter(|url| url.starts_with("http")) {
        html.push_str(&format!(
            "<p><a href=\"{0}\">Open in Waybill</a></p>\n",
            escaped(url)
        ));
    }
    html + "</body></html>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use domain::input::{Errors, Fields};
    use serde_json::{Value, json};

    use super::*;

    const URL: &str = "https://waybill.example/d/lnk_1-2.3";

    fn settings(templates: &Value) -> EmailSettings {
        let mut settings =
            json!({"transport": "ses", "from": "a@b.example", "to": ["c@d.example"]});
        let members = templates.as_object().unwrap().clone();
        settings.as_object_mut().unwrap().extend(members);
        let errors = Errors::default();
        let mut fields = Fields::new("", settings.as_object().unwrap().clone(), &errors);
        EmailSettings::read(&mut fields).unwrap()
    }

    fn values() -> TemplateValues {
        TemplateValues {
            organization_id: "org_1".to_owned(),
            event_type: "report.ready".to_owned(),
            message_id: "msg_1".to_owned(),
            delivery_id: "dlv_1".to_owned(),
            reference: None,
            metadata: Default::default(),
            filename: None,
            content_type: "text/csv".to_owned(),
            created_at: "2026-11-29T00:00:00.000Z".to_owned(),
            attempt: 1,
            failed_delivery_id: None,
            reason: None,
            payload: template::Payload::absent("the payload is text/csv and not JSON"),
        }
    }

    fn made(templates: Value, is_required: bool) -> Mail {
        mail(
            &settings(&templates),
            &values(),
            Some(Link {
                url: URL,
                is_required,
            }),
            &Stop::default(),
        )
        .unwrap()
    }

    #[test]
    fn every_part_shows_a_required_link_exactly_once() {
        for text in [
            "Hello",
            "Hello\n",
            "Get {{ link }} now",
            "{% if attempt > 9 %}{{ link }}{% endif %}",
            "{{ link[:9] }}",
            "",
        ] {
            let given = if text.is_empty() {
                json!({})
            } else {
                json!({"text_template": text})
            };
            let mail = made(given, true);
            assert_eq!(mail.text.matches(URL).count(), 1, "{text:?}: {}", mail.text);
        }
        for html in [
            "<p>Hello</p>",
            "<body><p>Hello</p></BODY></html>",
            "<a href=\"{{ link }}\">get it</a>",
            "{# {{ link }} #}x",
        ] {
            let mail = made(json!({"html_template": html}), true);
            assert_eq!(mail.text.matches(URL).count(), 1, "{html:?}: {}", mail.text);
            let shown = mail.html.unwrap().replace("&#x2f;", "/");
            assert_eq!(shown.matches(URL).count(), 1, "{html:?}: {shown}");
            assert!(
                !shown.to_lowercase().contains("</body></html>")
                    || shown.to_lowercase().ends_with("</body></html>"),
                "{shown}"
            );
        }
    }

    #[test]
    fn a_link_that_is_not_required_is_shown_only_by_templates_that_use_it() {
        assert_eq!(made(json!({"text_template": "Hello"}), false).text, "Hello");
        assert_eq!(
            made(json!({"text_template": "{{ link }}"}), false).text,
            URL
        );
        assert!(!made(json!({}), false).text.contains(URL));
    }

    #[test]
    fn a_subject_has_no_link() {
        let fault = mail(
            &settings(&json!({"subject_template": "{{ link }}"})),
            &values(),
            None,
            &Stop::default(),
        )
        .unwrap_err();
        assert_eq!(fault.name, "subject_template");
    }
}
