//! Formats values for pages: times, states, sizes. Types that produce HTML escape their texts.

use std::borrow::Borrow;
use std::fmt;

use askama::filters::HtmlSafe;
use domain::Timestamp;
use domain::waiting::WaitingFor;
use url::form_urlencoded;

use crate::assets;
use crate::icon::Icon;
pub(crate) use crate::icon::icon;
use crate::visitor::Visitor;

/// The values that the frame of every page needs.
pub(crate) struct Page<'a> {
    /// The visitor. `None` on pages that need no session.
    pub(crate) visitor: Option<&'a Visitor>,
    /// The part of the console that the page belongs to.
    pub(crate) part: &'static str,
    pub(crate) style: String,
    pub(crate) script: String,
    pub(crate) htmx: String,
    pub(crate) icon: String,
    pub(crate) font: String,
}

impl<'a> Page<'a> {
    /// Creates the frame of a page for a visitor.
    pub(crate) fn of(visitor: Option<&'a Visitor>, part: &'static str) -> Self {
        Self {
            visitor,
            part,
            style: assets::address("console.css"),
            script: assets::address("console.js"),
            htmx: assets::address("htmx.js"),
            icon: assets::address("icon.svg"),
            font: assets::address("inter.woff2"),
        }
    }

    /// Creates the frame of a page that needs no session.
    pub(crate) fn outside() -> Self {
        Self::of(None, "")
    }
}

/// Encodes parameters as a query string.
pub(crate) fn query(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish()
}

/// Encodes text for a query string.
pub(crate) fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// A point in time, shown relative to now, with the exact time on hover.
pub(crate) struct When {
    at: Timestamp,
    now: Timestamp,
}

impl When {
    /// Creates the point in time `at`, to be shown relative to `now`.
    pub(crate) fn new(at: Timestamp, now: Timestamp) -> Self {
        Self { at, now }
    }

    /// Returns the relative time: `3 min ago`, `in 20 s`.
    pub(crate) fn words(&self) -> String {
        let millis = self.now.as_millis() - self.at.as_millis();
        match (millis.abs() / 1000, millis >= 0) {
            (0..=4, true) => "just now".to_owned(),
            (seconds, true) => format!("{} ago", span(seconds)),
            (seconds, false) => format!("in {}", span(seconds.max(1))),
        }
    }
}

/// Formats a duration in its largest unit: `20 s`, `3 min`.
pub(crate) fn span(seconds: i64) -> String {
    match seconds {
        ..=90 => format!("{seconds} s"),
        91..=5_399 => format!("{} min", (seconds + 30) / 60),
        5_400..=129_599 => format!("{} h", (seconds + 1_800) / 3_600),
        _ => format!("{} d", (seconds + 43_200) / 86_400),
    }
}

/// Formats a wait of a retry schedule, in seconds.
pub(crate) fn wait(seconds: impl Borrow<u32>) -> String {
    span(i64::from(*seconds.borrow()))
}

/// Formats an exact time: `2026-11-26 20:04:05.123 UTC`.
pub(crate) fn exact(at: impl Borrow<Timestamp>) -> String {
    format!(
        "{} UTC",
        at.borrow()
            .to_string()
            .replace('T', " ")
            .trim_end_matches('Z')
    )
}

/// Formats the date of a time in UTC: `2026-11-26`.
pub(crate) fn day(at: &Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

/// A time of day in UTC, which a script replaces with the reader's time zone.
pub(crate) struct Clock(Timestamp);

/// Returns the time of day as HTML: `20:04:05 UTC`.
pub(crate) fn time(at: &Timestamp) -> Clock {
    Clock(*at)
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, exact) = (self.0, exact(self.0));
        write!(
            f,
            "<time datetime=\"{at}\" title=\"{exact}\" data-at=\"{}\" data-as=\"clock\">{} \
             UTC</time>",
            at.as_millis(),
            clock(&at)
        )
    }
}

impl HtmlSafe for Clock {}

/// Formats the time of day in UTC: `20:04:05`.
pub(crate) fn clock(at: &Timestamp) -> String {
    at.to_string().chars().skip(11).take(8).collect()
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "<time datetime=\"{}\" title=\"{}\" data-at=\"{}\">{}</time>",
            self.at,
            exact(self.at),
            self.at.as_millis(),
            self.words()
        )
    }
}

impl HtmlSafe for When {}

/// Returns the string that the API serializes a value to, or an empty string.
pub(crate) fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// A state as HTML: an icon and a word.
pub(crate) struct Badge(String);

/// Returns the badge of a state. Any other text gets a neutral icon.
pub(crate) fn badge(state: impl AsRef<str>) -> Badge {
    Badge(state.as_ref().to_owned())
}

impl fmt::Display for Badge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (class, shape) = match &*self.0 {
            "succeeded" | "healthy" | "enabled" | "finished" | "active" | "recovered"
            | "granted" => ("good", "circle-check"),
            "failed" | "failing" | "denied" | "refused" => ("bad", "circle-x"),
            "retrying" | "degraded" | "partially_failed" => ("warn", "rotate-cw"),
            "running" => ("wait", "rotate-cw"),
            "disabled" | "suspended" => ("off", "circle-slash"),
            "paused" => ("off", "circle-pause"),
            "queued" | "pending" => ("wait", "clock"),
            "skipped" | "cancelled" => ("off", "ban"),
            _ => ("off", "circle-dot"),
        };
        write!(
            f,
            "<span class=\"badge {class}\">{} {}</span>",
            icon(shape),
            escape(&self.0.replace('_', " "))
        )
    }
}

impl HtmlSafe for Badge {}

