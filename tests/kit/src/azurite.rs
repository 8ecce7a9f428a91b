//! Azurite: Microsoft's own implementation of Azure Blob Storage for tests.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use reqwest::Url;
use tempfile::TempDir;

use crate::tls::Authority;

/// The storage account of the server.
pub const ACCOUNT: &str = "devstoreaccount1";
/// The public key of the account, which Microsoft documents.
pub const ACCOUNT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Runs the server until standard input closes, so that it never outlives a test run, however that
/// ends.
const UNTIL_INPUT_ENDS: &str = r#""$@" & cat > /dev/null; kill -9 $!; wait"#;

/// A running, empty server. Dropping it ends it.
#[derive(Debug)]
pub struct Azurite {
    /// The URL of the account's blob service.
    pub endpoint: String,
    process: Child,
    /// Kept open, so that the server can write its last output.
    _output: BufReader<ChildStdout>,
    _folder: TempDir,
}

impl Azurite {
    /// Starts a server with HTTP. Panics if the tools are not installed, because a test that needs
    /// them must fail.
    pub fn start() -> Self {
        Self::launch("http", &[], TempDir::new().expect("a temporary folder"))
    }

    /// Starts a server with HTTPS, which also accepts tokens of Entra ID: any that is for storage
    /// and has not expired.
    pub fn start_tls(authority: &Authority) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let (certificate, key) = authority.certificate(&["127.0.0.1"]);
        let write = |name: &str, text: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("a temporary file");
            path.display().to_string()
        };
        let (certificate, key) = (write("cert.pem", certificate), write("key.pem", key));
        Self::launch(
            "https",
            &["--oauth", "basic", "--cert", &certificate, "--key", &key],
            folder,
        )
    }

    /// Creates a container that is public.
    #[expect(
        clippy::disallowed_methods,
        reason = "the test stands outside of Waybill"
    )]
    pub async fn make_container(&self, name: &str) {
        // Fails only if a provider is already installed.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = reqwest::Client::builder()
            .danger_accept_invalid_certs(true)
            .no_proxy()
            .build()
            .expect("a client");
        let url = format!(
            "{}/{name}?restype=container&{}",
            self.endpoint,
            sas("rwdlc", ACCOUNT_KEY)
        );
        let made = http
            .put(url)
            .header("x-ms-blob-public-access", "container")
            .header("content-length", "0")
            .send()
            .await;
        let made = made.expect("azurite answers");
        assert_eq!(
            made.status(),
            201,
            "no container was made: {}",
            made.text().await.unwrap_or_default()
        );
    }

    fn launch(scheme: &str, arguments: &[&str], folder: TempDir) -> Self {
        let program = program();
        assert!(
            program.exists(),
            "{} does not exist: run ./test once, which installs the test tools",
            program.display()
        );
        let mut process = Command::new("sh")
            .args(["-c", UNTIL_INPUT_ENDS, "sh", "node"])
            .arg(&program)
            .args([
                "--blobPort",
                "0",
                "--inMemoryPersistence",
                "--silent",
                "--skipApiVersionCheck",
                "--disableTelemetry",
            ])
            .args(arguments)
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh can be started");
        let mut output = BufReader::new(process.stdout.take().expect("standard output is piped"));
        let address = output
            .by_ref()
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, port) = line
                    .strip_prefix("Azurite Blob service successfully listens on ")?
                    .rsplit_once(':')?;
                Some(format!("{scheme}://127.0.0.1:{}", port.trim_matches('/')))
            });
        let address = address.expect(
            "azurite says where it listens: is it in .test-tools? run ./test, which installs it",
        );
        Self {
            endpoint: format!("{address}/{ACCOUNT}"),
            process,
            _output: output,
            _folder: folder,
        }
    }
}

/// Returns an account SAS for some permissions on all blobs and containers (learn.microsoft.com,
/// Create an account SAS).
pub fn sas(permissions: &str, account_key: &str) -> String {
    let (version, services, types, expiry) = ("2018-11-09", "b", "co", "2099-01-01T00:00:00Z");
    let signed = format!(
        "{ACCOUNT}\n{permissions}\n{services}\n{types}\n\n{expiry}\n\nhttps,http\n{version}\n"
    );
    let key = hmac::Key::new(
        hmac::HMAC_SHA256,
        &BASE64.decode(account_key).expect("the key is base64"),
    );
    let signature = BASE64.encode(hmac::sign(&key, signed.as_bytes()));
    let pairs = [
        ("sv", version),
        ("ss", services),
        ("srt", types),
        ("sp", permissions),
        ("se", expiry),
        ("spr", "https,http"),
        ("sig", &signature),
    ];
    let url = Url::parse_with_params("http://localhost/", pairs).expect("a URL");
    url.query().unwrap_or_default().to_owned()
}

impl Drop for Azurite {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // Fails only if the process has already ended.
        drop(self.process.wait());
    }
}

fn program() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("tests/kit is two folders below the workspace");
    workspace.join(".test-tools/node_modules/azurite/dist/src/blob/main.js")
}
