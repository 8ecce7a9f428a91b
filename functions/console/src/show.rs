//! How values look: times, states, sizes. Everything here escapes what it is given.

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

/// What every page's frame shows.
pub(crate) struct Page<'a> {
    /// Who looks; nobody is signed in outside.
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

    pub(crate) fn outside() -> Self {
        Self::of(None, "")
    }
}

/// Parameters as a query.
pub(crate) fn query(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish()
}

/// Text as a part of a query.
pub(crate) fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// A point in time: how long ago, with the exact one on hover.
pub(crate) struct When {
    at: Timestamp,
    now: Timestamp,
}

impl When {
    pub(crate) fn new(at: Timestamp, now: Timestamp) -> Self {
        Self { at, now }
    }

    /// In words: `3 min ago`, `in 20 s`.
    pub(crate) fn words(&self) -> String {
        let millis = self.now.as_millis() - self.at.as_millis();
        match (millis.abs() / 1000, millis >= 0) {
            (0..=4, true) => "just now".to_owned(),
            (seconds, true) => format!("{} ago", span(seconds)),
            (seconds, false) => format!("in {}", span(seconds.max(1))),
        }
    }
}

/// A span of time in its largest unit.
pub(crate) fn span(seconds: i64) -> String {
    match seconds {
        ..=90 => format!("{seconds} s"),
        91..=5_399 => format!("{} min", (seconds + 30) / 60),
        5_400..=129_599 => format!("{} h", (seconds + 1_800) / 3_600),
        _ => format!("{} d", (seconds + 43_200) / 86_400),
    }
}

/// A wait of a retry schedule.
pub(crate) fn wait(seconds: impl Borrow<u32>) -> String {
    span(i64::from(*seconds.borrow()))
}

/// `2026-11-26 20:04:05.123 UTC`
pub(crate) fn exact(at: impl Borrow<Timestamp>) -> String {
    format!(
        "{} UTC",
        at.borrow()
            .to_string()
            .replace('T', " ")
            .trim_end_matches('Z')
    )
}

/// `2026-11-26`
pub(crate) fn day(at: &Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

/// A time of day, which a script shows in the reader's time zone.
pub(crate) struct Clock(Timestamp);

/// `20:04:05 UTC`
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

/// `20:04:05`
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

/// A word of the API's.
pub(crate) fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// A state, as a shape and a word.
pub(crate) struct Badge(String);

/// The badge of a state; of any text, too, which then stands without a shape.
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

/// What a delivery waits for, in words that follow "Waiting".
pub(crate) fn waiting(waiting_for: &WaitingFor) -> &'static str {
    match waiting_for {
        WaitingFor::Pause => "for its paused destination to be resumed",
        WaitingFor::Rate => "for its turn under the destination's rate limit",
        WaitingFor::Concurrency => "for one of the destination's other deliveries to end",
    }
}

/// A detail of the API's as a sentence.
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

/// The icon of a destination type.
pub(crate) fn type_icon(kind: &str) -> Icon {
    icon(match kind {
        "webhook" => "webhook",
        "email" => "mail",
        "sftp" => "folder-key",
        "postgres" | "mysql" => "database",
        _ => "cloud",
    })
}

/// A word of the API's with spaces: `server error`.
pub(crate) fn plain(word: impl AsRef<str>) -> String {
    word.as_ref().replace('_', " ")
}

/// The category of a failure as people read it: `Server error`.
pub(crate) fn reason(word: impl AsRef<str>) -> String {
    crate::captions::label(word.as_ref())
}

/// A number that may be cut off.
pub(crate) fn counted(counted: &operations::Counted) -> String {
    format!(
        "{}{}",
        count(counted.count),
        if counted.more { "+" } else { "" }
    )
}

/// Text for HTML.
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

/// Text in which addresses of pages can be followed.
pub(crate) struct Linked(String);

/// Text that keeps its lines, with a link at each `http` and `https` address.
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

/// `1.4 MiB`
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

/// `340 ms`, `2.4 s`
#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
pub(crate) fn millis(count: impl Borrow<u64>) -> String {
    let count = *count.borrow();
    if count < 1000 {
        format!("{count} ms")
    } else {
        format!("{:.1} s", count as f64 / 1000.0)
    }
}

/// `99.2%`; nothing is `–`.
pub(crate) fn percent(share: &Option<f64>) -> String {
    match share {
        None => "–".to_owned(),
        Some(share) if *share >= 1.0 => "100%".to_owned(),
        // 99.97% is not everything.
        Some(share) => format!("{:.1}%", (share * 1000.0).floor() / 10.0),
    }
}

/// A latency that may not be known.
pub(crate) fn latency(ms: &Option<u64>) -> String {
    ms.map_or_else(|| "–".to_owned(), millis)
}

/// `12,345`
pub(crate) fn count(number: impl Borrow<u64>) -> String {
    let number = *number.borrow();
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The end of an id, which tells it from its neighbours.
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
    fn values_are_said_as_people_say_them() {
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
