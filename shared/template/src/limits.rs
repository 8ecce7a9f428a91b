//! What a template may cost.

/// What a template may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest source.
    pub source_bytes_max: usize,
    /// The longest output.
    pub output_bytes_max: usize,
    /// Instructions, and 64 bytes each of what they make (`minijinja::Environment::set_fuel`).
    pub fuel: u64,
    /// What instructions may read, compare and copy: about nanoseconds of an unoptimised build, a tenth of that in a release.
    pub work: u64,
}

impl Limits {
    /// For a name, a key, a subject: one line.
    pub const LINE: Self = Self { source_bytes_max: 4096, output_bytes_max: 4096, fuel: 20_000, work: 100_000_000 };

    /// For a body: 64 KiB of source, 1 MiB of output (api.md, Conventions and Sizes).
    pub const BODY: Self = Self { source_bytes_max: 64 << 10, output_bytes_max: 1 << 20, fuel: 1_000_000, work: 300_000_000 };
}
