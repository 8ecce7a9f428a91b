//! Charts as SVG. Each has a sentence as its label, for screen readers.
//!
//! The drawings contain no inline style, which the pages' content security policy refuses: a class
//! says what a mark is, and the style sheet defines its look. The labels of the axes are HTML
//! around the drawing, which stretches with the page. The values of a bucket are shown on hover;
//! without scripts they are the title of its area.

use std::fmt::Write as _;

use askama::filters::HtmlSafe;
use domain::Timestamp;
use operations::view::statistics::HealthBucket;

use crate::show::{clock, count, day, escape, latency, millis};

const WIDTH: u64 = 720;
const HEIGHT: u64 = 120;

/// A finished drawing, as HTML.
pub(crate) struct Drawing(String);

impl std::fmt::Display for Drawing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for Drawing {}

/// Returns the number of failed attempts of a bucket.
fn failed(bucket: &HealthBucket) -> u64 {
    bucket.failed_attempts.values().sum()
}

/// Returns each bucket with the x coordinates at which its column begins and ends.
fn columns(buckets: &[HealthBucket]) -> impl Iterator<Item = (u64, u64, &HealthBucket)> {
    let count = buckets.len().max(1) as u64;
    (0..)
        .zip(buckets)
        .map(move |(index, bucket)| (index * WIDTH / count, (index + 1) * WIDTH / count, bucket))
}

/// Draws attempts over time: stacked bars, the failed attempts on top of the succeeded ones.
pub(crate) fn attempts(buckets: &[HealthBucket]) -> Drawing {
    let most = buckets
        .iter()
        .map(|bucket| bucket.succeeded + failed(bucket))
        .max()
        .unwrap_or(0);
    let (good, bad): (u64, u64) = (
        buckets.iter().map(|b| b.succeeded).sum(),
        buckets.iter().map(failed).sum(),
    );
    let words = format!(
        "{} attempts succeeded and {} failed",
        count(good),
        count(bad)
    );
    if buckets
        .iter()
        .filter(|bucket| bucket.succeeded + failed(bucket) > 0)
        .count()
        < 2
    {
        return too_little(&words);
    }
    let top = round_up(most);
    let mut marks = String::new();
    for (x, next, bucket) in columns(buckets) {
        let width = (next - x).saturating_sub(3).max(1);
        let high = |value: u64| (value * HEIGHT).div_ceil(top).min(HEIGHT);
        let (lower, upper) = (high(bucket.succeeded), high(failed(bucket)));
        // Failures are at least one unit high, so that a single one is visible.
        let upper = upper.min(HEIGHT - lower.min(HEIGHT - u64::from(upper > 0)));
        let lower = lower.min(HEIGHT - upper);
        for (class, y, height) in [
            ("good", HEIGHT - lower, lower),
            ("bad", HEIGHT - lower - upper, upper),
        ] {
            if height > 0 {
                let _ = write!(
                    marks,
                    "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" \
                     height=\"{height}\"/>"
                );
            }
        }
        let tip = format!(
            "{} succeeded, {} failed",
            count(bucket.succeeded),
            count(failed(bucket))
        );
        hit(&mut marks, x, next, bucket, &tip);
    }
    let middle = if top.is_multiple_of(2) {
        count(top / 2)
    } else {
        String::new()
    };
    plot(
        "chart",
        &words,
        &marks,
        &[count(top), middle, "0".to_owned()],
        buckets,
    )
}

