//! Pictures of the console's pages, light and dark: `cargo run --workspace --example screenshots -- <folder>`.
fn main() {}
