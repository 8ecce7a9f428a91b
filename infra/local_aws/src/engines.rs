//! All engines together: opened from a data directory and accessed through SDK configurations.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::retry::RetryConfig;
use winterbaume_kms::KmsService;
use winterbaume_secretsmanager::SecretsManagerService;

use crate::arn::{self, Arns};
use crate::connector::Connector;
use crate::dynamodb::{self, DynamoDb};
use crate::events::{Events, Rule};
use crate::faults::Faults;
use crate::keeping;
use crate::observe::Observers;
use crate::s3::S3;
use crate::sdk::{EngineTime, S3Endpoint};
use crate::ses::Ses;
use crate::snapshotted::{SnapshotService, Snapshotted};
use crate::sqs::Sqs;
use crate::{
    Call, Caller, CapturedMail, Durability, Fault, Functions, Mode, OpenError, Options, Recorder,
    Resources,
};

/// All embedded services. Clones share them.
#[derive(Clone)]
pub struct Engines(Arc<Engine>);

/// The engines and their shared state.
pub(crate) struct Engine {
    pub(crate) arns: Arns,
    /// The region that SDK clients sign for.
    signing_region: Region,
    pub(crate) dynamodb: DynamoDb,
    pub(crate) sqs: Sqs,
    pub(crate) s3: S3,
    pub(crate) kms: Snapshotted,
    pub(crate) secrets: Snapshotted,
    pub(crate) functions: Functions,
    pub(crate) ses: Ses,
    pub(crate) events: Events,
    pub(crate) faults: Faults,
    pub(crate) observers: Observers,
    /// KMS key ids by their names in [`Resources::keys`].
    pub(crate) key_ids: BTreeMap<String, String>,
    ensured_secrets: BTreeMap<String, keeping::EnsuredSecret>,
    /// The callers by access key. Requests over a socket are checked against the same policies.
    callers: RwLock<BTreeMap<String, Caller>>,
    secret_access_key: String,
    /// The lock file, held until the engines close.
    lock: Mutex<Option<File>>,
    /// The address for S3 clients, once S3 has a listener.
    s3_address: RwLock<Option<SocketAddr>>,
    options: Options,
}

impl Engine {
    pub(crate) fn move_objects(&self, address: SocketAddr) {
        *self
            .s3_address
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(address);
    }

