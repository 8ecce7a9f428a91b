//! The ARNs and URLs of resources in one account and region.

/// The account and region of all resources.
#[derive(Debug, Clone)]
pub(crate) struct Arns {
    pub(crate) account: String,
    pub(crate) region: String,
}

impl Arns {
    fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{rest}", self.region, self.account)
    }

    pub(crate) fn table(&self, name: &str) -> String {
        self.arn("dynamodb", &format!("table/{name}"))
    }

    pub(crate) fn index(&self, table: &str, index: &str) -> String {
        self.arn("dynamodb", &format!("table/{table}/index/{index}"))
    }

    pub(crate) fn queue(&self, name: &str) -> String {
        self.arn("sqs", name)
    }

    /// Returns a URL on which nothing listens; the connector handles its requests.
    pub(crate) fn queue_url(&self, name: &str) -> String {
        format!(
            "https://sqs.{}.amazonaws.com/{}/{name}",
            self.region, self.account
        )
    }

    pub(crate) fn key(&self, id: &str) -> String {
        self.arn("kms", &format!("key/{id}"))
    }

    pub(crate) fn secret(&self, name: &str) -> String {
        self.arn("secretsmanager", &format!("secret:{name}"))
    }

    pub(crate) fn function(&self, name: &str) -> String {
        self.arn("lambda", &format!("function:{name}"))
    }

    pub(crate) fn identity(&self, name: &str) -> String {
        self.arn("ses", &format!("identity/{name}"))
    }

    pub(crate) fn event_bus(&self, name: &str) -> String {
        self.arn("events", &format!("event-bus/{name}"))
    }
}

/// Returns the ARN of a bucket, which contains no account and no region.
pub(crate) fn bucket(name: &str) -> String {
    format!("arn:aws:s3:::{name}")
}

/// Returns the ARN of an object.
pub(crate) fn object(bucket: &str, key: &str) -> String {
    format!("arn:aws:s3:::{bucket}/{key}")
}
