//! The ARNs of IAM roles that customers provide.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The partitions of AWS (AWS General Reference, ARN format).
pub(crate) const PARTITIONS: &[&str] = &[
    "aws",
    "aws-cn",
    "aws-us-gov",
    "aws-iso",
    "aws-iso-b",
    "aws-iso-e",
    "aws-iso-f",
    "aws-eusc",
];
/// The length of the ARN of a role. The path has at most 512 characters and the name at most 64.
pub const ROLE_ARN: RangeInclusive<usize> = 1..=700;
const NAME_MAX: usize = 64;

/// The ARN of an IAM role: `arn:<partition>:iam::<account>:role/<path and name>`, without
/// wildcards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleArn {
    text: String,
    partition: &'static str,
}

/// The error for a text that is not the ARN of an IAM role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not the ARN of an IAM role: arn:aws:iam::<account>:role/<name>")]
pub struct NotARoleArn;

impl RoleArn {
    /// Returns the partition, such as `aws` or `aws-cn`.
    #[must_use]
    pub fn partition(&self) -> &'static str {
        self.partition
    }

    /// Returns the twelve digits of the account that owns the role.
    #[must_use]
    pub fn account(&self) -> &str {
        self.text.split(':').nth(4).unwrap_or_default()
    }

    /// Returns the whole ARN as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for RoleArn {
    type Err = NotARoleArn;

    fn from_str(text: &str) -> Result<Self, NotARoleArn> {
        let parts: Vec<&str> = text.split(':').collect();
        let &["arn", partition, "iam", "", account, role] = &*parts else {
            return Err(NotARoleArn);
        };
        let partition = PARTITIONS
            .iter()
            .find(|known| **known == partition)
            .ok_or(NotARoleArn)?;
        let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        let path = role.strip_prefix("role/").ok_or(NotARoleArn)?;
        let is_name = |name: &str| {
            !name.is_empty()
                && name.len() <= NAME_MAX
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b))
        };
        if !is_account || !ROLE_ARN.contains(&text.len()) || !path.split('/').all(is_name) {
            return Err(NotARoleArn);
        }
        Ok(Self {
            text: text.to_owned(),
            partition,
        })
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_of_every_partition_are_read() {
        for (text, partition, account) in [
            (
                "arn:aws:iam::123456789012:role/waybill",
                "aws",
                "123456789012",
            ),
            (
                "arn:aws-cn:iam::000000000000:role/service/way_bill+=,.@-1",
                "aws-cn",
                "000000000000",
            ),
            (
                "arn:aws-us-gov:iam::123456789012:role/a",
                "aws-us-gov",
                "123456789012",
            ),
        ] {
            let role: RoleArn = text.parse().unwrap();
            assert_eq!(
                (role.as_str(), role.partition(), role.account()),
                (text, partition, account)
            );
        }
    }

    #[test]
    fn an_arn_of_no_single_role_is_refused() {
        for text in [
            "",
            "role",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/*",
            "arn:aws:iam::*:role/a",
            "arn:aws:iam::12345678901:role/a",
            "arn:aws:iam::123456789012:user/a",
            "arn:aws:iam:us-east-1:123456789012:role/a",
            "arn:aws:sts::123456789012:assumed-role/a/b",
            "arn:aws2:iam::123456789012:role/a",
            "arn:aws:iam::123456789012:role//a",
            "arn:aws:iam::123456789012:role/a:b",
            "arn:aws:iam::123456789012:role/a b",
            " arn:aws:iam::123456789012:role/a",
            "arn:AWS:iam::123456789012:role/a",
            "arn:aws:iam::１２３４５６７８９０１２:role/a",
            "arn:aws:iam::123456789012:role/a?",
            "arn:aws:iam::123456789012:role/${aws:username}",
            "arn:aws:iam::123456789012:role/a\n",
        ] {
            assert_eq!(text.parse::<RoleArn>(), Err(NotARoleArn), "{text}");
        }
    }
}
