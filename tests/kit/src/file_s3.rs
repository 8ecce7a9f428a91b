//! A fast S3 server on a folder, for sizes that a Python implementation is too slow for. It uses
//! s3s, which verifies signatures.

use std::path::Path;

use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The access key that the server accepts.
pub const ACCESS_KEY_ID: &str = "AKIDFILES";
/// The secret of the access key.
pub const SECRET_ACCESS_KEY: &str = "files-secret-access-key";
/// The bucket of the server.
pub const BUCKET: &str = "reports";

/// A running server. Dropping it ends it and deletes its objects.
#[derive(Debug)]
pub struct FileS3 {
    /// The URL of the server.
    pub endpoint: String,
    folder: TempDir,
    server: JoinHandle<()>,
}

impl FileS3 {
    /// Starts a server with an empty bucket on the current runtime.
    pub async fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        std::fs::create_dir(folder.path().join(BUCKET)).expect("a folder for the bucket");
        let mut builder =
            S3ServiceBuilder::new(FileSystem::new(folder.path()).expect("a file system"));
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
        let service = builder.build();
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("the loopback has a free port");
        let endpoint = format!(
            "http://{}",
            listener
                .local_addr()
                .expect("a bound listener has an address")
        );
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                drop(stream.set_nodelay(true));
                let service = service.clone();
                // A request is completed even if its client has gone: the server writes an object
                // and then its metadata, and a real one writes both or nothing.
                let finishing = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let service = service.clone();
                    let finished =
                        tokio::spawn(async move { Service::call(&service, request).await });
                    async move { finished.await.expect("the server does not panic") }
                });
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), finishing);
                tokio::spawn(async move { drop(connection.await) });
            }
        });
        Self {
            endpoint,
            folder,
            server,
        }
    }

    /// Returns the folder of the bucket.
    pub fn files(&self) -> std::path::PathBuf {
        Path::new(self.folder.path()).join(BUCKET)
    }

    /// Returns the metadata of every object, by names without `x-amz-meta-`.
    pub fn metadata(&self) -> Vec<Value> {
        let files = std::fs::read_dir(self.folder.path())
            .expect("our own folder")
            .flatten();
        let matching = files.filter(|file| {
            file.file_name()
                .to_string_lossy()
                .ends_with(".metadata.json")
        });
        let read = |path: std::path::PathBuf| {
            serde_json::from_slice::<Value>(&std::fs::read(path).expect("our own file"))
                .expect("JSON")
        };
        matching
            .map(|file| read(file.path())["user_metadata"].take())
            .collect()
    }
}

impl Drop for FileS3 {
    fn drop(&mut self) {
        self.server.abort();
    }
}
