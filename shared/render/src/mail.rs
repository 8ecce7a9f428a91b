//! A mail's subject and texts.

use domain::settings::email::EmailSettings;
use template::{Limits, Stop, Template, TemplateError};

use crate::line::line;
use crate::{Fault, Notice, Wording, defang};

/// Of a payload without a template, so much is shown in the text.
const SHOWN_CHARS_MAX: usize = 20_000;

/// A mail's subject and texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// The same as HTML, when a template or a notice makes it.
    pub html: Option<String>,
}

/// Makes a mail; `link` leads to the payload when it is not attached.
pub fn mail(settings: &EmailSettings, wording: &Wording, link: Option<&str>, stop: &Stop) -> Result<Mail, Fault> {
    let notice = Notice::of(wording).without_links();
    let is_notice = wording.event_type.starts_with("waybill.") && !notice.lines.is_empty();
    let subject = match &settings.subject_template {
        Some(source) => line("subject_template", source, wording, stop)?,
        None => notice.subject.clone(),
    };
    let subject = subject.split(['\r', '\n']).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    let text = match &settings.text_template {
        Some(source) => of_template("text_template", Template::compile(source, Limits::BODY), wording, stop)?,
        None if is_notice => format!("{}\n\n{}\n", notice.title, notice.text()),
        None => own_text(wording, link),
    };
    let html = match &settings.html_template {
        Some(source) => Some(of_template("html_template", Template::compile_html(source, Limits::BODY), wording, stop)?),
        None if is_notice && settings.text_template.is_none() => Some(notice_html(&notice)),
        None => None,
    };
    Ok(Mail { subject, text, html })
}

/// The mail by which a person confirms that an address is to get an organization's alerts.
#[must_use]
pub fn confirmation(organization_name: &str, link: &str, valid_hours: u32) -> Mail {
    let name = defang::quoted(organization_name);
    let lines = [
        format!("The organization {name} wants to send alerts about its deliveries to this address."),
        format!("If you want to get them, open this page within {valid_hours} hours and confirm it there:"),
        link.to_owned(),
        "If you do not, or do not know the organization, do nothing: no alerts are sent to this address.".to_owned(),
    ];
    let paragraphs = lines.iter().map(|line| {
        if line == link { format!("<p><a href=\"{0}\">{0}</a></p>\n", escaped(link)) } else { format!("<p>{}</p>\n", escaped(line)) }
    });
    let html =
        format!("<!doctype html>\n<html><body style=\"font-family: sans-serif\">\n{}</body></html>\n", paragraphs.collect::<String>());
    Mail { subject: "Confirm your address for alerts of Waybill".to_owned(), text: format!("{}\n", lines.join("\n\n")), html: Some(html) }
}

fn of_template(name: &'static str, template: Result<Template, TemplateError>, wording: &Wording, stop: &Stop) -> Result<String, Fault> {
    let template = template.map_err(|error| Fault::of(name, error))?;
    template.render(&wording.variables(), stop).map_err(|error| Fault::rendering(name, &error))
}

/// What a mail says without a template: what came, and what is in it.
fn own_text(wording: &Wording, link: Option<&str>) -> String {
    let mut text = format!("{}\n\nMessage: {}\nSent: {}\n", wording.event_type, wording.message_id, wording.created_at);
    for (name, value) in [("Reference", &wording.reference), ("File", &wording.filename)] {
        if let Some(value) = value {
            text.push_str(&format!("{name}: {value}\n"));
        }
    }
    for (name, value) in &wording.metadata {
        text.push_str(&format!("{name}: {value}\n"));
    }
    // What is too large to show or no JSON is attached or linked.
    if let Ok(Some(shown)) = wording.payload_indented() {
        let cut: String = shown.chars().take(SHOWN_CHARS_MAX).collect();
        text.push_str(&format!("\n{cut}{}\n", if cut.len() < shown.len() { "\n…" } else { "" }));
    }
    if let Some(link) = link {
        text.push_str(&format!("\nDownload it here (the link expires):\n{link}\n"));
    }
    text
}

fn notice_html(notice: &Notice) -> String {
    let mut html = format!(
        "<!doctype html>\n<html><body style=\"font-family: sans-serif\">\n<h1 style=\"font-size: 1.25rem\">{}</h1>\n",
        escaped(&notice.title)
    );
    for line in &notice.lines {
        html.push_str(&format!("<p style=\"margin: 0.25rem 0\">{}</p>\n", escaped(line)));
    }
    if let Some(url) = notice.url.as_deref().filter(|url| url.starts_with("http")) {
        html.push_str(&format!("<p><a href=\"{0}\">Open in Waybill</a></p>\n", escaped(url)));
    }
    html + "</body></html>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
