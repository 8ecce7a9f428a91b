//! Points of metrics as they add up between two flushes.

use std::collections::BTreeMap;

use crate::names::{Metric, Shape};

/// Upper bounds of a histogram's buckets, in milliseconds: from a quick receiver to a day of retries.
pub(crate) const BOUNDS_MS: [f64; 18] = [
    5.0,
    10.0,
    25.0,
    50.0,
    75.0,
    100.0,
    250.0,
    500.0,
    750.0,
    1_000.0,
    2_500.0,
    5_000.0,
    10_000.0,
    30_000.0,
    60_000.0,
    600_000.0,
    3_600_000.0,
    86_400_000.0,
];
/// Values kept one by one, of one point between two flushes; EMF takes a hundred in a line.
const VALUES_MAX: usize = 1_000;

/// What a point is of.
pub(crate) type PointKey = (Metric, Vec<&'static str>);

/// One point.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Point {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) last: f64,
    pub(crate) buckets: Vec<u64>,
    pub(crate) values: Vec<f64>,
}

/// All points since the last flush.
#[derive(Debug, Default)]
pub(crate) struct Points(pub(crate) BTreeMap<PointKey, Point>);

impl Points {
    pub(crate) fn add(&mut self, metric: Metric, attributes: Vec<&'static str>, value: f64) {
        debug_assert_eq!(attributes.len(), metric.attributes().len(), "{} has attributes {:?}", metric.name(), metric.attributes());
        let point = self.0.entry((metric, attributes)).or_default();
        point.count += 1;
        point.sum += value;
        point.last = value;
        if metric.shape() == Shape::Histogram {
            point.buckets.resize(BOUNDS_MS.len() + 1, 0);
            point.buckets[BOUNDS_MS.partition_point(|bound| *bound < value)] += 1;
            if point.values.len() < VALUES_MAX {
                point.values.push(value);
            }
        }
    }

    /// Takes back points that could not be sent.
    pub(crate) fn merge(&mut self, earlier: Self) {
        for (key, earlier) in earlier.0 {
            let point = self.0.entry(key).or_default();
            if point.count == 0 {
                *point = earlier;
                continue;
            }
            point.count += earlier.count;
            point.sum += earlier.sum;
            point.buckets.iter_mut().zip(&earlier.buckets).for_each(|(bucket, more)| *bucket += more);
            point.values.extend(earlier.values);
            point.values.truncate(VALUES_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_sent_is_added_to_what_came_after() {
        let (mut early, mut late) = (Points::default(), Points::default());
        early.add(Metric::AttemptDuration, vec!["webhook", "delivered"], 7.0);
        late.add(Metric::AttemptDuration, vec!["webhook", "delivered"], 200.0);
        late.add(Metric::Attempts, vec!["webhook", "delivered"], 1.0);
        late.merge(early);
        let duration = &late.0[&(Metric::AttemptDuration, vec!["webhook", "delivered"])];
        assert_eq!((duration.count, duration.sum, duration.last), (2, 207.0, 200.0));
        assert_eq!((duration.buckets[1], duration.buckets[6]), (1, 1), "≤ 10 ms and ≤ 250 ms");
        assert_eq!(late.0.len(), 2);
    }
}