/// Draws the 50th, 95th and 99th percentiles of the latency of succeeded attempts over time.
pub(crate) fn latencies(buckets: &[HealthBucket]) -> Drawing {
    let highest = buckets
        .iter()
        .filter_map(|bucket| bucket.latency_ms.p99)
        .max();
    let words = highest.map_or_else(
        || "No attempt succeeded".to_owned(),
        |top| format!("The highest p99 is {}", latency(&Some(top))),
    );
    if buckets
        .iter()
        .filter(|bucket| bucket.latency_ms.p50.is_some())
        .count()
        < 2
    {
        return too_little(&words);
    }
    let top = round_up(highest.unwrap_or(0));
    let mut marks = String::new();
    for (class, of) in [("p99", 99), ("p95", 95), ("p50", 50)] {
        let mut line = String::new();
        for (x, next, bucket) in columns(buckets) {
            let value = match of {
                99 => bucket.latency_ms.p99,
                95 => bucket.latency_ms.p95,
                _ => bucket.latency_ms.p50,
            };
            if let Some(value) = value {
                let _ = write!(
                    line,
                    "{},{} ",
                    x.midpoint(next),
                    HEIGHT - (value * HEIGHT / top).min(HEIGHT)
                );
            }
        }
        let _ = write!(
            marks,
            "<polyline class=\"{class}\" points=\"{}\"/>",
            line.trim_end()
        );
    }
    for (x, next, bucket) in columns(buckets) {
        let of = &bucket.latency_ms;
        if of.p50.is_some() {
            let tip = format!(
                "p50 {} · p95 {} · p99 {}",
                latency(&of.p50),
                latency(&of.p95),
                latency(&of.p99)
            );
            hit(&mut marks, x, next, bucket, &tip);
        }
    }
    plot(
        "chart lines",
        &words,
        &marks,
        &[millis(top), millis(top / 2), "0".to_owned()],
        buckets,
    )
}

/// Adds the invisible area that shows `tip` on hover and covers the whole column of a bucket.
fn hit(marks: &mut String, x: u64, next: u64, bucket: &HealthBucket, tip: &str) {
    let _ = write!(
        marks,
        "<rect class=\"hit\" x=\"{x}\" y=\"0\" width=\"{}\" height=\"{HEIGHT}\" data-at=\"{}\" \
         data-tip=\"{tip}\"><title>{} {} UTC: {tip}</title></rect>",
        next - x,
        bucket.start.as_millis(),
        day(&bucket.start),
        &clock(&bucket.start)[..5],
    );
}

/// Returns the smallest number with a round value (1, 2, 4 or 5 times a power of ten) from `value`
/// on.
fn round_up(value: u64) -> u64 {
    let mut unit = 1;
    loop {
        for step in [1, 2, 4, 5, 10] {
            if step * unit >= value.max(1) {
                return step * unit;
            }
        }
        unit *= 10;
    }
}

/// Draws the last hours of one destination as bars, in the size of a word.
pub(crate) fn sparkline(hours: &[HealthBucket]) -> Drawing {
    const HIGH: u64 = 20;
    const STEP: u64 = 4;
    let most = hours
        .iter()
        .map(|hour| hour.succeeded + failed(hour))
        .max()
        .unwrap_or(0);
    let (good, bad): (u64, u64) = (
        hours.iter().map(|b| b.succeeded).sum(),
        hours.iter().map(failed).sum(),
    );
    let width = hours.len() as u64 * STEP;
    let words = format!(
        "Last {} hours: {} attempts succeeded, {} failed",
        hours.len(),
        count(good),
        count(bad)
    );
    let mut marks = String::new();
    for (index, hour) in (0..).zip(hours) {
        let total = hour.succeeded + failed(hour);
        let x = index * STEP;
        if total == 0 {
            continue;
        }
        let high = (total * HIGH).div_ceil(most).max(2);
        // Failures are at least one unit high, so that a single one is visible.
        let red = if failed(hour) == 0 {
            0
        } else {
            (failed(hour) * high).div_ceil(total)
        };
        for (class, y, height) in [
            ("good", HIGH - high + red, high - red),
            ("bad", HIGH - high, red),
        ] {
            if height > 0 {
                let _ = write!(
                    marks,
                    "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"3\" height=\"{height}\"/>"
                );
            }
        }
    }
    let ground = format!(
        "<rect class=\"room\" x=\"0\" y=\"{}\" width=\"{width}\" height=\"1\"/>",
        HIGH - 1
    );
    Drawing(svg(
        "spark",
        &words,
        width,
        HIGH,
        &format!("{ground}{marks}"),
    ))
}

