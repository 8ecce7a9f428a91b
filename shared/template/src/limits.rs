//! The limits on the cost of a template.

/// The limits on the cost of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest source in bytes.
    pub source_bytes_max: usize,
    /// The longest output in bytes.
    pub output_bytes_max: usize,
    /// The fuel for instructions and for every 64 bytes that they produce
    /// (`minijinja::Environment::set_fuel`).
    pub fuel: u64,
    /// The work of reading, comparing and copying: about nanoseconds of an unoptimised build, a
    /// tenth of that in a release build.
    pub work: u64,
}

impl Limits {
    /// The limits for one line: a name, a key, a subject.
    pub const LINE: Self = Self {
        source_bytes_max: 4096,
        output_bytes_max: 4096,
        fuel: 20_000,
        work: 100_000_000,
    };

    /// The limits for a body: 64 KiB of source, 1 MiB of output.
    pub const BODY: Self = Self {
        source_bytes_max: 64 << 10,
        output_bytes_max: 1 << 20,
        fuel: 1_000_000,
        work: 300_000_000,
    };
}