/// Describes what a delivery waits for, as a continuation of "Waiting".
pub(crate) fn waiting(waiting_for: &WaitingFor) -> &'static str {
    match waiting_for {
        WaitingFor::Pause => "for its paused destination to be resumed",
        WaitingFor::Rate => "for its turn under the destination's rate limit",
        WaitingFor::Concurrency => "for one of the destination's other deliveries to end",
    }
}

/// Turns a detail of the API into a sentence, with a capital letter and a full stop.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.trim().chars();
    let mut sentence: String = letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default();
    if !sentence.is_empty() && !sentence.ends_with(['.', '!', '?', ':']) {
        sentence.push('.');
    }
    sentence
}

/// Returns the icon of a destination type.
pub(crate) fn type_icon(kind: &str) -> Icon {
    icon(match kind {
        "webhook" => "webhook",
        "email" => "mail",
        "sftp" => "folder-key",
        "postgres" | "mysql" => "database",
        _ => "cloud",
    })
}

/// Replaces the underscores of a word of the API with spaces: `server error`.
pub(crate) fn plain(word: impl AsRef<str>) -> String {
    word.as_ref().replace('_', " ")
}

/// Returns the label of a failure category: `Server error`.
pub(crate) fn reason(word: impl AsRef<str>) -> String {
    crate::captions::label(word.as_ref())
}

/// Formats a count, with a `+` if there are more: `1,000+`.
pub(crate) fn counted(counted: &operations::Counted) -> String {
    format!(
        "{}{}",
        count(counted.count),
        if counted.more { "+" } else { "" }
    )
}

/// Escapes text for HTML.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Text in which web addresses are links.
pub(crate) struct Linked(String);

/// Returns text as HTML in which each `http` and `https` address is a link. Line breaks are kept.
pub(crate) fn linked(text: &str) -> Linked {
    Linked(text.to_owned())
}

impl fmt::Display for Linked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(char::is_whitespace) {
            let word = part.trim_end();
            let shown = escape(word);
            match word.starts_with("https://") || word.starts_with("http://") {
                true => write!(
                    f,
                    "<a href=\"{shown}\" rel=\"noreferrer\">{shown}</a>{}",
                    &part[word.len()..]
                )?,
                false => write!(f, "{shown}{}", &part[word.len()..])?,
            }
        }
        Ok(())
    }
}

impl HtmlSafe for Linked {}

/// Formats a number of bytes: `1.4 MiB`.
#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
pub(crate) fn bytes(count: impl Borrow<u64>) -> String {
    let count = *count.borrow();
    let units = ["B", "KiB", "MiB", "GiB"];
    let (mut value, mut unit) = (count as f64, 0);
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{count} B")
    } else {
        format!("{value:.1} {}", units[unit])
    }
}

/// Formats a number of milliseconds: `340 ms`, `2.4 s`.
#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
pub(crate) fn millis(count: impl Borrow<u64>) -> String {
    let count = *count.borrow();
    if count < 1000 {
        format!("{count} ms")
    } else {
        format!("{:.1} s", count as f64 / 1000.0)
    }
}

/// Formats a share as a percentage, rounded down: `99.2%`. `None` is `–`.
pub(crate) fn percent(share: &Option<f64>) -> String {
    match share {
        None => "–".to_owned(),
        Some(share) if *share >= 1.0 => "100%".to_owned(),
        // Rounded down, so that 99.97% is not shown as 100%.
        Some(share) => format!("{:.1}%", (share * 1000.0).floor() / 10.0),
    }
}

/// Formats a latency in milliseconds. `None` is `–`.
pub(crate) fn latency(ms: &Option<u64>) -> String {
    ms.map_or_else(|| "–".to_owned(), millis)
}

/// Formats a number with thousands separators: `12,345`.
pub(crate) fn count(number: impl Borrow<u64>) -> String {
    let number = *number.borrow();
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Shortens an id to its prefix and its last 10 characters, which differ between ids of similar
/// age.
pub(crate) fn short(id: &impl fmt::Display) -> String {
    let id = id.to_string();
    let (prefix, rest) = id.split_once('_').unwrap_or(("", &id));
    let tail: String = rest
        .chars()
        .skip(rest.chars().count().saturating_sub(10))
        .collect();
    format!("{prefix}_…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_in_readable_form() {
        let at = |seconds: i64| Timestamp::from_millis(1_764_000_000_000 + seconds * 1000);
        let words = |seconds: i64| When::new(at(seconds), at(0)).words();
        assert_eq!(
            [
                words(0),
                words(-61),
                words(-3_600),
                words(-200_000),
                words(2)
            ],
            ["just now", "61 s ago", "60 min ago", "2 d ago", "in 2 s"]
        );
        assert_eq!(
            [bytes(0), bytes(1024), bytes(1_500_000)],
            ["0 B", "1.0 KiB", "1.4 MiB"]
        );
        assert_eq!(
            [percent(&None), percent(&Some(1.0)), percent(&Some(0.9999))],
            ["–", "100%", "99.9%"]
        );
        assert_eq!(count(1_234_567), "1,234,567");
        let shown = badge("<b>").to_string();
        assert!(
            shown.starts_with("<span class=\"badge off\"><svg")
                && shown.ends_with("</svg> &lt;b&gt;</span>"),
            "{shown}"
        );
        assert_eq!(sentence("it is disabled"), "It is disabled.");
        let mail = linked("Open <b>\nhttps://a.example/?a=1&b=\"\n").to_string();
        let address = "https://a.example/?a=1&amp;b=&quot;";
        assert_eq!(
            mail,
            format!("Open &lt;b&gt;\n<a href=\"{address}\" rel=\"noreferrer\">{address}</a>\n")
        );
    }
}
