//! Computes the size of an item by DynamoDB's rules, which determines the cost of a write.
//!
//! From AWS, *DynamoDB item sizes and formats*: names and texts count their UTF-8 bytes; binaries
//! count their length; a number counts one byte and one more for every two significant digits; null
//! and boolean count one byte; a list or map counts three bytes and one more for each element or
//! pair.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::attributes::Item;

/// The bytes that one write unit covers.
pub(crate) const WRITE_UNIT_BYTES: usize = 1024;

/// Returns the size of an item.
pub(crate) fn item_size(item: &Item) -> usize {
    item.iter()
        .map(|(name, value)| name.len() + value_size(value))
        .sum()
}

fn value_size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => number_size(digits),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
        AttributeValue::Ns(numbers) => numbers.iter().map(|digits| number_size(digits)).sum(),
        AttributeValue::Bs(binaries) => binaries.iter().map(|bytes| bytes.as_ref().len()).sum(),
        AttributeValue::L(values) => {
            3 + values
                .iter()
                .map(|value| 1 + value_size(value))
                .sum::<usize>()
        }
        AttributeValue::M(entries) => {
            3 + entries
                .iter()
                .map(|(name, value)| 1 + name.len() + value_size(value))
                .sum::<usize>()
        }
        _ => 1,
    }
}

/// Handles numbers without an exponent, the only ones that Waybill writes.
fn number_size(digits: &str) -> usize {
    let (negative, digits) = digits
        .strip_prefix('-')
        .map_or((false, digits), |positive| (true, positive));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (whole, fraction) = (
        whole.trim_start_matches('0'),
        fraction.trim_end_matches('0'),
    );
    // Leading and trailing zeros are not stored.
    let whole = if fraction.is_empty() {
        whole.trim_end_matches('0')
    } else {
        whole
    };
    let fraction = if whole.is_empty() {
        fraction.trim_start_matches('0')
    } else {
        fraction
    };
    let bytes = whole.len().div_ceil(2) + fraction.len().div_ceil(2);
    1 + bytes + usize::from(negative && bytes > 0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::attributes::{binary, flag, number, text, text_map};

    #[test]
    fn names_count_and_values_count_by_type() {
        let labels = [("day".to_owned(), "monday".to_owned())];
        let item = HashMap::from([
            ("pk".to_owned(), text("ORG#é")),      // 2 + 6
            ("b".to_owned(), binary(vec![0; 10])), // 1 + 10
            ("t".to_owned(), flag()),              // 1 + 1
            (
                "m".to_owned(),
                text_map(labels.iter().map(|(key, value)| (key, value))),
            ), // 1 + 3 + 1 + 3 + 6
            ("n".to_owned(), number(1234)),        // 1 + 1 + 2
        ]);
        assert_eq!(item_size(&item), 8 + 11 + 2 + 14 + 4);
    }

    #[test]
    fn a_number_is_a_byte_and_one_for_two_significant_digits() {
        for (digits, size) in [
            ("0", 1),
            ("7", 2),
            ("42", 2),
            ("-42", 3),
            ("100", 2),
            ("1234", 3),
            ("1764000000120", 7),
            ("0.25", 2),
        ] {
            assert_eq!(number_size(digits), size, "{digits}");
        }
    }
}
