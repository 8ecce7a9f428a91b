//! Parts of an SDK configuration other than the connector.

use std::fmt;
use std::sync::Weak;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_async::time::TimeSource;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use crate::NowMs;
use crate::engines::Engine;

/// The time source of signatures, which is the engines' clock.
pub(crate) struct EngineTime(pub(crate) NowMs);

impl TimeSource for EngineTime {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis((self.0)())
    }
}

impl fmt::Debug for EngineTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EngineTime")
    }
}

/// The endpoint of S3. Once S3 has a listener, clients sign for its address, so that a browser can
/// follow their links. Other services keep their ordinary endpoints, to which nothing is sent.
pub(crate) struct S3Endpoint(pub(crate) Weak<Engine>);

impl LoadServiceConfig for S3Endpoint {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        if key.service_id() != "S3" || key.env() != "AWS_ENDPOINT_URL" {
            return None;
        }
        let address = self.0.upgrade()?.objects_address()?;
        Some(format!("http://{address}"))
    }
}

impl fmt::Debug for S3Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("S3Endpoint")
    }
}
