//! An OpenID provider: `oidc-provider`, which the OpenID Foundation has certified, with Waybill as
//! its only client.

use std::path::Path;

use tempfile::TempDir;

use servers::program::{Program, free_port, wait_for};

/// The client id of Waybill.
pub const CLIENT_ID: &str = "waybill";
/// The client secret of Waybill.
pub const CLIENT_SECRET: &str = "a secret of the identity provider's client";

/// A running provider. Dropping it ends it. A person signs in as `<name>/<role>/<organization>`
/// with any password.
#[derive(Debug)]
pub struct IdentityProvider {
    /// The URL of the provider.
    pub issuer: String,
    _program: Program,
    _folder: TempDir,
}

impl IdentityProvider {
    /// Starts a provider. Panics if the tools are not installed, because a test that needs them
    /// must fail.
    pub fn start() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let tools = here.join("../../.test-tools");
        assert!(
            tools.join("node_modules/oidc-provider").exists(),
            "oidc-provider is not installed: run ./test once, which installs it"
        );
        let folder = TempDir::new().expect("a temporary folder");
        let (log, port) = (folder.path().join("log"), free_port());
        let script = here.join("src/identity_provider.mjs").display().to_string();
        let command = [
            "node",
            &script,
            &tools.display().to_string(),
            &port.to_string(),
            CLIENT_SECRET,
        ];
        let program = Program::start(&command, "KILL", &log);
        wait_for("oidc-provider", &log, || {
            std::fs::read_to_string(&log).is_ok_and(|said| said.contains("listening"))
        });
        Self {
            issuer: format!("http://127.0.0.1:{port}"),
            _program: program,
            _folder: folder,
        }
    }
}
