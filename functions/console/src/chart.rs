//! Plots, as SVG: drawn where people would rather look than read, with a sentence for those who cannot look.
//!
//! No style stands in them (the pages' policy refuses inline style): classes say what a mark is, and the style sheet how it looks.

use std::fmt::Write as _;

use askama::filters::HtmlSafe;
use operations::view::statistics::HealthBucket;

use crate::show::{clock, count, day, latency};

const WIDTH: u64 = 720;
const HEIGHT: u64 = 120;

/// A finished drawing.
pub(crate) struct Drawing(String);

impl std::fmt::Display for Drawing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for Drawing {}

fn failed(bucket: &HealthBucket) -> u64 {
    bucket.failed_attempts.values().sum()
}

/// Attempts over time: what succeeded, and on top of it what failed.
pub(crate) fn attempts(buckets: &[HealthBucket]) -> Drawing {
    let most = buckets.iter().map(|bucket| bucket.succeeded + failed(bucket)).max().unwrap_or(0);
    let (good, bad): (u64, u64) = (buckets.iter().map(|b| b.succeeded).sum(), buckets.iter().map(failed).sum());
    let words = format!("{} attempts succeeded and {} failed; the tallest bar is {}", count(good), count(bad), count(most));
    let mut marks = String::new();
    let places = buckets.len().max(1) as u64;
    for (place, bucket) in (0..).zip(buckets) {
        let (x, next) = (place * WIDTH / places, (place + 1) * WIDTH / places);
        let width = (next - x).saturating_sub(2).max(1);
        let high = |value: u64| if most == 0 { 0 } else { (value * HEIGHT).div_ceil(most).min(HEIGHT) };
        let (lower, upper) = (high(bucket.succeeded), high(failed(bucket)));
        let upper = upper.min(HEIGHT - lower.min(HEIGHT - u64::from(upper > 0)));
        let title = format!("{} {}: {} succeeded, {} failed", day(&bucket.start), clock(&bucket.start), bucket.succeeded, failed(bucket));
        let _ = write!(
            marks,
            "<g><title>{title}</title><rect class=\"room\" x=\"{x}\" y=\"0\" width=\"{width}\" height=\"{HEIGHT}\"/>\
             <rect class=\"good\" x=\"{x}\" y=\"{}\" width=\"{width}\" height=\"{lower}\"/>\
             <rect class=\"bad\" x=\"{x}\" y=\"{}\" width=\"{width}\" height=\"{upper}\"/></g>",
            HEIGHT - lower,
            HEIGHT - lower.min(HEIGHT - upper) - upper,
        );
    }
    told("chart", &words, &marks)
}

/// Latencies over time: half, 95 % and 99 % of the attempts that succeeded took no longer.
pub(crate) fn latencies(buckets: &[HealthBucket]) -> Drawing {
    let top = buckets.iter().filter_map(|bucket| bucket.latency_ms.p99).max();
    let words = top.map_or_else(|| "No attempt succeeded".to_owned(), |top| format!("The top is {}", latency(&Some(top))));
    let top = top.unwrap_or(0).max(1);
    let places = buckets.len().max(1) as u64;
    let mut marks = String::new();
    for (class, of) in [("p99", 99), ("p95", 95), ("p50", 50)] {
        let mut points: Vec<(u64, u64)> = Vec::new();
        for (place, bucket) in (0..).zip(buckets) {
            let value = match of {
                99 => bucket.latency_ms.p99,
                95 => bucket.latency_ms.p95,
                _ => bucket.latency_ms.p50,
            };
            if let Some(value) = value {
                points.push((place * WIDTH / places + WIDTH / places / 2, HEIGHT - value * (HEIGHT - 4) / top - 2));
            }
        }
        if points.len() > 1 {
            let line: Vec<String> = points.iter().map(|(x, y)| format!("{x},{y}")).collect();
            let _ = write!(marks, "<polyline class=\"{class}\" points=\"{}\"/>", line.join(" "));
        }
        for (x, y) in points {
            let _ = write!(marks, "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"2\"/>");
        }
    }
    told("chart lines", &words, &marks)
}

/// The last hours of one destination, in the space of a word.
pub(crate) fn sparkline(hours: &[HealthBucket]) -> Drawing {
    const HIGH: u64 = 20;
    const STEP: u64 = 4;
    let most = hours.iter().map(|hour| hour.succeeded + failed(hour)).max().unwrap_or(0);
    let (good, bad): (u64, u64) = (hours.iter().map(|b| b.succeeded).sum(), hours.iter().map(failed).sum());
    let width = hours.len() as u64 * STEP;
    let words = format!("Last {} hours: {} attempts succeeded, {} failed", hours.len(), count(good), count(bad));
    let mut marks = String::new();
    for (place, hour) in (0..).zip(hours) {
        let total = hour.succeeded + failed(hour);
        let x = place * STEP;
        if total == 0 {
            continue;
        }
        let high = (total * HIGH).div_ceil(most).max(2);
        // A failure shows, however few there are.
        let red = if failed(hour) == 0 { 0 } else { (failed(hour) * high).div_ceil(total) };
        let _ = write!(
            marks,
            "<rect class=\"good\" x=\"{x}\" y=\"{}\" width=\"3\" height=\"{}\"/><rect class=\"bad\" x=\"{x}\" y=\"{}\" width=\"3\" height=\"{red}\"/>",
            HIGH - high + red,
            high - red,
            HIGH - high,
        );
    }
    let ground = format!("<rect class=\"room\" x=\"0\" y=\"{}\" width=\"{width}\" height=\"1\"/>", HIGH - 1);
    drawn("spark", &words, width, HIGH, &format!("{ground}{marks}"))
}

fn drawn(class: &str, words: &str, width: u64, height: u64, marks: &str) -> Drawing {
    let view = format!("viewBox=\"0 0 {width} {height}\" preserveAspectRatio=\"none\"");
    Drawing(format!("<svg class=\"{class}\" role=\"img\" aria-label=\"{words}\" {view}>{marks}</svg>"))
}

/// A drawing that has room for its words.
fn told(class: &str, words: &str, marks: &str) -> Drawing {
    Drawing(format!("{}<p class=\"quiet\">{words}.</p>", drawn(class, words, WIDTH, HEIGHT, marks)))
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;
    use operations::view::destination::Percentiles;

    use super::*;

    fn bucket(succeeded: u64, failed: u64) -> HealthBucket {
        HealthBucket {
            start: Timestamp::from_millis(1_764_000_000_000),
            succeeded,
            failed_attempts: [("timeout", failed)].into(),
            latency_ms: Percentiles { p50: None, p95: None, p99: None },
        }
    }

    #[test]
    fn one_failure_among_thousands_shows() {
        let drawing = attempts(&[bucket(100_000, 1), bucket(0, 0)]).to_string();
        assert!(drawing.contains("class=\"bad\" x=\"0\" y=\"0\" width=\"358\" height=\"1\""), "{drawing}");
        assert!(sparkline(&[bucket(10_000, 1)]).to_string().contains("class=\"bad\" x=\"0\" y=\"0\" width=\"3\" height=\"1\""));
    }

    #[test]
    fn nothing_at_all_can_be_drawn() {
        for drawing in [attempts(&[]), latencies(&[bucket(0, 0)]), sparkline(&[])] {
            assert!(drawing.to_string().starts_with("<svg"));
        }
    }
}
