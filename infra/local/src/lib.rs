//! `waybill`: the whole service in one process, for a laptop.
//!
//! The cast and their verbs:
//!
//! - The **template** is read as CloudFormation would and gives the **stack**: what the engines create, the functions and their triggers.
//! - The **data directory** is taken for this process; the engines of `local_aws` open in it.
//! - The **instance** builds every function as its `main` does on Lambda, with the environment and the permissions the template gives it.
//! - **Pollers** feed functions from queues, **tickers** run them by the clock, the **gateway** answers HTTP requests with them: each
//!   invocation has Lambda's deadline and context, and ends alone when it fails.
//! - With `--processes` each function runs in **processes** of its own under the Lambda Runtime API, as it is deployed.
//! - `local.json` tells people and scripts how to get in.
//!
//! Nothing here knows what the functions do: it is AWS's part, played by one process.

pub mod args;
mod batch;
pub mod calls;
pub mod data_directory;
pub mod demo;
pub mod first_start;
pub mod function;
pub mod functions;
pub mod instance;
pub mod local_json;
pub mod operator_key;
pub mod parameters;
pub mod places;
pub mod poller;
pub mod processes;
pub mod rotate_keys;
pub mod run;
pub mod serve;
pub mod template;
pub mod ticker;
