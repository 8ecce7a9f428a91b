//! The ARNs of secrets in AWS Secrets Manager.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::role_arn::PARTITIONS;

/// The length of the ARN of a secret. The name has at most 512 characters and its suffix seven.
pub const SECRET_ARN: RangeInclusive<usize> = 1..=640;
/// The number of characters that Secrets Manager appends, after a `-`, to the name in a secret's
/// ARN.
const SUFFIX_CHARS: usize = 6;

/// The ARN of a secret: `arn:<partition>:secretsmanager:<region>:<account>:secret:<name>`.
///
/// The name may lack its suffix of six characters, because Secrets Manager also accepts such a
/// partial ARN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretArn(String);

/// The error for a text that is not the ARN of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not the ARN of a Secrets Manager secret: \
     arn:aws:secretsmanager:<region>:<account>:secret:<name>"
)]
pub struct NotASecretArn;

impl SecretArn {
    /// Returns the region of the secret.
    #[must_use]
    pub fn region(&self) -> &str {
        self.0.split(':').nth(3).unwrap_or_default()
    }

    /// Returns the whole ARN as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether this ARN, complete or partial, identifies the secret with the complete ARN
    /// `complete`.
    #[must_use]
    pub fn leads_to(&self, complete: &str) -> bool {
        let suffix = complete.strip_prefix(self.as_str());
        suffix.is_some_and(|suffix| {
            suffix.is_empty()
                || suffix
                    .strip_prefix('-')
                    .is_some_and(|suffix| suffix.len() == SUFFIX_CHARS)
        })
    }
}

impl FromStr for SecretArn {
    type Err = NotASecretArn;

    fn from_str(text: &str) -> Result<Self, NotASecretArn> {
        let parts: Vec<&str> = text.split(':').collect();
        let &[
            "arn",
            partition,
            "secretsmanager",
            region,
            account,
            "secret",
            name,
        ] = &*parts
        else {
            return Err(NotASecretArn);
        };
        let is_region = !region.is_empty()
            && region
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"/_+=.@!-".contains(&b));
        if !PARTITIONS.contains(&partition)
            || !is_region
            || !is_account
            || !is_name
            || !SECRET_ARN.contains(&text.len())
        {
            return Err(NotASecretArn);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for SecretArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:acme/signing-AbCdEf";

    #[test]
    fn complete_and_partial_arns_lead_to_their_secret_and_no_other() {
        let leads = |arn: &str| arn.parse::<SecretArn>().unwrap().leads_to(SECRET);
        assert!(leads(SECRET));
        assert!(leads(&SECRET.replace("-AbCdEf", "")));
        for other in [
            "acme",
            "acme/sign",
            "acme/signing-AbC",
            "acme/signing-AbCdEfG",
            "acme/signing-GhIjKl",
        ] {
            assert!(
                !leads(&SECRET.replace("acme/signing-AbCdEf", other)),
                "{other}"
            );
        }
        assert!(!leads(&SECRET.replace("eu-west-1", "eu-west-2")));
    }

    #[test]
    fn an_arn_of_no_single_secret_is_refused() {
        assert_eq!(SECRET.parse::<SecretArn>().unwrap().region(), "eu-west-1");
        for text in [
            "",
            "signing",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:*",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:sign?ng",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a b",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a:b",
            "arn:aws:secretsmanager:eu-west-1:*:secret:signing",
            "arn:aws:secretsmanager:eu-west-1:12345678901:secret:signing",
            "arn:aws:secretsmanager:evil.example/:123456789012:secret:signing",
            "arn:aws:secretsmanager::123456789012:secret:signing",
            "arn:evil:secretsmanager:eu-west-1:123456789012:secret:signing",
            "arn:aws:ssm:eu-west-1:123456789012:secret:signing",
        ] {
            assert_eq!(text.parse::<SecretArn>(), Err(NotASecretArn), "{text}");
        }
    }
}
