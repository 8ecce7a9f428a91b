//! Writes the OpenAPI document again after handlers or views have changed:
//!
//! ```sh
//! cargo run --example openapi
//! ```

use std::path::Path;

fn main() -> std::io::Result<()> {
    std::fs::write(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json"),
        api::openapi::written(),
    )
}