fn svg(class: &str, words: &str, width: u64, height: u64, marks: &str) -> String {
    let view = format!("viewBox=\"0 0 {width} {height}\" preserveAspectRatio=\"none\"");
    format!("<svg class=\"{class}\" role=\"img\" aria-label=\"{words}\" {view}>{marks}</svg>")
}

/// Returns a sentence in place of a chart that would have fewer than two points.
fn too_little(words: &str) -> Drawing {
    Drawing(format!(
        "<div class=\"plot\"><p class=\"none\">{}. Not enough data for a chart yet.</p></div>",
        escape(words)
    ))
}

fn plot(
    class: &str,
    words: &str,
    marks: &str,
    scale: &[String],
    buckets: &[HealthBucket],
) -> Drawing {
    let rules = [0, HEIGHT / 2, HEIGHT]
        .map(|y| format!("<line class=\"rule\" x1=\"0\" x2=\"{WIDTH}\" y1=\"{y}\" y2=\"{y}\"/>"));
    let chart = svg(
        class,
        words,
        WIDTH,
        HEIGHT,
        &format!("{}{marks}", rules.concat()),
    );
    let y: String = scale
        .iter()
        .map(|label| format!("<span>{label}</span>"))
        .collect();
    Drawing(format!(
        "<div class=\"plot\"><div class=\"y\" aria-hidden=\"true\">{y}</div>{chart}<div class=\"x\" \
         aria-hidden=\"true\">{}</div></div>",
        times(buckets)
    ))
}

/// Returns the labels below a chart: the start times of its first, middle and last bucket.
fn times(buckets: &[HealthBucket]) -> String {
    let is_days = buckets
        .windows(2)
        .next()
        .is_some_and(|two| two[1].start.since(two[0].start).as_secs() > 3_600);
    let spans_days = is_days || buckets.len() > 25;
    let shown = |at: &Timestamp| {
        if spans_days {
            day(at)[5..].to_owned()
        } else {
            format!("{} UTC", &clock(at)[..5])
        }
    };
    let style = if spans_days { "day" } else { "hour" };
    let label = |at: &Timestamp| {
        format!(
            "<time datetime=\"{at}\" data-at=\"{}\" data-as=\"{style}\">{}</time>",
            at.as_millis(),
            shown(at)
        )
    };
    let labelled = [0, buckets.len() / 2, buckets.len().saturating_sub(1)];
    labelled
        .iter()
        .filter_map(|index| buckets.get(*index))
        .map(|bucket| label(&bucket.start))
        .collect()
}

#[cfg(test)]
mod tests {
    use operations::view::destination::Percentiles;

    use super::*;

    fn bucket(succeeded: u64, failed: u64) -> HealthBucket {
        HealthBucket {
            start: Timestamp::from_millis(1_764_000_000_000),
            succeeded,
            failed_attempts: [("timeout", failed)].into(),
            latency_ms: Percentiles {
                p50: None,
                p95: None,
                p99: None,
            },
        }
    }

    #[test]
    fn one_failure_among_thousands_shows() {
        let drawing = attempts(&[bucket(100_000, 1), bucket(1, 0)]).to_string();
        assert!(
            drawing.contains("class=\"bad\" x=\"0\" y=\"59\" width=\"357\" height=\"1\""),
            "{drawing}"
        );
        assert!(
            sparkline(&[bucket(10_000, 1)])
                .to_string()
                .contains("class=\"bad\" x=\"0\" y=\"0\" width=\"3\" height=\"1\"")
        );
    }

    #[test]
    fn fewer_than_two_points_are_shown_as_text() {
        for drawing in [
            attempts(&[]),
            attempts(&[bucket(3, 0), bucket(0, 0)]),
            latencies(&[bucket(0, 0)]),
        ] {
            assert!(!drawing.to_string().contains("<svg"), "{drawing}");
        }
        assert!(sparkline(&[]).to_string().starts_with("<svg"));
    }

    #[test]
    fn an_axis_ends_at_a_round_number() {
        assert_eq!(
            [0, 1, 3, 7, 41, 100, 101].map(round_up),
            [1, 1, 4, 10, 50, 100, 200]
        );
    }
}