    pub(crate) fn objects_address(&self) -> Option<SocketAddr> {
        *self
            .s3_address
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engines {
    /// Opens the data directory and creates the `resources` that it lacks.
    pub fn open(
        data_dir: &Path,
        resources: &Resources,
        options: Options,
    ) -> Result<Self, OpenError> {
        let lock = keeping::take(data_dir, options.durability)?;
        winterbaume_core::set_default_account_id(resources.account.clone());
        let arns = Arns {
            account: resources.account.clone(),
            region: resources.region.clone(),
        };
        let tables = data_dir.join("dynamodb.sqlite");
        let tables = match options.durability {
            Durability::Disk => dynamodb::TableStorage::File(&tables),
            Durability::Memory => dynamodb::TableStorage::Memory(Arc::clone(&options.now)),
        };
        let queues = match options.durability {
            Durability::Disk => data_dir.join("sqs.sqlite"),
            Durability::Memory => PathBuf::from(":memory:"),
        };
        let secret_access_key = keeping::random_hex()?;
        let kms = Snapshotted::open(
            SnapshotService::Kms(KmsService::new()),
            data_dir.join("kms.json"),
            arns.clone(),
        )?;
        let secrets = Snapshotted::open(
            SnapshotService::Secrets(SecretsManagerService::new()),
            data_dir.join("secrets.json"),
            arns.clone(),
        )?;
        let engine = Engine {
            dynamodb: DynamoDb::open(tables, &resources.tables, options.mode)?,
            sqs: Sqs::open(
                &queues,
                &resources.queues,
                &arns.account,
                &arns.region,
                Arc::clone(&options.now),
                options.mode,
            )?,
            s3: S3::open(&data_dir.join("s3"), &resources.buckets, &secret_access_key)?,
            key_ids: keeping::ensure_keys(&kms, &resources.keys)?,
            ensured_secrets: keeping::ensure_secrets(&secrets, &resources.secrets)?,
            kms,
            secrets,
            functions: Functions::default(),
            events: Events::new(Arc::clone(&options.now)),
            ses: Ses::open(&data_dir.join("mail"), Arc::clone(&options.now)),
            faults: Faults::default(),
            observers: Observers::default(),
            callers: RwLock::default(),
            secret_access_key,
            lock: Mutex::new(lock),
            s3_address: RwLock::default(),
            signing_region: signing_region(&arns, options.mode),
            arns,
            options,
        };
        Ok(Self(Arc::new(engine)))
    }

    /// Waits for the calls in progress, writes everything to the data directory and unlocks it.
    /// Later calls of tables and queues are refused.
    pub async fn close(&self) {
        self.0.functions.clear();
        self.0.dynamodb.close();
        if let Err(error) = self.0.sqs.close().await {
            tracing::warn!(%error, "failed to close the queues");
        }
        drop(
            self.0
                .lock
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }

    /// Returns an SDK configuration whose clients call these engines on behalf of `caller`.
    pub fn sdk_config(&self, caller: Caller) -> SdkConfig {
        let credentials = self.credentials(&caller);
        let connector = Connector::new(Arc::clone(&self.0), caller);
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(self.0.signing_region.clone())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(SharedHttpClient::new(connector))
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .time_source(EngineTime(Arc::clone(&self.0.options.now)))
            .retry_config(RetryConfig::standard())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .service_config(S3Endpoint(Arc::downgrade(&self.0)))
            .build()
    }

    /// Returns credentials that identify `caller` to the loopback listeners. They are worthless
    /// anywhere else.
    pub fn credentials(&self, caller: &Caller) -> Credentials {
        let access_key: String = caller
            .name
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || "_-.".contains(c) {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        self.0
            .callers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(access_key.clone(), caller.clone());
        Credentials::new(
            access_key,
            self.0.secret_access_key.clone(),
            None,
            None,
            "local_aws",
        )
    }

    /// Returns a connector for the caller of an access key.
    pub(crate) fn connector_of(&self, access_key: &str) -> Option<Connector> {
        let caller = self
            .0
            .callers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(access_key)
            .cloned()?;
        Some(Connector::new(Arc::clone(&self.0), caller))
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0
    }

    /// Returns the registry of functions for `lambda:Invoke`, which is filled once they are built.
    pub fn functions(&self) -> &Functions {
        &self.0.functions
    }

    /// Adds a rule that sends matching events of a bus to a function.
    pub fn add_rule(&self, rule: Rule) {
        self.0.events.add(rule);
    }

    /// Returns the events that were put on buses, oldest first, as rules see them.
    pub fn events(&self) -> Vec<serde_json::Value> {
        self.0.events.remembered()
    }

    /// Returns the e-mails that were sent through SES, newest first.
    pub fn mails(&self, most: usize) -> std::io::Result<Vec<CapturedMail>> {
        self.0.ses.mails(most)
    }

    /// Returns the queues, for event source mappings and metrics.
    pub fn sqs(&self) -> &Sqs {
        &self.0.sqs
    }

    /// Calls `observer` with every call once it has a response. Calls that hang are not observed.
    pub fn observe(&self, observer: impl Fn(&Call) + Send + Sync + 'static) {
        self.0.observers.add(Arc::new(observer));
    }

    /// Records every call from now on.
    pub fn record(&self) -> Recorder {
        let recorder = Recorder::default();
        let observer = recorder.clone();
        self.observe(move |call| observer.note(call));
        recorder
    }

    /// Lets `faults` decide about every call that its caller's policy allows. It replaces an
    /// earlier hook.
    pub fn install_faults(&self, faults: impl Fn(&Call) -> Fault + Send + Sync + 'static) {
        self.0.faults.install(Some(Arc::new(faults)));
    }

    /// Removes the hook for faults.
    pub fn clear_faults(&self) {
        self.0.faults.install(None);
    }

    /// Deletes table items past their TTL and returns how many. AWS does so within days; local mode
    /// calls this every minute.
    pub async fn sweep(&self) -> usize {
        self.0.dynamodb.sweep().await
    }

    /// Returns the ARN of a table.
    pub fn table_arn(&self, name: &str) -> String {
        self.0.arns.table(name)
    }

    /// Returns the URL of a queue.
    pub fn queue_url(&self, name: &str) -> String {
        self.0.arns.queue_url(name)
    }

    /// Returns the ARN of a queue.
    pub fn queue_arn(&self, name: &str) -> String {
        self.0.arns.queue(name)
    }

    /// Returns the ARN of a bucket.
    pub fn bucket_arn(&self, name: &str) -> String {
        arn::bucket(name)
    }

    /// Returns the key id of one of [`Resources::keys`].
    pub fn key_id(&self, name: &str) -> Option<&str> {
        self.0.key_ids.get(name).map(String::as_str)
    }

    /// Returns the ARN of one of [`Resources::keys`].
    pub fn key_arn(&self, name: &str) -> Option<String> {
        self.key_id(name).map(|id| self.0.arns.key(id))
    }

    /// Returns the ARN of one of [`Resources::secrets`], with the suffix that Secrets Manager gave
    /// it.
    pub fn secret_arn(&self, name: &str) -> Option<&str> {
        self.0
            .ensured_secrets
            .get(name)
            .map(|secret| secret.arn.as_str())
    }

    /// Returns whether one of [`Resources::secrets`] was created when these engines were opened.
    pub fn is_new_secret(&self, name: &str) -> bool {
        self.0
            .ensured_secrets
            .get(name)
            .is_some_and(|secret| secret.is_new)
    }

    /// Returns the ARN of a function.
    pub fn function_arn(&self, name: &str) -> String {
        self.0.arns.function(name)
    }

    /// Returns the ARN of an event bus.
    pub fn event_bus_arn(&self, name: &str) -> String {
        self.0.arns.event_bus(name)
    }
}

/// Returns the region that SDK clients of these engines sign for.
///
/// The SDK keeps its quota of retries in a static, one for each service and region. Engines of a
/// simulation therefore have a region of their own. Otherwise the refused calls of one simulation
/// would use up the retries of another one in the same process, and a seed would not determine how
/// a simulation runs. Names of resources contain the configured region in any case.
fn signing_region(arns: &Arns, mode: Mode) -> Region {
    static SIMULATIONS: AtomicU64 = AtomicU64::new(0);
    match mode {
        Mode::Thread => Region::new(arns.region.clone()),
        Mode::Inline => {
            let number = SIMULATIONS.fetch_add(1, Ordering::Relaxed);
            Region::new(format!("simulation-{number}"))
        }
    }
}

impl fmt::Debug for Engines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engines")
            .field("arns", &self.0.arns)
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}
