//! Runs the connector contract against a server of each kind of object storage.

mod azure;
mod google;
mod s3;

use connector_contract::TestServices;
use egress::{Client, Schemes, Tls};
use rustls::RootCertStore;
use store::Store;
use worker_storage::{ObjectStorage, Storage};

/// Returns a connector for all providers that may connect to the loopback over HTTP.
fn connector(services: &TestServices) -> ObjectStorage {
    let (aws, clock) = (services.aws(), services.clock());
    let client = Client::new(
        services.guard(),
        Tls::with_roots(RootCertStore::empty()).unwrap(),
    );
    let storage = Storage::new(client, Schemes::HttpAndHttps, aws.clone(), clock.clone());
    let store = Store::new(&aws, "none".to_owned(), None);
    ObjectStorage::new(storage, services.vault(), store, clock, services.random())
}

/// Returns the port of a server's address, which may be followed by a path.
fn port(endpoint: &str) -> u16 {
    let (_, after_host) = endpoint.rsplit_once(':').expect("the address has a port");
    after_host
        .split('/')
        .next()
        .and_then(|port| port.parse().ok())
        .expect("the port is a number")
}
