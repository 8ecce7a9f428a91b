//! Exceptions from the checks. None may be added.

/// Dependencies that a package declares for their features and that none of its sources mention.
pub(crate) const UNUSED: &[(&str, &str)] = &[];

/// Names that several public types have. Each function has a `Config`, and each connector its own
/// `Settings`.
pub(crate) const NAMES_OF_SEVERAL_TYPES: &[&str] = &[
    "Body",
    "Caller",
    "Client",
    "Config",
    "Content",
    "Counted",
    "Credentials",
    "Ending",
    "Failure",
    "Fault",
    "Function",
    "Gateway",
    "Host",
    "IfExists",
    "Invocation",
    "InvokeError",
    "Job",
    "Limits",
    "Meta",
    "Mode",
    "OpenError",
    "Outgoing",
    "Page",
    "Parts",
    "Payload",
    "Policy",
    "Refusal",
    "RotateError",
    "Route",
    "Schedule",
    "Settings",
    "SigningKey",
    "StepName",
    "Target",
    "Template",
    "TemplateError",
    "Unreadable",
    "Variables",
];
