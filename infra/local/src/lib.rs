//! `waybill`: the whole service in one process, for local use.
//!
//! - The template is read as CloudFormation would read it. It yields the stack: the resources of
//!   the engines, the functions and their triggers.
//! - The data directory is locked for this process, and the engines of `local_aws` open in it.
//! - The instance builds every function as its `main` does on Lambda, with the environment and the
//!   permissions that the template gives it.
//! - Pollers invoke functions with messages of queues, tickers invoke them on schedules, and the
//!   gateway invokes them for HTTP requests. Each invocation has Lambda's deadline and context, and
//!   its failure affects nothing else.
//! - With `--processes` each function runs in processes of its own under the Lambda Runtime API, as
//!   it is deployed.
//! - `local.json` contains the addresses and keys of the instance.
//!
//! This crate knows nothing about what the functions do: it plays the part of AWS.

pub mod args;
mod batch;
pub mod calls;
pub mod capacity;
pub mod data_directory;
pub mod demo;
pub mod first_start;
pub mod function;
pub mod functions;
pub mod instance;
pub mod local_json;
pub mod operator_key;
pub mod parameters;
pub mod poller;
pub mod processes;
pub mod rotate_keys;
pub mod run;
pub mod serve;
pub mod template;
pub mod ticker;
