//! An OpenID provider: `oidc-provider`, which the OpenID Foundation has certified, with Waybill as its one client.

use std::path::Path;

use tempfile::TempDir;

use servers::program::{Program, free_port, wait_for};

/// What Waybill is called there.
pub const CLIENT_ID: &str = "waybill";
/// What it proves that with.
pub const CLIENT_SECRET: &str = "a secret of the identity provider's client";

/// A running provider; dropping it ends it. Whoever signs in there says who they are: `<name>/<role>/<organization>`, with any password.
#[derive(Debug)]
pub struct IdentityProvider {
    /// Its address.
    pub issuer: String,
    _program: Program,
    _folder: TempDir,
}

impl IdentityProvider {
    /// Starts it. Panics when the tools are not installed: a test that needs it has failed, not passed.
    pub fn start() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let tools = here.join("../../.test-tools");
        assert!(tools.join("node_modules/oidc-provider").exists(), "oidc-provider is not installed: run ./test once, which installs it");
        let folder = TempDir::new().expect("a temporary folder");
        let (log, port) = (folder.path().join("log"), free_port());
        let script = here.join("src/identity_provider.mjs").display().to_string();
        let command = ["node", &script, &tools.display().to_string(), &port.to_string(), CLIENT_SECRET];
        let program = Program::start(&command, "KILL", &log);
        wait_for("oidc-provider", &log, || std::fs::read_to_string(&log).is_ok_and(|said| said.contains("listening")));
        Self { issuer: format!("http://127.0.0.1:{port}"), _program: program, _folder: folder }
    }
}
